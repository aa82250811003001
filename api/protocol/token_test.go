package protocol_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// withIntrospection gives the fixtures a resource whose server is the client rs.
func withIntrospection(o *apitest.Options) {
	o.Resources = []issuer.Resource{
		{URI: "https://api.test", Scopes: []string{"api.read", "api.write"}, IntrospectionClients: []string{"rs"}},
		{URI: "https://files.test", Scopes: []string{"files"}},
	}
}

// standard are the fixtures of the attack cases: a confidential client, another one, a public one,
// and a resource server.
type standard struct {
	web, other, spa, post, rs apitest.Client
	alice                     apitest.User
}

func newStandard(s *apitest.Server) standard {
	return standard{
		web:   s.Register(userstore.Client{ID: "web", Resources: []string{"https://api.test", "https://files.test"}}),
		other: s.Register(userstore.Client{ID: "other"}),
		spa: s.Register(userstore.Client{ID: "spa", AuthMethod: userstore.AuthNone,
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"http://127.0.0.1/cb"}}}),
		post:  s.Register(userstore.Client{ID: "post", AuthMethod: userstore.AuthPost}),
		rs:    s.Register(userstore.Client{ID: "rs", GrantTypes: []string{userstore.GrantClientCredentials}}),
		alice: s.SignUp("alice"),
	}
}

func TestCodeFlow(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		for _, c := range []apitest.Client{f.web, f.spa, f.post} {
			t.Run(c.AuthMethod, func(t *testing.T) {
				s := s.With(t)
				res := s.Do(s.CodeRequest(c, s.Code(f.alice, c))).Want(200, "")
				var tokens apitest.Tokens
				res.JSON(&tokens)
				if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Pragma") != "no-cache" {
					t.Errorf("T-34: %v", res.Header)
				}
				if tokens.Type != "Bearer" || tokens.ExpiresIn != 600 || tokens.Scope != "openid profile email" ||
					tokens.Refresh == "" {
					t.Errorf("answered %+v", tokens)
				}
				if typ := apitest.Header(tokens.Access)["typ"]; typ != "at+jwt" {
					t.Errorf("T-34: typ %v", typ)
				}
				access := apitest.Claims(tokens.Access)
				for _, name := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "sid", "auth_time", "acr",
					"scope"} {
					if access[name] == nil {
						t.Errorf("T-34: the access token has no %s", name)
					}
				}
				id := apitest.Claims(tokens.ID)
				want := apitest.Fields{"iss": apitest.IssuerURL, "sub": f.alice.ID, "aud": c.ID, "nonce": "the nonce", "acr": "1",
					"sid": access["sid"]}
				for name, value := range want {
					if id[name] != value {
						t.Errorf("the ID token says %s %v, want %v", name, id[name], value)
					}
				}
				if access["sub"] != f.alice.ID || access["client_id"] != c.ID {
					t.Errorf("the access token is for %v through %v", access["sub"], access["client_id"])
				}
				// The refresh token belongs to the grant, goes on working, and has no nonce in what
				// comes of it.
				var next apitest.Tokens
				s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "").JSON(&next)
				id = apitest.Claims(next.ID)
				if id["nonce"] != nil || id["auth_time"] != access["auth_time"] ||
					apitest.Claims(next.Access)["sid"] != access["sid"] {
					t.Errorf("refreshed: %v", id)
				}
			})
		}
	})
}

