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
	"github.com/signet-id/signet/userstore/registration"
)

// Keys is what the issuer needs of the key set; *keys.Manager implements it. An error of any method
// means that this replica may not sign now.
type Keys interface {
	// Signer returns the active signer of alg or, while alg has none, of the first algorithm that
	// has an active key.
	Signer(alg string) (*jose.Signer, error)
	// PublishedKey returns a key that resource servers can see now.
	PublishedKey(kid string) (jose.PublicKey, bool)
	// KnownKey returns a key that is or was published, even if it is revoked.
	KnownKey(kid string) (jose.PublicKey, bool)
	// HintKey returns a key that is or was published and has not been revoked.
	HintKey(kid string) (jose.PublicKey, bool)
	// RefreshJTI returns the proof that a refresh token of (grant, generation) is ours.
	RefreshJTI(grant [16]byte, generation int64) (string, error)
	// RefreshAlgorithm returns the cheapest algorithm in force.
	RefreshAlgorithm() string
	// ActiveAlgorithms returns the algorithms that have an active key.
	ActiveAlgorithms() []string
	// Step brings this replica's view of the key set up to date.
	Step(ctx context.Context) error
}

// Issuer holds the rules of the protocol. Fill the fields, then use it from any number of
// goroutines.
type Issuer struct {
	URL      string // the issuer identifier, byte for byte what `iss` says
	Accounts *userstore.Accounts
	Grants   userstore.Grants
	Clients  userstore.Clients
	Codes    userstore.Codes
	Pushed   userstore.PushedRequests
	Proofs   userstore.DPoPProofs
	Devices  userstore.Devices
	Browsers userstore.BrowserSessions
	Consents userstore.Consents
	Subjects userstore.Subjects
	Keys     Keys
	Now      func() time.Time
	NewID    func() string            // 128 random bits, base64url: jti and sid
	NewGrant func() userstore.GrantID // 128 random bits: a grant's row
	// FormSecret returns the key that protects what travels through browsers: codes, request
	// handles, forms. It is the same on all replicas.
	FormSecret func() ([]byte, error)
	Log        *slog.Logger // security events, with ids only; nil: none

	Audience       []string      // of access tokens without a resource; empty: URL
	AccessAlg      string        // of access tokens whose resource names none; empty: RS256
	AccessLifetime time.Duration // of access tokens whose resource names none
	IDLifetime     time.Duration

	RefreshAbsolute time.Duration // a grant ends this long after its login
	RefreshIdle     time.Duration // and this long after its last refresh
	ReuseWindow     time.Duration // for this long a rotated refresh token is answered once more, without an audit entry
	ClockSkew       time.Duration // leeway for the exp of access tokens that come back

	RequirePKCE string // all or public (oauth.require_pkce): which clients must send a challenge; empty: all

	ResponseTypes []string // that are answered, as userstore.ResponseTypes (oauth.response_types); empty: code

	RequirePushed bool // all clients must push their authorization requests (oauth.require_pushed)

	DPoPNonces bool // DPoP proofs need a nonce of ours (oauth.dpop_nonce)

	Registration    string                 // who may register clients (oauth.registration); empty: only operators
	OpenToPublic    bool                   // anybody may register a public client (mcp.open_registration)
	Registry        *registration.Registry // for clients that register themselves
	SoftwareIssuers []SoftwareIssuer       // whose software statements are believed

	SessionAbsolute time.Duration // a browser session ends this long after its login
	SessionIdle     time.Duration // and this long after its last use
	TrustedBrowser  time.Duration // a browser that its user trusts skips the second factor for this long; 0: none is trusted

	Resources []Resource
	Claims    []CustomClaim // the operator's custom claims
	UILocales []string      // languages of the hosted pages; empty: discovery names none

	Cache      *ClientCache // required; NoClientCache: clients are read each time
	Tokens     *TokenCache  // nil: the signature of an access token is verified each time
	ClientKeys *ClientKeys  // nil: no client may have a jwks_uri
	// RequestObjects fetches request objects by reference; nil: no client may have request_uris.
	RequestObjects *RequestObjects
	StatusStore    userstore.StatusLists
	Status         *StatusLists // nil: tokens name no status list
	Admission      *Admission   // required; NoAdmission: every request is admitted at once

	ClientIDMetadata bool // a client_id may be the address of a metadata document: see ClientDocuments

	Counts *Counts // of what is issued and refused; nil: nothing is counted

	BackchannelLogout bool // clients with a backchannel_logout_uri are told of logouts
}

// now returns the instant at which a request is checked, truncated to the precision of the stores:
// tokens minted from memory at login and from the row later must be the same.
func (i *Issuer) now() time.Time { return i.Now().UTC().Truncate(time.Microsecond) }

// end returns when g ends: its absolute or its idle limit, whichever comes first.
func (i *Issuer) end(g userstore.Grant) time.Time {
	if idle := g.RotatedAt.Add(i.RefreshIdle); idle.Before(g.ExpiresAt) {
		return idle
	}
	return g.ExpiresAt
}

// grantEvent makes the audit entry for something that happened to a grant at now. It names no
// actor, because the refresh token may have come from its holder or from a thief. It names the
// grant by the public session id, never by the row id that a refresh token holds.
func grantEvent(ctx context.Context, now time.Time, name audit.Name, g userstore.Grant) audit.Event {
	e := audit.New(ctx, now, name, audit.User(g.UserID))
	e.ClientID, e.SessionID = g.ClientID, g.SessionID
	return e
}

// Path returns the path of the issuer identifier without a trailing slash: the prefix of every
// address on this server.
func (i *Issuer) Path() string {
	u, err := url.Parse(i.URL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.EscapedPath(), "/")
}
