package protocol_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

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
