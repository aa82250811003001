package bymail_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// P-02: confirmations and undoings at once on three replicas.
func TestP02ChangesAtOnce(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		s := apitest.New(t, apitest.Options{DB: db, Replicas: 3})
		alice := s.SignUp("alice")
		tokens := s.Login(alice)
		s.Mails()
		for round := range 3 {
			next := fmt.Sprintf("round%d@example.test", round)
			handle := beginChange(s, alice, tokens.Access, next)
			mail := s.MailOf(outbox.ChangeEmail)
			var won atomic.Int64
			var wait sync.WaitGroup
			for i := range 6 {
				wait.Go(func() {
					body := apitest.Fields{"token": mail.Token()}
					if i%2 == 1 {
						body = apitest.Fields{"handle": handle, "code": mail.Code}
					}
					switch res := s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email/confirm",
						Token: tokens.Access, Replica: i % 3, Body: body}); {
					case res.Status == 200:
						won.Add(1)
					case res.Code() != "one_time_token_invalid":
						t.Errorf("%d %s", res.Status, res.Body)
					}
				})
			}
			wait.Wait()
			if won.Load() != 1 {
				t.Fatalf("P-02 %d confirmations won", won.Load())
			}
			undoing := s.MailOf(outbox.UndoEmail).Token()

			// Undone, while the thief confirms the next change.
			beginChange(s, alice, tokens.Access, "x"+next)
			mail = s.MailOf(outbox.ChangeEmail)
			passwords := make([]string, 3)
			var undone atomic.Int64
			winner := make([]bool, 3)
			for i := range passwords {
				passwords[i] = s.Secret(fmt.Sprintf("%s %d %d", nextPassword, round, i))
				wait.Go(func() {
					err := s.Replicas[i].Accounts.UndoEmailChange(t.Context(), userstore.Mailed{Token: undoing}, passwords[i])
					if err == nil {
						undone.Add(1)
						winner[i] = true
					} else if err != userstore.ErrTokenInvalid {
						t.Error(err)
					}
				})
			}
			wait.Go(func() {
				s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email/confirm", Token: tokens.Access,
					Replica: round % 3, Body: apitest.Fields{"token": mail.Token()}})
			})
			wait.Wait()
			if undone.Load() != 1 || emailOf(s, alice) != alice.Email+", verified" {
				t.Fatalf("P-02 %d undoings won, and the address is %s", undone.Load(), emailOf(s, alice))
			}
			bearing(s, tokens.Access, "GET", "/v1/profile", nil).Want(401, "token_invalid")
			alice.Password = passwords[slices.Index(winner, true)]
			tokens = s.Login(alice)
			s.Mails()
			s.Advance(time.Minute)
		}
	})
}
