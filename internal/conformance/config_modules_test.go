package conformance

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// registered are the names that the discovery document may have: those of OpenID Connect Discovery
// 1.0 section 3, of the logout specifications, and of the IANA registry "OAuth Authorization Server
// Metadata".
var registered = strings.Fields(`
	issuer authorization_endpoint token_endpoint userinfo_endpoint jwks_uri registration_endpoint scopes_supported
	response_types_supported response_modes_supported grant_types_supported acr_values_supported
	subject_types_supported id_token_signing_alg_values_supported id_token_encryption_alg_values_supported
	id_token_encryption_enc_values_supported userinfo_signing_alg_values_supported
	userinfo_encryption_alg_values_supported userinfo_encryption_enc_values_supported
	request_object_signing_alg_values_supported request_object_encryption_alg_values_supported
	request_object_encryption_enc_values_supported token_endpoint_auth_methods_supported
	token_endpoint_auth_signing_alg_values_supported display_values_supported claim_types_supported claims_supported
	service_documentation claims_locales_supported ui_locales_supported claims_parameter_supported
	request_parameter_supported request_uri_parameter_supported require_request_uri_registration op_policy_uri
	op_tos_uri revocation_endpoint revocation_endpoint_auth_methods_supported
	revocation_endpoint_auth_signing_alg_values_supported introspection_endpoint
	introspection_endpoint_auth_methods_supported introspection_endpoint_auth_signing_alg_values_supported
	code_challenge_methods_supported signed_metadata device_authorization_endpoint
	tls_client_certificate_bound_access_tokens mtls_endpoint_aliases require_signed_request_object
	pushed_authorization_request_endpoint require_pushed_authorization_requests
	introspection_signing_alg_values_supported introspection_encryption_alg_values_supported
	introspection_encryption_enc_values_supported authorization_response_iss_parameter_supported
	check_session_iframe frontchannel_logout_supported backchannel_logout_supported
	backchannel_logout_session_supported frontchannel_logout_session_supported end_session_endpoint
	dpop_signing_alg_values_supported prompt_values_supported authorization_signing_alg_values_supported
	authorization_encryption_alg_values_supported authorization_encryption_enc_values_supported
	authorization_details_types_supported`)

var (
	scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)
	// A BCP 47 tag as it is usually written: language, Script, REGION.
	languageTag = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$`)
)

func discovery(p *party) {
	for _, name := range slices.Sorted(maps.Keys(p.op)) {
		p.member(name)
	}
	if p.op.text("issuer")+"/.well-known/openid-configuration" != p.c.Server.DiscoveryURL {
		p.t.Errorf("the issuer is %q, the document was at %s", p.op["issuer"], p.c.Server.DiscoveryURL)
	}
	p.https("issuer")
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} {
		p.https(name)
	}
	for name, values := range map[string][]string{
		"response_types_supported": {"code"}, "subject_types_supported": {"public", "pairwise"},
		"id_token_signing_alg_values_supported": {"RS256"},
		"scopes_supported":                      {"openid", "profile", "email", "address", "phone", "offline_access"},
		"claims_supported":                      {"sub", "iss", "auth_time", "acr"},
		"grant_types_supported":                 {"authorization_code", "refresh_token"},
		"response_modes_supported":              {"query", "form_post"},
		"token_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post"},
		"code_challenge_methods_supported":      {"S256"},
	} {
		for _, value := range values {
			if !slices.Contains(p.op.list(name), value) {
				p.t.Errorf("%s lacks %s: %v", name, value, p.op[name])
			}
		}
	}
	// If the member is present, it must have RS256. If it is absent, the suite asks the endpoint
	// itself.
	if list, sent := p.op["request_object_signing_alg_values_supported"]; sent &&
		!slices.Contains(p.op.list("request_object_signing_alg_values_supported"), "RS256") {
		p.t.Errorf("request objects may be signed with %v, but not RS256", list)
	}
	p.keySet()
}

// member demands that a member is registered and has the type that its name promises.
func (p *party) member(name string) {
	p.t.Helper()
	if !slices.Contains(registered, name) {
		p.t.Errorf("no specification knows %s", name)
	}
	_, isText := p.op[name].(string)
	list, isList := p.op[name].([]any)
	_, isBool := p.op[name].(bool)
	boolean := []string{
		"frontchannel_logout_supported", "frontchannel_logout_session_supported", "backchannel_logout_supported",
		"backchannel_logout_session_supported",
		"claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported",
		"authorization_response_iss_parameter_supported",
		"require_request_uri_registration", "require_pushed_authorization_requests", "require_signed_request_object",
		"tls_client_certificate_bound_access_tokens",
	}
	switch {
	case slices.Contains(boolean, name):
		if !isBool {
			p.t.Errorf("%s is %v", name, p.op[name])
		}
	case strings.HasSuffix(name, "_supported"):
		if !isList || len(list) == 0 || slices.Contains(p.op.list(name), "") {
			p.t.Errorf("%s is %v", name, p.op[name])
		}
	case !isText:
		p.t.Errorf("%s is %v", name, p.op[name])
	case strings.HasSuffix(name, "_endpoint"):
		p.https(name)
	}
	for _, value := range p.op.list(name) {
		switch name {
		case "scopes_supported":
			if !scopeToken.MatchString(value) {
				p.t.Errorf("%q is no scope", value)
			}
		case "ui_locales_supported", "claims_locales_supported":
			if !languageTag.MatchString(value) {
				p.t.Errorf("%q is no language tag as it is usually written", value)
			}
		}
	}
}

// https demands an absolute https address.
func (p *party) https(name string) {
	p.t.Helper()
	u, err := url.Parse(p.op.text(name))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		p.t.Errorf("%s is %q: %v", name, p.op[name], err)
	}
}

// keySet demands public keys that are usable and have different kids.
func (p *party) keySet() {
	p.t.Helper()
	members := map[string][]string{"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}
	kids := map[string]bool{}
	rs256 := false
	for _, k := range p.keys() {
		kid := asText(k["kid"])
		if kid == "" || kids[kid] {
			p.t.Errorf("kid %q is not the key's alone", kid)
		}
		kids[kid] = true
		if asText(k["alg"]) == "" || k["use"] != "sig" || members[asText(k["kty"])] == nil {
			p.t.Errorf("the key %s has alg %v, use %v and kty %v", kid, k["alg"], k["use"], k["kty"])
		}
		for _, name := range members[asText(k["kty"])] {
			if asText(k[name]) == "" {
				p.t.Errorf("the key %s has no %s", kid, name)
			}
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if k[private] != nil {
				p.t.Errorf("the key %s holds %s, which is secret", kid, private)
			}
		}
		rs256 = rs256 || k["alg"] == "RS256"
	}
	if !rs256 {
		p.t.Error("no key for RS256")
	}
}
