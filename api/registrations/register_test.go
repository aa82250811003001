package registrations_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// TestAClientRegistersForBoundTokens: dpop_bound_access_tokens of RFC 9449 section 5.2.
func TestAClientRegistersForBoundTokens(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := take(s, register(s, shop().With("dpop_bound_access_tokens", true), "").Want(201, ""))
		if c.Fields["dpop_bound_access_tokens"] != true {
			t.Errorf("registered %v", c.Fields)
		}
		code := s.Code(s.SignUp("alice"), c.Client)
		s.Do(s.CodeRequest(c.Client, code)).Want(400, "invalid_dpop_proof")
		key, q := dpoptest.NewKey(t), s.CodeRequest(c.Client, code)
		q.Proof = func() string {
			return key.Proof(t, dpoptest.For("POST", apitest.IssuerURL+"/oauth2/token", s.Clock.Now()))
		}
		s.Do(q).Want(200, "")
	}, mode(issuer.RegistrationOpen))
}

// TestRegistration follows a client from its registration to tokens, and to its end.
func TestRegistration(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		res := register(s, shop(), "").Want(201, "")
		c := take(s, res)
		if len(c.Secret) != 43 || len(c.Access) != 43 || c.Secret == c.Access {
			t.Errorf("a secret of %d, an access token of %d characters", len(c.Secret), len(c.Access))
		}
		uri := apitest.IssuerURL + "/oauth2/register/" + c.ID
		same(t, "the answer", c.Fields, apitest.Fields{
			"client_id": c.ID, "client_secret": c.Secret,
			"client_id_issued_at": s.Clock.Now().Unix(), "client_secret_expires_at": 0,
			"client_name": "Shop", "token_endpoint_auth_method": "client_secret_basic",
			"grant_types":    []string{"authorization_code"},
			"response_types": []string{"code"}, "redirect_uris": []string{"https://shop.test/cb"},
			"scope":                   "openid profile email address phone offline_access",
			"registration_client_uri": uri, "registration_access_token": c.Access,
		})
		if res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", res.Header)
		}
		stored, err := s.DB.ClientByID(t.Context(), c.ID)
		if err != nil || stored.Kind != userstore.KindRegistered || stored.FirstParty || stored.UnusedUntil.IsZero() ||
			strings.Contains(stored.RegistrationHash, c.Access) || stored.RegistrationHash == "" {
			t.Errorf("stored %+v, %v", stored, err)
		}
		events := s.EventsOf(res)
		if len(events) != 1 || events[0].Name != "client_created" || events[0].Actor.Type != "anonymous" ||
			events[0].Address != "127.0.0.1" || events[0].Target.ID != c.ID {
			t.Errorf("events %+v", events)
		}

		alice := s.SignUp("alice")
		_, page := s.Allowed(alice, c.Client)
		tokens := s.TokensOf(c.Client, page)
		if tokens.Access == "" || tokens.ID == "" || tokens.Refresh != "" {
			t.Errorf("tokens %+v", tokens)
		}

		read := take(s, manage(s, "GET", c, nil).Want(200, ""))
		want := c.Fields.With("client_secret", nil)
		same(t, "read", read.Fields, want)

		res = manage(s, "PUT", c, apitest.Fields{
			"client_id": c.ID, "client_secret": c.Secret, "client_name": "The Shop",
			"redirect_uris": []string{"https://shop.test/cb2"},
			"grant_types":   []string{"authorization_code", "refresh_token"}, "scope": "openid email",
			"tos_uri": "https://shop.test/tos",
		}).Want(200, "")
		replaced := take(s, res)
		same(t, "replaced", replaced.Fields, want.With("client_name", "The Shop").
			With("redirect_uris", []string{"https://shop.test/cb2"}).
			With("grant_types", []string{"authorization_code", "refresh_token"}).With("scope", "openid email").
			With("tos_uri", "https://shop.test/tos"))
		events = s.EventsOf(res)
		if len(events) != 1 || events[0].Name != "client_updated" ||
			events[0].Actor.Type != "client" || events[0].Actor.ID != c.ID {
			t.Errorf("events %+v", events)
		}
		// Omitted members become what they are by default (RFC 7592 section 2.2); null is as omitted.
		withoutTerms := shop().With("client_id", c.ID).With("tos_uri", json.RawMessage("null"))
		reset := take(s, manage(s, "PUT", c, withoutTerms).Want(200, ""))
		same(t, "reset", reset.Fields, want)

		res = manage(s, "DELETE", c, nil).Want(204, "")
		if len(res.Body) != 0 {
			t.Errorf("a body %s", res.Body)
		}
		events = s.EventsOf(res)
		if len(events) != 1 || events[0].Name != "client_deleted" || events[0].Actor.ID != c.ID {
			t.Errorf("events %+v", events)
		}
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			manage(s, method, c, shop().With("client_id", c.ID)).Want(401, "invalid_token")
		}
		s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(401, "invalid_token")
		s.Do(s.CodeRequest(c.Client, "a code")).Want(401, "invalid_client")
	}, mode(issuer.RegistrationOpen))
}

