package userstore_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	hashes "github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// newRegistry returns a registry on a store, and its log.
func newRegistry(db userstore.Clients) (*userstore.Registry, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return &userstore.Registry{
		Store:      db,
		Hasher:     hashes.New(cheap, 2, 200, time.Minute),
		Now:        func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.UTC) },
		NewID:      newID,
		Log:        slog.New(slog.NewTextHandler(log, nil)),
		Resources:  []string{"https://api.test", "https://other.test"},
		Algorithms: func(context.Context) ([]string, error) { return []string{"RS256", "EdDSA"}, nil },
	}, log
}

// app returns a valid client.
func app() userstore.Client {
	return userstore.Client{Name: "App", ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://app.test/cb"}}}
}

func public(uris ...string) userstore.Client {
	c := app()
	c.AuthMethod, c.RedirectURIs = userstore.AuthNone, uris
	return c
}

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
		{"A-34 a name of 10 KiB", func(c *userstore.Client) { c.Name = strings.Repeat("x", 10<<10) }, "", "client_name too_long"},
		{"A-34 a name with a right-to-left override", func(c *userstore.Client) { c.Name = "Good\u202egnp.exe" }, "", "client_name invalid"},
		{"A-34 a name with a zero-width space", func(c *userstore.Client) { c.Name = "Google\u200b" }, "", "client_name invalid"},
		{"a name that moves the cursor", func(c *userstore.Client) { c.Name = "\x1b[2JApp" }, "", "client_name invalid"},
		{"a name of two lines", func(c *userstore.Client) { c.Name = "App\nverified" }, "", "client_name invalid"},
		{"a name that is not UTF-8", func(c *userstore.Client) { c.Name = "App\xff" }, "", "client_name invalid"},
		{"a name with markup is only text", func(c *userstore.Client) { c.Name = "<img src=x onerror=1> Žofie’s" }, "", ""},
		{"an id of somebody's own", func(c *userstore.Client) { c.ID = "My_app-2.~" }, "", ""},
		{"an id that is a flag", func(c *userstore.Client) { c.ID = "-x" }, "", "client_id invalid"},
		{"an id that is a folder", func(c *userstore.Client) { c.ID = ".." }, "", "client_id invalid"},
		{"an id with a slash", func(c *userstore.Client) { c.ID = "a/b" }, "", "client_id invalid"},
		{"an id with a colon, which ends it in Basic", func(c *userstore.Client) { c.ID = "a:b" }, "", "client_id invalid"},
		{"an id that is too long", func(c *userstore.Client) { c.ID = strings.Repeat("a", 65) }, "", "client_id invalid"},
		{"all that is wrong, at once", func(c *userstore.Client) {
			c.Name, c.PKCE, c.Scopes, c.LogoURI = "", "plain", []string{"a b"}, "javascript:alert(1)"
			c.RedirectURIs = []string{"https://ok.test", "/cb"}
		}, "short", "client_name required, pkce invalid, redirect_uris.1 invalid, logo_uri invalid, scope.0 invalid, client_secret too_short"},

		// Redirect URIs.
		{"R-06 no redirect URI", redirects(), "", "redirect_uris required"},
		{"R-06 a fragment", redirects("https://app.test/cb#x"), "", "redirect_uris.0 invalid"},
		{"R-06 an empty fragment", redirects("https://app.test/cb#"), "", "redirect_uris.0 invalid"},
		{"R-06 a wildcard host", redirects("https://*.x.test/cb"), "", "redirect_uris.0 invalid"},
		{"R-06 a wildcard path", redirects("https://x.test/*"), "", "redirect_uris.0 invalid"},
		{"R-06 http", redirects("http://app.test/cb"), "", "redirect_uris.0 invalid"},
		{"R-06 http to a host that begins like a loopback address", redirects("http://127.0.0.1.evil.test/cb"), "", "redirect_uris.0 invalid"},
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
		{"an address that only browsers understand", redirects("https://0x7f.1/cb", "https://2130706433/cb"), "", "redirect_uris.0 invalid, redirect_uris.1 invalid"},
		{"no port behind the colon", redirects("https://web.test:/cb"), "", "redirect_uris.0 invalid"},
		{"a port that is none", redirects("https://web.test:65536/cb", "https://web.test:080/cb"), "", "redirect_uris.0 invalid, redirect_uris.1 invalid"},
		{"a query stays", redirects("https://web.test:8443/cb?tenant=a&b=%2F"), "", ""},
		{"an address instead of a name", redirects("https://192.0.2.7/cb", "https://[2001:db8::1]:8443/cb"), "", ""},
		{"loopback over http", redirects("http://127.0.0.1/cb", "http://[::1]:8080/cb", "http://localhost:3000/cb", "http://app.localhost/cb"), "", ""},
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
			c.AuthMethod, c.GrantTypes, c.RedirectURIs, c.FirstParty = userstore.AuthNone, []string{"refresh_token"}, nil, true
		}, "", ""},
		{"a grant type that there is not", func(c *userstore.Client) { c.GrantTypes = []string{"authorization_code", "implicit", "password"} }, "", "grant_types.1 invalid, grant_types.2 invalid"},
		{"a response type that there is not", func(c *userstore.Client) { c.ResponseTypes = []string{"code", "id_token"} }, "", "response_types.1 invalid"},
		{"a response type without its grant", func(c *userstore.Client) {
			c.GrantTypes, c.ResponseTypes = []string{"client_credentials"}, []string{"code"}
		}, "", "response_types invalid"},
		{"a method that there is not", func(c *userstore.Client) { c.AuthMethod = "client_secret_jwt" }, "", "token_endpoint_auth_method invalid"},
		{"PKCE optional for a confidential client", func(c *userstore.Client) { c.PKCE = "optional" }, "", ""},
		{"PKCE optional for a public client", func(c *userstore.Client) { *c = public("https://app.test/cb"); c.PKCE = "optional" }, "", "pkce invalid"},

		// Keys.
		{"R-10 an RSA key and an Ed25519 key", key(rsaJWK(2048), edJWK()), "", ""},
		{"R-10 a private key", key(edJWK(), strings.Replace(edJWK(), `"x"`, `"d":"AA","x"`, 1)), "", "jwks.keys.1 not_allowed"},
		{"R-10 a symmetric key", key(`{"kty":"oct","k":"c2VjcmV0"}`), "", "jwks.keys.0 not_allowed"},
		{"R-10 an RSA key of 1024 bits", key(rsaJWK(1024)), "", "jwks.keys.0 invalid"},
		{"R-10 20 keys", key(many(20, edJWK())...), "", ""},
		{"R-10 21 keys", key(many(21, edJWK())...), "", "jwks too_long"},
		{"R-10 jwks and jwks_uri", func(c *userstore.Client) { key(edJWK())(c); c.JWKSURI = "https://app.test/jwks" }, "", "jwks_uri invalid"},
		{"a key for encryption beside one for signatures", key(edJWK(), `{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}`), "", ""},
		{"only keys that are not for us", key(`{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}`), "", "jwks invalid"},
		{"a key with a member twice", key(strings.Replace(edJWK(), `"kid"`, `"kty":"OKP","kid"`, 1)), "", "jwks.keys.0 invalid"},
		{"a key that is none", key(`"key"`), "", "jwks.keys.0 invalid"},
		{"an Ed25519 key of the wrong length", key(`{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`), "", "jwks.keys.0 invalid"},
		{"no keys", key(), "", "jwks invalid"},
		{"a set that is none", func(c *userstore.Client) { key()(c); c.JWKS = json.RawMessage(`[]`) }, "", "jwks invalid"},
		{"a set with other keys under another case", func(c *userstore.Client) {
			key()(c)
			c.JWKS = json.RawMessage(`{"keys":[` + edJWK() + `],"KEYS":[]}`)
		}, "", ""},
		{"private_key_jwt without keys", func(c *userstore.Client) { c.AuthMethod = userstore.AuthPrivateKeyJWT }, "", "jwks required"},
		{"private_key_jwt with an address", func(c *userstore.Client) {
			c.AuthMethod, c.JWKSURI = userstore.AuthPrivateKeyJWT, "https://app.test/jwks.json"
		}, "", ""},
		{"keys at an address in clear", func(c *userstore.Client) { c.JWKSURI = "http://app.test/jwks.json" }, "", "jwks_uri invalid"},
		{"keys behind a fragment", func(c *userstore.Client) { c.JWKSURI = "https://app.test/jwks#a" }, "", "jwks_uri invalid"},

		// Scopes, resources, algorithms, addresses of pages.
		{"scopes", func(c *userstore.Client) { c.Scopes = []string{"openid", "orders:read", "https://scope.test/x"} }, "", ""},
		{"a scope that is none", func(c *userstore.Client) { c.Scopes = []string{"openid", "a\"b", "", "é"} }, "", "scope.1 invalid, scope.2 invalid, scope.3 invalid"},
		{"a scope twice", func(c *userstore.Client) { c.Scopes = []string{"openid", "openid"} }, "", "scope.1 invalid"},
		{"admin for a third party", func(c *userstore.Client) { c.Scopes = []string{"admin"} }, "", "scope.0 not_allowed"},
		{"admin for a first party", func(c *userstore.Client) { c.Scopes, c.FirstParty = []string{"admin"}, true }, "", ""},
		{"a resource", func(c *userstore.Client) { c.Resources = []string{"https://api.test"} }, "", ""},
		{"a resource with the slash that is all of its path", func(c *userstore.Client) { c.Resources = []string{"https://api.test/"} }, "", ""},
		{"a resource in both spellings", func(c *userstore.Client) { c.Resources = []string{"https://api.test", "https://api.test/"} }, "", ""},
		{"a resource in one spelling twice", func(c *userstore.Client) { c.Resources = []string{"https://api.test/", "https://api.test/"} }, "", "resources.1 invalid"},
		{"a resource that is not registered", func(c *userstore.Client) { c.Resources = []string{"https://api.test", "https://api.test//"} }, "", "resources.1 not_allowed"},
		{"a resource with a path that is not registered", func(c *userstore.Client) { c.Resources = []string{"https://api.test/x"} }, "", "resources.0 not_allowed"},
		{"an algorithm that is on", func(c *userstore.Client) { c.IDTokenAlg = "EdDSA" }, "", ""},
		{"an algorithm without an active key", func(c *userstore.Client) { c.IDTokenAlg = "ES256" }, "", "id_token_signed_response_alg not_allowed"},
		{"no algorithm", func(c *userstore.Client) { c.IDTokenAlg = "none" }, "", "id_token_signed_response_alg not_allowed"},
		{"pages of https", func(c *userstore.Client) {
			c.ClientURI, c.LogoURI, c.PolicyURI, c.TOSURI = "https://app.test", "https://app.test/logo.png", "https://app.test/p#us", "https://app.test/t"
		}, "", ""},
		{"pages of anything else", func(c *userstore.Client) {
			c.ClientURI, c.LogoURI, c.PolicyURI, c.TOSURI = "http://app.test", "data:image/png;base64,AA", "/p", "https://a:b@app.test"
		}, "", "client_uri invalid, logo_uri invalid, policy_uri invalid, tos_uri invalid"},

		// Chosen secrets.
		{"a secret of 16 characters", func(*userstore.Client) {}, "sixteen letters!", ""},
		{"a secret of 15", func(*userstore.Client) {}, "fifteen letters", "client_secret too_short"},
		{"a secret of 257", func(*userstore.Client) {}, strings.Repeat("x", 257), "client_secret too_long"},
		{"a secret of two lines", func(*userstore.Client) {}, "sixteen letters!\nand more", "client_secret invalid"},
		{"a secret of a public client", func(c *userstore.Client) { c.AuthMethod = userstore.AuthNone }, "sixteen letters!", "client_secret not_allowed"},
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
			{"of our own, that only has the account API", userstore.Client{FirstParty: true, AuthMethod: userstore.AuthNone}, ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				row.client.Name = "App"
				if row.want != "" {
					row.client.RedirectURIs = []string{"https://app.test/cb"}
				}
				made, _, err := r.Create(t.Context(), row.client, "")
				if err != nil || strings.Join(made.GrantTypes, " ") != row.want || (row.want != "") != slices.Equal(made.ResponseTypes, []string{"code"}) {
					t.Errorf("grant types %q, response types %q (%v)", made.GrantTypes, made.ResponseTypes, err)
				}
			})
		}
	})
}

