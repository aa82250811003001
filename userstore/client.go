package userstore

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// FirstPartyClientID is the client that the first migration creates: public, first-party, allowed
// to refresh. /v1/login uses it unless the request names another.
const FirstPartyClientID = "signet"

// Client is a registered client (RFC 7591 names).
type Client struct {
	ID         string
	Name       string   // client_name
	AuthMethod string   // token_endpoint_auth_method: one of the Auth… below
	FirstParty bool     // only an operator can set it
	GrantTypes []string // authorization_code, implicit, refresh_token, client_credentials
	Scopes     []string // that the client may request; empty: every scope (admin only if first-party)
	Resources  []string // resource indicators that it may name (RFC 8707); empty: only the default audience
	IDTokenAlg string   // id_token_signed_response_alg; empty: RS256
	// IDTokenClaims puts the claims of the granted scopes into the client's ID tokens, for apps
	// that do not call userinfo.
	IDTokenClaims bool

	ClientMetadata

	// SecretHash is the hash of the client secret: SHA-256 in base64url of a secret that we
	// generated, a PHC string of one that an operator chose; empty: the client has none.
	SecretHash string

	// Kind says how the client came: empty: of an operator or an admin; KindRegistered; KindMetadata.
	// It never changes.
	Kind string
	// RegistrationHash is the hash of the registration access token (RFC 7592), as of a generated
	// secret; empty: the client has none. It never changes.
	RegistrationHash string
	// UnusedUntil is when the client is deleted if it was not used until then; zero: it stays.
	UnusedUntil time.Time
	// DocumentAt is when the metadata document of a KindMetadata was last fetched and found good.
	DocumentAt time.Time

	// StatusIndex is the place, among all status lists, of the tokens that the client gets in its own
	// name; 0: it has none yet. It ends when the client is disabled.
	StatusIndex int64

	DisabledAt time.Time // zero: enabled
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Version    int64 // of the row, for compare-and-swap
}

// ClientMetadata is the part of a client that the store keeps as one JSON object, because no
// statement looks into it. Its members can grow without a migration.
type ClientMetadata struct {
	RedirectURIs           []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	ResponseTypes          []string `json:"response_types,omitempty"`

	JWKS    json.RawMessage `json:"jwks,omitempty"`     // the keys of private_key_jwt, or
	JWKSURI string          `json:"jwks_uri,omitempty"` // the address of the keys

	// PKCE is required or optional (authorization code flow); empty: as oauth.require_pkce says.
	PKCE string `json:"pkce,omitempty"`

	// RequestObjectAlg is the request_object_signing_alg; none: request objects have no signature;
	// empty: any algorithm that the client has a key for.
	RequestObjectAlg string `json:"request_object_signing_alg,omitempty"`
	// RequestURIs are the addresses of its request objects. A fragment does not count.
	RequestURIs                []string `json:"request_uris,omitempty"`
	RequireSignedRequestObject bool     `json:"require_signed_request_object,omitempty"` // RFC 9101 section 10.5

	RequirePushed bool `json:"require_pushed_authorization_requests,omitempty"` // RFC 9126 section 6

	// DPoPBoundAccessTokens: the client gets only access tokens that are bound to its key (RFC 9449 section 5.2).
	DPoPBoundAccessTokens bool `json:"dpop_bound_access_tokens,omitempty"`

	SubjectType         string `json:"subject_type,omitempty"`          // public or pairwise; empty: public
	SectorIdentifierURI string `json:"sector_identifier_uri,omitempty"` // OIDC Registration section 5

	// UserinfoAlg is the algorithm that userinfo answers are signed with; empty: they are JSON.
	UserinfoAlg string `json:"userinfo_signed_response_alg,omitempty"`
	// IntrospectionAlg is the algorithm that introspection answers to the client are signed with
	// (RFC 9701 section 6); empty: they are JSON, and RS256 if it asks for signed ones.
	IntrospectionAlg string `json:"introspection_signed_response_alg,omitempty"`

	// BackchannelLogoutURI is where the client wants to hear that a session has ended; empty: nowhere.
	BackchannelLogoutURI string `json:"backchannel_logout_uri,omitempty"`
	// BackchannelLogoutSessionRequired: the client needs sid in logout tokens. All of ours have it.
	BackchannelLogoutSessionRequired bool `json:"backchannel_logout_session_required,omitempty"`

	FrontchannelLogoutURI             string `json:"frontchannel_logout_uri,omitempty"`
	FrontchannelLogoutSessionRequired bool   `json:"frontchannel_logout_session_required,omitempty"`
	InitiateLoginURI                  string `json:"initiate_login_uri,omitempty"` // OIDC Core section 4

	ClientURI string `json:"client_uri,omitempty"`
	LogoURI   string `json:"logo_uri,omitempty"`
	PolicyURI string `json:"policy_uri,omitempty"`
	TOSURI    string `json:"tos_uri,omitempty"`

	// AssertionAlg is the algorithm of its client assertions; empty: any that it has a key for.
	AssertionAlg     string   `json:"token_endpoint_auth_signing_alg,omitempty"`
	DefaultMaxAge    *int64   `json:"default_max_age,omitempty"`    // seconds, of requests without max_age; nil: none
	RequireAuthTime  bool     `json:"require_auth_time,omitempty"`  // every ID token has auth_time
	DefaultACRValues []string `json:"default_acr_values,omitempty"` // of requests without acr_values

	ApplicationType string   `json:"application_type,omitempty"` // web or native; empty: not said
	Contacts        []string `json:"contacts,omitempty"`
	SoftwareID      string   `json:"software_id,omitempty"`
	SoftwareVersion string   `json:"software_version,omitempty"`
	// SoftwareStatement is the statement that a registration came with, whose claims were verified then.
	SoftwareStatement string `json:"software_statement,omitempty"`
}

