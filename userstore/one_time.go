package userstore

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/mac"
	"github.com/signet-id/signet/internal/outbox"
)

// ErrTokenInvalid means that a link, or a code with its handle, does not work: it is forged, used,
// replaced by a newer one or expired, a change of the account ended it, or it never existed. All of
// them have the same answer.
var ErrTokenInvalid = errors.New("the link or code is not valid")

// MailRequest is a person's request for a message to an address, with or without an account.
type MailRequest struct {
	ID         string // 128 random bits, base64url; the id of the message and of the token that it leads to
	Kind       outbox.Kind
	Budget     BudgetKey // of the address
	At, EndsAt time.Time
}

// OneTimeToken describes a token that was sent to an address. The token itself is a MAC of Kind and
// ID under a secret, computed when the message is composed and again when the token is presented. A
// copy of the store redeems nothing.
type OneTimeToken struct {
	ID         string
	Kind       outbox.Kind
	UserID     string
	Address    string
	AddressKey string
	At, EndsAt time.Time
	Live       bool // when read: not spent, not ended, and the user has not changed since
	// SecondFactor: of UndoEmail and FactorAdded: the user had a second factor when the token was made.
	SecondFactor bool
}

// Redemption spends a token. It always verifies the address.
type Redemption struct {
	ID      string
	Kind    outbox.Kind
	NewHash string // replaces the password, and ends all grants, sessions and tokens; empty: all of these stay
	// Unproved: the address was not proved before, so another person may have made the account. A new
	// password then also ends that person's consents, and second factors. It is refused where an operator
	// vouches for those: see User.FactorsVouched.
	Unproved bool
	// Second is the proof of a second factor. Without one, a new password of an account that has a
	// second factor is refused, and factors that are older than a token of UndoEmail or FactorAdded
	// ask for one of them.
	Second SecondStep
	UserID string // of the token; needed with Second
	At     time.Time
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
	// factorCodeLasts is the time in which a person fetches a code from the mailbox and types it.
	factorCodeLasts = 15 * time.Minute
	// undoFactorLasts is how long a message about a new second factor removes it.
	undoFactorLasts = 7 * 24 * time.Hour
	// undoLasts is also how long the address before a change is reserved for the account.
	undoLasts = 7 * 24 * time.Hour

	// codeTries is how often a code may be tried with one handle. With five tries, one of 20
	// million handles guesses an eight-digit code.
	codeTries = 5
)

// lasts is how long a token is valid, counted from the request.
var lasts = map[outbox.Kind]time.Duration{
	outbox.ResetPassword: resetLasts, outbox.VerifyEmail: verifyLasts, outbox.Invite: inviteLasts,
	outbox.ChangeEmail: changeLasts, outbox.UndoEmail: undoLasts,
	outbox.FactorAdded: undoFactorLasts, outbox.FactorCode: factorCodeLasts,
}

// pageOf is the path of the page that a message's link opens; empty: the message has only a code.
var pageOf = map[outbox.Kind]string{
	outbox.ResetPassword: "/reset/", outbox.VerifyEmail: "/verify/", outbox.Invite: "/invite/",
	outbox.ChangeEmail: "/change/", outbox.UndoEmail: "/undo/",
	outbox.FactorAdded: "/factor-undo/", outbox.FactorCode: "",
}

// MailEvery is how long an address that a message of a kind was sent to gets no other one of it.
const MailEvery = time.Minute

// mailLimits bound the messages of one kind that people can have sent to an address that they have
// not proved.
var mailLimits = []Limit{
	{Free: 1, Window: MailEvery},
	{Free: 5, Window: time.Hour},
	{Free: 10, Window: 24 * time.Hour},
}

// noticeLimits bound the notices of one kind to an address that is not proved. Two within a minute
// may tell of two different things.
var noticeLimits = mailLimits[1:]

// origin tells which request a handle was made for. The handle of a sign-up also proves that its
// holder knows the password of the account.
type origin string

const (
	byRequest  origin = "r"
	bySignup   origin = "s"
	byPassword origin = "p" // the handle was the answer to the account's password
	bySession  origin = "c" // the handle is bound to the session
)

