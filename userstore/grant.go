package userstore

import "time"

// GrantID names a grant's row: 128 random bits, known to the store and to the
// refresh token only. The public name of a grant is its SessionID.
type GrantID [16]byte

// Bounds of a user's grants. Live ones are neither revoked nor expired nor idle; see
// Grants.StartGrant for those that a login ends beyond the bound.
const (
	MaxGrantsPerClient = 50   // live ones, of one user at one client
	MaxGrantsPerUser   = 1000 // live ones, of one user at all clients: for the sake of the statements over all of them
	MaxRevokedPerUser  = 100  // revoked ones, which are kept to tell why
)

// Grant is what a user authorised a client to do: one row, however often it is
// refreshed.
type Grant struct {
	ID        GrantID
	SessionID string // sid: random, public
	UserID    string
	ClientID  string

	Scopes    []string
	Resources []string // empty: the default audience

	AuthTime time.Time
	AMR      []string // RFC 8176: pwd, …
	ACR      string
	Nonce    string

	Generation     int64     // of the refresh token that is current; starts at 1; 0: there is none, and never will be
	RotatedAt      time.Time // when Generation became current; idle time counts from here
	LateGeneration int64     // the generation that was last answered late; 0: none
	LateCount      int64     // how often it was

	CreatedAt time.Time
	ExpiresAt time.Time // absolute limit
	RevokedAt time.Time // zero: live

	// BrowserSession is the public id of the browser session that it came of; empty: none.
	// Claims is the claims request, see Code.
	BrowserSession, Claims string

	UserAgent string // of the login, for the user's list of sessions
	Address   string // network address of the login
}

// Seen tells when a session was last used, and when it will end unless it is refreshed before, to
// those who look at a list of sessions: to the hour. By the second it would tell a thief of one
// token pair when the owner has just refreshed, and so when a stolen refresh token falls into
// the reuse window.
func (g Grant) Seen(idle time.Duration) (used, ends time.Time) {
	return seen(g.RotatedAt, g.CreatedAt, g.ExpiresAt, idle)
}

func seen(last, created, expires time.Time, idle time.Duration) (used, ends time.Time) {
	if used = last.Truncate(time.Hour); used.Before(created) {
		used = created
	}
	if ends = used.Add(idle); expires.Before(ends) {
		ends = expires
	}
	return used, ends
}