// clientEvents returns the audit entries of a client, oldest first, as "name field=before>after …".
func clientEvents(t *testing.T, db userstore.Audit, id string) (out []string) {
	t.Helper()
	events, err := db.ListEvents(t.Context(), userstore.EventQuery{Limit: 1000, TargetID: id})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(events) {
		line := string(e.Name)
		for _, c := range e.Changes {
			line += " " + c.Field + "=" + c.Before + ">" + c.After
		}
		if e.Target != (audit.Target{Type: audit.OnClient, ID: id}) {
			line += fmt.Sprint(e.Target)
		}
		out = append(out, line)
	}
	return out
}

// TestRegistryEvents follows a client through its life: its state after each act, and the audit
// entries (O-10).
func TestRegistryEvents(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, log := newRegistry(db)
		ctx := t.Context()
		at := r.Now()
		r.Now = func() time.Time { at = at.Add(time.Minute); return at }
		c := app()
		c.ID = "web"
		c, secret, err := r.Create(ctx, c, "")
		if err != nil {
			t.Fatal(err)
		}
		if raw, err := base64.RawURLEncoding.DecodeString(secret); err != nil || len(raw) != 32 || c.SecretHash != userstore.ClientSecretHash(secret) {
			t.Errorf("a secret of %d bytes, stored as %q (%v)", len(raw), c.SecretHash, err)
		}
		if c.AuthMethod != userstore.AuthBasic || !reflect.DeepEqual(c.GrantTypes, []string{"authorization_code"}) || !reflect.DeepEqual(c.ResponseTypes, []string{"code"}) {
			t.Errorf("not what RFC 7591 presumes: %+v", c)
		}
		if _, _, err := r.Create(ctx, c, ""); !errors.Is(err, userstore.ErrExists) {
			t.Errorf("made twice: %v", err)
		}
		edit := func(chosen string, change func(*userstore.Client)) (userstore.Client, string) {
			t.Helper()
			c, secret, err := r.Edit(ctx, "web", chosen, func(c *userstore.Client) error { change(c); return nil })
			if err != nil {
				t.Fatal(err)
			}
			if stored, err := db.ClientByID(ctx, "web"); err != nil || !reflect.DeepEqual(stored, c) {
				t.Errorf("stored %+v\nanswered %+v (%v)", stored, c, err)
			}
			return c, secret
		}
		edit("", func(c *userstore.Client) { c.Name = "Shop"; c.Scopes = []string{"openid", "email"} })
		if unchanged, _ := edit("", func(*userstore.Client) {}); unchanged.Version != 2 {
			t.Error("an edit of nothing was stored")
		}
		before, _ := edit("", func(c *userstore.Client) { c.AuthMethod = userstore.AuthNone })
		if before.SecretHash != "" {
			t.Error("a public client keeps a secret")
		}
		c, secret = edit("", func(c *userstore.Client) { c.AuthMethod = userstore.AuthPost })
		if secret == "" || c.SecretHash != userstore.ClientSecretHash(secret) {
			t.Error("a client that needs a secret was given none")
		}
		c, secret = edit("a secret of my own", func(*userstore.Client) {})
		if secret != "" || !strings.HasPrefix(c.SecretHash, "$argon2id$") {
			t.Errorf("a chosen secret: answered %q, stored %q", secret, c.SecretHash)
		}
		c, secret, err = r.RotateSecret(ctx, "web", "")
		if err != nil || secret == "" || c.SecretHash != userstore.ClientSecretHash(secret) {
			t.Errorf("rotated to %q, stored %q (%v)", secret, c.SecretHash, err)
		}
		edit("", func(c *userstore.Client) { c.GrantTypes, c.RedirectURIs = []string{"client_credentials"}, nil })
		for _, active := range []bool{false, false, true, true} {
			if err := r.SetActive(ctx, "web", active); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Delete(ctx, "web"); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"client_created client_name=>App token_endpoint_auth_method=>client_secret_basic grant_types=>authorization_code response_types=>code redirect_uris=>https://app.test/cb",
			"client_updated client_name=App>Shop scope=>openid email",
			"client_updated token_endpoint_auth_method=client_secret_basic>none",
			"client_updated token_endpoint_auth_method=none>client_secret_post",
			"client_secret_rotated",
			"client_secret_rotated",
			"client_secret_rotated",
			"client_updated grant_types=authorization_code>client_credentials response_types=code> redirect_uris=https://app.test/cb>",
			"client_updated disabled=false>true",
			"client_updated disabled=true>false",
			"client_deleted",
		}
		got := clientEvents(t, db, "web")
		slices.Sort(got[3:5]) // of one instant
		if !reflect.DeepEqual(got, append(slices.Clone(want[:3]), append([]string{want[4], want[3]}, want[5:]...)...)) {
			t.Errorf("%s", strings.Join(got, "\n"))
		}
		for _, hash := range []string{"argon2id", "my own", secret, before.SecretHash} {
			if hash != "" && strings.Contains(log.String(), hash) {
				t.Errorf("the log holds %q", hash)
			}
		}

		for name, act := range map[string]func() error{
			"edit": func() error {
				_, _, err := r.Edit(ctx, "web", "", func(*userstore.Client) error { return nil })
				return err
			},
			"rotate":  func() error { _, _, err := r.RotateSecret(ctx, "web", ""); return err },
			"disable": func() error { return r.SetActive(ctx, "web", false) },
			"delete":  func() error { return r.Delete(ctx, "web") },
		} {
			if err := act(); !errors.Is(err, userstore.ErrNotFound) {
				t.Errorf("%s of a client that is gone: %v", name, err)
			}
		}
	})
}