func TestCodeRefusals(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		code := s.Code(f.alice, f.web)
		change := func(name string, values ...string) func(url.Values) {
			return func(v url.Values) { v[name] = values }
		}
		flip := func(text string) string { // the last character of 256 bits has bits to spare; the first has none
			if text[0] == 'A' {
				return "B" + text[1:]
			}
			return "A" + text[1:]
		}
		swap := func(text string) string {
			return strings.Map(func(r rune) rune {
				switch {
				case 'a' <= r && r <= 'z':
					return r - 32
				case 'A' <= r && r <= 'Z':
					return r + 32
				}
				return r
			}, text)
		}
		for _, row := range []struct {
			name string
			by   apitest.Client
			edit func(url.Values)
			code string
		}{
			{"T-06 another redirect_uri", f.web, change("redirect_uri", "https://web.test/cb2"), "invalid_grant"},
			{"T-06 a redirect_uri that only begins alike", f.web, change("redirect_uri", "https://web.test/cb/"),
				"invalid_grant"},
			{"T-06 no redirect_uri though one was sent", f.web, change("redirect_uri"), "invalid_grant"},
			{"T-07 no verifier", f.web, change("code_verifier"), "invalid_grant"},
			{"T-07 an empty verifier", f.web, change("code_verifier", ""), "invalid_grant"},
			{"T-07 a wrong verifier", f.web, change("code_verifier", strings.Repeat("x", 64)), "invalid_grant"},
			{"T-07 42 characters", f.web, change("code_verifier", apitest.Verifier[:42]), "invalid_grant"},
			{"T-07 129 characters", f.web, change("code_verifier", strings.Repeat("x", 129)), "invalid_grant"},
			{"T-07 the challenge itself", f.web, change("code_verifier", apitest.Challenge), "invalid_grant"},
			{"T-09 one character changed", f.web, change("code", flip(code)), "invalid_grant"},
			{"T-09 truncated", f.web, change("code", code[:len(code)-1]), "invalid_grant"},
			{"T-09 another case", f.web, change("code", swap(code)), "invalid_grant"},
			{"T-09 appended", f.web, change("code", code+"A"), "invalid_grant"},
			{"a NUL", f.web, change("code", code+"\x00"), "invalid_grant"},
			{"no code", f.web, change("code"), "invalid_request"},
			{"an empty code", f.web, change("code", ""), "invalid_request"},
			{"the code of another client", f.other, func(url.Values) {}, "invalid_grant"},
			{"the code of another client, which is public", f.spa, func(url.Values) {}, "invalid_grant"},
			{"a resource that was not granted", f.web, change("resource", "https://api.test"), "invalid_target"},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				q := s.CodeRequest(row.by, code)
				q.Form.Set("redirect_uri", f.web.RedirectURIs[0])
				row.edit(q.Form)
				s.Unchanged(func() { s.Do(q).Want(400, row.code) })
			})
		}
		t.Run("T-03 after all of that its owner redeems it", func(t *testing.T) {
			s := s.With(t)
			s.Do(s.CodeRequest(f.web, code)).Want(200, "")
		})
		t.Run("T-09 a code lives 60 seconds", func(t *testing.T) {
			s := s.With(t)
			late, good := s.Code(f.alice, f.web), s.Code(f.alice, f.web)
			s.Advance(59 * time.Second)
			s.Do(s.CodeRequest(f.web, good)).Want(200, "")
			s.Advance(time.Second)
			s.Unchanged(func() { s.Do(s.CodeRequest(f.web, late)).Want(400, "invalid_grant") })
		})
		t.Run("without a challenge a verifier is a downgrade", func(t *testing.T) {
			s := s.With(t)
			bare := s.Code(f.alice, f.web, func(c *userstore.Code) { c.CodeChallenge = "" })
			s.Unchanged(func() { s.Do(s.CodeRequest(f.web, bare)).Want(400, "invalid_grant") })
			q := s.CodeRequest(f.web, bare)
			q.Form.Del("code_verifier")
			s.Do(q).Want(200, "")
		})
		t.Run("D-30 of a user or client that was disabled since", func(t *testing.T) {
			s := s.With(t)
			bob := s.SignUp("bob")
			gone := s.Register(userstore.Client{ID: "gone"})
			ofBob, ofGone := s.Code(bob, f.web), s.Code(f.alice, gone)
			if err := s.DB.SetActive(t.Context(), bob.ID, false, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			if err := s.DB.SetClientActive(t.Context(), gone.ID, false, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			s.Do(s.CodeRequest(f.web, ofBob)).Want(400, "invalid_grant")
			s.Do(s.CodeRequest(gone, ofGone)).Want(401, "invalid_client")
		})
		t.Run("a client that is not registered for refresh_token gets none, and its grant ends with the access token",
			func(t *testing.T) {
				s := s.With(t)
				once := s.Register(userstore.Client{ID: "once", GrantTypes: []string{userstore.GrantAuthorizationCode}})
				tokens := s.Redeem(f.alice, once)
				if tokens.Refresh != "" {
					t.Error("a refresh token")
				}
				s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
				grants, err := s.DB.ListGrants(t.Context(), f.alice.ID, s.Clock.Now(), time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				n := slices.IndexFunc(grants, func(g userstore.Grant) bool { return g.ClientID == "once" })
				if n < 0 || grants[n].ExpiresAt.Sub(s.Clock.Now()) != 10*time.Minute {
					t.Errorf("grants %+v", grants)
				}
			})
	}, withIntrospection)
}

