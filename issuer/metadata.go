package issuer

import (
	"slices"
	"strings"
)

// Metadata is the discovery document of OIDC Discovery section 3 and RFC 8414
// section 2. It says exactly what this issuer does; an endpoint is one line here
// and one in Issuer.Metadata.
type Metadata struct {
	Issuer  string `json:"issuer"`
	JWKSURI string `json:"jwks_uri"`

	ScopesSupported []string `json:"scopes_supported"`
	// Both are required, and without authorization and token endpoint both are
	// empty: leaving grant_types_supported out would mean authorization_code.
	ResponseTypesSupported []string `json:"response_types_supported"`
	GrantTypesSupported    []string `json:"grant_types_supported"`

	ACRValuesSupported               []string `json:"acr_values_supported"`
	SubjectTypesSupported            []string `json:"subject_types_supported"`
	IDTokenSigningAlgValuesSupported []string `json:"id_token_signing_alg_values_supported"`
	ClaimsSupported                  []string `json:"claims_supported"`

	// Left out it would mean true.
	RequestURIParameterSupported bool `json:"request_uri_parameter_supported"`
}

// idTokenClaims are the claims that an ID token of ours can hold.
var idTokenClaims = []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "at_hash", "sid"}

// Metadata describes this issuer as it is now: an algorithm is listed once it
// has an active key. Scope admin is not advertised; those who may have it know.
func (i *Issuer) Metadata() Metadata {
	scopes := slices.Clone(userScopes)
	for _, r := range i.Resources {
		for _, s := range r.Scopes {
			if s != ScopeAdmin && !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
	}
	return Metadata{
		Issuer:                           i.URL,
		JWKSURI:                          strings.TrimSuffix(i.URL, "/") + "/.well-known/jwks.json",
		ScopesSupported:                  scopes,
		ResponseTypesSupported:           []string{},
		GrantTypesSupported:              []string{},
		ACRValuesSupported:               []string{acrPassword},
		SubjectTypesSupported:            []string{"public"},
		IDTokenSigningAlgValuesSupported: i.Keys.ActiveAlgorithms(),
		ClaimsSupported:                  slices.Clone(idTokenClaims),
	}
}
