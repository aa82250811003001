package flows_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// P-13: an admin disables an account while its owner, or somebody with its mailbox, resets the
// password at another replica. The reset happened before, wholly, or not at all; afterwards nothing
// of the account works, and what was mailed before opens nothing once the account is enabled again.
func TestP13AResetDuringDisabling(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, _ := s.Admin("root")
		administer := func(admin, id, act string) {
			s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users/" + id + "/" + act, Token: admin}).Want(200, "")
		}
		outcomes := map[int]int{}
		for round := range 10 {
			admin := s.Login(root, apitest.Fields{"scope": "profile admin"}).Access
			alice := s.SignUp(fmt.Sprintf("alice%d", round))
			session := s.Login(alice)
			s.Do(apitest.Request{Method: "POST", Path: "/v1/password/forgot", Body: apitest.Fields{"email": alice.Email}}).
				Want(202, "")
			link := s.MailOf(outbox.ResetPassword)
			s.Advance(2 * time.Minute) // for the budget of the address
			next := s.Secret(fmt.Sprintf("the next planted password %d", round))
			reset := func(replica int) *apitest.Response {
				return s.Do(apitest.Request{Method: "POST", Path: "/v1/password/reset", Replica: replica,
					Body: apitest.Fields{"token": link.Token(), "new_password": next}})
			}
			var racing sync.WaitGroup
			var answer, asked, login *apitest.Response
			// Every third reset starts when the account is disabled, and the others at the same
			// time.
			disabled, late := make(chan struct{}), round%3 == 2
			racing.Go(func() {
				if late {
					<-disabled
				}
				answer = reset(1)
			})
			racing.Go(func() {
				asked = s.Do(
					apitest.Request{
						Method:  "POST",
						Path:    "/v1/password/forgot",
						Replica: 2,
						Body:    apitest.Fields{"email": alice.Email},
					},
				)
			})
			racing.Go(func() {
				login = s.Do(
					apitest.Request{
						Method:  "POST",
						Path:    "/v1/login",
						Replica: 1,
						Body:    apitest.Fields{"email": alice.Email, "password": alice.Password},
					},
				)
			})
			if round%2 == 1 { // the hashing of the reset takes a while
				s.Do(apitest.Request{Path: "/v1/profile", Token: admin}).Want(200, "")
			}
			administer(admin, alice.ID, "disable")
			close(disabled)
			racing.Wait()
			outcomes[answer.Status]++
			asked.Want(202, "") // alike
			if late || answer.Status != 204 {
				answer.Want(400, "one_time_token_invalid")
			}

			// Nothing works any more, neither of before nor of the race.
			for _, password := range []string{alice.Password, next} {
				a := s.Do(
					apitest.Request{
						Method: "POST",
						Path:   "/v1/login",
						Body:   apitest.Fields{"email": alice.Email, "password": password},
					},
				)
				if a.Status != 401 && a.Status != 403 {
					t.Errorf("P-13 a login after %d: %d %s", answer.Status, a.Status, a.Body)
				}
			}
			s.Refresh(session.Refresh).Want(401, "token_invalid")
			if login.Status == 200 {
				var tokens apitest.Tokens
				login.JSON(&tokens)
				s.Refresh(tokens.Refresh).Want(401, "token_invalid")
			}
			reset(0).Want(400, "one_time_token_invalid")
			for _, m := range s.Mails() {
				if m.Kind != outbox.PasswordChanged || answer.Status != 204 {
					t.Errorf("P-13 after %d a message %s", answer.Status, m.Kind)
				}
			}
			events, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{TargetID: alice.ID, Limit: 50})
			if err != nil {
				t.Fatal(err)
			}
			recorded := map[audit.Name]int{}
			for _, e := range events {
				if e.Outcome == audit.Success {
					recorded[e.Name]++
				}
			}
			if want := map[bool]int{true: 1}[answer.Status == 204]; recorded[audit.PasswordReset] != want ||
				recorded[audit.UserUpdated] != 1 {
				t.Errorf("P-13 after %d: %v", answer.Status, recorded)
			}

			// Enabled again, the password is that of before or that of the reset, as the answer
			// said.
			administer(admin, alice.ID, "enable")
			reset(2).Want(400, "one_time_token_invalid")
			right, wrong := alice.Password, next
			if answer.Status == 204 {
				right, wrong = next, alice.Password
			}
			s.Login(apitest.User{Email: alice.Email, Password: right, ID: alice.ID})
			s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
				Body: apitest.Fields{"email": alice.Email, "password": wrong}}).Want(401, "invalid_credentials")
			s.Advance(time.Minute)
		}
		t.Logf("answers of the resets: %v", outcomes)
	}, func(o *apitest.Options) { o.Replicas = 3 })
}
