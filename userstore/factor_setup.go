package userstore

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/factorseal"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/totp"
	"github.com/signet-id/signet/internal/webauthn"
)

// The errors of setting up and removing second factors.
var (
	// ErrFactorsOff: accounts.second_factor is off.
	ErrFactorsOff = errors.New("second factors are off")
	// ErrNoPasskeys: browsers make no passkeys for this issuer (see webauthn.New), or the account has
	// none.
	ErrNoPasskeys = errors.New("there are no passkeys here")
	// ErrLastFactor: the policy wants a second factor, and this is the last one.
	ErrLastFactor = errors.New("this is the last second factor")
	// ErrAddressNotProved: where there is mail, factors need a proved address.
	ErrAddressNotProved = errors.New("the address has to be proved first")
)

// maxFactorName bounds the name of a passkey, in characters.
const maxFactorName = 64

// mayHaveFactors reports why u may set up no second factor; nil: u may.
func (a *Accounts) mayHaveFactors(u User) error {
	switch {
	case a.SecondFactor == SecondFactorOff:
		return ErrFactorsOff
	case !u.IsActive:
		return ErrAccountDisabled
	case !a.NoMail && !u.EmailVerified:
		return ErrAddressNotProved
	}
	return nil
}

// MaySetUpFactor reports why u may set up no second factor; nil: u may. Its errors are of BeginApp.
func (a *Accounts) MaySetUpFactor(u User) error { return a.mayHaveFactors(u) }

// BegunApp is an authenticator app whose setup has begun.
type BegunApp struct {
	Secret string // base32, in groups, to be typed
	URI    string // otpauth:, as the QR code has it
}

