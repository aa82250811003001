package api_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// A small pool makes requests wait for one another, never for themselves: nothing holds a
// connection while it asks for another. Every request of a program, 64 at a time, on two
// connections, of which readiness keeps one.
func TestEveryFlowOnAPoolOfTwo(t *testing.T) {
	onAPoolOfTwo(t, func(t *testing.T, s *apitest.Server) {
		client := s.Register(userstore.Client{ID: "web", Resources: []string{"https://api.test", "https://files.test"}})
		const users, connections = 8, 64
		var people []apitest.User
		for n := range users {
			people = append(people, s.SignUp(fmt.Sprint("user", n)))
		}
		codes := make([]string, connections)
		for n := range codes {
			codes[n] = s.Code(people[n%users], client)
		}
		// Too long a wait is answered with 503, nothing having happened; a client asks again, and
		// comes through.
		ask := func(what string, q apitest.Request) *apitest.Response {
			for began := time.Now(); ; {
				res := s.Do(q)
				if res.Status == 200 || res.Status != 503 || res.Header.Get("Retry-After") == "" ||
					time.Since(began) > time.Minute {
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
				res := ask("code", s.CodeRequest(client, codes[n]))
				if res.Status != 200 {
					return
				}
				res.JSON(&tokens)
				ask("userinfo", apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access})
				ask("introspection", s.Authenticated(client, "/oauth2/introspect", url.Values{"token": {tokens.Access}}))
				ask("client credentials",
					s.Authenticated(client, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}))
				ask("login", apitest.Request{Method: "POST", Path: "/v1/login",
					Body: apitest.Fields{"email": people[n%users].Email, "password": people[n%users].Password}})
				if res = ask("refresh", s.RefreshRequest(client, tokens.Refresh)); res.Status == 200 {
					res.JSON(&next)
					ask("revocation", s.Authenticated(client, "/oauth2/revoke", url.Values{"token": {next.Refresh}}))
				}
			})
		}
		group.Wait()
	})
}

// The same of people: 64 browsers sign up or log in, allow, come back and log out.
func TestEveryPageOnAPoolOfTwo(t *testing.T) {
	onAPoolOfTwo(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		const users, browsers = 8, 64
		var people []apitest.User
		for n := range users {
			people = append(people, s.SignUp(fmt.Sprint("user", n)))
		}
		var group sync.WaitGroup
		for n := range browsers {
			group.Go(func() {
				b := s.Browser()
				// A browser that is answered 503 loads the page, or sends the form, again. False: that was of
				// no use.
				again := false // the last step was answered 503 at first
				step := func(what string, load func() *apitest.Page, good func(*apitest.Page) bool) (*apitest.Page, bool) {
					again = false
					for began := time.Now(); ; time.Sleep(time.Duration(rand.N(200)) * time.Millisecond) {
						p := load()
						switch {
						case p.Status == 503 && p.Header.Get("Retry-After") != "" && time.Since(began) < time.Minute:
							again = true
						case !good(p):
							t.Errorf("%s: %d to %q: %.300s", what, p.Status, p.To, p.Text())
							return p, false
						default:
							return p, true
						}
					}
				}
				shows := func(id string) func(*apitest.Page) bool { return func(p *apitest.Page) bool { return p.Has(id) } }
				answered := func(p *apitest.Page) bool { return strings.Contains(p.To, "?code=") }
				p, ok := step("authorize", func() *apitest.Page { return b.Open(apitest.AuthorizePath(c)) }, shows("login-submit"))
				if !ok {
					return
				}
				button, typed := "login-submit", people[n%users].Credentials()
				if n%users == 0 {
					link := p.Link("/signup?request=")
					if p, ok = step("sign-up page", func() *apitest.Page { return b.Open(link) }, shows("signup-submit")); !ok {
						return
					}
					button, typed = "signup-submit",
						map[string]string{"email": fmt.Sprintf("new%d@example.test", n), "password": s.Secret(apitest.GoodPassword)}
				}
				next := func(p *apitest.Page) bool {
					return p.Has("consent-approve") || answered(p)
				} // another browser of hers may have allowed it
				// The account may have been made before the 503. Then the form leads to the login page.
				known := func(p *apitest.Page) bool { return button == "signup-submit" && again && p.Has("login-submit") }
				form := p
				if p, ok = step(button, func() *apitest.Page { return form.Submit(button, typed) }, func(p *apitest.Page) bool {
					return next(p) || known(p)
				}); !ok {
					return
				}
				if known(p) {
					form := p
					if p, ok = step("login after sign-up",
						func() *apitest.Page { return form.Submit("login-submit", typed) }, next); !ok {
						return
					}
				}
				if !answered(p) {
					consent := p
					if _, ok = step("consent", func() *apitest.Page { return consent.Submit("consent-approve", nil) }, answered); !ok {
						return
					}
				}
				if _, ok = step("again", func() *apitest.Page { return b.Open(apitest.AuthorizePath(c)) }, answered); !ok {
					return
				}
				if p, ok = step("logout page", func() *apitest.Page { return b.Open("/logout") }, shows("logout-confirm")); !ok {
					return
				}
				out := p
				step("logout", func() *apitest.Page { return out.Submit("logout-confirm", nil) },
					func(p *apitest.Page) bool { return p.Status == 200 })
			})
		}
		group.Wait()
	})
}

func onAPoolOfTwo(t *testing.T, fn func(t *testing.T, s *apitest.Server)) {
	for name, open := range map[string]func(t *testing.T) *sqlstore.DB{
		"sqlite": func(t *testing.T) *sqlstore.DB { return sqltest.SQLite(t) },
		"postgres": func(t *testing.T) *sqlstore.DB {
			db, err := sqlstore.Open(context.Background(), sqltest.PostgresURL(t)+"&pool_max_conns=2",
				sqlstore.Options{MustExist: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(db.Close)
			return db
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := apitest.New(t, apitest.Options{DB: open(t)})
			fn(t, s)
			if _, err := s.DB.ClientByID(t.Context(), userstore.FirstPartyClientID); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
