package userstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// PendingSignup is a sign-up whose address is not proved yet. The account is made when it is. One
// address may have several: only the proof shows which of them is the owner's.
type PendingSignup struct {
	ID           string // of the request for the message, and of that message
	Email        string // as typed
	EmailKey     string
	Username     string // is not reserved; may be empty
	UsernameKey  string
	PasswordHash string
	Claims       Claims
	Language     string     // of the message; a BCP 47 tag, may be empty
	Browser      BrowserKey // of the browser that signed up; zero: none
	At, EndsAt   time.Time
}

// BrowserKey is a MAC of a browser's cookie: the store does not hold the cookie's value.
type BrowserKey [16]byte

// PendingSignups stores sign-ups whose address is not proved yet. What has ended at now is not
// found.
type PendingSignups interface {
	// SavePendingSignup stores a sign-up and asks for its message, as RequestMail does, in one
	// transaction. If the browser of p signed up with the same address after since, that sign-up gets
	// what p brings, and nothing is asked for: a form was sent twice. The result is the id of the
	// sign-up that is stored. The id of p is that of r and m. A second call with the same id does
	// nothing.
	SavePendingSignup(
		ctx context.Context, p PendingSignup, since time.Time, r MailRequest, limits []Limit, m outbox.Message,
	) (id string, err error)
	// PendingSignup reads a sign-up by its id. ErrNotFound.
	PendingSignup(ctx context.Context, id string, now time.Time) (PendingSignup, error)
	// PendingSignups returns sign-ups with an address, newest first: of any browser, or of one.
	PendingSignups(
		ctx context.Context, emailKey string, browser BrowserKey, now time.Time, limit int,
	) ([]PendingSignup, error)
	// IssueSignupToken makes t.ID the token of the sign-up, in place of an older one. A token that is
	// stored already stays as it is. ErrConflict: the sign-up has ended or has a newer token, or the
	// address has an account. Of t, ID, At and EndsAt are read.
	IssueSignupToken(ctx context.Context, signupID string, t OneTimeToken) error
	// PendingSignupByToken reads the sign-up of a live token. ErrNotFound.
	PendingSignupByToken(ctx context.Context, tokenID string, now time.Time) (PendingSignup, error)
	// CreateProvedUser spends a live token, creates the user, and deletes all pending sign-ups with
	// the address of u, in one transaction. ErrConflict: the token is not live, or is of another
	// address. ErrExists, as *ExistsError: then nothing changed.
	CreateProvedUser(ctx context.Context, tokenID string, u User, events ...audit.Event) error
}