func TestT01ACodeIsGoodForOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		for name, after := range map[string]time.Duration{"at once": 0, "30 seconds later": 30 * time.Second,
			"half an hour later": 30 * time.Minute} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				code := s.Code(f.alice, f.web)
				var tokens apitest.Tokens
				s.Do(s.CodeRequest(f.web, code)).Want(200, "").JSON(&tokens)
				s.Advance(after)

				// With anything wrong it ends nothing: a thief who knows the code alone must not be
				// able to.
				for _, edit := range []func(*apitest.Request){
					func(q *apitest.Request) { q.Form.Set("code_verifier", strings.Repeat("x", 64)) },
					func(q *apitest.Request) { q.Form.Del("code_verifier") },
					func(q *apitest.Request) { q.Form.Set("redirect_uri", "https://web.test/other") },
					func(q *apitest.Request) { q.Basic = [2]string{f.other.ID, f.other.Secret} },
				} {
					q := s.CodeRequest(f.web, code)
					edit(&q)
					s.Unchanged(func() { s.Do(q).Want(400, "invalid_grant") })
				}
				if after < 10*time.Minute {
					s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
				}

				s.Do(s.CodeRequest(f.web, code)).Want(400, "invalid_grant")
				s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(401, "invalid_token")
				s.Do(s.RefreshRequest(f.web, tokens.Refresh)).Want(400, "invalid_grant")
				if active := s.Introspect(f.web, tokens.Access)["active"]; active != false {
					t.Errorf("introspection says %v", active)
				}
				if !strings.Contains(s.Log.String(), "code_replay") {
					t.Error("nothing was logged")
				}
			})
		}
	})
}

// Documented: whoever comes second ends what the first one got. Never are there two live lines.
func TestT04ParallelRedemptions(t *testing.T) {
	codes, parallel := 12, 32
	if testing.Short() {
		codes = 3
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		for n := range codes {
			code := s.Code(f.alice, f.web)
			answers := make([]*apitest.Response, parallel)
			var group sync.WaitGroup
			for i := range parallel {
				group.Go(func() {
					q := s.CodeRequest(f.web, code)
					q.Replica = i % 3
					answers[i] = s.Do(q)
				})
			}
			group.Wait()
			won := 0
			for _, a := range answers {
				switch {
				case a.Status == 200:
					won++
					var tokens apitest.Tokens
					a.JSON(&tokens)
					s.Do(s.RefreshRequest(f.web, tokens.Refresh)).Want(400, "invalid_grant")
					s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(401, "invalid_token")
				case a.Status != 400 || a.Code() != "invalid_grant":
					t.Errorf("code %d: %d %s", n, a.Status, a.Body)
				}
			}
			if won != 1 {
				t.Errorf("code %d was redeemed %d times", n, won)
			}
		}
	}, func(o *apitest.Options) { o.Replicas = 3 })
}

