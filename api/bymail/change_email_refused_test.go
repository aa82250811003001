package bymail_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// P-06, P-12: what does not begin a change, and changes nothing.
func TestP06AChangeThatIsNotBegun(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		tokens, others := s.Login(alice), s.Login(alice)
		s.Mails()
		var p struct{ Proof string }
		bearing(s, others.Access, "POST", "/v1/profile/prove",
			apitest.Fields{"current_password": alice.Password}).Want(200, "").JSON(&p)
		free := apitest.Fields{"email": "free@example.test"}
		for name, row := range map[string]struct {
			body   apitest.Fields
			status int
			code   string
			faults string
		}{
			"P-06 a stolen token alone": {free, 401, "recent_proof_required", ""},
			"P-06 an empty password": {free.With("current_password", ""), 401, "recent_proof_required",
				""},
			"P-06 a proof of another session": {free.With("proof", p.Proof), 401, "recent_proof_required", ""},
			"P-06 a forged proof": {free.With("proof", apitest.FlipLastBit(p.Proof)), 401,
				"recent_proof_required", ""},
			"P-06 a wrong password": {free.With("current_password", "not the password of alice"), 403,
				"wrong_password", ""},
			"both proofs": {free.With("current_password", alice.Password).With("proof",
				p.Proof), 400, "validation_error", "proof:not_allowed"},
			"no address": {apitest.Fields{"current_password": alice.Password}, 400,
				"validation_error", "email:required"},
			"no address that is one": {proved(alice, "email", "alice"), 400, "validation_error",
				"email:invalid"},
			"what is wrong is said before the proof": {apitest.Fields{"email": "alice"}, 400, "validation_error",
				"email:invalid"},
			"P-12 a second header": {proved(alice, "email", "a@example.test\r\nBcc: b@example.test"),
				400, "validation_error", "email:invalid"},
			"P-12 a line break": {proved(alice, "email", "a@example.test\n"), 400,
				"validation_error", "email:invalid"},
			"P-12 a second recipient": {proved(alice, "email", "a@example.test,b@example.test"), 400,
				"validation_error", "email:invalid"},
			"P-12 a hidden character": {proved(alice, "email", "a\u200b@example.test"), 400,
				"validation_error", "email:invalid"},
			"P-12 right to left": {proved(alice, "email", "a\u202e@example.test"), 400,
				"validation_error", "email:invalid"},
			"somewhere to go next": {free.With("current_password", alice.Password).With("next",
				"https://evil.test"), 400, "validation_error", "next:unknown_field"},
		} {
			s.Unchanged(func() {
				res := bearing(s, tokens.Access, "POST", "/v1/profile/email", row.body)
				if res.Status != row.status || res.Code() != row.code || row.faults != "" &&
					res.Faults() != row.faults {
					t.Errorf("%s: %d %s %s", name, res.Status, res.Code(), res.Faults())
				}
			})
		}
		s.Unchanged(func() {
			for _, path := range []string{"/v1/profile/email", "/v1/profile/email/confirm"} {
				post(s, path, free).Want(401, "missing_token")
			}
			s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/email"}).Want(401, "missing_token")
			for _, method := range []string{"PATCH", "PUT"} {
				res := bearing(s, tokens.Access, method, "/v1/profile",
					free.With("current_password", alice.Password)).Want(400, "validation_error")
				if res.Faults() != "email:not_allowed" || !bytes.Contains(res.Body, []byte("/v1/profile/email")) {
					t.Errorf("%s: %s", method, res.Body)
				}
			}
		})
		// What is sent and stays as it is, is no change.
		bearing(s, tokens.Access, "PUT", "/v1/profile", apitest.Fields{"email": alice.Email, "name": "Alice"}).Want(200,
			"")
		bearing(s, tokens.Access, "PATCH", "/v1/profile", apitest.Fields{"email": alice.Email,
			"nickname": "Al"}).Want(200, "")
		bearing(s, tokens.Access, "PATCH", "/v1/profile", proved(alice, "preferred_username", "al")).Want(200, "")
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("%+v", sent)
		}
	})
}

