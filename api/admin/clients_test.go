package admin_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// TestAdminClients follows a client through its life over HTTP, to the token that its secret gets.
func TestAdminClients(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		do := s.AdminOf(admin.Access)
		var made userstore.ClientDocument
		res := do("POST", "", apitest.Fields{
			"client_id": "web", "client_name": "Web", "redirect_uris": []string{"https://web.test/cb"},
			"grant_types": []string{"authorization_code", "client_credentials"},
			"scope":       "openid orders:read", "resources": []string{"https://api.test"}, "logo_uri": "https://web.test/l.png",
			"jwks": nil, "pkce": nil, "tos_uri": nil, "request_object_signing_alg": "none", "require_signed_request_object": nil,
			"require_pushed_authorization_requests": true, "request_uris": []string{"https://web.test/r"}, "post_logout_redirect_uris": nil, "token_endpoint_auth_method": nil,
		}).Want(201, "")
		res.JSON(&made)
		if res.Header.Get("Location") != "/v1/admin/clients/web" || made.ClientID != "web" ||
			made.IssuedAt != s.Clock.Now().Unix() || made.SecretExpiresAt == nil || *made.SecretExpiresAt != 0 {
			t.Errorf("%v %s", res.Header, res.Body)
		}
		if raw, err := base64.RawURLEncoding.DecodeString(made.ClientSecret); err != nil || len(raw) != 32 {
			t.Errorf("a secret of %d bytes (%v)", len(raw), err)
		}
		s.Secret(made.ClientSecret)
		grant := url.Values{"grant_type": {"client_credentials"}, "resource": {"https://api.test"}}
		token := func(secret string) *apitest.Response {
			return s.Do(apitest.Request{Method: "POST", Path: "/oauth2/token", Form: grant, Basic: [2]string{"web", secret}})
		}
		token(made.ClientSecret).Want(200, "")

		if body := string(do("GET", "/web", nil).Want(200, "").Body); strings.Contains(body, "client_secret\"") ||
			!strings.Contains(body, `"client_secret_expires_at":0`) {
			t.Error(body)
		}
		var patched userstore.ClientDocument
		do("PATCH", "/web", apitest.Fields{"client_name": "Shop", "scope": nil, "logo_uri": nil,
			"pkce": "optional", "require_pushed_authorization_requests": false, "request_uris": nil, "request_object_signing_alg": nil}).Want(200, "").JSON(&patched)
		want := made
		want.Name, want.Scope, want.LogoURI, want.PKCE, want.ClientSecret = "Shop", "", "", "optional", ""
		if made.RequestObjectAlg != "none" || !made.RequirePushed || len(made.RequestURIs) != 1 {
			t.Errorf("made %+v", made)
		}
		want.RequestObjectAlg, want.RequirePushed, want.RequestURIs = "", false, nil
		if !reflect.DeepEqual(patched, want) {
			t.Errorf("\n got %+v\nwant %+v", patched, want)
		}

		var rotated userstore.ClientDocument
		do("POST", "/web/secret", nil).Want(200, "").JSON(&rotated)
		s.Secret(rotated.ClientSecret)
		if rotated.ClientSecret == "" || rotated.ClientSecret == made.ClientSecret {
			t.Errorf("rotated to %+v", rotated)
		}
		token(rotated.ClientSecret).Want(200, "")
		token(made.ClientSecret).Want(401, "invalid_client")

		if body := string(do("POST", "/web/disable", apitest.Fields{}).Want(200, "").Body); !strings.Contains(body,
			`"disabled":true`) {
			t.Error(body)
		}
		token(rotated.ClientSecret).Want(401, "invalid_client")
		do("POST", "/web/enable", nil).Want(200, "")
		token(rotated.ClientSecret).Want(200, "")

		// A public client has no secret, and one that becomes confidential is told one.
		var app userstore.ClientDocument
		do("POST", "", apitest.Fields{"client_name": "App", "token_endpoint_auth_method": "none",
			"redirect_uris": []string{"com.example.app:/cb"}}).Want(201, "").JSON(&app)
		if app.ClientSecret != "" || app.SecretExpiresAt != nil || !registration.ValidClientID(app.ClientID) ||
			app.ClientID == "" {
			t.Errorf("%+v", app)
		}
		do("PATCH", "/"+app.ClientID, apitest.Fields{"token_endpoint_auth_method": "client_secret_post",
			"redirect_uris": []string{"https://app.test/cb"}}).Want(200, "").JSON(&app)
		s.Secret(app.ClientSecret)
		if app.ClientSecret == "" {
			t.Error("it was told no secret")
		}

		do("DELETE", "/web", nil).Want(204, "")
		do("GET", "/web", nil).Want(404, "not_found")
		token(rotated.ClientSecret).Want(401, "invalid_client")
	}, func(o *apitest.Options) { o.Resources = []issuer.Resource{{URI: "https://api.test"}} })
}