func TestT16GrantTypes(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		machine := s.Register(userstore.Client{ID: "machine", GrantTypes: []string{userstore.GrantClientCredentials}})
		for _, row := range []struct {
			name, code string
			by         apitest.Client
			form       url.Values
		}{
			{"missing", "invalid_request", f.web, url.Values{}},
			{"empty", "invalid_request", f.web, url.Values{"grant_type": {""}}},
			{"password", "unsupported_grant_type", f.web,
				url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"x"}}},
			{"implicit", "unsupported_grant_type", f.web, url.Values{"grant_type": {"implicit"}}},
			{"unknown", "unsupported_grant_type", f.web, url.Values{"grant_type": {"urn:x"}}},
			{"in another case", "unsupported_grant_type", f.web, url.Values{"grant_type": {"Client_Credentials"}}},
			{"twice", "invalid_request", f.web, url.Values{"grant_type": {"client_credentials", "client_credentials"}}},
			{"code, which the client is not registered for", "unauthorized_client", machine,
				url.Values{"grant_type": {"authorization_code"}, "code": {"x"}}},
			{"refresh, which the client is not registered for", "unauthorized_client", machine,
				url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}},
			{"client credentials of a public client", "unauthorized_client", f.spa,
				url.Values{"grant_type": {"client_credentials"}}},
			{"refresh without a token", "invalid_request", f.web, url.Values{"grant_type": {"refresh_token"}}},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() { s.Do(s.Authenticated(row.by, "/oauth2/token", row.form)).Want(400, row.code) })
			})
		}
	})
}

func TestT30T31TheBodyIsAForm(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		const good = "grant_type=client_credentials"
		for _, row := range []struct {
			name   string
			typ    string
			body   string
			path   string
			status int
			code   string
		}{
			{"as it should be", "application/x-www-form-urlencoded", good, "", 200, ""},
			{"with charset utf-8", "application/x-www-form-urlencoded; charset=UTF-8", good, "", 200, ""},
			{"with another parameter of the type", "application/x-www-form-urlencoded; foo=bar", good, "", 200, ""},
			{"T-30 utf-16 behind another parameter", "application/x-www-form-urlencoded; foo=bar; charset=utf-16", good, "", 415,
				"invalid_request"},
			{"with a parameter nobody knows, twice", "application/x-www-form-urlencoded", good + "&foo=1&foo=2", "", 200, ""},
			{"T-30 JSON", "application/json", `{"grant_type":"client_credentials"}`, "", 415, "invalid_request"},
			{"T-30 text", "text/plain", good, "", 415, "invalid_request"},
			{"T-30 multipart", "multipart/form-data; boundary=x", good, "", 415, "invalid_request"},
			{"T-30 no type", "-", good, "", 415, "invalid_request"},
			{"T-30 utf-16", "application/x-www-form-urlencoded;charset=utf-16", good, "", 415, "invalid_request"},
			{"T-31 more than 64 KiB", "application/x-www-form-urlencoded", good + "&x=" + strings.Repeat("y", 65<<10), "", 413,
				"invalid_request"},
			{"T-31 1 MiB", "application/x-www-form-urlencoded", good + "&x=" + strings.Repeat("y", 1<<20), "", 413,
				"invalid_request"},
			{"T-31 a hundred thousand parameters", "application/x-www-form-urlencoded", good + strings.Repeat("&a=b", 100_000),
				"", 413, "invalid_request"},
			{"T-31 a semicolon", "application/x-www-form-urlencoded", good + ";scope=x", "", 400, "invalid_request"},
			{"T-31 a broken escape", "application/x-www-form-urlencoded", good + "&scope=%zz", "", 400, "invalid_request"},
			{"T-31 not UTF-8", "application/x-www-form-urlencoded", good + "&scope=%ff", "", 400, "invalid_request"},
			{"parameters in the address", "application/x-www-form-urlencoded", good, "?scope=x", 400, "invalid_request"},
			{"a bare question mark", "application/x-www-form-urlencoded", good, "?", 400, "invalid_request"},
			{"scope twice", "application/x-www-form-urlencoded", good + "&scope=a&scope=b", "", 400, "invalid_request"},
			{"client_id twice", "application/x-www-form-urlencoded", good + "&client_id=web&client_id=web", "", 400,
				"invalid_request"},
			{"an empty body", "application/x-www-form-urlencoded", "", "", 400, "invalid_request"},
			{"resource twice is two resources", "application/x-www-form-urlencoded",
				good + "&resource=https://api.test&resource=https://files.test", "", 200, ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				q := apitest.Request{Method: "POST", Path: "/oauth2/token" + row.path, Basic: [2]string{f.web.ID, f.web.Secret},
					Body: row.body, Type: row.typ}
				s.Unchanged(func() { s.Do(q).Want(row.status, row.code) })
			})
		}
		t.Run("other methods", func(t *testing.T) {
			s := s.With(t)
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				if res := s.Do(apitest.Request{Method: method,
					Path: "/oauth2/token"}).Want(405, "invalid_request"); res.Header.Get("Allow") != "POST, OPTIONS" {
					t.Errorf("Allow %q", res.Header.Get("Allow"))
				}
			}
		})
	}, withIntrospection)
}

