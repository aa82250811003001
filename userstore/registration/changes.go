package registration

import (
	"slices"
	"strconv"
	"strings"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
)

// auditFields lists the fields of a client that the audit log records, by the names of RFC 7591. It
// omits the secret.
func auditFields(c userstore.Client) []audit.Change {
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
		{Field: "dpop_bound_access_tokens", After: strconv.FormatBool(c.DPoPBoundAccessTokens)},
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
func clientChanges(old, next userstore.Client) []audit.Change {
	return audit.Differing(auditFields(old), auditFields(next))
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