// TestAdminClientsRefused is every refusal: by field, and nothing changes.
func TestAdminClientsRefused(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		do := s.AdminOf(admin.Access)
		s.Secret(clientSecretIn(do("POST", "",
			apitest.Fields{"client_id": "web", "client_name": "Web",
				"redirect_uris": []string{"https://web.test/cb"}}).Want(201, "")))
		do("POST", "", apitest.Fields{"client_id": "spa", "client_name": "Spa", "token_endpoint_auth_method": "none",
			"redirect_uris": []string{"https://spa.test/cb"}}).Want(201, "")
		good := apitest.Fields{"client_name": "New", "redirect_uris": []string{"https://new.test/cb"}}
		s.Register(userstore.Client{ID: "ours", FirstParty: true})
		for _, act := range []string{"/disable", "/enable"} { // that may be urgent
			do("POST", "/ours"+act, nil).Want(200, "")
		}
		for _, row := range []struct {
			name, method, path string
			body               any
			status             int
			code, faults       string
		}{
			{"no name", "POST", "", apitest.Fields{"redirect_uris": []string{"https://new.test/cb"}}, 400, "validation_error",
				"client_name:required"},
			{"R-06 nowhere to go", "POST", "", apitest.Fields{"client_name": "New"}, 400, "validation_error",
				"redirect_uris:required"},
			{"A-04 script", "POST", "", good.With("redirect_uris", []string{"https://ok.test", "javascript:alert(1)"}), 400,
				"validation_error", "redirect_uris.1:invalid"},
			{"R-09 public with client_credentials", "POST", "",
				good.With("token_endpoint_auth_method", "none").With("grant_types",
					[]string{"authorization_code", "client_credentials"}), 400, "validation_error", "grant_types:invalid"},
			{"R-10 a private key", "POST", "",
				good.With("jwks", json.RawMessage(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}]}`)), 400,
				"validation_error", "jwks.keys.0:not_allowed"},
			{"R-10 both ways to keys", "POST", "",
				good.With("jwks", json.RawMessage(`{"keys":[{"kty":"oct","k":"AA"}]}`)).With("jwks_uri", "https://new.test/jwks"),
				400, "validation_error", "jwks_uri:invalid jwks.keys.0:not_allowed"},
			{"keys that are a text", "POST", "", good.With("jwks", "keys"), 400, "validation_error", "jwks:invalid"},
			{"two faults", "POST", "", good.With("pkce", "plain").With("tos_uri", "http://new.test"), 400, "validation_error",
				"pkce:invalid tos_uri:invalid"},
			{"an algorithm for request objects that is none", "POST", "", good.With("request_object_signing_alg", "HS256"), 400,
				"validation_error", "request_object_signing_alg:invalid"},
			{"signed request objects without keys", "POST", "", good.With("require_signed_request_object", true), 400,
				"validation_error", "jwks:required"},
			{"admin for a third party", "POST", "", good.With("scope", "openid admin"), 400, "validation_error",
				"scope:not_allowed"},
			{"a scope with two spaces", "POST", "", good.With("scope", "openid  email"), 400, "validation_error",
				"scope:invalid"},
			{"a resource that is not registered", "POST", "", good.With("resources", []string{"https://evil.test"}), 400,
				"validation_error", "resources.0:not_allowed"},
			{"an algorithm that is off", "POST", "", good.With("id_token_signed_response_alg", "ES256"), 400, "validation_error",
				"id_token_signed_response_alg:not_allowed"},
			{"an id that is taken", "POST", "", good.With("client_id", "web"), 409, "client_already_exists", "client_id:taken"},
			{"the id of the built-in one", "POST", "", good.With("client_id", "signet"), 409, "client_already_exists",
				"client_id:taken"},
			{"an id that is none", "POST", "", good.With("client_id", "a/b"), 400, "validation_error", "client_id:invalid"},
			{"an empty id", "POST", "", good.With("client_id", ""), 400, "validation_error", "client_id:invalid"},
			{"a secret of one's own", "POST", "", good.With("client_secret", "a secret that somebody chose"), 400,
				"validation_error", "client_secret:not_allowed"},
			{"first-party, which only an operator may say", "POST", "", good.With("first_party", true), 400, "validation_error",
				"first_party:not_allowed"},
			{"metadata that we do not have", "POST", "", good.With("unheard_of", "https://new.test"), 400,
				"validation_error", "unheard_of:unknown_field"},
			{"a list that is a text", "POST", "", good.With("grant_types", "authorization_code"), 400, "validation_error",
				"grant_types:wrong_type"},
			{"no body", "POST", "", nil, 415, "unsupported_media_type", ""},

			{"first-party by a patch", "PATCH", "/web", apitest.Fields{"first_party": true}, 400, "validation_error",
				"first_party:not_allowed"},
			{"another id", "PATCH", "/web", apitest.Fields{"client_id": "other"}, 400, "validation_error",
				"client_id:not_allowed"},
			{"activity by a patch", "PATCH", "/web", apitest.Fields{"disabled": true}, 400, "validation_error",
				"disabled:not_allowed"},
			{"no name any more", "PATCH", "/web", apitest.Fields{"client_name": nil}, 400, "validation_error",
				"client_name:required"},
			{"PKCE optional for a public client", "PATCH", "/spa", apitest.Fields{"pkce": "optional"}, 400, "validation_error",
				"pkce:invalid"},
			{"the built-in one led elsewhere", "PATCH", "/signet",
				apitest.Fields{"redirect_uris": []string{"https://evil.test/cb"}}, 409, "first_party_client", ""},
			{"a first-party one led elsewhere", "PATCH", "/ours",
				apitest.Fields{"redirect_uris": []string{"https://evil.test/cb"}}, 409, "first_party_client", ""},
			{"a first-party one changed in nothing", "PATCH", "/ours", apitest.Fields{}, 409, "first_party_client", ""},
			{"a first-party one changed in what it is", "PATCH", "/ours", apitest.Fields{"first_party": false}, 400,
				"validation_error", "first_party:not_allowed"},
			{"half a patch", "PATCH", "/web", apitest.Fields{"client_name": "Other", "redirect_uris": nil}, 400,
				"validation_error", "redirect_uris:required"},
			{"a patch of nobody", "PATCH", "/nobody", apitest.Fields{"client_name": "X"}, 404, "not_found", ""},

			{"a secret for a public client", "POST", "/spa/secret", nil, 400, "validation_error",
				"token_endpoint_auth_method:not_allowed"},
			{"a chosen secret", "POST", "/web/secret", apitest.Fields{"client_secret": "a secret that somebody chose"}, 400,
				"validation_error", "client_secret:unknown_field"},
			{"a secret for nobody", "POST", "/nobody/secret", nil, 404, "not_found", ""},
			{"a secret for a first-party one", "POST", "/ours/secret", nil, 409, "first_party_client", ""},
			{"a secret for the built-in one", "POST", "/signet/secret", nil, 409, "first_party_client", ""},
			{"a first-party one deleted", "DELETE", "/ours", nil, 409, "first_party_client", ""},
			{"the built-in one deleted", "DELETE", "/signet", nil, 409, "built_in_client", ""},
			{"nobody deleted", "DELETE", "/nobody", nil, 404, "not_found", ""},
			{"nobody disabled", "POST", "/nobody/disable", nil, 404, "not_found", ""},
			{"a folder", "GET", "/..", nil, 404, "not_found", ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() {
					res := s.AdminOf(admin.Access)(row.method, row.path, row.body).Want(row.status, row.code)
					if got := res.Faults(); got != row.faults {
						t.Errorf("%s, want %s", got, row.faults)
					}
				})
			})
		}
	})
}

func TestAdminClientsByPage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		do := s.AdminOf(admin.Access)
		want := []string{"signet"}
		for _, id := range []string{"b", "a", "c"} {
			do("POST", "", apitest.Fields{"client_id": id, "client_name": id, "token_endpoint_auth_method": "none",
				"redirect_uris": []string{"https://x.test/cb"}}).Want(201, "")
			want = append(want, id)
			s.Advance(time.Second)
		}
		var got []string
		cursor := ""
		for {
			var page struct {
				Clients []userstore.ClientDocument `json:"clients"`
				Next    string                     `json:"next_cursor"`
			}
			do("GET", "?limit=1"+cursor, nil).Want(200, "").JSON(&page)
			for _, c := range page.Clients {
				got = append(got, c.ClientID)
			}
			if page.Next == "" {
				break
			}
			cursor = "&cursor=" + page.Next
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		var users struct {
			Next string `json:"next_cursor"`
		}
		s.SignUp("bob")
		s.Do(apitest.Request{Path: "/v1/admin/users?limit=1", Token: admin.Access}).Want(200, "").JSON(&users)
		for _, query := range []string{"?cursor=x", "?cursor=" + users.Next, "?limit=0", "?search=web"} {
			do("GET", query, nil).Want(400, "validation_error")
		}
	})
}