func TestClientCredentials(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		machine := s.Register(userstore.Client{
			ID: "machine", GrantTypes: []string{userstore.GrantClientCredentials}, Resources: []string{"https://api.test"},
			Scopes: []string{"openid", "api.read", "jobs"},
		})
		ask := func(s *apitest.Server, c apitest.Client, form url.Values) *apitest.Response {
			form.Set("grant_type", "client_credentials")
			return s.Do(s.Authenticated(c, "/oauth2/token", form))
		}
		t.Run("what it gets", func(t *testing.T) {
			s := s.With(t)
			for _, row := range []struct {
				form       url.Values
				scope, aud string
			}{
				{url.Values{}, "api.read jobs", apitest.IssuerURL},
				{url.Values{"scope": {"jobs"}}, "jobs", apitest.IssuerURL},
				{url.Values{"resource": {"https://api.test"}}, "api.read", "https://api.test"},
				{url.Values{"resource": {"https://api.test"}, "scope": {"api.read"}}, "api.read", "https://api.test"},
			} {
				var tokens apitest.Tokens
				s.Unchanged(func() { ask(s, machine, row.form).Want(200, "").JSON(&tokens) })
				c := apitest.Claims(tokens.Access)
				if tokens.Refresh != "" || tokens.ID != "" || tokens.ExpiresIn != 600 || tokens.Scope != row.scope {
					t.Errorf("%v: %+v", row.form, tokens)
				}
				if c["sub"] != "machine" || c["client_id"] != "machine" || c["aud"] != row.aud || c["scope"] != row.scope {
					t.Errorf("%v: %v", row.form, c)
				}
				for _, name := range []string{"sid", "auth_time", "acr", "amr", "roles"} {
					if c[name] != nil {
						t.Errorf("it says %s, though there is no user", name)
					}
				}
			}
			var tokens apitest.Tokens
			ask(s, f.rs, url.Values{}).Want(200, "").JSON(&tokens)
			if _, has := apitest.Claims(tokens.Access)["scope"]; has || tokens.Scope != "" {
				t.Errorf("a client without scopes got %q", tokens.Scope)
			}
		})
		for name, row := range map[string]struct {
			form url.Values
			code string
		}{
			"openid":                           {url.Values{"scope": {"openid"}}, "invalid_scope"},
			"admin":                            {url.Values{"scope": {"admin"}}, "invalid_scope"},
			"offline_access":                   {url.Values{"scope": {"jobs offline_access"}}, "invalid_scope"},
			"a scope that is not the client's": {url.Values{"scope": {"api.write"}}, "invalid_scope"},
			"a scope that is none":             {url.Values{"scope": {"a\"b"}}, "invalid_scope"},
			"a resource that is not its own":   {url.Values{"resource": {"https://files.test"}}, "invalid_target"},
			"a resource that nobody knows":     {url.Values{"resource": {"https://evil.test"}}, "invalid_target"},
		} {
			t.Run(name, func(t *testing.T) { s := s.With(t); ask(s, machine, row.form).Want(400, row.code) })
		}
		t.Run("there is no user behind it", func(t *testing.T) {
			s := s.With(t)
			var tokens apitest.Tokens
			ask(s, machine, url.Values{}).Want(200, "").JSON(&tokens)
			s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(403, "insufficient_scope")
			s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(403, "insufficient_scope")
		})
		t.Run("D-30 a disabled client gets none, and what it has is dead at once", func(t *testing.T) {
			s := s.With(t)
			gone := s.Register(userstore.Client{ID: "gone", Resources: []string{"https://api.test"}})
			var tokens apitest.Tokens
			ask(s, gone, url.Values{"resource": {"https://api.test"}}).Want(200, "").JSON(&tokens)
			if s.Introspect(f.rs, tokens.Access)["active"] != true {
				t.Error("not active")
			}
			if err := s.DB.SetClientActive(t.Context(), "gone", false, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			ask(s, gone, url.Values{}).Want(401, "invalid_client")
			if s.Introspect(f.rs, tokens.Access)["active"] != false {
				t.Error("active")
			}
		})
	}, withIntrospection)
}