// TestRegistrationOfPublicAndOtherClients: what is registered, and how the answer says it.
func TestRegistrationOfPublicAndOtherClients(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := take(s, register(s, apitest.Fields{
			"redirect_uris": []string{"http://127.0.0.1/cb", "com.example.app:/cb"}, "token_endpoint_auth_method": "none",
			"application_type": "native", "grant_types": []string{"authorization_code", "refresh_token"},
			"contacts": []string{"ops@shop.test"}, "software_id": "4NRB1-0XZABZI9E6-5SM3R", "software_version": "2.1",
			"client_name#de": "Laden", "unknown_member": apitest.Fields{"a": []int{1}}, "pkce": "optional", "first_party": true,
			"resources": []string{"https://api.test"}, "disabled": true, "kind": "operator", "id_token_claims": true,
			"client_id": "chosen", "client_secret": "a secret of its own", "registration_access_token": "a token of its own",
			"scope": "openid admin orders:read", "jwks_uri": json.RawMessage("null"),
		}, "").Want(201, ""))
		if c.ID == "chosen" || c.Access == "a token of its own" {
			t.Errorf("the client chose %s, %s", c.ID, c.Access)
		}
		same(t, "the answer", c.Fields, apitest.Fields{
			"client_id": c.ID, "client_id_issued_at": s.Clock.Now().Unix(), "client_name": c.ID,
			"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"},
			"response_types": []string{"code"}, "redirect_uris": []string{"http://127.0.0.1/cb", "com.example.app:/cb"},
			"application_type": "native", "contacts": []string{"ops@shop.test"}, "software_id": "4NRB1-0XZABZI9E6-5SM3R",
			"software_version": "2.1", "scope": "openid",
			"registration_client_uri": apitest.IssuerURL + "/oauth2/register/" + c.ID, "registration_access_token": c.Access,
		})
		stored, err := s.DB.ClientByID(t.Context(), c.ID)
		if err != nil || stored.FirstParty || stored.PKCE != "" || stored.Resources != nil || stored.IDTokenClaims ||
			!stored.DisabledAt.IsZero() {
			t.Errorf("stored %+v, %v", stored, err)
		}
		named := take(s, register(s, apitest.Fields{"redirect_uris": []string{"https://shop.test/cb"}}, "").Want(201, ""))
		if named.Name != "shop.test" {
			t.Errorf("without a name it is called %q", named.Name)
		}
		jwks := json.RawMessage(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
		withKeys := shop().With("token_endpoint_auth_method", "private_key_jwt").With("jwks", jwks)
		keyed := take(s, register(s, withKeys, "").Want(201, ""))
		if keyed.Secret != "" || keyed.Fields["client_secret_expires_at"] != nil || keyed.Fields["jwks"] == nil {
			t.Errorf("%v", keyed.Fields)
		}
		// A client that comes to need a secret is told one.
		now := take(s, manage(s, "PUT", keyed, shop().With("client_id", keyed.ID)).Want(200, ""))
		if len(now.Secret) != 43 || now.Fields["client_secret_expires_at"] != float64(0) {
			t.Errorf("%v", now.Fields)
		}
		manage(s, "PUT", keyed, shop().With("client_id", keyed.ID).With("client_secret", now.Secret)).Want(200, "")
	}, mode(issuer.RegistrationOpen), func(o *apitest.Options) {
		o.Resources = []issuer.Resource{{URI: "https://api.test", Scopes: []string{"orders:read"}}}
	})
}

