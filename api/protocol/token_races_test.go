package protocol_test

import (
	"sync"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// At the token endpoint, of a third party's client. What happens at the account API is in
// refresh_test.go.
func TestT24WhatEndsAGrantRacesItsRefreshes(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for n, row := range []struct {
			name string
			end  func(s *apitest.Server, u apitest.User, own, victim apitest.Tokens, c apitest.Client)
			gone bool // the client, too, so that it is refused before its token
		}{
			{"password change", func(s *apitest.Server, u apitest.User, own, _ apitest.Tokens, _ apitest.Client) {
				body := apitest.Fields{"current_password": u.Password, "new_password": s.Secret("another planted password")}
				s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: own.Access, Body: body}).Want(204, "")
			}, false},
			{"logout everywhere", func(s *apitest.Server, _ apitest.User, own, _ apitest.Tokens, _ apitest.Client) {
				s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: own.Access,
					Body: apitest.Fields{"everywhere": true}}).Want(204, "")
			}, false},
			{"consent revoked", func(s *apitest.Server, _ apitest.User, own, _ apitest.Tokens, c apitest.Client) {
				s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/consents/" + c.ID, Token: own.Access}).Want(204, "")
			}, false},
			{"session revoked", func(s *apitest.Server, _ apitest.User, own, victim apitest.Tokens, _ apitest.Client) {
				id := apitest.Claims(victim.Access)["sid"].(string)
				s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/sessions/" + id, Token: own.Access}).Want(204, "")
			}, false},
			{"token revoked", func(s *apitest.Server, _ apitest.User, _, victim apitest.Tokens, c apitest.Client) {
				s.Do(s.Authenticated(c, "/oauth2/revoke", map[string][]string{"token": {victim.Refresh}})).Want(200, "")
			}, false},
			{"user disabled", func(s *apitest.Server, u apitest.User, _, _ apitest.Tokens, _ apitest.Client) {
				if err := s.DB.SetActive(s.T.Context(), u.ID, false, s.Clock.Now()); err != nil {
					s.T.Fatal(err)
				}
			}, false},
			{"user deleted", func(s *apitest.Server, u apitest.User, own, _ apitest.Tokens, _ apitest.Client) {
				s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile", Token: own.Access,
					Body: apitest.Fields{"current_password": u.Password}}).Want(204, "")
			}, false},
			{"client disabled", func(s *apitest.Server, _ apitest.User, _, _ apitest.Tokens, c apitest.Client) {
				if err := s.DB.SetClientActive(s.T.Context(), c.ID, false, s.Clock.Now()); err != nil {
					s.T.Fatal(err)
				}
			}, true},
			{"client deleted", func(s *apitest.Server, _ apitest.User, _, _ apitest.Tokens, c apitest.Client) {
				if err := s.DB.DeleteClient(s.T.Context(), c.ID); err != nil {
					s.T.Fatal(err)
				}
			}, true},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				name := "race" + string(rune('a'+n))
				u, c := s.SignUp(name), s.Register(userstore.Client{ID: name})
				own := s.Login(u)
				_, page := s.Allowed(u, c)
				victim := s.TokensOf(c, page)

				// Both replicas refresh with the same token, round by round: one that lags two rounds
				// behind the other would be a replay, which ends the grant before row.end does.
				var mu sync.Mutex
				var running sync.WaitGroup
				newest := victim
				refresh := func() (alive bool) {
					mu.Lock()
					q := s.RefreshRequest(c, newest.Refresh)
					mu.Unlock()
					alive = true
					var round sync.WaitGroup
					for replica := range s.Replicas {
						round.Go(func() {
							q := q
							q.Replica = replica
							res := s.Do(q)
							mu.Lock()
							defer mu.Unlock()
							if res.Status != 200 {
								alive = false
								return
							}
							res.JSON(&newest)
						})
					}
					round.Wait()
					return alive
				}
				running.Go(func() {
					for range 10 {
						if !refresh() {
							return
						}
					}
				})
				dead := func(tokens apitest.Tokens) {
					t.Helper()
					status, code := 400, "invalid_grant"
					if row.gone {
						status, code = 401, "invalid_client"
					}
					for replica := range s.Replicas {
						q := s.RefreshRequest(c, tokens.Refresh)
						q.Replica = replica
						s.Do(q).Want(status, code)
						s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access, Replica: replica}).Want(401, "invalid_token")
					}
				}
				row.end(s, u, own, victim, c)
				mu.Lock()
				known := newest
				mu.Unlock()
				dead(known)
				running.Wait()
				dead(newest) // what was under way may have been answered later, but with what is dead
			})
		}
	}, func(o *apitest.Options) { o.Replicas = 2 })
}
