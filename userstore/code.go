package userstore

import (
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// CodeHash is the SHA-256 of an authorization code, so that a copy of the store cannot redeem any.
type CodeHash [32]byte

// Code is an authorization code as the store keeps it (RFC 6749 section 4.1): what a user allowed a
// client, until the code is redeemed for a grant.
type Code struct {
	Hash     CodeHash
	ClientID string
	UserID   string
	Subject  string // as Grant.Subject
	// BrowserSession is the public id of the browser session in which the user allowed the request.
	// It must be live when the code is saved, and the code is void once it has ended.
	BrowserSession string

	RedirectURI   string // where the code was sent; the token request must repeat it
	CodeChallenge string // S256; empty: the request had none
	JKT           string // dpop_jkt: the thumbprint of the key that the code is bound to (RFC 9449 section 10); empty: none

	Scopes    []string
	Resources []string
	Nonce     string
	Claims    string // the claims request (OIDC Core section 5.5) as canonical JSON; empty: none
	AuthTime  time.Time
	AMR       []string
	ACR       string

	// ByConsent says that the code rests on a stored consent, without which it is void. A code that
	// is saved together with a consent needs no other.
	ByConsent bool

	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // zero: not yet
	GrantID   GrantID   // of the grant that began with it, or that it was redeemed for; zero: unused

	UserAgent string // of the browser
	Address   string

	// Answers is the device authorization that the code answers, which becomes DeviceAllowed together
	// with it; Hash is its CodeHash. SaveCode alone reads it; zero: the code goes to a redirect URI.
	Answers DeviceAnswer

	// Begins is the grant that begins together with the code, because the authorization response
	// holds tokens as well. SaveCode alone reads it; nil: the grant begins when the code is redeemed.
	Begins *BegunGrant

	// NewClient is the row of the code's client, if the client had none when it was read. SaveCode
	// makes it together with the consent, unless there is one meanwhile.
	NewClient *NewClient
}

// Answered reports whether a grant began with the code: tokens went out together with it.
func (c Code) Answered() bool { return c.GrantID != GrantID{} && c.UsedAt.IsZero() }

// BegunGrant is a grant that begins with the authorization response. Its GrantID is that of the
// code's row, so that the code is redeemed for this grant and a replay ends it. If the response holds
// no code, the row says only that the request was answered: nobody knows the code.
type BegunGrant struct {
	Grant Grant // of the code's user and client

	IdleSince    time.Time // grants not rotated since are not live; zero: all are live
	NoAppSession bool      // as StartGrant.NoAppSession
}

// CodeView is a code with the user and the client that it depends on.
type CodeView struct {
	Code   Code
	User   User // without PasswordHash
	Client Client
}

// Redeem is the input of Codes.RedeemCode.
type Redeem struct {
	Hash  CodeHash
	Grant Grant // of the code's user and client
	Begun bool  // the grant began with the code, and goes on as Grant says
	Now   time.Time

	IdleSince    time.Time // grants not rotated since are not live; zero: all are live
	NoAppSession bool      // as StartGrant.NoAppSession, by the client of CodeView
}

// NewClient is the row of a client that comes with a code: see Code.NewClient.
type NewClient struct {
	Client Client
	Event  audit.Event // stored if the row is made
}