// TestR01Closed: nobody registers, with whatever token, and what was registered before is managed on.
func TestR01Closed(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		i := s.Replicas[0].Issuer
		_, token := initialToken(s, registration.NewToken{})
		i.Registration = issuer.RegistrationOpen
		c := take(s, register(s, shop(), "").Want(201, ""))
		for _, closed := range []string{issuer.RegistrationClosed, "", "opened"} {
			i.Registration = closed
			leavesNothing(s, func() {
				for _, token := range []string{"", token, "wrong"} {
					res := register(s, shop(), token).Want(401, "invalid_token")
					if !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer ") {
						t.Errorf("%q", res.Header.Get("WWW-Authenticate"))
					}
				}
			})
			discovery := s.Do(apitest.Request{Path: "/.well-known/openid-configuration"}).Want(200, "")
			if strings.Contains(string(discovery.Body), "registration_endpoint") {
				t.Error("discovery lists the endpoint")
			}
			manage(s, "GET", c, nil).Want(200, "")
			manage(s, "PUT", c, shop().With("client_id", c.ID)).Want(200, "")
		}
		manage(s, "DELETE", c, nil).Want(204, "")
		i.Registration = issuer.RegistrationToken
		var d struct {
			Endpoint string `json:"registration_endpoint"`
		}
		s.Do(apitest.Request{Path: "/.well-known/openid-configuration"}).Want(200, "").JSON(&d)
		if d.Endpoint != apitest.IssuerURL+"/oauth2/register" {
			t.Errorf("discovery lists %q", d.Endpoint)
		}
	})
}

// refused is metadata that is refused.
type refused struct {
	name     string
	metadata any
	code     string
}

