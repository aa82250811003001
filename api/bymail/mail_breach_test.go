package bymail_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// Strangers, whose requests are not counted here, do not make this server send requests to another
// one. A person with a message does, and a password of a breach costs no try of a code.
func TestU28BreachesAreAskedForWithAMessage(t *testing.T) {
	var asked atomic.Int64
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		asked.Store(0)
		unknown := forgot(s, "nobody@example.test")
		for _, body := range []apitest.Fields{
			{"token": "forged"}, {"handle": "forged", "code": "12345678"}, {"handle": unknown, "code": "12345678"},
		} {
			post(s, "/v1/password/reset", body.With("new_password", nextPassword)).Want(400, "one_time_token_invalid")
			post(s, "/v1/email/verify", body.With("new_password", nextPassword)).Want(400, "one_time_token_invalid")
		}
		if n := asked.Load(); n != 0 {
			t.Errorf("U-28 strangers made the server ask %d times", n)
		}
		alice := s.SignUp("alice")
		asked.Store(0)
		handle := forgot(s, alice.Email)
		body := apitest.Fields{"handle": handle, "code": s.MailOf(outbox.ResetPassword).Code}
		for range 7 {
			res := post(s, "/v1/password/reset", body.With("new_password", "correct horse battery staple")).
				Want(400, "validation_error")
			if res.Faults() != "new_password:breached" {
				t.Errorf("U-28 %s", res.Faults())
			}
		}
		post(s, "/v1/password/reset", body.With("new_password", s.Secret(nextPassword))).Want(204, "")
		if n := asked.Load(); n != 8 {
			t.Errorf("U-28 asked %d times, want 8", n)
		}
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) {
			r.Accounts.BreachRange = func(_ context.Context, prefix string) (string, error) {
				asked.Add(1)
				if prefix == "ABF7A" {
					return "AD6438836DBE526AA231ABDE2D0EEF74D42:9", nil
				}
				return "", nil
			}
		}
	})
}
