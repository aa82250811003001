package registration_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// rsaJWK returns something that looks like a public key of so many bits.
func rsaJWK(bits int) string {
	n := bytes.Repeat([]byte{0xab}, bits/8)
	n[len(n)-1] |= 1
	return fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB"}`, b64(n))
}

func edJWK() string {
	public := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)).Public().(ed25519.PublicKey)
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":"k1","x":%q}`, b64(public))
}

func keySet(keys ...string) json.RawMessage {
	return json.RawMessage(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

// TestClientMetadata covers every rule of a registration: all faults are reported at once, by
// field, and nothing is stored.
func TestClientMetadata(t *testing.T) {
	many := func(n int, one string) (out []string) {
		for i := range n {
			out = append(out, strings.ReplaceAll(one, "%", fmt.Sprint(i)))
		}
		return out
	}
	redirects := func(uris ...string) func(*userstore.Client) {
		return func(c *userstore.Client) { c.RedirectURIs = uris }
	}
	key := func(keys ...string) func(*userstore.Client) {
		return func(c *userstore.Client) { c.AuthMethod, c.JWKS = userstore.AuthPrivateKeyJWT, keySet(keys...) }
	}
	logoutAt := func(uri string) func(*userstore.Client) {
		return func(c *userstore.Client) { c.FrontchannelLogoutURI = uri }
	}
	native := func(uris ...string) func(*userstore.Client) {
		return func(c *userstore.Client) { c.AuthMethod, c.RedirectURIs = userstore.AuthNone, uris }
	}
	rows := []struct {
		name   string
		change func(*userstore.Client)
		secret string
		want   string // "field code" of each fault; empty: accepted
	}{
		{"nothing but a name and where to go", func(*userstore.Client) {}, "", ""},
		{"no name", func(c *userstore.Client) { c.Name = "" }, "", "client_name required"},
		{"A-34 a name of 10 KiB",
			func(c *userstore.Client) { c.Name = strings.Repeat("x", 10<<10) }, "", "client_name too_long"},
		{"A-34 a name with a right-to-left override",
			func(c *userstore.Client) { c.Name = "Good\u202egnp.exe" }, "", "client_name invalid"},
		{"A-34 a name with a zero-width space",
			func(c *userstore.Client) { c.Name = "Google\u200b" }, "", "client_name invalid"},
		{"a name that moves the cursor",
			func(c *userstore.Client) { c.Name = "\x1b[2JApp" }, "", "client_name invalid"},
		{"a name of two lines", func(c *userstore.Client) { c.Name = "App\nverified" }, "", "client_name invalid"},
		{"a name that is not UTF-8", func(c *userstore.Client) { c.Name = "App\xff" }, "", "client_name invalid"},
		{"a name with markup is only text",
			func(c *userstore.Client) { c.Name = "<img src=x onerror=1> Žofie’s" }, "", ""},
		{"an id of somebody's own", func(c *userstore.Client) { c.ID = "My_app-2.~" }, "", ""},
		{"an id that is a flag", func(c *userstore.Client) { c.ID = "-x" }, "", "client_id invalid"},
		{"an id that is a folder", func(c *userstore.Client) { c.ID = ".." }, "", "client_id invalid"},
		{"an id with a slash", func(c *userstore.Client) { c.ID = "a/b" }, "", "client_id invalid"},
		{"an id with a colon, which ends it in Basic",
			func(c *userstore.Client) { c.ID = "a:b" }, "", "client_id invalid"},
		{"an id that is too long",
			func(c *userstore.Client) { c.ID = strings.Repeat("a", 65) }, "", "client_id invalid"},
		{"all that is wrong, at once", func(c *userstore.Client) {
			c.Name, c.PKCE, c.Scopes, c.LogoURI = "", "plain", []string{"a b"}, "javascript:alert(1)"
			c.RedirectURIs = []string{"https://ok.test", "/cb"}
		}, "short",
			"client_name required, pkce invalid, redirect_uris.1 invalid, logo_uri invalid, scope.0 invalid, client_secret too_short"},

		// Redirect URIs.
		{"R-06 no redirect URI", redirects(), "", "redirect_uris required"},
		{"R-06 a fragment", redirects("https://app.test/cb#x"), "", "redirect_uris.0 invalid"},
		{"R-06 an empty fragment", redirects("https://app.test/cb#"), "", "redirect_uris.0 invalid"},
		{"R-06 a wildcard host", redirects("https://*.x.test/cb"), "", "redirect_uris.0 invalid"},
		{"R-06 a wildcard path", redirects("https://x.test/*"), "", "redirect_uris.0 invalid"},
		{"R-06 http", redirects("http://app.test/cb"), "", "redirect_uris.0 invalid"},
		{"R-06 http to a host that begins like a loopback address",
			redirects("http://127.0.0.1.evil.test/cb"), "", "redirect_uris.0 invalid"},
		{"R-06 http to a private network", redirects("http://10.0.0.1/cb"), "", "redirect_uris.0 invalid"},
		{"R-06 50 of them", redirects(many(50, "https://app.test/%")...), "", ""},
		{"R-06 51 of them", redirects(many(51, "https://app.test/%")...), "", "redirect_uris too_long"},
		{"R-06 2 KiB", redirects("https://app.test/" + strings.Repeat("x", 2048-17)), "", ""},
		{"R-06 10 KiB", redirects("https://app.test/" + strings.Repeat("x", 10<<10)), "", "redirect_uris.0 too_long"},
		{"one twice", redirects("https://app.test/cb", "https://app.test/cb"), "", "redirect_uris.1 invalid"},
		{"A-04 javascript", redirects("javascript:alert(1)"), "", "redirect_uris.0 invalid"},
		{"A-04 javascript in capitals", redirects("JaVaScRiPt:alert(1)"), "", "redirect_uris.0 invalid"},
		{"A-04 data", redirects("data:text/html,x"), "", "redirect_uris.0 invalid"},
		{"A-04 no scheme", redirects("//web.test/cb"), "", "redirect_uris.0 invalid"},
		{"A-04 a path", redirects("/cb"), "", "redirect_uris.0 invalid"},
		{"A-04 no host", redirects("https:web.test/cb"), "", "redirect_uris.0 invalid"},
		{"A-04 an empty host", redirects("https:///cb"), "", "redirect_uris.0 invalid"},
		{"A-04 a line break", redirects("https://web.test/\r\nSet-Cookie:a=b"), "", "redirect_uris.0 invalid"},
		{"A-04 NUL", redirects("https://web.test/\x00"), "", "redirect_uris.0 invalid"},
		{"A-04 a tab in front", redirects("\thttps://web.test/cb"), "", "redirect_uris.0 invalid"},
		{"a space", redirects("https://web.test/a b"), "", "redirect_uris.0 invalid"},
		{"a backslash", redirects(`https://web.test\@evil.test/`), "", "redirect_uris.0 invalid"},
		{"a user name", redirects("https://web.test@evil.test/cb"), "", "redirect_uris.0 invalid"},
		{"dot segments", redirects("https://web.test/cb/../evil"), "", "redirect_uris.0 invalid"},
		{"encoded dot segments", redirects("https://web.test/cb/%2E%2e/evil"), "", "redirect_uris.0 invalid"},
		{"a letter outside ASCII", redirects("https://wéb.test/cb"), "", "redirect_uris.0 invalid"},
		{"half an escape", redirects("https://web.test/%zz"), "", "redirect_uris.0 invalid"},
		{"an address that only browsers understand",
			redirects("https://0x7f.1/cb", "https://2130706433/cb"), "",
			"redirect_uris.0 invalid, redirect_uris.1 invalid"},
		{"no port behind the colon", redirects("https://web.test:/cb"), "", "redirect_uris.0 invalid"},
		{"a port that is none",
			redirects("https://web.test:65536/cb", "https://web.test:080/cb"), "",
			"redirect_uris.0 invalid, redirect_uris.1 invalid"},
		{"a query stays", redirects("https://web.test:8443/cb?tenant=a&b=%2F"), "", ""},
		{"an address instead of a name", redirects("https://192.0.2.7/cb", "https://[2001:db8::1]:8443/cb"), "", ""},
		{"loopback over http",
			redirects("http://127.0.0.1/cb", "http://[::1]:8080/cb", "http://localhost:3000/cb",
				"http://app.localhost/cb"), "", ""},
		{"a scheme of its own, public", native("com.example.app:/cb", "com.example.app://cb/x"), "", ""},
		{"a scheme of its own, confidential", redirects("com.example.app:/cb"), "", "redirect_uris.0 invalid"},
		{"a scheme without a dot", native("myapp:/cb"), "", "redirect_uris.0 invalid"},
		{"out of band", native("urn:ietf:wg:oauth:2.0:oob"), "", "redirect_uris.0 invalid"},
		{"a scheme alone", native("com.example.app:"), "", "redirect_uris.0 invalid"},
		{"after logout, as before", func(c *userstore.Client) {
			c.PostLogoutRedirectURIs = []string{"https://app.test/bye", "javascript:alert(1)", "https://app.test/#x"}
		}, "", "post_logout_redirect_uris.1 invalid, post_logout_redirect_uris.2 invalid"},

		// Grants, response types and authentication.
		{"R-09 a public client with client_credentials", func(c *userstore.Client) {
			c.AuthMethod, c.GrantTypes, c.RedirectURIs = userstore.AuthNone, []string{"client_credentials"}, nil
		}, "", "grant_types invalid"},
		{"client_credentials needs nowhere to go", func(c *userstore.Client) {
			c.GrantTypes, c.RedirectURIs = []string{"client_credentials"}, nil
		}, "", ""},
		{"refresh_token with nothing to refresh", func(c *userstore.Client) {
			c.GrantTypes, c.RedirectURIs = []string{"refresh_token"}, nil
		}, "", "grant_types invalid"},
		{"refresh_token of a first-party client", func(c *userstore.Client) {
			c.AuthMethod, c.GrantTypes, c.RedirectURIs, c.FirstParty = userstore.AuthNone, []string{"refresh_token"},
				nil, true
		}, "", ""},
		{"a grant type that there is not",
			func(c *userstore.Client) { c.GrantTypes = []string{"authorization_code", "implicit", "password"} }, "",
			"grant_types.1 invalid, grant_types.2 invalid"},
		{"a response type that there is not",
			func(c *userstore.Client) { c.ResponseTypes = []string{"code", "id_token"} }, "",
			"response_types.1 invalid"},
		{"a response type without its grant", func(c *userstore.Client) {
			c.GrantTypes, c.ResponseTypes = []string{"client_credentials"}, []string{"code"}
		}, "", "response_types invalid"},
		{"a method that there is not",
			func(c *userstore.Client) { c.AuthMethod = "client_secret_jwt" }, "", "token_endpoint_auth_method invalid"},
		{"PKCE optional for a confidential client", func(c *userstore.Client) { c.PKCE = "optional" }, "", ""},
		{"PKCE optional for a public client",
			func(c *userstore.Client) { *c = public("https://app.test/cb"); c.PKCE = "optional" }, "", "pkce invalid"},

		// Keys.
		{"R-10 an RSA key and an Ed25519 key", key(rsaJWK(2048), edJWK()), "", ""},
		{"R-10 a private key",
			key(edJWK(), strings.Replace(edJWK(), `"x"`, `"d":"AA","x"`, 1)), "", "jwks.keys.1 not_allowed"},
		{"R-10 a symmetric key", key(`{"kty":"oct","k":"c2VjcmV0"}`), "", "jwks.keys.0 not_allowed"},
		{"R-10 an RSA key of 1024 bits", key(rsaJWK(1024)), "", "jwks.keys.0 invalid"},
		{"R-10 20 keys", key(many(20, edJWK())...), "", ""},
		{"R-10 21 keys", key(many(21, edJWK())...), "", "jwks too_long"},
		{"R-10 jwks and jwks_uri",
			func(c *userstore.Client) { key(edJWK())(c); c.JWKSURI = "https://app.test/jwks" }, "", "jwks_uri invalid"},
		{"a key for encryption beside one for signatures",
			key(edJWK(), `{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}`), "", ""},
		{"only keys that are not for us", key(`{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}`), "", "jwks invalid"},
		{"a key with a member twice",
			key(strings.Replace(edJWK(), `"kid"`, `"kty":"OKP","kid"`, 1)), "", "jwks.keys.0 invalid"},
		{"a key that is none", key(`"key"`), "", "jwks.keys.0 invalid"},
		{"an Ed25519 key of the wrong length",
			key(`{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`), "", "jwks.keys.0 invalid"},
		{"no keys", key(), "", "jwks invalid"},
		{"a set that is none",
			func(c *userstore.Client) { key()(c); c.JWKS = json.RawMessage(`[]`) }, "", "jwks invalid"},
		{"a set with other keys under another case", func(c *userstore.Client) {
			key()(c)
			c.JWKS = json.RawMessage(`{"keys":[` + edJWK() + `],"KEYS":[]}`)
		}, "", ""},
		{"private_key_jwt without keys",
			func(c *userstore.Client) { c.AuthMethod = userstore.AuthPrivateKeyJWT }, "", "jwks required"},
		{"private_key_jwt with an address", func(c *userstore.Client) {
			c.AuthMethod, c.JWKSURI = userstore.AuthPrivateKeyJWT, "https://app.test/jwks.json"
		}, "", ""},
		{"keys at an address in clear",
			func(c *userstore.Client) { c.JWKSURI = "http://app.test/jwks.json" }, "", "jwks_uri invalid"},
		{"keys behind a fragment",
			func(c *userstore.Client) { c.JWKSURI = "https://app.test/jwks#a" }, "", "jwks_uri invalid"},

		// Request objects.
		{"objects without a signature",
			func(c *userstore.Client) { c.RequestObjectAlg = userstore.RequestObjectUnsigned }, "", ""},
		{"signed objects, and the address of keys", func(c *userstore.Client) {
			c.RequestObjectAlg, c.RequireSignedRequestObject, c.JWKSURI = "Ed25519", true, "https://app.test/jwks"
		}, "", ""},
		{"an algorithm for objects without keys",
			func(c *userstore.Client) { c.RequestObjectAlg = "RS256" }, "", "jwks required"},
		{"signed objects without keys",
			func(c *userstore.Client) { c.RequireSignedRequestObject = true }, "", "jwks required"},
		{"signed objects and private_key_jwt without keys", func(c *userstore.Client) {
			c.RequireSignedRequestObject, c.AuthMethod = true, userstore.AuthPrivateKeyJWT
		}, "", "jwks required"},
		{"objects that are signed and are not", func(c *userstore.Client) {
			c.RequireSignedRequestObject, c.JWKSURI = true, "https://app.test/jwks"
			c.RequestObjectAlg = userstore.RequestObjectUnsigned
		}, "", "require_signed_request_object invalid"},
		{"objects signed with a secret",
			func(c *userstore.Client) { c.RequestObjectAlg, c.JWKSURI = "HS256", "https://app.test/jwks" }, "",
			"request_object_signing_alg invalid"},

		{"addresses of objects, one with a fragment", func(c *userstore.Client) {
			c.RequestURIs = []string{"https://app.test/r?x=y", "https://app.test/s#v1"}
		}, "", ""},
		{"addresses of objects that are none", func(c *userstore.Client) {
			c.RequestURIs = []string{"http://app.test/r", "/r", "https://u:p@app.test/r", "https://app.test/r", "https://app.test/r"}
		}, "", "request_uris.0 invalid, request_uris.1 invalid, request_uris.2 invalid, request_uris.4 invalid"},

		// Scopes, resources, algorithms, addresses of pages.
		{"scopes",
			func(c *userstore.Client) { c.Scopes = []string{"openid", "orders:read", "https://scope.test/x"} }, "", ""},
		{"a scope that is none",
			func(c *userstore.Client) { c.Scopes = []string{"openid", "a\"b", "", "é"} }, "",
			"scope.1 invalid, scope.2 invalid, scope.3 invalid"},
		{"a scope twice", func(c *userstore.Client) { c.Scopes = []string{"openid", "openid"} }, "", "scope.1 invalid"},
		{"admin for a third party",
			func(c *userstore.Client) { c.Scopes = []string{"admin"} }, "", "scope.0 not_allowed"},
		{"admin for a first party",
			func(c *userstore.Client) { c.Scopes, c.FirstParty = []string{"admin"}, true }, "", ""},
		{"a resource", func(c *userstore.Client) { c.Resources = []string{"https://api.test"} }, "", ""},
		{"a resource with the slash that is all of its path",
			func(c *userstore.Client) { c.Resources = []string{"https://api.test/"} }, "", ""},
		{"a resource in both spellings",
			func(c *userstore.Client) { c.Resources = []string{"https://api.test", "https://api.test/"} }, "", ""},
		{"a resource in one spelling twice",
			func(c *userstore.Client) { c.Resources = []string{"https://api.test/", "https://api.test/"} }, "",
			"resources.1 invalid"},
		{"a resource that is not registered",
			func(c *userstore.Client) { c.Resources = []string{"https://api.test", "https://api.test//"} }, "",
			"resources.1 not_allowed"},
		{"a resource with a path that is not registered",
			func(c *userstore.Client) { c.Resources = []string{"https://api.test/x"} }, "", "resources.0 not_allowed"},
		{"an algorithm that is on", func(c *userstore.Client) { c.IDTokenAlg = "EdDSA" }, "", ""},
		{"an algorithm without an active key",
			func(c *userstore.Client) { c.IDTokenAlg = "ES256" }, "", "id_token_signed_response_alg not_allowed"},
		{"no algorithm",
			func(c *userstore.Client) { c.IDTokenAlg = "none" }, "", "id_token_signed_response_alg not_allowed"},
		{"answers signed with an algorithm that is on",
			func(c *userstore.Client) { c.UserinfoAlg, c.IntrospectionAlg = "EdDSA", "RS256" }, "", ""},
		{"answers signed with others", func(c *userstore.Client) { c.UserinfoAlg, c.IntrospectionAlg = "ES256", "none" }, "",
			"userinfo_signed_response_alg not_allowed, introspection_signed_response_alg not_allowed"},
		{"pages of https", func(c *userstore.Client) {
			c.ClientURI, c.LogoURI, c.PolicyURI, c.TOSURI = "https://app.test", "https://app.test/logo.png",
				"https://app.test/p#us", "https://app.test/t"
		}, "", ""},
		{"pages of anything else", func(c *userstore.Client) {
			c.ClientURI, c.LogoURI, c.PolicyURI, c.TOSURI = "http://app.test", "data:image/png;base64,AA", "/p",
				"https://a:b@app.test"
		}, "", "client_uri invalid, logo_uri invalid, policy_uri invalid, tos_uri invalid"},

		{"addresses that our pages load and link to", func(c *userstore.Client) {
			c.RedirectURIs = []string{"https://app.test/cb", "https://APP.test:8443/cb", "http://127.0.0.1:4711/cb"}
			c.FrontchannelLogoutURI, c.InitiateLoginURI = "https://app.test:443/out?a=b", "https://other.test/login?a=b"
		}, "", ""},
		{"a logout at another port of the app", func(c *userstore.Client) {
			c.RedirectURIs = []string{"https://app.test/cb", "https://APP.test:8443/cb"}
			c.FrontchannelLogoutURI, c.FrontchannelLogoutSessionRequired = "https://app.test:8443/out", true
		}, "", ""},
		{"a logout on the own machine", func(c *userstore.Client) {
			c.RedirectURIs = []string{"http://127.0.0.1:4711/cb"}
			c.FrontchannelLogoutURI = "http://127.0.0.1:4711/out"
		}, "", ""},
		{"a logout at another host", logoutAt("https://evil.test/out"), "", "frontchannel_logout_uri invalid"},
		{"a logout at another port", logoutAt("https://app.test:8443/out"), "", "frontchannel_logout_uri invalid"},
		{"a logout by http", logoutAt("http://app.test/out"), "", "frontchannel_logout_uri invalid"},
		{"a logout with a fragment", logoutAt("https://app.test/out#x"), "", "frontchannel_logout_uri invalid"},
		{"a logout that is no address", logoutAt("/out"), "", "frontchannel_logout_uri invalid"},
		{"a logout by script", logoutAt("javascript:alert(1)"), "", "frontchannel_logout_uri invalid"},
		{"a logout with a name and a password", logoutAt("https://a:b@app.test/out"), "", "frontchannel_logout_uri invalid"},
		{"a logout with a line break", logoutAt("https://app.test/out\r\nX: 1"), "", "frontchannel_logout_uri invalid"},
		{"a logout that speaks to the policy", logoutAt("https://app.test;script-src/out"), "", "frontchannel_logout_uri invalid"},
		{"a logout at an address that no policy can name", func(c *userstore.Client) {
			c.RedirectURIs = []string{"https://[2001:db8::1]/cb"}
			c.FrontchannelLogoutURI = "https://[2001:db8::1]/out"
		}, "", "frontchannel_logout_uri invalid"},
		{"a logout of a client without a redirect URI", func(c *userstore.Client) {
			c.GrantTypes, c.RedirectURIs = []string{"client_credentials"}, nil
			c.FrontchannelLogoutURI = "https://app.test/out"
		}, "", "frontchannel_logout_uri invalid"},
		{"a login by http", func(c *userstore.Client) { c.InitiateLoginURI = "http://app.test/login" }, "",
			"initiate_login_uri invalid"},
		{"a login on the own machine", func(c *userstore.Client) { c.InitiateLoginURI = "http://127.0.0.1/login" }, "",
			"initiate_login_uri invalid"},
		{"a login with a fragment", func(c *userstore.Client) { c.InitiateLoginURI = "https://app.test/#login" }, "",
			"initiate_login_uri invalid"},
		{"a login by script", func(c *userstore.Client) { c.InitiateLoginURI = "javascript:alert(1)" }, "",
			"initiate_login_uri invalid"},

		// Chosen secrets.
		{"a secret of 16 characters", func(*userstore.Client) {}, "sixteen letters!", ""},
		{"a secret of 15", func(*userstore.Client) {}, "fifteen letters", "client_secret too_short"},
		{"a secret of 257", func(*userstore.Client) {}, strings.Repeat("x", 257), "client_secret too_long"},
		{"a secret of two lines", func(*userstore.Client) {}, "sixteen letters!\nand more", "client_secret invalid"},
		{"a secret of a public client",
			func(c *userstore.Client) { c.AuthMethod = userstore.AuthNone }, "sixteen letters!",
			"client_secret not_allowed"},
	}
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, log := newRegistry(db)
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				before, err := db.ListClients(t.Context(), nil, 1000)
				if err != nil {
					t.Fatal(err)
				}
				c := app()
				row.change(&c)
				made, secret, err := r.Create(t.Context(), c, row.secret)
				if row.want == "" {
					if err != nil {
						t.Fatal(err)
					}
					stored, err := db.ClientByID(t.Context(), made.ID)
					if err != nil || !reflect.DeepEqual(stored, made) {
						t.Errorf("stored %+v\nanswered %+v (%v)", stored, made, err)
					}
					if made.SecretHash != "" && row.secret == "" && secret == "" {
						t.Error("nobody was told the secret")
					}
					return
				}
				if got := strings.Join(fields(t, err), ", "); got != row.want {
					t.Errorf("%s\nwant %s", got, row.want)
				}
				if after, err := db.ListClients(t.Context(), nil, 1000); err != nil || len(after) != len(before) {
					t.Errorf("something was stored (%v)", err)
				}
			})
		}
		if strings.Contains(log.String(), "sixteen") {
			t.Error("the log holds a secret")
		}
	})
}

func TestWhatAClientIsPresumedToBe(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, _ := newRegistry(db)
		for _, row := range []struct {
			name   string
			client userstore.Client
			want   string
		}{
			{"with a place to go", userstore.Client{}, "authorization_code"},
			{"of our own, with a place to go", userstore.Client{FirstParty: true}, "authorization_code"},
			{"of our own, that only has the account API",
				userstore.Client{FirstParty: true, AuthMethod: userstore.AuthNone}, ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				row.client.Name = "App"
				if row.want != "" {
					row.client.RedirectURIs = []string{"https://app.test/cb"}
				}
				made, _, err := r.Create(t.Context(), row.client, "")
				if err != nil || strings.Join(made.GrantTypes, " ") != row.want ||
					(row.want != "") != slices.Equal(made.ResponseTypes, []string{"code"}) {
					t.Errorf("grant types %q, response types %q (%v)", made.GrantTypes, made.ResponseTypes, err)
				}
			})
		}
	})
}