func refusals() []refused {
	long := "https://shop.test/" + strings.Repeat("x", 10<<10)
	many := func(n int) (uris []string) {
		for i := range n {
			uris = append(uris, "https://shop.test/"+strings.Repeat("x", i))
		}
		return uris
	}
	uris := func(list ...string) apitest.Fields { return shop().With("redirect_uris", list) }
	native := func(uri string) apitest.Fields { return uris(uri).With("token_endpoint_auth_method", "none") }
	jwks := func(keys ...string) apitest.Fields {
		return shop().With("jwks", json.RawMessage(`{"keys":[`+strings.Join(keys, ",")+`]}`))
	}
	const ed = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	const uri, meta = "invalid_redirect_uri", "invalid_client_metadata"
	out := []refused{
		{"R-06 none", apitest.Fields{"client_name": "Shop"}, uri},
		{"R-06 empty", uris(), uri},
		{"R-06 an empty one", uris(""), uri},
		{"R-06 a fragment", uris("https://shop.test/cb#x"), uri},
		{"R-06 an empty fragment", uris("https://shop.test/cb#"), uri},
		{"R-06 a wildcard", uris("https://*.shop.test/cb"), uri},
		{"R-06 http on the net", uris("http://shop.test/cb"), uri},
		{"R-06 51 of them", uris(many(51)...), uri},
		{"R-06 10 KiB", uris(long), uri},
		{"R-06 two bad ones", uris("https://shop.test/cb#x", "javascript:alert(1)"), uri},
		{"R-06 a text", shop().With("redirect_uris", "https://shop.test/cb"), uri},
		{"R-06 a number in the list", shop().With("redirect_uris", []int{1}), uri},
		{"R-09 public with client_credentials", shop().With("token_endpoint_auth_method", "none").
			With("grant_types", []string{"client_credentials"}), meta},
		{"R-09 confidential with client_credentials",
			shop().With("grant_types", []string{"authorization_code", "client_credentials"}), meta},
		{"R-10 a private key", jwks(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",` +
			`"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`), meta},
		{"R-10 a symmetric key", jwks(`{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA"}`), meta},
		{"R-10 RSA of 1024 bits", jwks(`{"kty":"RSA","e":"AQAB","n":"` + "v" + strings.Repeat("A", 169) + `Q"}`), meta},
		{"R-10 100 keys", jwks(slices.Repeat([]string{ed}, 100)...), meta},
		{"R-10 jwks and jwks_uri", jwks(ed).With("jwks_uri", "https://shop.test/jwks"), meta},
		{"R-10 private_key_jwt without keys", shop().With("token_endpoint_auth_method", "private_key_jwt"), meta},
		{"A-34 markup is text, but a name of 10 KiB is none", shop().With("client_name", strings.Repeat("x", 10<<10)), meta},
		{"A-34 a zero-width space", shop().With("client_name", "Google\u200b"), meta},
		{"A-34 right to left", shop().With("client_name", "Goo\u202egle"), meta},
		{"A-34 a script as logo", shop().With("logo_uri", "javascript:alert(1)"), meta},
		{"a policy by http", shop().With("policy_uri", "http://shop.test/p"), meta},
		{"terms that are data", shop().With("tos_uri", "data:text/html,x"), meta},
		{"keys by http", shop().With("jwks_uri", "http://shop.test/jwks"), meta},
		{"a name that is a number", shop().With("client_name", 1), meta},
		{"an unknown grant", shop().With("grant_types", []string{"password"}), meta},
		{"an unknown response type", shop().With("response_types", []string{"token code"}), meta},
		{"an unknown way to authenticate", shop().With("token_endpoint_auth_method", "client_secret_jwt"), meta},
		{"ID tokens without a signature", shop().With("id_token_signed_response_alg", "none"), meta},
		{"ID tokens by the secret", shop().With("id_token_signed_response_alg", "HS256"), meta},
		{"encrypted ID tokens", shop().With("id_token_encrypted_response_alg", "RSA-OAEP"), meta},
		{"access tokens bound to a certificate", shop().With("tls_client_certificate_bound_access_tokens", true), meta},
		{"access tokens bound to something", shop().With("dpop_bound_access_tokens", "yes"), meta},
		{"only scopes that it cannot have", shop().With("scope", "admin orders:read"), meta},
		{"a scope with a quote", shop().With("scope", `openid "x"`), meta},
		{"an unknown kind of app", shop().With("application_type", "browser"), meta},
		{"contacts on two lines", shop().With("contacts", []string{"a@shop.test\nb"}), meta},
		{"software without a name", shop().With("software_id", " "), meta},
		{"request objects by http", shop().With("request_uris", []string{"http://shop.test/r"}), meta},
		{"a statement that is none", shop().With("software_statement", "x"), "invalid_software_statement"},
		{"no object", []string{"x"}, meta},
		{"no JSON", `{"client_name":`, meta},
		{"a member twice", json.RawMessage(`{"client_name":"A","client_name":"B","redirect_uris":["https://a.test"]}`), meta},
	}
	for _, hostile := range []string{
		"javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//web.test/cb", "/cb", "https:web.test/cb",
		"https://web.test/cb#f",
		"https://web.test/cb\r\nSet-Cookie:a=b", "https://web.test/cb\x00", "\thttps://web.test/cb",
	} {
		name := url.PathEscape(hostile)
		out = append(out, refused{"A-04 " + name, uris(hostile), uri},
			refused{"A-04 public " + name, native(hostile), uri})
	}
	return out
}

// TestR06R09R10A04A34RefusedMetadata: the standard's code, at registration and at a replacement, and
// nothing is left behind.
func TestR06R09R10A04A34RefusedMetadata(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := take(s, register(s, shop(), "").Want(201, ""))
		token, text := initialToken(s, registration.NewToken{Uses: 3})
		leavesNothing(s, func() {
			for _, row := range refusals() {
				t.Run(row.name, func(t *testing.T) {
					s := s.With(t)
					register(s, row.metadata, "").Want(400, row.code)
					register(s, row.metadata, text).Want(400, row.code)
					if fields, ok := row.metadata.(apitest.Fields); ok {
						manage(s, "PUT", c, fields.With("client_id", c.ID)).Want(400, row.code)
					} else {
						manage(s, "PUT", c, row.metadata).Want(400, row.code)
					}
				})
			}
			s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Body: "client_name=A",
				Type: "application/x-www-form-urlencoded"}).Want(415, "invalid_request")
		})
		if token.UsesLeft != 3 {
			t.Errorf("%d uses are left", token.UsesLeft)
		}
	}, mode(issuer.RegistrationOpen))
}
