package bymail_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// P-04: an operator changed the address of an account with a second factor. The mailbox of the new
// address proves the address, but sets no password without the factor. Whoever knows the password
// proves the address and changes nothing else.
func TestP04AProofOfANewAddressAsksForTheFactorThatWasThere(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		tokens := s.LoginByApp(alice, app)
		for round, way := range []string{"password", "code", "recovery code", "forgot"} {
			if _, err := s.Replicas[0].Accounts.EditByOperator(t.Context(), alice.ID, func(u *userstore.User) error {
				u.Email = "n" + u.Email
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			alice.Email = "n" + alice.Email
			s.Advance(2 * time.Minute)
			s.Mails()
			next := s.Secret(nextPassword + " in round " + way)
			path, mail := "/v1/email/verify", apitest.Mail{}
			if way == "forgot" {
				path, mail = "/v1/password/reset", asked(s, alice)
			} else {
				post(s, "/v1/email/verification", apitest.Fields{"email": alice.Email}).Want(202, "")
				mail = s.MailOf(outbox.VerifyEmail)
			}
			body := apitest.Fields{"token": mail.Token(), "new_password": next}
			var answer struct {
				Login   string
				Methods []string
			}
			s.Unchanged(func() {
				post(s, path, body).Want(401, "second_factor_required").JSON(&answer)
				for _, wrong := range []apitest.Fields{
					{"login": answer.Login, "new_password": next},
					{"login": answer.Login, "code": "123456"},
				} {
					post(s, "/v1/password/reset/second", wrong).Want(400, "validation_error")
				}
			})
			if len(answer.Methods) != 2 || answer.Methods[0] != "totp" || answer.Methods[1] != "recovery_code" {
				t.Errorf("P-04 methods: %q", answer.Methods)
			}
			post(s, "/v1/password/reset/second", apitest.Fields{"login": answer.Login, "new_password": next, "code": app.Wrong()}).
				Want(401, "invalid_code")
			s.Advance(time.Minute)
			proof := apitest.Fields{"login": answer.Login, "new_password": next}
			switch way {
			case "password":
				post(s, path, apitest.Fields{"token": mail.Token()}).Want(409, "new_password_required")
				post(s, path, apitest.Fields{"token": mail.Token(), "password": alice.Password}).Want(204, "")
				var renewed apitest.Tokens
				s.Refresh(tokens.Refresh).Want(200, "").JSON(&renewed)
			case "recovery code":
				proof["recovery_code"] = recovery[round]
			default:
				proof["code"] = app.Code()
			}
			if way != "password" {
				post(s, "/v1/password/reset/second", proof).Want(204, "")
				post(s, "/v1/password/reset/second", proof).Want(400, "one_time_token_invalid")
				alice.Password = next
			}
			post(s, path, body).Want(400, "one_time_token_invalid")
			s.FirstStep(alice)
			if got := emailOf(s, alice); got != alice.Email+", verified" {
				t.Errorf("P-04 after %s: %s", way, got)
			}
			for _, m := range s.Mails() {
				if m.Kind == outbox.FactorRemoved {
					t.Errorf("P-04 %s: a notice says that a factor is gone", way)
				}
			}
		}
	})
}
