package issuer

import (
	"slices"

	"github.com/signet-id/signet/internal/dpop"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// Metadata is the discovery document of OIDC Discovery section 3 and RFC 8414 section 2. It says
// exactly what this issuer does, under registered names; an endpoint takes one line here and one in
// Issuer.Metadata.
type Metadata struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	UserinfoEndpoint      string `json:"userinfo_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	PushedEndpoint        string `json:"pushed_authorization_request_endpoint"`
	EndSessionEndpoint    string `json:"end_session_endpoint"`
	JWKSURI               string `json:"jwks_uri"`

	RegistrationEndpoint string `json:"registration_endpoint,omitempty"`
	ClientIDMetadata     bool   `json:"client_id_metadata_document_supported,omitempty"`

	DeviceAuthorizationEndpoint string `json:"device_authorization_endpoint"` // RFC 8628 section 4

	ScopesSupported        []string `json:"scopes_supported"`
	ResponseTypesSupported []string `json:"response_types_supported"`
	ResponseModesSupported []string `json:"response_modes_supported"`
	GrantTypesSupported    []string `json:"grant_types_supported"`
	PromptValuesSupported  []string `json:"prompt_values_supported"`

	CodeChallengeMethodsSupported              []string `json:"code_challenge_methods_supported"`
	AuthorizationResponseIssParameterSupported bool     `json:"authorization_response_iss_parameter_supported"`

	TokenEndpointAuthMethodsSupported             []string `json:"token_endpoint_auth_methods_supported"`
	TokenEndpointAuthSigningAlgValuesSupported    []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionEndpointAuthMethodsSupported     []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionEndpointAuthSigningAlgsSupported []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationEndpointAuthMethodsSupported        []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationEndpointAuthSigningAlgsSupported    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`

	ACRValuesSupported               []string `json:"acr_values_supported"`
	SubjectTypesSupported            []string `json:"subject_types_supported"`
	IDTokenSigningAlgValuesSupported []string `json:"id_token_signing_alg_values_supported"`
	ClaimTypesSupported              []string `json:"claim_types_supported"`
	ClaimsSupported                  []string `json:"claims_supported"`
	DisplayValuesSupported           []string `json:"display_values_supported"`
	UILocalesSupported               []string `json:"ui_locales_supported,omitempty"`

	ClaimsParameterSupported      bool `json:"claims_parameter_supported"`
	RequestParameterSupported     bool `json:"request_parameter_supported"`
	RequestURIParameterSupported  bool `json:"request_uri_parameter_supported"` // required: if it is left out, it means true
	RequireRequestURIRegistration bool `json:"require_request_uri_registration,omitempty"`

	UserinfoSigningAlgValuesSupported      []string `json:"userinfo_signing_alg_values_supported"`
	IntrospectionSigningAlgValuesSupported []string `json:"introspection_signing_alg_values_supported"`

	DPoPSigningAlgValuesSupported []string `json:"dpop_signing_alg_values_supported"` // RFC 9449 section 5.1

	RequirePushed bool `json:"require_pushed_authorization_requests"`

	CheckSessionIframe                 string `json:"check_session_iframe"`
	FrontchannelLogoutSupported        bool   `json:"frontchannel_logout_supported"`
	FrontchannelLogoutSessionSupported bool   `json:"frontchannel_logout_session_supported"`

	RequestObjectSigningAlgValuesSupported []string `json:"request_object_signing_alg_values_supported"`

	BackchannelLogoutSupported        bool `json:"backchannel_logout_supported"`
	BackchannelLogoutSessionSupported bool `json:"backchannel_logout_session_supported"`
}

// idTokenClaims are the claims that every client finds, or may find, in an ID token of ours.
var idTokenClaims = []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"}

// AssertionAlgorithms are the algorithms that a client may sign its assertions with; the last two
// are one, by its older and its newer name.
var AssertionAlgorithms = []string{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA, jose.Ed25519}

