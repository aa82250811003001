package issuer

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
)

// Keys is what the issuer needs of the key set; *keys.Manager is one. An error
// of any method means that this replica may not sign now.
type Keys interface {
	// Signer is the active signer of alg, or of the first algorithm that has an
	// active key while alg has none.
	Signer(alg string) (*jose.Signer, error)
	// PublishedKey finds a key that resource servers can see now.
	PublishedKey(kid string) (jose.PublicKey, bool)
	// KnownKey finds a key that is or was published, revoked ones included.
	KnownKey(kid string) (jose.PublicKey, bool)
	// HintKey finds a key that is or was published and has not been revoked.
	HintKey(kid string) (jose.PublicKey, bool)
	// RefreshJTI is the proof that a refresh token of (grant, generation) is ours.
	RefreshJTI(grant [16]byte, generation int64) (string, error)
	// RefreshAlgorithm is the cheapest algorithm that is on.
	RefreshAlgorithm() string
	// ActiveAlgorithms lists those that have an active key.
	ActiveAlgorithms() []string
	// Step brings this replica's view of the key set up to date.
	Step(ctx context.Context) error
}

// Issuer holds the rules of the protocol. Fill the fields, then use it from any
// number of goroutines.
type Issuer struct {
	URL      string // the issuer identifier, byte for byte what `iss` says
	Accounts *userstore.Accounts
	Grants   userstore.Grants
	Clients  userstore.Clients
	Codes    userstore.Codes
	Browsers userstore.BrowserSessions
	Consents userstore.Consents
	Keys     Keys
	Now      func() time.Time
	NewID    func() string            // 128 random bits, base64url: jti and sid
	NewGrant func() userstore.GrantID // 128 random bits: a grant's row
	// FormSecret is the key of what travels through browsers: codes, handles of requests, forms. The same on all replicas.
	FormSecret func() ([]byte, error)
	Log        *slog.Logger // security events, by ids; nil: none

	Audience       []string      // of access tokens without a resource; empty: URL
	AccessAlg      string        // of access tokens whose resource names none; empty: RS256
	AccessLifetime time.Duration // of access tokens whose resource names none
	IDLifetime     time.Duration

	RefreshAbsolute time.Duration // a grant ends so long after its login
	RefreshIdle     time.Duration // and so long after its last refresh
	ReuseWindow     time.Duration // a rotated refresh token is answered again without a word for so long
	ClockSkew       time.Duration // leeway for the exp of access tokens that come back

	RequirePKCE string // all or public (oauth.require_pkce): which clients must send a challenge; empty: all

	SessionAbsolute time.Duration // a browser session ends so long after its login
	SessionIdle     time.Duration // and so long after its last use

	Resources []Resource
	Claims    []CustomClaim // of the operator's own
	UILocales []string      // languages of the hosted pages; none: discovery says nothing of them

	Cache      *ClientCache // has to be there; NoClientCache: clients are read each time
	ClientKeys *ClientKeys  // nil: no client may have a jwks_uri
	Admission  *Admission   // has to be there; NoAdmission: every request is signed for at once
}

// now is the instant that a request is judged by, as exact as a store keeps it:
// what is minted from memory at login and from the row later must be the same.
func (i *Issuer) now() time.Time { return i.Now().UTC().Truncate(time.Microsecond) }

// end is when g is over: its absolute or its idle limit, whichever comes first.
func (i *Issuer) end(g userstore.Grant) time.Time {
	if idle := g.RotatedAt.Add(i.RefreshIdle); idle.Before(g.ExpiresAt) {
		return idle
	}
	return g.ExpiresAt
}

// event is what befell a grant at now. Who came with the refresh token nobody knows: its holder, or
// a thief. A grant is named by its public session id, never by the row id that a refresh token holds.
func event(ctx context.Context, now time.Time, name audit.Name, g userstore.Grant) audit.Event {
	e := audit.New(ctx, now, name, audit.User(g.UserID))
	e.ClientID, e.SessionID = g.ClientID, g.SessionID
	return e
}

// Path is the path of the issuer identifier without a trailing slash: what addresses on this server begin with.
func (i *Issuer) Path() string {
	u, err := url.Parse(i.URL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.EscapedPath(), "/")
}
