package api_test

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// A small pool makes requests wait for one another, never for themselves: nothing holds a connection while it asks for
// another. Every request of a program, 64 at a time, on two connections.
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
			var group sync.WaitGroup
			for n := range connections {
				group.Go(func() {
					var tokens, next apitest.Tokens
					if res := s.Do(s.CodeRequest(f.web, codes[n])); res.Status != 200 {
						t.Errorf("code: %d %s", res.Status, res.Body)
						return
					} else {
						res.JSON(&tokens)
					}
					for what, q := range map[string]apitest.Request{
						"userinfo":           {Path: "/oauth2/userinfo", Token: tokens.Access},
						"introspection":      s.Authenticated(f.web, "/oauth2/introspect", url.Values{"token": {tokens.Access}}),
						"client credentials": s.Authenticated(f.web, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}),
						"login":              {Method: "POST", Path: "/v1/login", Body: fields{"email": people[n%users].Email, "password": people[n%users].Password}},
					} {
						if res := s.Do(q); res.Status != 200 {
							t.Errorf("%s: %d %s", what, res.Status, res.Body)
						}
					}
					res := s.Do(s.RefreshRequest(f.web, tokens.Refresh))
					if res.Status != 200 {
						t.Errorf("refresh: %d %s", res.Status, res.Body)
						return
					}
					res.JSON(&next)
					if res := s.Do(s.Authenticated(f.web, "/oauth2/revoke", url.Values{"token": {next.Refresh}})); res.Status != 200 {
						t.Errorf("revocation: %d %s", res.Status, res.Body)
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
