package api_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// TestTheStoreIsDown takes the database away from a running server and gives it
// back: what needs it is 503 with Retry-After and never a verdict on a token, what does not keeps
// answering, and nobody has to log in again.
func TestTheStoreIsDown(t *testing.T) {
	for _, engine := range []struct {
		name  string
		reads bool // the fault leaves reads working
		open  func(t *testing.T) (db *sqlstore.DB, down, up func())
	}{
		{"sqlite, locked by another program", true, apitest.LockedSQLite},
		{"postgres, killed", false, apitest.KilledPostgres},
	} {
		t.Run(engine.name, func(t *testing.T) {
			db, down, up := engine.open(t)
			s := apitest.New(t, apitest.Impatient(db))
			alice := s.SignUp("alice")
			tokens := s.Login(alice)
			_, admin := s.Admin("root")
			shop := s.Register(userstore.Client{ID: "shop"})
			before := s.Snapshot()

			down()
			requests := []apitest.Request{
				{Method: "POST", Path: "/v1/signup",
					Body: apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword}},
				{Method: "POST", Path: "/v1/login", Body: apitest.Fields{"email": alice.Email, "password": alice.Password}},
				{Method: "POST", Path: "/v1/refresh", Body: apitest.Fields{"refresh_token": tokens.Refresh}},
				{Method: "POST", Path: "/v1/logout", Token: tokens.Access},
				{Method: "PATCH", Path: "/v1/profile", Token: tokens.Access, Body: apitest.Fields{"name": "A"}},
				{Method: "POST", Path: "/v1/profile/password", Token: tokens.Access,
					Body: apitest.Fields{"current_password": alice.Password, "new_password": apitest.GoodPassword}},
				{Method: "DELETE", Path: "/v1/profile", Token: tokens.Access,
					Body: apitest.Fields{"current_password": alice.Password}},
				{Method: "DELETE", Path: "/v1/profile/sessions/" + apitest.Claims(tokens.Access)["sid"].(string),
					Token: tokens.Access},
			}
			for _, q := range s.AdminRoutes(alice.ID, tokens.SessionID(), "editor") {
				q.Path = strings.Replace(q.Path, "/clients/signet", "/clients/"+shop.ID, 1) // of the built-in one more is refused
				switch q.Token = admin.Access; {
				case q.Method == "GET" && engine.reads, strings.HasSuffix(q.Path, "/enable"): // who is enabled already
					continue
				case engine.reads && strings.HasSuffix(q.Path, "/invite"): // a read finds the password, and refuses
					continue
				case engine.reads && q.Method == "DELETE" && strings.Contains(q.Path, "/factors"): // a read finds none
					continue
				case strings.HasSuffix(q.Path, "/users"):
					q.Body = apitest.Fields{"email": "c@example.test", "password": apitest.GoodPassword}
				case strings.HasSuffix(q.Path, "/clients"):
					q.Body = apitest.Fields{"client_name": "A", "redirect_uris": []string{"https://a.test/cb"}}
				case q.Method == "POST" && strings.HasSuffix(q.Path, "/registration-tokens"):
					q.Body = apitest.Fields{}
				case q.Method == "PATCH" && strings.Contains(q.Path, "/clients/"):
					q.Body = apitest.Fields{"client_name": "A"}
				case q.Method == "PATCH":
					q.Body = apitest.Fields{"name": "A"}
				case strings.HasSuffix(q.Path, "/password"):
					q.Body = apitest.Fields{"new_password": apitest.GoodPassword}
				case q.Method == "DELETE" && strings.Contains(q.Path, "/roles/"):
					continue // that she does not have
				}
				requests = append(requests, q)
			}
			requests = append(requests,
				apitest.Request{Method: "POST", Path: "/v1/password/forgot", Body: apitest.Fields{"email": alice.Email}},
				apitest.Request{Method: "POST", Path: "/v1/email/verification",
					Body: apitest.Fields{"email": "nobody@example.test"}})
			if !engine.reads {
				requests = append(requests, apitest.Request{Path: "/v1/profile", Token: tokens.Access},
					apitest.Request{Path: "/v1/profile/sessions", Token: tokens.Access}, apitest.Request{Path: "/readyz"})
			}
			unavailable := func(q apitest.Request) {
				q.Replica = 1
				began := time.Now()
				if res := s.Do(q); res.Status != 503 || res.Code() != "temporarily_unavailable" ||
					res.Header.Get("Retry-After") == "" {
					t.Errorf("%s %s: %d %s", q.Method, q.Path, res.Status, res.Body)
				}
				if took := time.Since(began); took > 15*time.Second {
					t.Errorf("%s %s took %s", q.Method, q.Path, took)
				}
			}
			// The turns to count an attempt are two, and a request that waits for one until its second is
			// over is refused as overloaded. So requests with passwords come two at a time, and only the
			// store keeps them waiting.
			var wg sync.WaitGroup
			turns := make(chan struct{}, 2)
			for _, q := range requests {
				wg.Go(func() {
					if hasPassword(q) {
						turns <- struct{}{}
						defer func() { <-turns }()
					}
					unavailable(q)
				})
			}
			for _, path := range []string{"/healthz", "/.well-known/jwks.json", "/.well-known/openid-configuration",
				"/.well-known/oauth-authorization-server", "/openapi.json"} {
				wg.Go(func() {
					if res := s.Do(apitest.Request{Path: path, Replica: 1}); res.Status != 200 {
						t.Errorf("%s: %d", path, res.Status)
					}
				})
			}
			wg.Wait()
			// A refusal needs no store, and stays a refusal.
			s.Do(apitest.Request{Path: "/v1/profile", Token: "x", Replica: 1}).Want(401, "token_invalid")
			if log := s.Log.String(); !strings.Contains(log, "code=temporarily_unavailable error=") {
				t.Errorf("the log does not say why:\n%s", log)
			}

			up()
			s.AwaitReady()
			if after := s.Snapshot(); after != before {
				t.Errorf("something was done after all:\n%s\n%s", before, after)
			}
			s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access, Replica: 1}).Want(200, "")
			s.Refresh(tokens.Refresh).Want(200, "")
			s.Login(alice)
		})
	}
}

func hasPassword(q apitest.Request) bool {
	body, _ := q.Body.(apitest.Fields)
	for name := range body {
		if strings.Contains(name, "password") {
			return true
		}
	}
	return false
}
