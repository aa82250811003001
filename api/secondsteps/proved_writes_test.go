package secondsteps_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// P-06: a stolen access token gives no passkey another name: the owner would remove the wrong one.
func TestP06ANewNameOfAPasskeyTakesAProof(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		s.WithPasskey(alice)
		tokens := s.LoginByApp(alice, app)
		c := caller{s, tokens.Access}
		key := c.factors().Passkeys[0]
		rename := func(body apitest.Fields) *apitest.Response {
			return c.send("PATCH", "/v1/profile/factors/passkeys/"+key.ID, body)
		}
		name := apitest.Fields{"name": "renamed"}
		proof := c.proofOf(apitest.Fields{"code": app.Code()})
		s.Unchanged(func() {
			rename(name).Want(401, "recent_proof_required")
			rename(name.With("proof", "")).Want(401, "recent_proof_required")
			rename(name.With("proof", "x")).Want(401, "recent_proof_required")
			rename(name.With("current_password", alice.Password)).Want(401, "recent_proof_required")
			both := rename(name.With("proof", proof).With("current_password", alice.Password)).Want(400, "validation_error")
			if got := both.Faults(); got != "proof:not_allowed" {
				t.Error(got)
			}
			// The age of the access token never counts: the time of the proof does.
			s.Advance(9*time.Minute + 59*time.Second)
			rename(apitest.Fields{"name": "a\nb", "proof": proof}).Want(400, "validation_error")
		})
		s.Advance(time.Second)
		s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
		c.token = tokens.Access
		s.Unchanged(func() { rename(name.With("proof", proof)).Want(401, "recent_proof_required") })
		merge := apitest.Request{
			Method: "PATCH", Path: "/v1/profile/factors/passkeys/" + key.ID, Token: c.token,
			Type: "application/merge-patch+json", Body: `{"name": "by merge patch"}`,
		}
		s.Unchanged(func() { s.Do(merge).Want(401, "recent_proof_required") })

		proof = c.proofOf(apitest.Fields{"code": app.Code()})
		rename(name.With("proof", proof)).Want(200, "")
		if got := c.factors().Passkeys[0].Name; got != "renamed" {
			t.Errorf("the passkey is %q", got)
		}
		// A new name is no change of what the account is proved by: the proof goes on.
		rename(apitest.Fields{"name": "once more", "proof": proof}).Want(200, "")

		// Without a second factor the password is the proof, and there is nothing to rename.
		bob := s.SignUp("bob")
		c = callerOf(s, bob)
		s.Unchanged(func() {
			rename(name).Want(401, "recent_proof_required")
			rename(name.With("current_password", bob.Password)).Want(404, "not_found")
		})
		rename(name.With("current_password", wrong)).Want(403, "wrong_password")
	}, unlimited)
}

// P-06: a stolen access token has no message sent: a code to the mailbox takes the password first.
func TestP06ACodeToTheMailboxTakesAProof(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		c, ofBob := callerOf(s, alice), callerOf(s, bob)
		other := caller{s, s.Login(alice).Access}
		s.Mails()
		ask := func(body any) *apitest.Response { return c.send("POST", "/v1/profile/factors/code", body) }
		none := func(what string) {
			t.Helper()
			for _, m := range s.Mails() {
				if m.Kind == outbox.FactorCode {
					t.Errorf("%s sends a message", what)
				}
			}
		}
		password := apitest.Fields{"current_password": alice.Password}
		proof := c.proofOf(password)
		for what, refused := range map[string]*apitest.Response{
			"no body": ask(nil), "an empty body": ask(apitest.Fields{}), "an empty password": ask(apitest.Fields{"current_password": ""}),
			"no proof":           ask(apitest.Fields{"proof": "x"}),
			"another user's":     ask(apitest.Fields{"proof": ofBob.proofOf(apitest.Fields{"current_password": bob.Password})}),
			"another session's":  ask(apitest.Fields{"proof": other.proofOf(password)}),
			"a forged proof":     ask(apitest.Fields{"proof": proof[:len(proof)-2] + "xx"}),
			"the end of a proof": ask(apitest.Fields{"proof": proof[4:]}),
		} {
			if refused.Status != 401 || refused.Code() != "recent_proof_required" {
				t.Errorf("%s: %d %s", what, refused.Status, refused.Body)
			}
			none(what)
		}
		s.Unchanged(func() {
			ask(password.With("proof", proof)).Want(400, "validation_error")
			ask(apitest.Fields{"handle": "x"}).Want(400, "validation_error")
			ask(`{`).Want(400, "validation_error")
		})
		ask(apitest.Fields{"current_password": wrong}).Want(403, "wrong_password")
		none("a wrong password")

		var one, two struct{ Handle string }
		ask(password).Want(202, "").JSON(&one)
		code := s.MailOf(outbox.FactorCode).Code
		prove := func(handle, code string) *apitest.Response {
			return c.send("POST", "/v1/profile/prove", password.With("handle", handle).With("mail_code", code))
		}
		prove(one.Handle, code).Want(200, "")
		s.Advance(time.Minute)
		ask(apitest.Fields{"proof": proof}).Want(202, "").JSON(&two)
		prove(two.Handle, s.MailOf(outbox.FactorCode).Code).Want(200, "")
		s.Advance(9 * time.Minute)
		ask(apitest.Fields{"proof": proof}).Want(401, "recent_proof_required")
		none("an old proof")
	}, unlimited)
}

// P-06: guesses of the password at the request for a code have the budget of logins.
func TestGuessesAtTheRequestForACode(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := callerOf(s, alice)
		s.Mails()
		ask := func(password string) *apitest.Response {
			return c.send("POST", "/v1/profile/factors/code", apitest.Fields{"current_password": password})
		}
		for range 10 {
			ask(wrong).Want(403, "wrong_password")
		}
		hashes := s.Hashes()
		ask(alice.Password).Want(429, "rate_limited")
		post(s, "/v1/login", apitest.Fields{"email": alice.Email, "password": alice.Password}).Want(429, "rate_limited")
		if s.Hashes() != hashes {
			t.Error("a password is compared after the budget was used up")
		}
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("%d messages are sent", len(mails))
		}
		ask("").Want(401, "recent_proof_required")
	})
}