func TestRefreshAtTheTokenEndpoint(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		tokens := s.Redeem(f.alice, f.web)
		for _, row := range []struct {
			name string
			by   apitest.Client
			edit func(url.Values)
			code string
		}{
			{"T-25 by another client", f.other, func(url.Values) {}, "invalid_grant"},
			{"T-25 by a public client", f.spa, func(url.Values) {}, "invalid_grant"},
			{"T-27 a character changed", f.web, func(v url.Values) {
				r := []byte(tokens.Refresh)
				r[len(r)/2] ^= 1
				v.Set("refresh_token", string(r))
			}, "invalid_grant"},
			{"T-27 truncated", f.web, func(v url.Values) { v.Set("refresh_token", tokens.Refresh[:len(tokens.Refresh)-1]) },
				"invalid_grant"},
			{"T-27 a NUL", f.web, func(v url.Values) { v.Set("refresh_token", tokens.Refresh+"\x00") }, "invalid_grant"},
			{"an access token", f.web, func(v url.Values) { v.Set("refresh_token", tokens.Access) }, "invalid_grant"},
			{"an ID token", f.web, func(v url.Values) { v.Set("refresh_token", tokens.ID) }, "invalid_grant"},
			{"nothing but a scope that was not granted", f.web, func(v url.Values) { v.Set("scope", "address") },
				"invalid_scope"},
			{"a resource that was not granted", f.web, func(v url.Values) { v.Set("resource", "https://api.test") },
				"invalid_target"},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				q := s.RefreshRequest(row.by, tokens.Refresh)
				row.edit(q.Form)
				s.Unchanged(func() { s.Do(q).Want(400, row.code) })
			})
		}
		t.Run("T-27 1 MiB", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() { s.Do(s.RefreshRequest(f.web, strings.Repeat("x", 1<<20))).Want(413, "invalid_request") })
		})
		t.Run("with less scope", func(t *testing.T) {
			s := s.With(t)
			q := s.RefreshRequest(f.web, tokens.Refresh)
			q.Form.Set("scope", "profile")
			var less apitest.Tokens
			s.Do(q).Want(200, "").JSON(&less)
			if less.Scope != "profile" || less.ID != "" {
				t.Errorf("%+v", less)
			}
		})
		t.Run("T-19, T-18 answered again, then a replay", func(t *testing.T) {
			s := s.With(t)
			first := s.Redeem(f.alice, f.web)
			var second, again, third apitest.Tokens
			s.Do(s.RefreshRequest(f.web, first.Refresh)).Want(200, "").JSON(&second)
			s.Do(s.RefreshRequest(f.web, first.Refresh)).Want(200, "").JSON(&again)
			if again.Refresh != second.Refresh {
				t.Error("another successor")
			}
			s.Do(s.RefreshRequest(f.web, second.Refresh)).Want(200, "").JSON(&third)
			s.Do(s.RefreshRequest(f.web, first.Refresh)).Want(400, "invalid_grant")
			s.Do(s.RefreshRequest(f.web, third.Refresh)).Want(400, "invalid_grant")
			if s.Introspect(f.web, third.Access)["active"] != false {
				t.Error("its access token lives")
			}
		})
		t.Run("T-28 after the idle limit", func(t *testing.T) {
			s := s.With(t)
			idle := s.Redeem(f.alice, f.web)
			s.Advance(337 * time.Hour)
			s.Do(s.RefreshRequest(f.web, idle.Refresh)).Want(400, "invalid_grant")
		})
		t.Run("the account API does not take it: the client is not first-party", func(t *testing.T) {
			s := s.With(t)
			fresh := s.Redeem(f.alice, f.web)
			s.Unchanged(func() { s.Refresh(fresh.Refresh).Want(401, "token_invalid") })
			s.Do(apitest.Request{Path: "/v1/profile", Token: fresh.Access}).Want(401, "token_invalid")
		})
		t.Run("a client that is no longer registered for it is refused, and the grant stays", func(t *testing.T) {
			s := s.With(t)
			was := s.Register(userstore.Client{ID: "was"})
			fresh := s.Redeem(f.alice, was)
			c, err := s.DB.ClientByID(t.Context(), "was")
			if err != nil {
				t.Fatal(err)
			}
			c.GrantTypes = []string{userstore.GrantAuthorizationCode}
			if err := s.DB.UpdateClient(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			s.Unchanged(func() { s.Do(s.RefreshRequest(was, fresh.Refresh)).Want(400, "unauthorized_client") })
		})
	}, withIntrospection)
}

