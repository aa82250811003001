package userstore

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/mac"
	"github.com/signet-id/signet/internal/outbox"
)

// ErrTokenInvalid: a link, or a code with its handle, does not work: forged, used, replaced by a newer one, ended, or
// ended by what happened to the account since. The answer is the same for all of them, and where there is nothing.
var ErrTokenInvalid = errors.New("the link or code is not valid")

// MailRequest is a request for a message that somebody made, whether or not there is an account.
type MailRequest struct {
	ID         string // 128 random bits, base64url; the id of the message and of the token that it leads to
	Kind       outbox.Kind
	Budget     BudgetKey // of the address
	At, EndsAt time.Time
}

// OneTimeToken is a token that went to an address, without the token: that is a MAC of Kind and ID under a secret, made
// when the message is composed and when somebody presents it. A copy of the store redeems nothing.
type OneTimeToken struct {
	ID         string
	Kind       outbox.Kind
	UserID     string
	Address    string
	AddressKey string
	At, EndsAt time.Time
	Live       bool // of what was read: not spent, not ended, and the user is as they were
}

// Redemption is what a token is spent for. The address is verified in any case.
type Redemption struct {
	ID      string
	Kind    outbox.Kind
	NewHash string // replaces the password, and ends all grants, sessions and tokens; empty: all of these stay
	At      time.Time
}

// AddressChange is a confirmed change of an account's address.
type AddressChange struct {
	ID            string // of the token that is spent
	From, FromKey string // the address that the account has until now
	// UndoID is the id of the token that undoes the change. Empty: the account goes back to an
	// address that is reserved for it, which nothing undoes: changes that came after the account had
	// that address can no longer be undone either.
	UndoID     string
	At         time.Time
	UndoEndsAt time.Time
}

const (
	resetLasts  = 30 * time.Minute
	verifyLasts = 24 * time.Hour
	inviteLasts = 7 * 24 * time.Hour
	changeLasts = time.Hour
	// undoLasts is also how long the address before a change is reserved for the account.
	undoLasts = 7 * 24 * time.Hour

	// codeTries is how often a code may be tried with one handle: an eight-digit code is guessed once in 20 million handles.
	codeTries = 5
)

// lasts is how long a token is of use, from the request on.
var lasts = map[outbox.Kind]time.Duration{
	outbox.ResetPassword: resetLasts, outbox.VerifyEmail: verifyLasts, outbox.Invite: inviteLasts,
	outbox.ChangeEmail: changeLasts, outbox.UndoEmail: undoLasts,
}

// pageOf is the path of the page that a message's link leads to.
var pageOf = map[outbox.Kind]string{
	outbox.ResetPassword: "/reset/", outbox.VerifyEmail: "/verify/", outbox.Invite: "/invite/",
	outbox.ChangeEmail: "/change/", outbox.UndoEmail: "/undo/",
}

// mailLimits bound the messages to one address that people can cause without being signed in.
var mailLimits = []Limit{
	{Free: 1, Window: time.Minute},
	{Free: 5, Window: time.Hour},
	{Free: 10, Window: 24 * time.Hour},
}

// origin is how a handle was come by: who signed up is trusted with the password that the sign-up brought.
type origin string

const (
	byRequest origin = "r"
	bySignup  origin = "s"
	bySession origin = "c" // of a change of address; the handle is bound to the session
)

// oneTimeSecret makes and reads links, codes and handles. Each has a purpose of its own: none is of use for another.
type oneTimeSecret []byte

func (a *Accounts) oneTime() (oneTimeSecret, error) {
	if a.TokenSecret == nil {
		return nil, errors.New("userstore: the secret of one-time tokens is missing")
	}
	secret, err := a.TokenSecret()
	if err == nil && len(secret) < 32 {
		err = errors.New("the secret of one-time tokens is too short")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return secret, nil
}

func (s oneTimeSecret) sum(purpose string, parts ...string) string {
	return base64.RawURLEncoding.EncodeToString(mac.Sum(s, append([]string{"one-time " + purpose}, parts...)...))
}

// link is the token as a link carries it: it opens the door alone.
func (s oneTimeSecret) link(kind outbox.Kind, id string) string {
	return id + "." + s.sum("link", string(kind), id)
}

// code is eight digits, which are of use with the handle only.
func (s oneTimeSecret) code(kind outbox.Kind, id string) string {
	n := binary.BigEndian.Uint64(mac.Sum(s, "one-time code", string(kind), id)) % 100_000_000 // of 2⁶⁴: as good as even
	return fmt.Sprintf("%08d", n)
}

// handle names a request to the one who made it.
// session is the id of the session that alone may use the handle; empty: any.
func (s oneTimeSecret) handle(kind outbox.Kind, from origin, id, session string) string {
	return string(from) + id + "." + s.sum("handle", string(kind), string(from), id, session)
}

// budget names the budget of an address: the store is not told which addresses strangers typed.
func (s oneTimeSecret) budget(addressKey string) (key BudgetKey) {
	copy(key[:], mac.Sum(s, "one-time budget", addressKey))
	return key
}

// readLink is the id of a link that link made; ok is false for any other text.
func (s oneTimeSecret) readLink(kind outbox.Kind, text string) (id string, ok bool) {
	id, _, _ = strings.Cut(text, ".")
	return id, hmac.Equal([]byte(text), []byte(s.link(kind, id)))
}

// readHandle is the id of a handle that handle made.
func (s oneTimeSecret) readHandle(kind outbox.Kind, text, session string) (id string, from origin, ok bool) {
	if text == "" {
		return "", "", false
	}
	id, _, _ = strings.Cut(text[1:], ".")
	from = origin(text[:1])
	return id, from, hmac.Equal([]byte(text), []byte(s.handle(kind, from, id, session)))
}

// isCode compares in constant time. People write codes in groups.
func (s oneTimeSecret) isCode(kind outbox.Kind, id, typed string) bool {
	typed = strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(typed)
	return hmac.Equal([]byte(typed), []byte(s.code(kind, id)))
}