// TestIDsThatAreMadeCanBeNamedOnACommandLine: an id that begins with - would be taken for a flag.
func TestIDsThatAreMadeCanBeNamedOnACommandLine(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r, _ := newRegistry(w.Store)
		for made, newID := range map[string]*func() string{"user": &w.NewID, "client": &r.NewID} {
			ids := []string{"--help", "-B", "ok_" + made}
			*newID = func() string {
				id := ids[0]
				ids = ids[1:]
				return id
			}
		}
		c, _, err := r.Create(t.Context(), app(), "")
		if err != nil || !strings.HasPrefix(c.ID, "ok") {
			t.Errorf("%q %v", c.ID, err)
		}
		if u := w.alice(t); !strings.HasPrefix(u.ID, "ok") {
			t.Errorf("%q", u.ID)
		}
	})
}

// TestRegistryRefusals lists what no edit may do.
func TestRegistryRefusals(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, _ := newRegistry(db)
		ctx := t.Context()
		spa := public("https://spa.test/cb")
		spa.ID = "spa"
		if _, _, err := r.Create(ctx, spa, ""); err != nil {
			t.Fatal(err)
		}
		t.Run("the built-in client stays", func(t *testing.T) {
			if err := r.Delete(ctx, userstore.FirstPartyClientID); !errors.Is(err, userstore.ErrBuiltIn) {
				t.Error(err)
			}
			for _, change := range []func(*userstore.Client){
				func(c *userstore.Client) { c.FirstParty = false },
				func(c *userstore.Client) { c.AuthMethod = userstore.AuthBasic },
			} {
				_, _, err := r.Edit(ctx, userstore.FirstPartyClientID, "", func(c *userstore.Client) error { change(c); return nil })
				if got := fields(t, err); !slices.Contains(got, "client_id not_allowed") {
					t.Error(got)
				}
			}
			c, secret, err := r.Edit(ctx, userstore.FirstPartyClientID, "", func(c *userstore.Client) error { c.Name = "Acme"; return nil })
			if err != nil || secret != "" || c.Name != "Acme" {
				t.Error("it cannot be renamed:", err)
			}
		})
		t.Run("a public client has no secret to rotate", func(t *testing.T) {
			_, _, err := r.RotateSecret(ctx, "spa", "")
			if got := fields(t, err); !reflect.DeepEqual(got, []string{"token_endpoint_auth_method not_allowed"}) {
				t.Error(got)
			}
		})
		t.Run("a chosen secret that is short", func(t *testing.T) {
			_, _, err := r.RotateSecret(ctx, "spa", "short")
			if got := fields(t, err); !reflect.DeepEqual(got, []string{"client_secret too_short"}) {
				t.Error(got)
			}
		})
		t.Run("identity is not an edit's to change", func(t *testing.T) {
			for name, change := range map[string]func(*userstore.Client){
				"id": func(c *userstore.Client) { c.ID = "x" }, "hash": func(c *userstore.Client) { c.SecretHash = "x" },
				"activity": func(c *userstore.Client) { c.DisabledAt = r.Now() }, "creation": func(c *userstore.Client) { c.CreatedAt = r.Now().Add(time.Hour) },
			} {
				if _, _, err := r.Edit(ctx, "spa", "", func(c *userstore.Client) error { change(c); return nil }); err == nil {
					t.Errorf("%s was changed", name)
				}
			}
		})
		t.Run("what the configuration took away does not stand in the way of another edit", func(t *testing.T) {
			edit := func(change func(*userstore.Client)) error {
				_, _, err := r.Edit(ctx, "spa", "", func(c *userstore.Client) error { change(c); return nil })
				return err
			}
			if err := edit(func(c *userstore.Client) { c.Resources, c.IDTokenAlg = []string{"https://api.test"}, "EdDSA" }); err != nil {
				t.Fatal(err)
			}
			r.Resources = []string{"https://other.test"}
			r.Algorithms = func(context.Context) ([]string, error) { return []string{"RS256"}, nil }
			if err := edit(func(c *userstore.Client) { c.Name = "Renamed" }); err != nil {
				t.Error(err)
			}
			if err := edit(func(c *userstore.Client) { c.Resources = append(c.Resources, "https://other.test") }); err != nil {
				t.Error(err)
			}
			if err := edit(func(c *userstore.Client) { c.Resources = nil }); err != nil {
				t.Error(err)
			}
			if got := fields(t, edit(func(c *userstore.Client) { c.Resources = []string{"https://api.test"} })); !reflect.DeepEqual(got, []string{"resources.0 not_allowed"}) {
				t.Error(got)
			}
		})
		t.Run("when nobody knows which algorithms there are, nothing is registered", func(t *testing.T) {
			down := errors.New("down")
			r.Algorithms = func(context.Context) ([]string, error) { return nil, down }
			c := app()
			c.IDTokenAlg = "RS256"
			if _, _, err := r.Create(ctx, c, ""); !errors.Is(err, down) {
				t.Error(err)
			}
		})
	})
}

