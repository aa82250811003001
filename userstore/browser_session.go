package userstore

import "time"

// SessionHash is the SHA-256 of a browser session's cookie.
type SessionHash [32]byte

// BrowserSession is a browser in which a user is logged in to the hosted pages. It is not a grant:
// what clients get of it is.
type BrowserSession struct {
	Hash   SessionHash
	ID     string // public: 128 random bits, base64url
	UserID string

	AuthTime time.Time // when the password was proved
	AMR      []string
	ACR      string

	CreatedAt  time.Time
	LastUsedAt time.Time // to the minute or so: not every use writes
	ExpiresAt  time.Time // absolute limit

	UserAgent string
	Address   string
}

// Seen is Grant.Seen of a browser session.
func (b BrowserSession) Seen(idle time.Duration) (used, ends time.Time) {
	return seen(b.LastUsedAt, b.CreatedAt, b.ExpiresAt, idle)
}

// StartSession is what a successful login at the hosted pages writes.
type StartSession struct {
	// Session has the ID of the session that it replaces when it is the same user's, who has only proved the
	// password again: what came of that session then belongs to this one, and lives on.
	Session BrowserSession
	// Replaces is the session of the same browser that ends with it, as EndSession ends one (but under the same ID no
	// grant is revoked); zero: none.
	Replaces     SessionHash
	PasswordHash string // the hash that was verified
	Rehash       string // its replacement, when parameters rose; empty: none

	Attempt  Attempt   // given back; zero: none
	Remember time.Time // until when Attempt.Own is remembered
	// Device is a second budget that is remembered: of this account and the browser's device cookie.
	Device BudgetKey // zero: none
}

// MaxBrowserSessionsPerUser bounds the live ones. A login beyond that ends one that was never used after its login, or
// else the least recently used; the grants that came of it live on, and the audit log has an entry.
const MaxBrowserSessionsPerUser = 50