// BeginApp makes the secret of an authenticator app, which counts once ConfirmApp got a code of it.
// u was read with the proof. ErrFactorsOff, ErrAddressNotProved, ErrAccountDisabled, ErrConflict.
func (a *Accounts) BeginApp(ctx context.Context, u User) (BegunApp, error) {
	if err := a.mayHaveFactors(u); err != nil {
		return BegunApp{}, err
	}
	key, err := totp.New(rand.Reader)
	if err != nil {
		return BegunApp{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer clear(key.Secret)
	seal, err := a.AppKey()
	if err != nil {
		return BegunApp{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	app := AuthenticatorApp{
		ID: commandLineID(a.NewID), UserID: u.ID, Algorithm: key.Algorithm, Digits: key.Digits, Period: key.Period,
		LastCounter: -1, CreatedAt: a.now(),
	}
	app.Sealed = factorseal.Seal(seal, u.ID, app.ID, key.Secret)
	if err := a.Store.BeginApp(ctx, app, u.FactorVersion); err != nil {
		return BegunApp{}, err
	}
	return BegunApp{Secret: key.Grouped(), URI: key.URI(a.FactorIssuer, u.Email)}, nil
}

// WaitingApp returns once more what BeginApp returned for the app whose setup waits. ErrNotFound: no
// setup waits.
func (a *Accounts) WaitingApp(ctx context.Context, u User) (BegunApp, error) {
	have, err := a.Store.SecondFactors(ctx, u.ID)
	switch {
	case err != nil:
		return BegunApp{}, err
	case have.Waiting == nil:
		return BegunApp{}, ErrNotFound
	}
	secret, err := a.openApp(*have.Waiting)
	if err != nil {
		return BegunApp{}, err
	}
	defer clear(secret)
	app := have.Waiting
	key := totp.Key{Secret: secret, Algorithm: app.Algorithm, Digits: app.Digits, Period: app.Period}
	return BegunApp{Secret: key.Grouped(), URI: key.URI(a.FactorIssuer, u.Email)}, nil
}

// ConfirmApp makes the app whose setup waits the account's, by its first code, in the place of the one
// before. With the first second factor come recovery codes, which are shown this once. Other sessions
// and grants go on; keep them or not is the user's choice: see FactorChange.KeepSession.
// ErrFactorRefused: the code is wrong; ErrNotFound: no setup waits.
func (a *Accounts) ConfirmApp(ctx context.Context, u User, code, keep string) (recovery []string, err error) {
	if err := a.mayHaveFactors(u); err != nil {
		return nil, err
	}
	have, err := a.Store.SecondFactors(ctx, u.ID)
	switch {
	case err != nil:
		return nil, err
	case have.Version != u.FactorVersion:
		return nil, ErrConflict
	case have.Waiting == nil:
		return nil, ErrNotFound
	}
	secret, err := a.openApp(*have.Waiting)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	app := have.Waiting
	key := totp.Key{Secret: secret, Algorithm: app.Algorithm, Digits: app.Digits, Period: app.Period}
	now := a.now()
	// Not counted as a guess: the user was shown the secret a moment ago.
	counter, ok := key.Check(code, now, app.LastCounter)
	if !ok {
		return nil, ErrFactorRefused
	}
	c := FactorChange{
		UserID: u.ID, Version: u.FactorVersion, PasswordHash: u.PasswordHash, At: now,
		ConfirmApp: app.ID, Counter: counter, KeepSession: keep,
	}
	return a.addFactor(ctx, u, c, MethodApp, app.ID)
}

// PasskeyCreation returns the options with which a browser makes a passkey for u
// (PublicKeyCredentialCreationOptionsJSON), and the user handle that they name.
func (a *Accounts) PasskeyCreation(
	ctx context.Context, u User, challenge []byte, timeout time.Duration,
) (options json.RawMessage, handle string, err error) {
	if err := a.mayHaveFactors(u); err != nil {
		return nil, "", err
	}
	if a.Passkeys == nil {
		return nil, "", ErrNoPasskeys
	}
	have, err := a.Store.SecondFactors(ctx, u.ID)
	if err != nil {
		return nil, "", err
	}
	handle = have.PasskeyHandle
	if handle == "" {
		random := make([]byte, 32)
		rand.Read(random) // never fails: the process ends instead
		handle = base64.RawURLEncoding.EncodeToString(random)
	}
	allowed, err := credentialsOf(have)
	if err != nil {
		return nil, "", err
	}
	user, err := base64.RawURLEncoding.DecodeString(handle)
	if err != nil {
		return nil, "", err
	}
	name := u.Claims.WithComposedName().Name
	if name == "" {
		name = u.Email
	}
	options, err = a.Passkeys.CreationOptions(challenge, user, u.Email, name, allowed, timeout)
	return options, handle, err
}

// PasskeyRequest returns the options with which a browser uses one of u's passkeys; with no user, any
// passkey of this service.
func (a *Accounts) PasskeyRequest(
	ctx context.Context, userID string, challenge []byte, timeout time.Duration,
) (json.RawMessage, error) {
	if a.Passkeys == nil {
		return nil, ErrNoPasskeys
	}
	var allowed []webauthn.Credential
	if userID != "" {
		have, err := a.Store.SecondFactors(ctx, userID)
		if err != nil {
			return nil, err
		}
		if len(have.Passkeys) == 0 {
			return nil, ErrNoPasskeys
		}
		if allowed, err = credentialsOf(have); err != nil {
			return nil, err
		}
	}
	return a.Passkeys.RequestOptions(challenge, allowed, timeout)
}

func credentialsOf(have SecondFactors) (all []webauthn.Credential, err error) {
	for _, p := range have.Passkeys {
		c, err := credentialOf(p, have.PasskeyHandle)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// NewPasskey is the answer of a browser that made a passkey.
type NewPasskey struct {
	Challenge  []byte
	UserHandle string          // of PasskeyCreation
	Response   json.RawMessage // RegistrationResponseJSON
	Name       string          // by the user; may be empty
	Handle     Handle          // of the challenge: spent
	Keep       string          // as FactorChange.KeepSession
}

// AddPasskey stores a passkey of u, who was read with the proof. With the first second factor come
// recovery codes, which are shown this once. ErrFactorRefused, ErrExists (as *ExistsError: credential,
// or passkeys for too many), ErrConflict, ValidationError on name, and the errors of BeginApp.
func (a *Accounts) AddPasskey(ctx context.Context, u User, n NewPasskey) (p Passkey, recovery []string, err error) {
	if err := a.mayHaveFactors(u); err != nil {
		return Passkey{}, nil, err
	}
	if a.Passkeys == nil {
		return Passkey{}, nil, ErrNoPasskeys
	}
	name, err := factorName(n.Name)
	if err != nil {
		return Passkey{}, nil, err
	}
	made, err := a.Passkeys.Register(n.Challenge, n.Response)
	if errors.Is(err, webauthn.ErrResponse) {
		return Passkey{}, nil, a.refusedPasskey(ctx, err, Verified{User: u})
	}
	if err != nil {
		return Passkey{}, nil, err
	}
	now := a.now()
	p = Passkey{
		ID: commandLineID(a.NewID), UserID: u.ID, CredentialID: made.ID, PublicKey: made.PublicKey, AAGUID: made.AAGUID,
		Transports: made.Transports, SignCount: made.SignCount, BackupEligible: made.BackupEligible, BackedUp: made.BackedUp,
		Name: name, CreatedAt: now,
	}
	c := FactorChange{
		UserID: u.ID, Version: u.FactorVersion, PasswordHash: u.PasswordHash, At: now,
		AddPasskey: &p, PasskeyHandle: n.UserHandle, KeepSession: n.Keep,
	}
	if n.Handle.ID != "" {
		c.Use = FactorUse{Handles: []Handle{n.Handle}, At: now}
	}
	recovery, err = a.addFactor(ctx, u, c, MethodPasskey, p.ID)
	return p, recovery, err
}

// factorName cleans the name of a passkey.
func factorName(name string) (string, error) {
	name = strings.TrimSpace(name)
	var fs faults
	fs.add("name", checkLine(name, maxFactorName, ""))
	return name, fs.err()
}

// addFactor makes a change that adds a factor. The first second factor brings recovery codes.
func (a *Accounts) addFactor(ctx context.Context, u User, c FactorChange, kind, id string) (recovery []string, err error) {
	if !u.SecondFactor {
		if recovery, c.RecoveryCodes, err = a.newRecoveryCodes(u.ID); err != nil {
			return nil, err
		}
	}
	e := audit.New(ctx, c.At, audit.FactorAdded, audit.User(u.ID))
	e.Changes = []audit.Change{{Field: kind, After: id}}
	if e.Messages = a.factorNotice(u, c.At); len(e.Messages) > 0 {
		c.UndoID, c.UndoEndsAt = e.Messages[0].ID, e.Messages[0].EndsAt
	}
	err = a.Store.ChangeFactors(ctx, c, e)
	if errors.Is(err, ErrSpent) {
		err = ErrFactorRefused
	}
	if err := audit.Stored(ctx, a.Log, err, e); err != nil {
		return nil, err
	}
	return recovery, nil
}

// RemovedFactors names what a removal is about: exactly one of them.
type RemovedFactors struct {
	App     bool
	Passkey string // id
	All     bool
}

// RemoveFactors removes second factors of u, who was read with the proof, or by an operator (operator
// is true; then the policy does not matter). ErrNotFound: the account has no such factor;
// ErrLastFactor; ErrConflict.
func (a *Accounts) RemoveFactors(ctx context.Context, u User, r RemovedFactors, operator bool, keep string) error {
	have, err := a.Store.SecondFactors(ctx, u.ID)
	if err != nil {
		return err
	}
	left := len(have.Passkeys)
	if have.App != nil {
		left++
	}
	c := FactorChange{UserID: u.ID, Version: have.Version, At: a.now(), KeepSession: keep, Final: operator}
	if !operator {
		c.PasswordHash = u.PasswordHash
	}
	e := audit.New(ctx, c.At, audit.FactorRemoved, audit.User(u.ID))
	remove := func(kind, id string) { e.Changes = append(e.Changes, audit.Change{Field: kind, Before: id}) }
	has := false
	if have.App != nil && (r.App || r.All) {
		has, c.RemoveApp, left = true, true, left-1
		remove(MethodApp, have.App.ID)
	}
	for _, p := range have.Passkeys {
		if r.All || r.Passkey != "" && p.ID == r.Passkey {
			has, left = true, left-1
			c.RemovePasskeys = append(c.RemovePasskeys, p.ID)
			remove(MethodPasskey, p.ID)
		}
	}
	switch {
	case !has:
		return ErrNotFound
	case !operator && have.Version != u.FactorVersion:
		return ErrConflict
	}
	if !operator && left == 0 {
		without := u
		without.SecondFactor = false
		if a.MustHaveSecondFactor(without) || u.PasswordHash == "" {
			return ErrLastFactor
		}
	}
	switch {
	case operator && left == 0:
		e.Messages = a.notice(outbox.FactorsReset, u, c.At)
	case operator:
		e.Messages = a.notice(outbox.FactorRemoved, u, c.At)
	default:
		if e.Messages, err = a.ownNotice(ctx, outbox.FactorRemoved, u, c.At); err != nil {
			return err
		}
	}
	return audit.Stored(ctx, a.Log, a.Store.ChangeFactors(ctx, c, e), e)
}

// RenamePasskey gives a passkey of the user another name. ErrNotFound, ValidationError on name.
func (a *Accounts) RenamePasskey(ctx context.Context, userID, id, name string) error {
	name, err := factorName(name)
	if err != nil {
		return err
	}
	return retry(ctx, editTries, "rename a passkey", func() error {
		have, err := a.Store.SecondFactors(ctx, userID)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(have.Passkeys, func(p Passkey) bool { return p.ID == id })
		switch {
		case at < 0:
			return ErrNotFound
		case have.Passkeys[at].Name == name:
			return nil // nothing happens: there is no audit entry
		}
		r := PasskeyRename{UserID: userID, ID: id, Before: have.Passkeys[at].Name, After: name}
		e := audit.New(ctx, a.now(), audit.PasskeyRenamed, audit.User(userID))
		e.Changes = []audit.Change{{Field: "name", Before: r.Before, After: r.After}}
		err = a.Store.RenamePasskey(ctx, r, e)
		if errors.Is(err, ErrNotFound) { // removed or renamed meanwhile
			err = ErrConflict
		}
		return audit.Stored(ctx, a.Log, err, e)
	})
}

// NewRecoveryCodes replaces the recovery codes of u, who was read with the proof, and returns them:
// they are shown this once. ErrNotFound: the account has no second factor; ErrConflict.
func (a *Accounts) NewRecoveryCodes(ctx context.Context, u User, keep string) ([]string, error) {
	if !u.SecondFactor {
		return nil, ErrNotFound
	}
	codes, macs, err := a.newRecoveryCodes(u.ID)
	if err != nil {
		return nil, err
	}
	now := a.now()
	e := audit.New(ctx, now, audit.RecoveryCodesMade, audit.User(u.ID))
	c := FactorChange{
		UserID: u.ID, Version: u.FactorVersion, PasswordHash: u.PasswordHash, At: now, RecoveryCodes: macs, KeepSession: keep,
	}
	if err := audit.Stored(ctx, a.Log, a.Store.ChangeFactors(ctx, c, e), e); err != nil {
		return nil, err
	}
	return codes, nil
}
