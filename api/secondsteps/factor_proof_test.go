package secondsteps_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
)

// factorMoves are the requests that change what an account is proved by.
func factorMoves() map[string]apitest.Request {
	return map[string]apitest.Request{
		"a new app":      {Method: "POST", Path: "/v1/profile/factors/totp", Body: apitest.Fields{}},
		"confirm an app": {Method: "POST", Path: "/v1/profile/factors/totp/confirm", Body: apitest.Fields{"code": "123456"}},
		"remove the app": {Method: "DELETE", Path: "/v1/profile/factors/totp", Body: apitest.Fields{}},
		"a new passkey":  {Method: "POST", Path: "/v1/profile/factors/passkeys/options", Body: apitest.Fields{}},
		"rename a passkey": {Method: "PATCH", Path: "/v1/profile/factors/passkeys/x",
			Body: apitest.Fields{"name": "of a thief"}},
		"remove a passkey":    {Method: "DELETE", Path: "/v1/profile/factors/passkeys/x", Body: apitest.Fields{}},
		"new recovery codes":  {Method: "POST", Path: "/v1/profile/factors/recovery-codes", Body: apitest.Fields{}},
		"a change of address": {Method: "POST", Path: "/v1/profile/email", Body: apitest.Fields{"email": "moved@example.test"}},
		"the username":        {Method: "PATCH", Path: "/v1/profile", Body: apitest.Fields{"username": "moved"}},
		"the password": {Method: "POST", Path: "/v1/profile/password",
			Body: apitest.Fields{"new_password": apitest.GoodPassword}},
		"the end of it":        {Method: "DELETE", Path: "/v1/profile", Body: apitest.Fields{}},
		"a copy of everything": {Method: "GET", Path: "/v1/profile/export"},
	}
}

// P-06: a stolen access token changes nothing of an account with a second factor: the password is no
// proof, nor are proofs of the password from before, of another session, user or factor, or old ones.
func TestP06AStolenTokenOfAnAccountWithASecondFactor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		c, ofBob := callerOf(s, alice), callerOf(s, bob)
		byPassword := c.proofOf(apitest.Fields{"current_password": alice.Password})
		byMailbox := c.mailboxProof(alice)
		app, _ := s.WithApp(alice)
		before := c.proofOf(apitest.Fields{"code": app.Code()})
		s.WithPasskey(alice) // ends the proof
		other := caller{s, s.LoginByApp(alice, app).Access}
		otherSession := other.proofOf(apitest.Fields{"code": app.Code()})
		c.token = s.LoginByApp(alice, app).Access
		mine := c.proofOf(apitest.Fields{"code": app.Code()})
		proofs := map[string]string{
			"of the password before": byPassword, "of password and mailbox before": byMailbox, "of another factor": before,
			"of another session": otherSession,
			"of another user":    ofBob.proofOf(apitest.Fields{"current_password": bob.Password}),
		}
		for name, forged := range forgedHandles(mine) {
			proofs["forged, "+name] = forged
		}
		for name, q := range factorMoves() {
			t.Run("P-06 "+name, func(t *testing.T) {
				s := s.With(t)
				q.Token = c.token
				send := func(proof apitest.Fields) *apitest.Response {
					q := q
					if q.Method == "GET" {
						if text, ok := proof["proof"].(string); ok {
							q.Header = http.Header{"Signet-Proof": {text}}
						}
						return s.Do(q)
					}
					body := q.Body.(apitest.Fields)
					for name, value := range proof {
						body = body.With(name, value)
					}
					q.Body = body
					return s.Do(q)
				}
				s.Unchanged(func() {
					send(nil).Want(401, "recent_proof_required")
					send(apitest.Fields{"current_password": alice.Password}).Want(401, "recent_proof_required")
					hashes := s.Hashes()
					send(apitest.Fields{"current_password": wrong}).Want(401, "recent_proof_required")
					if s.Hashes() != hashes {
						t.Error("a password that proves nothing is compared")
					}
					for what, proof := range proofs {
						if q.Method == "GET" && what == "forged, not base64url" {
							continue // no header can hold it
						}
						if res := send(apitest.Fields{"proof": proof}); res.Status != 401 || res.Code() != "recent_proof_required" {
							t.Errorf("a proof %s: %d %s", what, res.Status, res.Body)
						}
					}
				})
				narrow := s.LoginByApp(alice, app, apitest.Fields{"scope": "email"}).Access
				q := q
				q.Token = narrow
				s.Do(q).Want(403, "insufficient_scope")
				q.Token = ""
				s.Do(q).Want(401, "missing_token")
			})
		}
	}, unlimited)
}

