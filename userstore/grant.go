package userstore

import "time"

// GrantID identifies a grant's row by 128 random bits, which only the store and the refresh token
// hold. The public id of a grant is its SessionID.
type GrantID [16]byte

// Bounds of a user's grants. A live grant is neither revoked nor expired nor idle.
// Grants.StartGrant says which grants a login beyond a bound deletes.
const (
	MaxGrantsPerClient = 50   // live ones, of one user at one client
	MaxGrantsPerUser   = 1000 // live ones, of one user at all clients: bounds the statements over all of them
	MaxRevokedPerUser  = 100  // revoked ones, which are kept to explain a refused refresh
)

// Grant is what a user authorised a client to do. It is one row, which refreshes update.
type Grant struct {
	ID        GrantID
	SessionID string // sid: random, public
	UserID    string
	Subject   string // the pairwise identifier that the client knows the user by; empty: UserID
	ClientID  string

	Scopes    []string
	Resources []string // empty: the default audience

	AuthTime time.Time
	AMR      []string // RFC 8176: pwd, …
	ACR      string
	Nonce    string

	Generation     int64     // of the current refresh token; starts at 1; 0: the grant never has one
	RotatedAt      time.Time // when Generation became current; idle time counts from here
	LateGeneration int64     // the generation that was last answered late; 0: none
	LateCount      int64     // how often LateGeneration was answered late

	CreatedAt time.Time
	ExpiresAt time.Time // absolute limit
	RevokedAt time.Time // zero: live

	// BrowserSession is the public id of the browser session that the grant came from; empty: none.
	// Claims is the claims request, see Code.
	BrowserSession, Claims string

	// StatusIndex is the grant's place among all status lists; 0: it has none yet.
	StatusIndex int64

	// JKT is the thumbprint of the key (RFC 7638) that the refresh token of a public client is bound to
	// (RFC 9449 section 5); empty: none.
	JKT string

	UserAgent string // of the login, for the user's list of sessions
	Address   string // network address of the login
}

// Seen returns when a session was last used, and when it ends unless it is refreshed, for a list of
// sessions. Both are rounded to the hour. Precise times would show a thief of one token pair when
// the owner has just refreshed, and so when a stolen refresh token falls into the reuse window.
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
