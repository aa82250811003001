package signups_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// U-12, P-02: fifty sign-ups of one address at once on three replicas; then proofs at once. One
// account is made, and one of the messages goes out.
func TestU12PendingSignUpsAtOnce(t *testing.T) {
	requiring(t, 3, func(t *testing.T, s *apitest.Server) {
		for _, r := range s.Replicas {
			r.Accounts.Throttle.SignupsPerNetwork = 0
		}
		password := s.Secret("planted password of fifty sign-ups")
		var wait sync.WaitGroup
		for i := range 50 {
			wait.Go(func() {
				body := apitest.Fields{"email": "alice@example.test", "password": password}
				for { // a busy server is answered 503, and an app sends the request again
					res := s.Do(apitest.Request{Method: "POST", Path: "/v1/signup", Replica: i % 3, Body: body})
					if res.Status != http.StatusServiceUnavailable {
						res.Want(202, "")
						return
					}
				}
			})
		}
		wait.Wait()
		mail := s.MailOf(outbox.VerifyEmail)
		var won, unsure atomic.Int64
		for i := range 6 {
			wait.Go(func() {
				body := apitest.Fields{"token": mail.Token(), "password": password}
				if i >= 3 {
					body = apitest.Fields{"token": mail.Token(), "new_password": s.Secret(password + fmt.Sprint(i))}
				}
				for {
					res := s.Do(apitest.Request{Method: "POST", Path: "/v1/email/verify", Replica: i % 3, Body: body})
					switch res.Status {
					case 204:
						won.Add(1)
					case 503: // it may have made the account
						unsure.Add(1)
						continue
					default:
						res.Want(400, "one_time_token_invalid")
					}
					return
				}
			})
		}
		wait.Wait()
		users, err := userstore.FullPage(t.Context(), s.DB, userstore.UserQuery{Limit: 10})
		if err != nil || len(users) != 1 || won.Load() > 1 || won.Load() == 0 && unsure.Load() == 0 {
			t.Errorf("U-12 P-02 %d accounts, %d proofs won, %v", len(users), won.Load(), err)
		}
		left, err := s.DB.PendingSignups(t.Context(), "alice@example.test", userstore.BrowserKey{}, s.Clock.Now(), 100)
		if err != nil || len(left) != 0 {
			t.Errorf("%d are left, %v", len(left), err)
		}
	})
}

// A proof, and an operator who makes an account with the address, at once: there is one account.
func TestAProofAndAnOperatorAtOnce(t *testing.T) {
	requiring(t, 3, func(t *testing.T, s *apitest.Server) {
		for round := range 6 {
			email := fmt.Sprintf("u%d@example.test", round)
			u, handle := s.SignUpPending(email)
			mail := s.MailOf(outbox.VerifyEmail)
			var wait sync.WaitGroup
			var proof *apitest.Response
			var byOperator error
			wait.Go(func() {
				body := apitest.Fields{"handle": handle, "code": mail.Code}
				proof = s.Do(apitest.Request{Method: "POST", Path: "/v1/email/verify", Body: body})
			})
			wait.Go(func() {
				_, byOperator = s.Replicas[1].Accounts.RegisterByOperator(t.Context(), userstore.OperatorUser{
					NewUser: userstore.NewUser{
						Email:    email,
						Password: s.Secret("planted password of the operator " + email),
					}})
			})
			wait.Wait()
			if proof.Status == 503 || errors.Is(byOperator, userstore.ErrUnavailable) ||
				errors.Is(byOperator, userstore.ErrOverloaded) { // a busy machine; either may have made the account
				continue
			}
			if (proof.Status == 204) == (byOperator == nil) {
				t.Errorf("proof %d, operator %v", proof.Status, byOperator)
			}
			if proof.Status == 204 {
				s.Login(u)
				continue
			}
			// The owner of the address is not shut out: the account is there, and the mailbox proves it.
			proof.Want(400, "one_time_token_invalid")
			loginFails(s, u)
			handle = again(s, email)
			next := s.Secret(nextPassword + email)
			post(
				s,
				"/v1/email/verify",
				apitest.Fields{"handle": handle, "code": s.MailOf(outbox.VerifyEmail).Code, "new_password": next},
			).Want(204, "")
			u.Password = next
			s.Login(u)
		}
	})
}