// oneTimeSecret makes and reads links, codes and handles. Each has its own purpose and cannot be
// used as another.
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

// link returns the token that a link carries. It needs no handle.
func (s oneTimeSecret) link(kind outbox.Kind, id string) string {
	return id + "." + s.sum("link", string(kind), id)
}

// code returns eight digits, which are only valid together with the handle.
func (s oneTimeSecret) code(kind outbox.Kind, id string) string {
	// The remainder of a number below 2⁶⁴ is close enough to uniform.
	n := binary.BigEndian.Uint64(mac.Sum(s, "one-time code", string(kind), id)) % 100_000_000
	return fmt.Sprintf("%08d", n)
}

// handle returns the handle with which the caller who made a request refers to it. session is the id
// of the session that alone may use the handle; empty: any.
func (s oneTimeSecret) handle(kind outbox.Kind, from origin, id, session string) string {
	return string(from) + id + "." + s.sum("handle", string(kind), string(from), id, session)
}

// budget returns the key of the budget that an address has for messages of a kind. It hides from the
// store which addresses strangers typed. Each kind has a budget of its own: requests for
// verification, which may not even lead to a message, must not keep an owner from a reset.
func (s oneTimeSecret) budget(kind outbox.Kind, addressKey string) (key BudgetKey) {
	copy(key[:], mac.Sum(s, "one-time budget", string(kind), addressKey))
	return key
}

// request returns a request at now for a message of a kind to an address.
func (s oneTimeSecret) request(id string, kind outbox.Kind, addressKey string, now time.Time) MailRequest {
	return MailRequest{
		ID: id, Kind: kind, Budget: s.budget(kind, addressKey), At: now, EndsAt: now.Add(lasts[kind]),
	}
}

// noticeBudget returns the key of the budget of an address for notices of a kind. It is not the
// budget of requests: neither strangers' requests nor notices of another kind silence a notice.
func (s oneTimeSecret) noticeBudget(kind outbox.Kind, addressKey string) (key BudgetKey) {
	copy(key[:], mac.Sum(s, "one-time notices", string(kind), addressKey))
	return key
}

// requestID returns the id of a request for a message. It is the same for all requests of a browser
// within one minute of the clock that have the same parts: of two, the second would get no message,
// and a form that is sent twice at once is one request to the store.
func (a *Accounts) requestID(
	secret oneTimeSecret, kind outbox.Kind, browser string, now time.Time, parts ...string,
) string {
	if browser == "" {
		return CommandLineID(a.NewID)
	}
	minute := strconv.FormatInt(now.Truncate(MailEvery).Unix(), 10)
	n := 0
	return CommandLineID(func() string {
		n++
		of := append([]string{"one-time request", string(kind), browser, minute, strconv.Itoa(n)}, parts...)
		return base64.RawURLEncoding.EncodeToString(mac.Sum(secret, of...)[:16])
	})
}

// browser names a browser to the store, which does not hold the cookie's value.
func (s oneTimeSecret) browser(cookie string) (key BrowserKey) {
	if cookie != "" {
		copy(key[:], mac.Sum(s, "one-time browser", cookie))
	}
	return key
}

// readLink returns the id in a link that link made; ok is false for any other text.
func (s oneTimeSecret) readLink(kind outbox.Kind, text string) (id string, ok bool) {
	id, _, _ = strings.Cut(text, ".")
	return id, hmac.Equal([]byte(text), []byte(s.link(kind, id)))
}

// readHandle returns the id in a handle that handle made; ok is false for any other text.
func (s oneTimeSecret) readHandle(kind outbox.Kind, text, session string) (id string, from origin, ok bool) {
	if text == "" {
		return "", "", false
	}
	id, _, _ = strings.Cut(text[1:], ".")
	from = origin(text[:1])
	return id, from, hmac.Equal([]byte(text), []byte(s.handle(kind, from, id, session)))
}

// isCode reports whether typed is the code, in constant time. People type codes in groups.
func (s oneTimeSecret) isCode(kind outbox.Kind, id, typed string) bool {
	typed = strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(typed)
	return hmac.Equal([]byte(typed), []byte(s.code(kind, id)))
}
