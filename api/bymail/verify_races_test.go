package bymail_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// unlimitedLogins is an option: no attempt at a login waits.
func unlimitedLogins(o *apitest.Options) {
	apitest.Configured(func(r *apitest.Replica) { r.Accounts.Throttle = userstore.NoThrottle })(o)
}

// P-02: proofs of one address at once on three replicas, by the person who signed up and by the owner
// of the address, beside logins with the password of the sign-up. One proof wins. Where it is the
// owner's, the password and every session of before are gone.
func TestP02VerificationsAtOnce(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		o := apitest.Options{DB: db, Replicas: 3}
		apitest.Verifying(&o)
		unlimitedLogins(&o)
		s := apitest.New(t, o)
		for round := range 4 {
			u, handle, mail := signUp(s, fmt.Sprint("round", round))
			before := s.Login(u)
			passwords := make([]string, 6)
			var won atomic.Int64
			var winner atomic.Int64
			var login *apitest.Response
			var wait sync.WaitGroup
			for i := range passwords {
				body := apitest.Fields{"token": mail.Token()}
				switch i % 3 {
				case 0: // by the sign-up
					body = apitest.Fields{"handle": handle, "code": mail.Code}
				case 1:
					body["password"] = u.Password
				case 2: // by the owner of the address
					passwords[i] = s.Secret(fmt.Sprintf("%s %d %d", nextPassword, round, i))
					body["new_password"] = passwords[i]
				}
				wait.Go(func() {
					res := s.Do(apitest.Request{Method: "POST", Path: "/v1/email/verify", Replica: i % 3, Body: body})
					switch {
					case res.Status == 204:
						won.Add(1)
						winner.Store(int64(i))
					// The password was replaced while it was compared.
					case res.Code() != "one_time_token_invalid" && res.Code() != "invalid_credentials":
						t.Errorf("P-02 proof %d: %d %s", i, res.Status, res.Body)
					}
				})
			}
			wait.Go(func() {
				login = s.Do(apitest.Request{Method: "POST", Path: "/v1/login", Replica: round % 3,
					Body: apitest.Fields{"email": u.Email, "password": u.Password}})
			})
			wait.Wait()
			if won.Load() != 1 || !verified(s, u) {
				t.Fatalf("P-02 %d proofs won, verified %t", won.Load(), verified(s, u))
			}
			var during apitest.Tokens
			if login.Status == 200 {
				login.JSON(&during)
			} else if login.Code() != "invalid_credentials" {
				t.Errorf("P-02 login beside the proofs: %d %s", login.Status, login.Body)
			}
			next := passwords[winner.Load()]
			if next == "" {
				s.Refresh(before.Refresh).Want(200, "")
				s.Login(u)
				continue
			}
			s.Refresh(before.Refresh).Want(401, "token_invalid")
			if during.Refresh != "" {
				s.Refresh(during.Refresh).Want(401, "token_invalid")
			}
			post(s, "/v1/login", apitest.Fields{"email": u.Email, "password": u.Password}).Want(401, "invalid_credentials")
			u.Password = next
			s.Login(u)
		}
	})
}