// U-27, P-06, P-13: what does not confirm a change.
func TestU27AChangeThatIsNotConfirmed(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		tokens, others, bobs := s.Login(alice), s.Login(alice), s.Login(bob)
		s.Mails()
		n := 0
		fresh := func() (string, apitest.Mail) {
			t.Helper()
			n++
			handle := beginChange(s, alice, tokens.Access, fmt.Sprintf("new%d@example.test", n))
			return handle, s.MailOf(outbox.ChangeEmail)
		}
		invalid := func(name, access string, body apitest.Fields) {
			t.Helper()
			s.Unchanged(func() {
				if res := confirm(s, access, body); res.Status != 400 || res.Code() != "one_time_token_invalid" {
					t.Errorf("U-27 %s: %d %s", name, res.Status, res.Body)
				}
			})
		}
		handle, mail := fresh()
		code := apitest.Fields{"handle": handle, "code": mail.Code}
		token := mail.Token()
		for name, text := range map[string]string{
			"forged": apitest.FlipLastBit(token), "cut": token[:len(token)-1], "id only": mail.Message.ID,
			"with the code": mail.Message.ID + "." + mail.Code, "the handle": handle,
		} {
			invalid(name, tokens.Access, apitest.Fields{"token": text})
		}
		// P-06: somebody with another token of the account, and no message, or not that of this
		// session.
		invalid("P-06 the code in another session", others.Access, code)
		invalid("P-06 a guess", tokens.Access, apitest.Fields{"handle": handle, "code": "00000001"})
		invalid("P-03 the link at another account", bobs.Access, apitest.Fields{"token": token})
		invalid("P-03 the code at another account", bobs.Access, code)
		for path, body := range map[string]apitest.Fields{
			"/v1/email/verify": {"token": token, "new_password": nextPassword}, "/v1/password/reset": {"token": token,
				"new_password": nextPassword},
		} {
			post(s, path, body).Want(400, "one_time_token_invalid")
		}
		if err := undo(s, token, nextPassword); err != userstore.ErrTokenInvalid {
			t.Errorf("a change is no undoing: %v", err)
		}
		for _, body := range []apitest.Fields{code.With("token", token), {"handle": handle}, {"code": mail.Code}, {}} {
			confirm(s, tokens.Access, body).Want(400, "validation_error")
		}
		s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email/confirm", Body: code}).Want(401, "missing_token")

		// A newer one, one that is withdrawn, one that has ended.
		_, newer := fresh()
		invalid("replaced by a newer one", tokens.Access, apitest.Fields{"token": token})
		bearing(s, tokens.Access, "DELETE", "/v1/profile/email", nil).Want(204, "")
		invalid("withdrawn", tokens.Access, apitest.Fields{"token": newer.Token()})
		s.Unchanged(func() { bearing(s, tokens.Access, "DELETE", "/v1/profile/email", nil).Want(204, "") })
		beginChange(s, alice, tokens.Access, "unsent@example.test")
		bearing(s, tokens.Access, "DELETE", "/v1/profile/email", nil).Want(204, "")
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("a message of a change that was withdrawn: %+v", sent)
		}
		handle, mail = fresh()
		code = apitest.Fields{"handle": handle, "code": mail.Code}
		for range 5 {
			invalid("a guess", tokens.Access, apitest.Fields{"handle": handle, "code": "00000001"})
		}
		invalid("the right code after five guesses", tokens.Access, code)
		s.Advance(time.Hour)
		tokens = s.Login(alice)
		invalid("ended", tokens.Access, apitest.Fields{"token": mail.Token()})

		// Whatever happens to the account; and what is sent to the address before proves the new
		// one in no way.
		for name, act := range map[string]func(){
			"a change of password": func() {
				next := s.Secret(fmt.Sprintf("the planted password of change %d", n))
				bearing(s, tokens.Access, "POST", "/v1/profile/password", proved(alice, "new_password", next)).Want(204,
					"")
				alice.Password = next
			},
			"signing out everywhere": func() {
				bearing(s, s.Login(alice).Access, "POST", "/v1/logout", apitest.Fields{"everywhere": true}).Want(204,
					"")
				tokens = s.Login(alice)
			},
			"P-13 disabling": func() {
				for _, active := range []bool{false, true} {
					if err := s.DB.SetActive(t.Context(), alice.ID, active, s.Clock.Now()); err != nil {
						t.Fatal(err)
					}
					if !active {
						confirm(s, tokens.Access, apitest.Fields{"token": mail.Token()}).Want(401, "token_invalid")
					}
				}
				tokens = s.Login(alice)
			},
			"another change": func() { changeTo(s, alice, tokens.Access, fmt.Sprintf("another%d@example.test", n)) },
			"an operator's change": func() {
				_, err := s.Replicas[0].Accounts.EditByOperator(t.Context(), alice.ID, func(u *userstore.User) error {
					u.Email = fmt.Sprintf("set%d@example.test", n)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			},
		} {
			s.Advance(10 * time.Minute)
			u, err := s.DB.UserByID(t.Context(), alice.ID)
			if err != nil {
				t.Fatal(err)
			}
			alice.Email = u.Email
			tokens = s.Login(alice)
			s.Mails()
			_, mail = fresh()
			act()
			if u, err = s.DB.UserByID(t.Context(), alice.ID); err != nil {
				t.Fatal(err)
			}
			alice.Email = u.Email
			invalid("after "+name, s.Login(alice).Access, apitest.Fields{"token": mail.Token()})
		}
	})
}

// U-27: a proof of the address before is of no use for the new one.
func TestU27AProofOfTheAddressBefore(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u, handle, mail := signUp(s, "u")
		tokens := s.Login(u)
		s.Advance(2 * time.Minute)
		reset := forgot(s, u.Email)
		resetMail := s.MailOf(outbox.ResetPassword)
		changeTo(s, u, tokens.Access, "new-"+u.Email)
		s.Unchanged(func() {
			post(s, "/v1/email/verify", apitest.Fields{"handle": handle, "code": mail.Code}).Want(400,
				"one_time_token_invalid")
			bearing(s, tokens.Access, "POST", "/v1/email/verify", apitest.Fields{"token": mail.Token()}).Want(400,
				"one_time_token_invalid")
			post(s, "/v1/password/reset", apitest.Fields{"token": resetMail.Token(),
				"new_password": nextPassword}).Want(400, "one_time_token_invalid")
			post(s, "/v1/password/reset", apitest.Fields{"handle": reset, "code": resetMail.Code,
				"new_password": nextPassword}).Want(400, "one_time_token_invalid")
		})
		forgot(s, u.Email)
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("U-27 the address before is written to: %+v", sent)
		}
	}, apitest.Verifying)
}
