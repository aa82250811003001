package userstore

import "time"

// SessionHash is the SHA-256 of a browser session's cookie.
type SessionHash [32]byte

// BrowserSession is a browser in which a user is logged in to the hosted pages. It is not a grant;
// clients get grants from it.
type BrowserSession struct {
	Hash   SessionHash
	ID     string // public: 128 random bits, base64url
	UserID string

	Proved []ProvedFactor // what was proved, and when
	// AuthTime, AMR and ACR are the strength of Proved.
	AuthTime time.Time
	AMR      []string
	ACR      string

	CreatedAt  time.Time
	LastUsedAt time.Time // precise to about a minute: not every use writes
	ExpiresAt  time.Time // absolute limit

	UserAgent string
	Address   string

	// PasswordMark is the user's when the session was read by Browsers.BrowserSession; else empty.
	PasswordMark []byte
}

// Proofs is Proved, also of a session from before proofs were stored: it began with a password.
func (b BrowserSession) Proofs() []ProvedFactor {
	if len(b.Proved) == 0 && !b.AuthTime.IsZero() {
		return []ProvedFactor{{Method: ByPassword, At: b.AuthTime}}
	}
	return b.Proved
}

// Seen is Grant.Seen for a browser session.
func (b BrowserSession) Seen(idle time.Duration) (used, ends time.Time) {
	return seen(b.LastUsedAt, b.CreatedAt, b.ExpiresAt, idle)
}

// StartSession is what a successful login at the hosted pages writes.
type StartSession struct {
	// Session has the ID of the session that it replaces, if that is the same user's, who only
	// proved the password again. The grants of the old session then belong to the new one and stay
	// live.
	Session BrowserSession
	// Replaces is the session of the same browser that ends with this login, as EndSession ends
	// one. If the ID is the same, no grant is revoked. Zero: none.
	Replaces SessionHash
	// Continues: what was proved only adds to the session that is replaced, and alone logs nobody in.
	// ErrConflict if there is no such session any more.
	Continues    bool
	PasswordHash string // the hash that was verified, or read with the user
	Rehash       string // its replacement, when the hash parameters were raised; empty: none
	Second       SecondStep

	IdleSince time.Time // sessions not used since are not live; zero: all are live

	Attempt  Attempt   // returned to its budgets; zero: none
	Remember time.Time // when Attempt.Own ceases to be remembered
	// Device is a second budget that is remembered: the one of this account and the browser's
	// device cookie.
	Device BudgetKey // zero: none
}

// MaxBrowserSessionsPerUser bounds a user's browser sessions. A login beyond it deletes the idle
// ones, which are not live. If that is not enough, it ends one that was never used after its login,
// or else the least recently used. The grants that came of that session live on, and the audit log
// has an entry.
const MaxBrowserSessionsPerUser = 50
