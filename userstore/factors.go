package userstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// ErrSpent: a code, a handle or an answer of a passkey was used before. Nothing changed.
var ErrSpent = errors.New("used before")

// ErrHandleSpent is an ErrSpent of a handle. What was shown with it may be unused.
var ErrHandleSpent = fmt.Errorf("the handle was %w", ErrSpent)

// SecondFactors are what an account has beside its password. An authenticator app or a passkey is a
// second factor: with one, the password alone lets nobody in. Recovery codes stand in for it.
type SecondFactors struct {
	App           *AuthenticatorApp // nil: none
	Waiting       *AuthenticatorApp // its setup waits for the first code; nil: none
	Passkeys      []Passkey         // oldest first
	RecoveryCodes int               // unused ones
	// PasskeyHandle is the user handle of WebAuthn, base64url; empty before the first passkey.
	PasskeyHandle string
	WrongCodes    int   // of the authenticator app, since the last right one
	Version       int64 // User.FactorVersion
}

// AuthenticatorApp is an app that shows codes by time (RFC 6238).
type AuthenticatorApp struct {
	ID        string
	UserID    string
	Sealed    []byte // the secret, bound to UserID and ID
	Algorithm string // SHA1, SHA256 or SHA512
	Digits    int
	Period    int // seconds

	LastCounter int64     // time step of the last code that was used; codes up to it do not count
	CreatedAt   time.Time // since when it lets its user in; before, when its setup began
	LastUsedAt  time.Time // zero: never
}

// Passkey is a WebAuthn credential.
type Passkey struct {
	ID           string // public name of the row
	UserID       string
	CredentialID []byte
	PublicKey    []byte // COSE
	AAGUID       []byte // model of the authenticator
	Transports   []string
	SignCount    uint32

	BackupEligible bool
	BackedUp       bool

	Name       string // by the user
	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never
}

// TrustedBrowser is a browser in which a login needs no second factor until EndsAt. It ends before
// when the user's password or factors change or the user signs out everywhere.
type TrustedBrowser struct {
	Hash   SessionHash // SHA-256 of its cookie
	ID     string      // public
	UserID string

	CreatedAt  time.Time
	LastUsedAt time.Time
	EndsAt     time.Time

	UserAgent string
	Address   string
}

// SecondStep is what a login shows beside the password. The zero value is for users without a second
// factor: the store refuses it for any other.
type SecondStep struct {
	FactorVersion int64     // User.FactorVersion as it was read; another one is a conflict
	Proved        bool      // a second factor was proved, or the browser is trusted
	Use           FactorUse // spent together with the login
	Trust         *NewTrust // the browser is trusted from now on; nil: it is not
}

// NewTrust is a browser that is trusted from a login on.
type NewTrust struct {
	Hash   SessionHash
	ID     string
	EndsAt time.Time
}

// FactorUse spends what may be used once. Each part that is set has to be unused.
type FactorUse struct {
	App     string // id of the authenticator app
	Counter int64  // time step of its code

	Recovery [][]byte // MACs of one recovery code, in each form that codes are stored in

	Passkey   string // id of the passkey
	SignCount uint32 // that the passkey showed
	BackedUp  bool

	Trusted SessionHash // the trusted browser that skips the second factor
	Handles []Handle
	At      time.Time
}

// Handle may be used once, until it ends.
type Handle struct {
	ID     string
	EndsAt time.Time
}

// HandleUntil is a handle that is taken until an instant, in seconds since 1970. It is remembered for
// longer, because the clocks of replicas differ: a replica whose clock is behind must not take a
// handle whose row another replica has swept.
func HandleUntil(id string, ends int64) Handle {
	const margin = 5 * time.Minute
	return Handle{ID: id, EndsAt: time.Unix(ends, 0).UTC().Add(margin)}
}

// Empty reports whether there is nothing to spend.
func (u FactorUse) Empty() bool {
	return u.App == "" && u.Recovery == nil && u.Passkey == "" && u.Trusted == SessionHash{} && len(u.Handles) == 0
}

// FactorChange is one change of an account's second factors. It makes a new factor version, which
// ends trusted browsers and whatever else is bound to the version before.
type FactorChange struct {
	UserID  string
	Version int64 // that was read; AnyFactorVersion: any
	// PasswordHash is the hash that was proved, or read with the user; empty: any, for an operator.
	PasswordHash string
	At           time.Time

	ConfirmApp string // id of the waiting app that becomes the account's, in the place of the one before
	Counter    int64  // time step of the code that confirmed it

	AddPasskey    *Passkey
	PasskeyHandle string // stored if the user has none

	RemoveApp      bool
	RemovePasskeys []string // ids
	RemoveAll      bool     // app, passkeys and recovery codes; it is Final

	// Final: nothing brings back what the change removes, nor what others removed before: an operator
	// makes it. Otherwise what is removed is retired: see Factors.
	Final bool

	// RecoveryCodes are the MACs that replace the account's codes; nil: they stay. Without a second
	// factor the account has none.
	RecoveryCodes [][]byte

	// UndoID is the id of a token of the kind FactorAdded, which removes what the change adds; empty:
	// there is none.
	UndoID     string
	UndoEndsAt time.Time

	// KeepSession is the session id of the one grant, or browser session, that does not end;
	// KeepAll: none ends; empty: all end.
	KeepSession string
	// BySession is the id of the browser session that makes the change. What was proved in it under
	// Version holds on under the new version; what was proved in other sessions does not prove the
	// owner any more.
	BySession string

	Use FactorUse
}

