package userstore

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
)

// ClientDocument is the JSON form of a client: client information by RFC 7591 section 3.2.1, and
// members of our own. It holds the secret only in the answer that created the secret.
type ClientDocument struct {
	ClientID        string `json:"client_id"`
	ClientSecret    string `json:"client_secret,omitempty"`
	IssuedAt        int64  `json:"client_id_issued_at"`                // seconds since 1970
	SecretExpiresAt *int64 `json:"client_secret_expires_at,omitempty"` // 0: never; absent without a secret
	Name            string `json:"client_name"`
	AuthMethod      string `json:"token_endpoint_auth_method"`
	GrantTypes      List   `json:"grant_types"`
	ResponseTypes   List   `json:"response_types"`  // in the place of the one in ClientMetadata: [] if it is empty
	RedirectURIs    List   `json:"redirect_uris"`   // the same
	Scope           string `json:"scope,omitempty"` // absent: any
	IDTokenAlg      string `json:"id_token_signed_response_alg,omitempty"`
	IDTokenClaims   bool   `json:"id_token_claims,omitempty"` // absent: no

	ClientMetadata

	Resources  List `json:"resources"`
	FirstParty bool `json:"first_party"`
	Disabled   bool `json:"disabled"`

	Kind string `json:"kind,omitempty"` // registered: by itself; absent: by an operator or an admin
}

// List is a list of strings that is [] in JSON when it is empty.
type List []string

// MarshalJSON writes the list.
func (l List) MarshalJSON() ([]byte, error) { return json.Marshal(append([]string{}, l...)) }

// Document returns the client's document. secret is the secret that was just created, if any.
func (c Client) Document(secret string) ClientDocument {
	d := ClientDocument{
		ClientID: c.ID, ClientSecret: secret, IssuedAt: c.CreatedAt.Unix(), Name: c.Name, AuthMethod: c.AuthMethod,
		GrantTypes: c.GrantTypes, ResponseTypes: c.ResponseTypes, RedirectURIs: c.RedirectURIs,
		Scope: strings.Join(c.Scopes, " "), IDTokenAlg: c.IDTokenAlg, IDTokenClaims: c.IDTokenClaims,
		ClientMetadata: c.ClientMetadata,
		Resources:      c.Resources, FirstParty: c.FirstParty, Disabled: !c.DisabledAt.IsZero(), Kind: c.Kind,
	}
	if c.CreatedAt.IsZero() { // the built-in client has no time of creation
		d.IssuedAt = 0
	}
	if c.SecretHash != "" {
		d.SecretExpiresAt = new(int64)
	}
	return d
}

// auditFields lists the fields of a client that the audit log records, by the names of RFC 7591. It
// omits the secret.
func (c Client) auditFields() []audit.Change {
	list := func(values []string) string { return strings.Join(values, " ") }
	return []audit.Change{
		{Field: "client_name", After: c.Name},
		{Field: "token_endpoint_auth_method", After: c.AuthMethod},
		{Field: "grant_types", After: list(c.GrantTypes)},
		{Field: "response_types", After: strings.Join(c.ResponseTypes, ", ")},
		{Field: "redirect_uris", After: list(c.RedirectURIs)},
		{Field: "post_logout_redirect_uris", After: list(c.PostLogoutRedirectURIs)},
		{Field: "scope", After: list(c.Scopes)},
		{Field: "resources", After: list(c.Resources)},
		{Field: "id_token_signed_response_alg", After: c.IDTokenAlg},
		{Field: "userinfo_signed_response_alg", After: c.UserinfoAlg},
		{Field: "introspection_signed_response_alg", After: c.IntrospectionAlg},
		{Field: "id_token_claims", After: strconv.FormatBool(c.IDTokenClaims)},
		{Field: "jwks", After: thumbprints(c.JWKS)},
		{Field: "jwks_uri", After: c.JWKSURI},
		{Field: "request_uris", After: list(c.RequestURIs)},
		{Field: "request_object_signing_alg", After: c.RequestObjectAlg},
		{Field: "require_signed_request_object", After: strconv.FormatBool(c.RequireSignedRequestObject)},
		{Field: "require_pushed_authorization_requests", After: strconv.FormatBool(c.RequirePushed)},
		{Field: "subject_type", After: c.SubjectType},
		{Field: "sector_identifier_uri", After: c.SectorIdentifierURI},
		{Field: "backchannel_logout_uri", After: c.BackchannelLogoutURI},
		{Field: "backchannel_logout_session_required", After: strconv.FormatBool(c.BackchannelLogoutSessionRequired)},
		{Field: "frontchannel_logout_uri", After: c.FrontchannelLogoutURI},
		{Field: "frontchannel_logout_session_required", After: strconv.FormatBool(c.FrontchannelLogoutSessionRequired)},
		{Field: "initiate_login_uri", After: c.InitiateLoginURI},
		{Field: "client_uri", After: c.ClientURI},
		{Field: "logo_uri", After: c.LogoURI},
		{Field: "policy_uri", After: c.PolicyURI},
		{Field: "tos_uri", After: c.TOSURI},
		{Field: "token_endpoint_auth_signing_alg", After: c.AssertionAlg},
		{Field: "default_max_age", After: seconds(c.DefaultMaxAge)},
		{Field: "require_auth_time", After: strconv.FormatBool(c.RequireAuthTime)},
		{Field: "default_acr_values", After: list(c.DefaultACRValues)},
		{Field: "application_type", After: c.ApplicationType},
		{Field: "contacts", After: list(c.Contacts)},
		{Field: "software_id", After: c.SoftwareID},
		{Field: "software_version", After: c.SoftwareVersion},
		{Field: "pkce", After: c.PKCE},
		{Field: "first_party", After: strconv.FormatBool(c.FirstParty)},
		{Field: "disabled", After: strconv.FormatBool(!c.DisabledAt.IsZero())},
		{Field: "kind", After: c.Kind},
	}
}

// seconds writes a number of seconds that may not be there.
func seconds(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

// clientChanges lists the fields in which next differs from old.
func clientChanges(old, next Client) []audit.Change {
	return differing(old.auditFields(), next.auditFields())
}

// thumbprints returns the thumbprints of a key set (RFC 7638), which suffice to identify the keys.
func thumbprints(jwks []byte) string {
	keys, _, err := jose.ParseKeySet(jwks)
	if err != nil {
		return ""
	}
	var names []string
	for _, k := range keys {
		if name, err := jose.Thumbprint(k.Key); err == nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}
