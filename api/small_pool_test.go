package api_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// A small pool makes requests wait for one another, never for themselves: nothing holds a connection while it asks for
// another. Every request of a program, 64 at a time, on two connections, of which readiness keeps one.
func TestEveryFlowOnAPoolOfTwo(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) *sqlstore.DB{
		"sqlite": func(t *testing.T) *sqlstore.DB { return sqltest.SQLite(t) },
		"postgres": func(t *testing.T) *sqlstore.DB {
			db, err := sqlstore.Open(context.Background(), sqltest.PostgresURL(t)+"&pool_max_conns=2", sqlstore.Options{MustExist: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(db.Close)
			return db
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := apitest.New(t, apitest.Options{DB: open(t)})
			f := newStandard(s)
			const users, connections = 8, 64
			var people []apitest.User
			for n := range users {
				people = append(people, s.SignUp(fmt.Sprint("user", n)))
			}
			codes := make([]string, connections)
			for n := range codes {
				codes[n] = s.Code(people[n%users], f.web)
			}
			// Too long a wait is answered with 503, nothing having happened; a client asks again, and comes through.
			ask := func(what string, q apitest.Request) *apitest.Response {
				for began := time.Now(); ; {
					res := s.Do(q)
					if res.Status == 200 || res.Status != 503 || res.Header.Get("Retry-After") == "" || time.Since(began) > time.Minute {
						if res.Status != 200 {
							t.Errorf("%s: %d %s", what, res.Status, res.Body)
						}
						return res
					}
					time.Sleep(time.Duration(rand.N(200)) * time.Millisecond)
				}
			}
			var group sync.WaitGroup
			for n := range connections {
				group.Go(func() {
					var tokens, next apitest.Tokens
					res := ask("code", s.CodeRequest(f.web, codes[n]))
					if res.Status != 200 {
						return
					}
					res.JSON(&tokens)
					ask("userinfo", apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access})
					ask("introspection", s.Authenticated(f.web, "/oauth2/introspect", url.Values{"token": {tokens.Access}}))
					ask("client credentials", s.Authenticated(f.web, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}))
					ask("login", apitest.Request{Method: "POST", Path: "/v1/login", Body: fields{"email": people[n%users].Email, "password": people[n%users].Password}})
					if res = ask("refresh", s.RefreshRequest(f.web, tokens.Refresh)); res.Status == 200 {
						res.JSON(&next)
						ask("revocation", s.Authenticated(f.web, "/oauth2/revoke", url.Values{"token": {next.Refresh}}))
					}
				})
			}
			group.Wait()
			if _, err := s.DB.ClientByID(t.Context(), userstore.FirstPartyClientID); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