// FirstFactors are the second factor and the recovery codes that a new account begins with.
type FirstFactors struct {
	App           AuthenticatorApp
	RecoveryCodes [][]byte // MACs; each counts once
}

// PasskeyRename gives a passkey another name.
type PasskeyRename struct {
	UserID, ID    string
	Before, After string // the names
}

// AnyFactorVersion stands for any factor version.
const AnyFactorVersion = -1

// Bounds of what an account has.
const (
	MaxPasskeys        = 25
	MaxTrustedBrowsers = 25
)

// Factors stores second factors. Each method is atomic.
//
// A factor, or recovery codes, that the account's user removes or replaces is retired while a live token
// of UndoEmail or FactorAdded is from after it: no method but those about such a token finds it. The
// redemption of the token brings back what was there before the act that it undoes.
type Factors interface {
	// SecondFactors reads what a user has. ErrNotFound: there is no such user.
	SecondFactors(ctx context.Context, userID string) (SecondFactors, error)
	// PasskeyOwner finds a passkey by its credential id, with its user and the user's handle.
	// ErrNotFound.
	PasskeyOwner(ctx context.Context, credentialID []byte) (p Passkey, u User, handle string, err error)
	// BeginApp stores an authenticator app whose setup waits for its first code, in the place of
	// another that waits. ErrConflict: the user is disabled, or the factor version is another.
	BeginApp(ctx context.Context, a AuthenticatorApp, version int64) error
	// ChangeFactors makes a change. Errors: ErrConflict: user disabled, password, version or what is
	// confirmed or removed is not as it was read; ErrSpent; ErrExists, as *ExistsError: the passkey is
	// stored already (credential), or there are MaxPasskeys (passkeys).
	ChangeFactors(ctx context.Context, c FactorChange, events ...audit.Event) error
	// RemoveAddedFactor spends a token of the kind FactorAdded: factors and recovery codes that the
	// user has got since, and with it, go, those of before are there again, the account gets the new password, and what it is signed in
	// with ends. Later tokens of that kind end; the undoing of a change of address that came later asks
	// for no factor that this one does not ask for. ErrConflict: the token is not live, or an older
	// factor is not proved; ErrSpent.
	RemoveAddedFactor(ctx context.Context, r Redemption, events ...audit.Event) error
	// HeldFactors reads what the user of a token of UndoEmail or FactorAdded had before the act that it
	// undoes: what is there of it, and what was retired since. ErrNotFound: there is no such token.
	HeldFactors(ctx context.Context, tokenID string) (SecondFactors, error)
	// HeldRecoveryCode reports whether one of those codes has one of these MACs, and is unused.
	HeldRecoveryCode(ctx context.Context, tokenID string, macs [][]byte) (bool, error)
	// HasRecoveryCode reports whether the user has an unused code with one of these MACs.
	HasRecoveryCode(ctx context.Context, userID string, macs [][]byte) (bool, error)
	// RenamePasskey gives a passkey another name. ErrNotFound: the user has no such passkey, or it has
	// neither name: it was renamed meanwhile.
	RenamePasskey(ctx context.Context, r PasskeyRename, events ...audit.Event) error
	// UseFactor spends u outside a login. ErrSpent; ErrConflict: the user is disabled, or the factor
	// version is another.
	UseFactor(ctx context.Context, userID string, version int64, u FactorUse, events ...audit.Event) error
	// CountWrongCode counts a code of an authenticator app as wrong before it is checked; a use of
	// the app takes all counts back. ErrConflict: most were counted.
	CountWrongCode(ctx context.Context, userID string, most int) error
	// UncountWrongCode takes one count back: the code was not judged.
	UncountWrongCode(ctx context.Context, userID string) error
	// TrustedBrowser reads a browser that is trusted at now. ErrNotFound.
	TrustedBrowser(ctx context.Context, hash SessionHash, now time.Time) (TrustedBrowser, error)
	// ListTrustedBrowsers returns the browsers that are trusted at now, newest first.
	ListTrustedBrowsers(ctx context.Context, userID string, now time.Time) ([]TrustedBrowser, error)
	// EndTrust ends the trust in one browser, or in all of a user if id is empty. ErrNotFound: the
	// user has no trusted browser with that id.
	EndTrust(ctx context.Context, userID, id string, events ...audit.Event) error
	// RemoveSpentHandles deletes at most limit handles, and as many trusted browsers and retired factors
	// of each kind, that ended before now, and returns their number.
	RemoveSpentHandles(ctx context.Context, now time.Time, limit int) (int, error)
}
