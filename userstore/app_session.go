package userstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// AppSession is the session that an app has because of a login. It begins with a grant, if the
// client has a backchannel_logout_uri or a frontchannel_logout_uri, and often outlives it: without a
// refresh token the grant ends after minutes, while the app keeps its user signed in for days. What
// counts is the client as the act that begins the grant reads it: a client that gets its first logout
// URI at the same moment or later hears of the sessions that begin from then on, and of no earlier one.
// So a login at a client without a logout URI asks nothing of this table.
//
// It ends with the browser session that the user logged in with, or when the grant is revoked, or
// with everything else of the user. The operation that ends the grants ends it, too. If the client has
// a backchannel_logout_uri by then, the wait begins until the app was told; otherwise the app session
// is deleted at once.
type AppSession struct {
	SessionID      string // sid: that of the grant
	UserID         string
	Subject        string // as Grant.Subject
	ClientID       string
	BrowserSession string // as Grant.BrowserSession

	CreatedAt time.Time
	EndedAt   time.Time // zero: it lives
}

// EndedAppSession is an app session whose app has to be told that it has ended (OpenID Connect
// Back-Channel Logout).
type EndedAppSession struct {
	AppSession
	// Heard is false if the client is gone, was disabled since the login or has no
	// backchannel_logout_uri any more: there is nobody to tell.
	Heard    bool
	Lease    string    // of the worker that tells the app
	DueAt    time.Time // the end of the lease
	Attempts int       // with this one
	Reason   string    // why the last attempt failed
}

// Bounds of app sessions, those that wait for their end to be told included. The oldest ones beyond a
// bound are deleted: their apps are not told of a logout.
const (
	MaxAppSessionsPerBrowser = 10   // of one browser session at one client: a client may renew its login in a hidden frame
	MaxAppSessionsPerClient  = 100  // of one user at one client
	MaxAppSessionsPerUser    = 1000 // at all clients: bounds the statements over all of them
)

// AppSessionsState is the number of app sessions whose app has to be told of their end, and the time
// of the oldest end.
type AppSessionsState struct {
	Waiting int
	Oldest  time.Time // zero: none waits
}

// AppSessions stores the sessions of apps. Operations that make and end grants make and end them.
type AppSessions interface {
	// ClaimEndedAppSession claims an ended app session that is due at now for the holder of lease, and
	// no other caller gets it before until. Of one client, atOnce are claimed at a time. Those that were
	// tried less often come first. ErrNotFound: none is due.
	ClaimEndedAppSession(ctx context.Context, lease string, now, until time.Time, atOnce int) (EndedAppSession, error)
	// PostponeAppSession stores why an app could not be told and when it is due again. If rest is not
	// zero, other app sessions of the client that are due before rest are due then. ErrNotFound: it is
	// gone, or claimed under another lease.
	PostponeAppSession(ctx context.Context, sessionID, lease string, due, rest time.Time, reason string) error
	// ForgetAppSession removes an ended app session whose app was told, under any lease, or need not be.
	// It is idempotent.
	ForgetAppSession(ctx context.Context, sessionID string) error
	// GiveUpAppSession removes an ended app session whose app was not told. ErrNotFound: it is gone, or
	// claimed under another lease.
	GiveUpAppSession(ctx context.Context, sessionID, lease string, events ...audit.Event) error
	// RemoveExpiredAppSessions deletes at most limit app sessions that can have lived until before now
	// at most, and returns their number. Those that wait to be told stay, and those of a browser session
	// that is stored.
	RemoveExpiredAppSessions(ctx context.Context, now time.Time, limit int) (int, error)
	AppSessionsState(ctx context.Context) (AppSessionsState, error)
}
