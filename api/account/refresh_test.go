package account_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

func TestRefresh(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")

		t.Run("the next tokens, with everything that was granted", func(t *testing.T) {
			s := s.With(t)
			first := s.Login(alice, apitest.Fields{"scope": "openid profile"})
			s.Advance(time.Minute)
			var next apitest.Tokens
			s.Refresh(first.Refresh).Want(200, "").JSON(&next)
			if next.Scope != "openid profile" || next.Refresh == first.Refresh || next.ID == "" || next.Access == first.Access {
				t.Errorf("%+v", next)
			}
			s.Do(apitest.Request{Path: "/v1/profile", Token: next.Access}).Want(200, "")
		})
		t.Run("a narrower scope for one access token", func(t *testing.T) {
			s := s.With(t)
			first := s.Login(alice)
			var next apitest.Tokens
			s.Do(apitest.Request{Method: "POST", Path: "/v1/refresh",
				Body: apitest.Fields{"refresh_token": first.Refresh, "scope": "email"}}).Want(200, "").JSON(&next)
			if next.Scope != "email" {
				t.Errorf("scope %q", next.Scope)
			}
			s.Refresh(next.Refresh).Want(200, "").JSON(&next)
			if next.Scope != "profile email" {
				t.Errorf("the grant shrank to %q", next.Scope)
			}
		})

		live := s.Login(alice)
		run(t, s, apitest.Request{Method: "POST", Path: "/v1/refresh"}, []refusal{
			{"no token", apitest.Fields{}, 400, "validation_error", "refresh_token:required"},
			{"a wider scope", apitest.Fields{"refresh_token": live.Refresh, "scope": "openid"}, 400, "invalid_scope", ""},
			{"another resource", apitest.Fields{"refresh_token": live.Refresh, "resource": "https://evil.test"}, 400,
				"invalid_target", ""},
			{"T-25 another client's id", apitest.Fields{"refresh_token": live.Refresh, "client_id": "other"}, 401,
				"token_invalid", ""},
			{"an access token", apitest.Fields{"refresh_token": live.Access}, 401, "token_invalid", ""},
			{"a form's parameter", apitest.Fields{"refresh_token": live.Refresh, "grant_type": "refresh_token"}, 400,
				"validation_error", "grant_type:unknown_field"},
		})
		t.Run("the refused ones used nothing up", func(t *testing.T) { s.With(t).Refresh(live.Refresh).Want(200, "") })

		t.Run("T-18 a token whose successor was used ends the session", func(t *testing.T) {
			s := s.With(t)
			a := s.Login(alice)
			var b, c apitest.Tokens
			s.Refresh(a.Refresh).Want(200, "").JSON(&b)
			s.Refresh(b.Refresh).Want(200, "").JSON(&c)
			res := s.Refresh(a.Refresh).Want(401, "token_invalid")
			if got := res.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer error="invalid_token", `) {
				t.Errorf("challenge %q", got)
			}
			s.Refresh(c.Refresh).Want(401, "token_invalid")
			s.Do(apitest.Request{Path: "/v1/profile", Token: c.Access}).Want(401, "token_invalid")
			if !strings.Contains(s.Log.String(), "refresh_replay") {
				t.Error("no security event in the log")
			}
		})
		t.Run("T-19 a lost answer is answered again with the same successor", func(t *testing.T) {
			s := s.With(t)
			a := s.Login(alice)
			var b, again apitest.Tokens
			s.Refresh(a.Refresh).Want(200, "").JSON(&b)
			s.Advance(30 * time.Second)
			s.Refresh(a.Refresh).Want(200, "").JSON(&again)
			// The same generation, jti and exp; the signature may be another algorithm's business.
			for _, name := range []string{"gen", "jti", "exp", "iat"} {
				if apitest.Claims(b.Refresh)[name] != apitest.Claims(again.Refresh)[name] {
					t.Errorf("%s differs", name)
				}
			}
		})
		t.Run("T-21 three generations within one instant, then the first", func(t *testing.T) {
			s := s.With(t)
			a := s.Login(alice)
			token := a.Refresh
			for range 3 {
				var next apitest.Tokens
				s.Refresh(token).Want(200, "").JSON(&next)
				token = next.Refresh
			}
			s.Refresh(a.Refresh).Want(401, "token_invalid")
			s.Refresh(token).Want(401, "token_invalid")
		})
		t.Run("T-28 past the idle limit, and past the absolute one however often refreshed", func(t *testing.T) {
			s := s.With(t)
			a := s.Login(alice)
			s.Advance(336*time.Hour + time.Second)
			s.Refresh(a.Refresh).Want(401, "token_expired")
			b := s.Login(alice)
			for range 3 {
				s.Advance(239 * time.Hour)
				s.Refresh(b.Refresh).Want(200, "").JSON(&b)
			}
			s.Advance(4 * time.Hour)
			s.Refresh(b.Refresh).Want(401, "token_expired")
		})
	})
}

func TestT22AfterARestartOfAllReplicas(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		chain := func() (tokens [3]apitest.Tokens) {
			tokens[0] = s.Login(alice)
			s.Refresh(tokens[0].Refresh).Want(200, "").JSON(&tokens[1])
			s.Refresh(tokens[1].Refresh).Want(200, "").JSON(&tokens[2])
			return tokens
		}
		one, two := chain(), chain()
		for _, r := range s.Replicas {
			r.HTTP.Close()
		}
		again := apitest.New(t, apitest.Options{DB: s.DB, Replicas: 2})
		var next apitest.Tokens
		again.Refresh(one[1].Refresh).Want(200, "").JSON(&next)
		if apitest.Claims(next.Refresh)["jti"] != apitest.Claims(one[2].Refresh)["jti"] {
			t.Error("T-22 one generation old: another successor")
		}
		again.Refresh(two[0].Refresh).Want(401, "token_invalid")
		again.Refresh(two[2].Refresh).Want(401, "token_invalid")
		again.Do(apitest.Request{Path: "/v1/profile", Token: one[2].Access, Replica: 1}).Want(200, "")
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

func TestT24WhatEndsASessionEndsItsRefreshToken(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for name, end := range map[string]func(s *apitest.Server, u apitest.User, other apitest.Tokens){
			"password change": func(s *apitest.Server, u apitest.User, other apitest.Tokens) {
				next := s.Secret("another planted password")
				s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: other.Access,
					Body: apitest.Fields{"current_password": u.Password, "new_password": next}}).Want(204, "")
			},
			"logout everywhere": func(s *apitest.Server, u apitest.User, other apitest.Tokens) {
				s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: other.Access,
					Body: apitest.Fields{"everywhere": true}, Replica: 1}).Want(204, "")
			},
			"user disabled": func(s *apitest.Server, u apitest.User, _ apitest.Tokens) {
				if err := s.DB.SetActive(s.T.Context(), u.ID, false, s.Clock.Now()); err != nil {
					s.T.Fatal(err)
				}
			},
			"client disabled": func(s *apitest.Server, u apitest.User, _ apitest.Tokens) {
				if err := s.DB.SetClientActive(s.T.Context(), "client disabled", false, s.Clock.Now()); err != nil {
					s.T.Fatal(err)
				}
			},
			"user deleted": func(s *apitest.Server, u apitest.User, other apitest.Tokens) {
				s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile", Token: other.Access,
					Body: apitest.Fields{"current_password": u.Password}}).Want(204, "")
			},
		} {
			t.Run("T-24 "+name, func(t *testing.T) {
				s := s.With(t)
				client := userstore.Client{ID: name, Name: name, AuthMethod: userstore.AuthNone, FirstParty: true,
					GrantTypes: []string{"refresh_token"}, CreatedAt: s.Clock.Now()}
				if err := s.DB.CreateClient(t.Context(), client); err != nil {
					t.Fatal(err)
				}
				u := s.SignUp(strings.ReplaceAll(name, " ", "-"))
				victim, other := s.Login(u, apitest.Fields{"client_id": name}), s.Login(u)

				// Refreshing races the end; whatever it gets must be dead once the end was
				// answered.
				var wg sync.WaitGroup
				var mu sync.Mutex
				newest := victim
				wg.Go(func() {
					for i := range 20 {
						mu.Lock()
						token := newest.Refresh
						mu.Unlock()
						res := s.Do(apitest.Request{Method: "POST", Path: "/v1/refresh", Body: apitest.Fields{"refresh_token": token},
							Replica: i % 2})
						if res.Status != 200 {
							return
						}
						mu.Lock()
						res.JSON(&newest)
						mu.Unlock()
					}
				})
				end(s, u, other)
				mu.Lock()
				after := newest
				mu.Unlock()
				for replica := range s.Replicas {
					s.Do(apitest.Request{Method: "POST", Path: "/v1/refresh", Body: apitest.Fields{"refresh_token": after.Refresh},
						Replica: replica}).Want(401, "token_invalid")
					s.Do(apitest.Request{Path: "/v1/profile", Token: after.Access, Replica: replica}).Want(401, "token_invalid")
				}
				wg.Wait()
				s.Refresh(newest.Refresh).Want(401, "token_invalid")
			})
		}
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

func TestT25ARefreshTokenDiesWithItsAccount(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		old := s.Login(alice)
		s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile", Token: old.Access,
			Body: apitest.Fields{"current_password": alice.Password}}).Want(204, "")
		again := s.SignUp("alice")
		if again.ID == alice.ID {
			t.Error("the subject was used again")
		}
		s.Unchanged(func() {
			s.Refresh(old.Refresh).Want(401, "token_invalid")
			s.Do(apitest.Request{Path: "/v1/profile", Token: old.Access}).Want(401, "token_invalid")
		})
	})
}

func TestT25TokensOfOtherClientsAreRefusedUntouched(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		// A grant of a third party's client, as the OpenID Provider will make them.
		if err := s.DB.CreateClient(t.Context(), userstore.Client{ID: "web", Name: "web",
			GrantTypes: []string{"refresh_token"}, CreatedAt: s.Clock.Now()}); err != nil {
			t.Fatal(err)
		}
		u, err := s.DB.UserByID(t.Context(), alice.ID)
		if err != nil {
			t.Fatal(err)
		}
		id := userstore.GrantID{1, 2, 3}
		now := s.Clock.Now()
		if err := s.DB.StartGrant(t.Context(), userstore.StartGrant{PasswordHash: u.PasswordHash, Grant: userstore.Grant{
			ID: id, SessionID: "sid-of-web", UserID: u.ID, ClientID: "web", Scopes: []string{"openid"}, AuthTime: now,
			AMR: []string{"pwd"}, ACR: "1",
			Generation: 1, RotatedAt: now, CreatedAt: now, ExpiresAt: now.Add(720 * time.Hour),
		}}); err != nil {
			t.Fatal(err)
		}
		jti, err := s.Replicas[0].Keys.RefreshJTI(id, 1)
		if err != nil {
			t.Fatal(err)
		}
		kid, key := s.Key("EdDSA")
		token := apitest.Sign(key, apitest.Fields{"alg": "EdDSA", "kid": kid, "typ": issuer.TypeRefreshToken}.Text(),
			apitest.Fields{
				"iss": apitest.IssuerURL, "aud": apitest.IssuerURL, "client_id": "web",
				"grant": base64.RawURLEncoding.EncodeToString(id[:]), "gen": 1,
				"jti": jti, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
			}.Text())
		s.Unchanged(func() { s.Refresh(token).Want(401, "token_invalid") })
	})
}

func TestT27DamagedRefreshTokens(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		token := s.Login(s.SignUp("alice")).Refresh
		rows := map[string]string{
			"appended":               token + "A",
			"a newline appended":     token + "\n",
			"a space before":         " " + token,
			"in lower case":          strings.ToLower(token),
			"in upper case":          strings.ToUpper(token),
			"1 MiB of dots":          strings.Repeat(".", 60<<10),
			"NUL":                    token[:40] + "\x00" + token[41:],
			"without signature":      token[:strings.LastIndexByte(token, '.')+1],
			"without anything":       "..",
			"encoded again":          base64.StdEncoding.EncodeToString([]byte(token)),
			"padded":                 token + "==",
			"the flattened JSON":     apitest.Flattened(token),
			"a fourth segment":       token + ".x",
			"with a quote":           token + "'",
			"non-canonical last bit": apitest.FlipLastBit(token),
		}
		for i := 1; i < len(token); i += 13 {
			rows[fmt.Sprintf("cut off %d", i)] = token[:len(token)-i]
			c := byte('A')
			if token[i] == c {
				c = 'B'
			}
			rows[fmt.Sprintf("character %d changed", i)] = token[:i] + string(c) + token[i+1:]
		}
		s.Unchanged(func() {
			for name, damaged := range rows {
				if res := s.Refresh(damaged); res.Status != 401 || res.Code() != "token_invalid" {
					t.Errorf("T-27 %s: %d %s", name, res.Status, res.Body)
				}
			}
			s.Refresh(strings.Repeat("x", 1<<20)).Want(413, "body_too_large")
		})
		s.Refresh(token).Want(200, "")
	})
}
