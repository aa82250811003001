package issuer

import "slices"

// single are the parameters of an authorization request that are sent once each, and where
// AuthorizationRequest holds them. The query, a form and a request object are all read by this list.
var single = []struct {
	name string
	of   func(*AuthorizationRequest) *string
}{
	{"client_id", func(r *AuthorizationRequest) *string { return &r.ClientID }},
	{"redirect_uri", func(r *AuthorizationRequest) *string { return &r.RedirectURI }},
	{"response_type", func(r *AuthorizationRequest) *string { return &r.ResponseType }},
	{"response_mode", func(r *AuthorizationRequest) *string { return &r.ResponseMode }},
	{"scope", func(r *AuthorizationRequest) *string { return &r.Scope }},
	{"state", func(r *AuthorizationRequest) *string { return &r.State }},
	{"nonce", func(r *AuthorizationRequest) *string { return &r.Nonce }},
	{"code_challenge", func(r *AuthorizationRequest) *string { return &r.CodeChallenge }},
	{"code_challenge_method", func(r *AuthorizationRequest) *string { return &r.CodeChallengeMethod }},
	{"dpop_jkt", func(r *AuthorizationRequest) *string { return &r.JKT }},
	{"prompt", func(r *AuthorizationRequest) *string { return &r.Prompt }},
	{"max_age", func(r *AuthorizationRequest) *string { return &r.MaxAge }},
	{"login_hint", func(r *AuthorizationRequest) *string { return &r.LoginHint }},
	{"id_token_hint", func(r *AuthorizationRequest) *string { return &r.IDTokenHint }},
	{"acr_values", func(r *AuthorizationRequest) *string { return &r.ACRValues }},
	{"ui_locales", func(r *AuthorizationRequest) *string { return &r.UILocales }},
	{"display", func(r *AuthorizationRequest) *string { return &r.Display }},
	{"claims", func(r *AuthorizationRequest) *string { return &r.Claims }},
	{"request", func(r *AuthorizationRequest) *string { return &r.Request }},
	{"request_uri", func(r *AuthorizationRequest) *string { return &r.RequestURI }},
}

// AuthorizationParameters lists the parameters of an authorization request.
func AuthorizationParameters() []string {
	names := []string{"resource"}
	for _, p := range single {
		names = append(names, p.name)
	}
	return names
}

// ReadAuthorizationRequest reads the parameters of a query or form. Unknown parameters are ignored
// (RFC 6749 section 3.1).
func ReadAuthorizationRequest(sent map[string][]string) (r AuthorizationRequest) {
	for _, p := range single {
		values := sent[p.name]
		if len(values) > 0 {
			*p.of(&r) = values[0]
		}
		if len(values) > 1 {
			r.Repeated = append(r.Repeated, p.name)
		}
	}
	for _, uri := range sent["resource"] {
		if uri != "" {
			r.Resource = append(r.Resource, uri)
		}
	}
	return r
}

// overriddenBy returns r with the parameters that other has: those win. Resources are one parameter.
func (r AuthorizationRequest) overriddenBy(other AuthorizationRequest) AuthorizationRequest {
	for _, p := range single {
		if value := *p.of(&other); value != "" {
			*p.of(&r) = value
		}
	}
	if len(other.Resource) > 0 {
		r.Resource = slices.Clone(other.Resource)
	}
	return r
}