// Merge returns m with those members of from that were sent, by their names in JSON.
func (m ClientMetadata) Merge(from ClientMetadata, sent func(name string) bool) ClientMetadata {
	to, values := reflect.ValueOf(&m).Elem(), reflect.ValueOf(from)
	for i := range to.NumField() {
		name, _, _ := strings.Cut(to.Type().Field(i).Tag.Get("json"), ",")
		if sent(name) {
			to.Field(i).Set(values.Field(i))
		}
	}
	return m
}

// Values of Client.Kind, beside the empty one.
const (
	KindRegistered = "registered" // the client registered itself
	KindMetadata   = "metadata"   // its id is the address of its client ID metadata document
)

// How a client authenticates at the token endpoint (RFC 7591 section 2, OIDC Core section 9).
const (
	AuthNone          = "none" // a public client
	AuthBasic         = "client_secret_basic"
	AuthPost          = "client_secret_post"
	AuthPrivateKeyJWT = "private_key_jwt"
)

// Grant types that a client can be registered for.
const (
	GrantAuthorizationCode = "authorization_code"
	GrantImplicit          = "implicit" // tokens from the authorization endpoint; not for the token endpoint
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code" // RFC 8628
)

// Values of ClientMetadata.PKCE.
const (
	PKCERequired = "required"
	PKCEOptional = "optional"
)

// Values of ClientMetadata.ApplicationType.
const (
	ApplicationWeb    = "web"
	ApplicationNative = "native"
)

// RequestObjectUnsigned, as RequestObjectAlg, allows request objects without a signature.
const RequestObjectUnsigned = jose.None

// UnsignedObjects reports whether the client's request objects may have no signature: it is registered
// for those, or registered itself without saying how it signs them, which allows any algorithm (OIDC
// Registration section 2).
func (c Client) UnsignedObjects() bool {
	return c.RequestObjectAlg == RequestObjectUnsigned ||
		c.RequestObjectAlg == "" && c.SelfMade() && !c.RequireSignedRequestObject
}

// SelfMade reports whether the client came by itself: no operator and no admin registered it.
func (c Client) SelfMade() bool { return c.Kind != "" }

// Public reports whether the client cannot keep a secret, and so does not authenticate.
func (c Client) Public() bool { return c.AuthMethod == AuthNone }

// Allows reports whether the client is registered for a grant type.
func (c Client) Allows(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// HasLogoutURI reports whether the client hears of logouts, by its server or by a frame in a
// browser.
func (c *Client) HasLogoutURI() bool {
	return c.BackchannelLogoutURI != "" || c.FrontchannelLogoutURI != ""
}

// Stored reports whether the client has a row.
func (c Client) Stored() bool { return c.Version > 0 }

// DocumentServes is how long the last good document of a client is used for new logins while no
// other one can be had.
const DocumentServes = 24 * time.Hour

// DocumentLost reports whether no good metadata document of the client was had for so long that no
// login begins with the last one any more.
func (c Client) DocumentLost(now time.Time) bool {
	return c.Kind == KindMetadata && now.Sub(c.DocumentAt) >= DocumentServes
}