// A proof of the second factor opens what a proof of the password opens elsewhere; a new password takes
// the password too.
func TestASecondFactorIsAProof(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		key, _ := s.WithPasskey(alice)
		c := caller{s, s.LoginByApp(alice, app).Access}
		rename := func(name, proof string) *apitest.Response {
			return c.send("PATCH", "/v1/profile", apitest.Fields{"username": name, "proof": proof})
		}
		rename("one", c.proofOf(apitest.Fields{"code": app.Code()})).Want(200, "")
		rename("two", c.proofOf(apitest.Fields{"recovery_code": recovery[0]})).Want(200, "")
		options, handle := passkeyOptions(s, "/v1/profile/prove/passkey/options", c.token, nil)
		answer := apitest.Fields{"handle": handle, "response": key.Get(options)}
		proof := c.proofOf(answer)
		rename("three", proof).Want(200, "")
		export := apitest.Request{Path: "/v1/profile/export", Token: c.token, Header: http.Header{"Signet-Proof": {proof}}}
		s.Do(export).Want(200, "")
		if f := c.factors(); f.RecoveryCodes.Left != 9 || f.Passkeys[0].LastUsedAt.IsZero() || f.Authenticator.LastUsedAt.IsZero() {
			t.Errorf("after the proofs the account has %+v", f)
		}

		prove := func(body apitest.Fields) *apitest.Response { return c.send("POST", "/v1/profile/prove", body) }
		s.Unchanged(func() {
			// P-07, P-08, P-09: each once, at whichever door.
			prove(apitest.Fields{"code": app.Shown(0)}).Want(401, "invalid_code")
			prove(apitest.Fields{"recovery_code": recovery[0]}).Want(401, "invalid_code")
			prove(answer).Want(401, "invalid_code")
			post(s, "/v1/login/totp", apitest.Fields{"login": s.FirstStep(alice), "code": app.Shown(0)}).Want(401, "invalid_code")
			post(s, "/v1/login/recovery-code", apitest.Fields{"login": s.FirstStep(alice), "code": recovery[0]}).
				Want(401, "invalid_code")

			prove(apitest.Fields{"code": app.Wrong()}).Want(401, "invalid_code")
			prove(apitest.Fields{"current_password": alice.Password}).Want(401, "recent_proof_required")
			options, handle := passkeyOptions(s, "/v1/profile/prove/passkey/options", c.token, nil)
			login, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": s.FirstStep(alice)})
			prove(apitest.Fields{"handle": handle, "response": key.Get(login)}).Want(401, "invalid_code")
			for name, forged := range forgedHandles(handle) {
				res := prove(apitest.Fields{"handle": forged, "response": key.Get(options)})
				if res.Status != 401 || res.Code() != "invalid_code" {
					t.Errorf("a handle %s: %d %s", name, res.Status, res.Body)
				}
			}
			strange := s.NewPasskey()
			prove(apitest.Fields{"handle": handle, "response": strange.Get(options)}).Want(401, "invalid_code")
			stolen := *key
			stolen.Party.Origin = "https://evil.test"
			prove(apitest.Fields{"handle": handle, "response": stolen.Get(options)}).Want(401, "invalid_code")
			stolen = *key
			stolen.Authenticator.Options.UserNotVerified = true
			prove(apitest.Fields{"handle": handle, "response": stolen.Get(options)}).Want(401, "invalid_code")
		})
		refuseAll(t, s, apitest.Request{Method: "POST", Path: "/v1/profile/prove", Token: c.token},
			row("nothing", apitest.Fields{}, 401, "recent_proof_required", ""),
			row("two ways", apitest.Fields{"code": "1", "recovery_code": "2"}, 400, "validation_error", ":not_allowed"),
			row("password and code", apitest.Fields{"code": "1", "current_password": "2"}, 400, "validation_error", ":not_allowed"),
			row("an answer without its handle", `{"response":{}}`, 400, "validation_error", "handle:required"),
			row("a handle alone", apitest.Fields{"handle": "x"}, 400, "validation_error",
				"current_password:required mail_code:required"),
			row("a code of the mailbox alone", apitest.Fields{"mail_code": "1"}, 400, "validation_error",
				"current_password:required handle:required"),
			row("a login", apitest.Fields{"login": "x", "code": "1"}, 400, "validation_error", "login:unknown_field"),
		)

		tokens := s.LoginByApp(alice, app)
		c.token = tokens.Access
		proof = c.proofOf(apitest.Fields{"code": app.Code()})
		s.Advance(9*time.Minute + 59*time.Second)
		rename("before ten minutes", proof).Want(400, "validation_error") // what is wrong by itself is said first
		rename("before", proof).Want(200, "")
		s.Advance(time.Second)
		s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
		c.token = tokens.Access
		rename("after", proof).Want(401, "recent_proof_required")

		next := s.Secret("the next planted password of Alice")
		change := func(body apitest.Fields) *apitest.Response {
			return c.send("POST", "/v1/profile/password", body.With("new_password", next))
		}
		proof = c.proofOf(apitest.Fields{"code": app.Code()})
		s.Unchanged(func() {
			change(apitest.Fields{"proof": proof}).Want(401, "recent_proof_required")
			change(apitest.Fields{"current_password": alice.Password}).Want(401, "recent_proof_required")
			change(apitest.Fields{"proof": proof, "current_password": wrong}).Want(403, "wrong_password")
			change(apitest.Fields{"proof": proof[:40], "current_password": alice.Password}).Want(401, "recent_proof_required")
		})
		change(apitest.Fields{"proof": proof, "current_password": alice.Password}).Want(204, "")
		rename("four", proof).Want(401, "recent_proof_required") // it was of the password before
		alice.Password = next
		c.send("DELETE", "/v1/profile", apitest.Fields{"proof": c.proofOf(apitest.Fields{"code": app.Code()})}).Want(204, "")
	}, unlimited)
}

// Guesses of codes with a stolen token have the budgets of logins, and are in the audit log.
func TestGuessesOfCodesWithAToken(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		c := caller{s, s.LoginByApp(alice, app).Access}
		for n := range 10 {
			res := c.send("POST", "/v1/profile/prove", apitest.Fields{"code": app.Wrong()}).Want(401, "invalid_code")
			if events := s.EventsOf(res); n == 0 && (len(events) != 1 || events[0].Name != audit.FactorRefused) {
				t.Errorf("the audit log has %+v", events)
			}
		}
		c.send("POST", "/v1/profile/prove", apitest.Fields{"code": app.Shown(1)}).Want(429, "rate_limited")
	})
}