// TestRegistryEditsAtOnce: concurrent edits are each applied whole, and none is lost.
func TestRegistryEditsAtOnce(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, _ := newRegistry(db)
		c, _, err := r.Create(t.Context(), app(), "")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for n := range 6 {
			wg.Go(func() {
				_, _, err := r.Edit(t.Context(), c.ID, "", func(c *userstore.Client) error {
					c.Scopes = append(c.Scopes, fmt.Sprintf("s%d", n))
					return nil
				})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					done++
				case !errors.Is(err, userstore.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got, err := db.ClientByID(t.Context(), c.ID)
		if err != nil || len(got.Scopes) != done || done == 0 || got.Version != int64(1+done) {
			t.Errorf("%d edits were answered, %v were kept, version %d (%v)", done, got.Scopes, got.Version, err)
		}
		if n := len(clientEvents(t, db, c.ID)); n != 1+done {
			t.Errorf("%d events of %d acts", n, 1+done)
		}
	})
}

// TestClientDocument pins the JSON that programs read.
func TestClientDocument(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 8, 7, 654321000, time.UTC)
	for _, row := range []struct {
		name, secret, want string
		c                  userstore.Client
	}{
		{"a public client", "", `{"client_id":"spa","client_id_issued_at":1772356087,"client_name":"S","token_endpoint_auth_method":"none","grant_types":["authorization_code"],` +
			`"response_types":["code"],"redirect_uris":["https://s.test/cb"],"resources":[],"first_party":false,"disabled":true}`,
			userstore.Client{ID: "spa", Name: "S", AuthMethod: "none", GrantTypes: []string{"authorization_code"}, CreatedAt: at, DisabledAt: at,
				ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://s.test/cb"}, ResponseTypes: []string{"code"}}}},
		{"a secret, once", "s3cret", `{"client_id":"m","client_secret":"s3cret","client_id_issued_at":1772356087,"client_secret_expires_at":0,"client_name":"M",` +
			`"token_endpoint_auth_method":"client_secret_post","grant_types":["client_credentials"],"response_types":[],"redirect_uris":[],"scope":"a b",` +
			`"resources":["https://api.test"],"pkce":"optional","first_party":true,"disabled":false}`,
			userstore.Client{ID: "m", Name: "M", AuthMethod: "client_secret_post", GrantTypes: []string{"client_credentials"}, CreatedAt: at, SecretHash: "h", FirstParty: true,
				Scopes: []string{"a", "b"}, Resources: []string{"https://api.test"}, ClientMetadata: userstore.ClientMetadata{PKCE: "optional"}}},
		{"keys and pages", "", `{"client_id":"k","client_id_issued_at":1772356087,"client_name":"K","token_endpoint_auth_method":"private_key_jwt","grant_types":[],"response_types":[],` +
			`"redirect_uris":[],"post_logout_redirect_uris":["https://k.test/bye"],"id_token_signed_response_alg":"EdDSA","jwks":{"keys":[]},"client_uri":"https://k.test",` +
			`"logo_uri":"https://k.test/l","policy_uri":"https://k.test/p","tos_uri":"https://k.test/t","resources":[],"first_party":false,"disabled":false}`,
			userstore.Client{ID: "k", Name: "K", AuthMethod: "private_key_jwt", IDTokenAlg: "EdDSA", CreatedAt: at, ClientMetadata: userstore.ClientMetadata{
				PostLogoutRedirectURIs: []string{"https://k.test/bye"}, JWKS: json.RawMessage(`{"keys":[]}`), ClientURI: "https://k.test",
				LogoURI: "https://k.test/l", PolicyURI: "https://k.test/p", TOSURI: "https://k.test/t"}}},
	} {
		got, err := json.Marshal(row.c.Document(row.secret))
		if err != nil || string(got) != row.want {
			t.Errorf("%s:\n got %s\nwant %s (%v)", row.name, got, row.want, err)
		}
	}
}