// Metadata describes this issuer as it is now: an algorithm is listed once it has an active key.
// Scope admin is not advertised; admins know it.
func (i *Issuer) Metadata() Metadata {
	scopes := i.UserScopes()
	for _, r := range i.Resources {
		for _, s := range r.Scopes {
			if s != userstore.ScopeAdmin && !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
	}
	claims := slices.Clone(idTokenClaims)
	if slices.ContainsFunc(i.responseTypes(), func(t string) bool { return responseTypeOf(t).code && responseTypeOf(t).idToken }) {
		claims = append(claims, "c_hash")
	}
	for _, s := range scopeClaims {
		claims = append(claims, s.claims...)
	}
	for _, c := range i.Claims {
		if (slices.Contains(c.In, InIDToken) || slices.Contains(c.In, InUserinfo)) && !slices.Contains(claims, c.Name) {
			claims = append(claims, c.Name)
		}
	}
	secrets := []string{userstore.AuthBasic, userstore.AuthPost, userstore.AuthPrivateKeyJWT}
	everybody := append(slices.Clone(secrets), userstore.AuthNone)
	algorithms := i.Keys.ActiveAlgorithms()
	registerAt := ""
	if i.registers() {
		registerAt = i.endpoint("/oauth2/register")
	}
	return Metadata{
		RegistrationEndpoint: registerAt,
		ClientIDMetadata:     i.ClientIDMetadata,

		DeviceAuthorizationEndpoint: i.endpoint("/oauth2/device"),

		Issuer:                i.URL,
		AuthorizationEndpoint: i.endpoint("/oauth2/authorize"),
		TokenEndpoint:         i.endpoint("/oauth2/token"),
		UserinfoEndpoint:      i.endpoint("/oauth2/userinfo"),
		IntrospectionEndpoint: i.endpoint("/oauth2/introspect"),
		RevocationEndpoint:    i.endpoint("/oauth2/revoke"),
		PushedEndpoint:        i.endpoint("/oauth2/par"),
		EndSessionEndpoint:    i.endpoint("/oauth2/logout"),
		JWKSURI:               i.endpoint("/.well-known/jwks.json"),

		ScopesSupported:        scopes,
		ResponseTypesSupported: i.responseTypes(),
		ResponseModesSupported: i.responseModes(),
		GrantTypesSupported:    i.grantTypes(),
		PromptValuesSupported:  []string{promptNone, promptLogin, promptConsent, promptSelectAccount},

		CodeChallengeMethodsSupported:              []string{"S256"},
		AuthorizationResponseIssParameterSupported: true,

		TokenEndpointAuthMethodsSupported:             everybody,
		TokenEndpointAuthSigningAlgValuesSupported:    AssertionAlgorithms,
		IntrospectionEndpointAuthMethodsSupported:     secrets,
		IntrospectionEndpointAuthSigningAlgsSupported: AssertionAlgorithms,
		RevocationEndpointAuthMethodsSupported:        everybody,
		RevocationEndpointAuthSigningAlgsSupported:    AssertionAlgorithms,

		ACRValuesSupported:               acrValues,
		SubjectTypesSupported:            []string{userstore.SubjectPublic, userstore.SubjectPairwise},
		IDTokenSigningAlgValuesSupported: algorithms,
		ClaimTypesSupported:              []string{"normal"},
		ClaimsSupported:                  claims,
		DisplayValuesSupported:           []string{"page"},
		UILocalesSupported:               i.UILocales,
		ClaimsParameterSupported:         true,

		UserinfoSigningAlgValuesSupported:      algorithms,
		IntrospectionSigningAlgValuesSupported: algorithms,

		DPoPSigningAlgValuesSupported: dpop.Algorithms,

		RequirePushed:                          i.RequirePushed,
		RequestParameterSupported:              true,
		RequestURIParameterSupported:           i.RequestObjects != nil,
		RequireRequestURIRegistration:          i.RequestObjects != nil,
		RequestObjectSigningAlgValuesSupported: registration.RequestObjectAlgorithms,

		BackchannelLogoutSupported:        i.BackchannelLogout,
		BackchannelLogoutSessionSupported: i.BackchannelLogout,

		CheckSessionIframe:                 i.endpoint("/oauth2/session/check"),
		FrontchannelLogoutSupported:        true,
		FrontchannelLogoutSessionSupported: true,
	}
}