func TestResourcesOfACode(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		both := func(c *userstore.Code) {
			c.Resources = []string{"https://api.test", "https://files.test"}
			c.Scopes = []string{"openid", "api.read", "files"}
		}
		var all, one apitest.Tokens
		s.Do(s.CodeRequest(f.web, s.Code(f.alice, f.web, both))).Want(200, "").JSON(&all)
		if aud := fmt.Sprint(apitest.Claims(all.Access)["aud"]); aud != "[https://api.test https://files.test]" ||
			all.Scope != "openid api.read files" {
			t.Errorf("aud %s, scope %s", aud, all.Scope)
		}
		q := s.CodeRequest(f.web, s.Code(f.alice, f.web, both))
		q.Form.Set("resource", "https://files.test")
		s.Do(q).Want(200, "").JSON(&one)
		if aud := apitest.Claims(one.Access)["aud"]; aud != "https://files.test" || one.Scope != "openid files" {
			t.Errorf("aud %s, scope %s", aud, one.Scope)
		}
		// The grant holds both: a refresh may ask for the other one.
		q = s.RefreshRequest(f.web, one.Refresh)
		q.Form.Set("resource", "https://api.test")
		s.Do(q).Want(200, "").JSON(&one)
		if aud := apitest.Claims(one.Access)["aud"]; aud != "https://api.test" || one.Scope != "openid api.read" {
			t.Errorf("aud %s, scope %s", aud, one.Scope)
		}
	}, withIntrospection)
}

func TestT34NoTwoTokensAreAlike(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	c := s.Register(userstore.Client{ID: "web"})
	seen := map[any]bool{}
	for range 200 {
		var tokens apitest.Tokens
		s.Do(s.Authenticated(c, "/oauth2/token",
			url.Values{"grant_type": {"client_credentials"}})).Want(http.StatusOK, "").JSON(&tokens)
		jti := apitest.Claims(tokens.Access)["jti"]
		if seen[jti] {
			t.Fatalf("jti %v twice", jti)
		}
		seen[jti] = true
	}
}
