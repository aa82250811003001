package account_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
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
		run(t, s, apitest.Request{Method: "POST", Path: "/v1/profile/prove", Token: c.token}, []refusal{
			{"nothing", apitest.Fields{}, 401, "recent_proof_required", ""},
			{"two ways", apitest.Fields{"code": "1", "recovery_code": "2"}, 400, "validation_error", ":not_allowed"},
			{"password and code", apitest.Fields{"code": "1", "current_password": "2"}, 400, "validation_error", ":not_allowed"},
			{"an answer without its handle", `{"response":{}}`, 400, "validation_error", "handle:required"},
			{"a handle alone", apitest.Fields{"handle": "x"}, 400, "validation_error",
				"current_password:required mail_code:required"},
			{"a code of the mailbox alone", apitest.Fields{"mail_code": "1"}, 400, "validation_error",
				"current_password:required handle:required"},
			{"a login", apitest.Fields{"login": "x", "code": "1"}, 400, "validation_error", "login:unknown_field"},
		})

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

// P-05: the first second factor takes the mailbox too, where there is mail: a stolen password does not
// bind an account to the thief's device.
func TestP05TheFirstSecondFactorTakesTheMailbox(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := caller{s, s.Login(alice).Access}
		begin := func(c caller, proof apitest.Fields) *apitest.Response {
			return c.send("POST", "/v1/profile/factors/totp", proof)
		}
		password := apitest.Fields{"current_password": alice.Password}
		// An address that is not proved is nobody's.
		begin(c, password).Want(403, "email_not_verified")
		c.send("POST", "/v1/profile/factors/code", nil).Want(403, "email_not_verified")
		s.AddressProved(alice)

		for _, path := range []string{"totp", "passkeys/options"} {
			for _, proof := range []apitest.Fields{password, {"proof": c.proofOf(password)}} {
				res := c.send("POST", "/v1/profile/factors/"+path, proof).Want(401, "mail_code_required")
				if got := res.Header.Get("WWW-Authenticate"); len(got) < 50 {
					t.Errorf("challenge %q", got)
				}
			}
		}
		prove := func(c caller, handle, code string) *apitest.Response {
			return c.send("POST", "/v1/profile/prove", password.With("handle", handle).With("mail_code", code))
		}
		handle, code := c.mailCode(alice)
		bob := s.SignUp("bob")
		ofBob, other := callerOf(s, bob), caller{s, s.Login(alice).Access}
		s.Unchanged(func() {
			prove(other, handle, code).Want(400, "one_time_token_invalid") // of another session
			ofBob.send("POST", "/v1/profile/prove", apitest.Fields{
				"current_password": bob.Password, "handle": handle, "mail_code": code,
			}).Want(400, "one_time_token_invalid")
			prove(c, "x", code).Want(400, "one_time_token_invalid")
			prove(c, handle, "00000000").Want(400, "one_time_token_invalid")
			c.send("POST", "/v1/profile/prove", apitest.Fields{"current_password": wrong, "handle": handle, "mail_code": code}).
				Want(403, "wrong_password")
			c.send("POST", "/v1/profile/prove", apitest.Fields{"handle": handle, "mail_code": code}).Want(400, "validation_error")
		})
		var answer struct{ Proof string }
		prove(c, handle, code).Want(200, "").JSON(&answer)
		prove(c, handle, code).Want(400, "one_time_token_invalid") // once
		begin(other, apitest.Fields{"proof": answer.Proof}).Want(401, "recent_proof_required")
		begin(c, apitest.Fields{"proof": answer.Proof}).Want(200, "")

		// A proof of a mailbox that is not the account's any more.
		_, err := s.Replicas[0].Accounts.EditByOperator(t.Context(), alice.ID, func(u *userstore.User) error {
			u.Email, u.EmailVerified = "alice.new@example.test", true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.AddressProved(alice)
		begin(c, apitest.Fields{"proof": answer.Proof}).Want(401, "mail_code_required")
		alice.Email = "alice.new@example.test"

		app, _ := s.WithApp(alice)
		c.send("POST", "/v1/profile/factors/code", nil).Want(409, "conflict") // it proves its factor now
		begin(c, apitest.Fields{"proof": c.proofOf(apitest.Fields{"code": app.Code()})}).Want(200, "")
	}, unlimited)
}

// Without mail the password does for the first second factor.
func TestTheFirstSecondFactorWithoutMail(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := caller{s, s.Login(alice).Access}
		c.send("POST", "/v1/profile/factors/code", nil).Want(404, "not_found")
		post(s, "/v1/login/setup/code", apitest.Fields{}).Want(404, "not_found")
		password := apitest.Fields{"current_password": alice.Password}
		c.send("POST", "/v1/profile/factors/totp", apitest.Fields{}).Want(401, "recent_proof_required")
		c.send("POST", "/v1/profile/factors/recovery-codes", password).Want(409, "conflict")
		var b begun
		c.send("POST", "/v1/profile/factors/totp", password).Want(200, "").JSON(&b)
		app := s.NewApp(b.Secret)
		c.send("POST", "/v1/profile/factors/totp/confirm", password.With("code", app.Code())).Want(200, "")

		// New recovery codes end the ones before.
		proof := c.proofOf(apitest.Fields{"code": app.Code()})
		var one, two struct {
			Codes []string `json:"recovery_codes"`
		}
		c.send("POST", "/v1/profile/factors/recovery-codes", apitest.Fields{"proof": proof}).Want(200, "").JSON(&one)
		c.send("POST", "/v1/profile/factors/recovery-codes", apitest.Fields{"proof": proof}).Want(401, "recent_proof_required")
		proof = c.proofOf(apitest.Fields{"recovery_code": one.Codes[3]})
		c.send("POST", "/v1/profile/factors/recovery-codes", apitest.Fields{"proof": proof}).Want(200, "").JSON(&two)
		c.send("POST", "/v1/profile/prove", apitest.Fields{"recovery_code": one.Codes[4]}).Want(401, "invalid_code")
		c.proofOf(apitest.Fields{"recovery_code": two.Codes[4]})
		if len(two.Codes) != 10 {
			t.Errorf("there are %d recovery codes", len(two.Codes))
		}
	}, apitest.WithoutMail, unlimited)
}

// Where second factors are off, one that is there counts, and none is added.
func TestFactorsAreOff(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		accounts := s.Replicas[0].Accounts
		accounts.SecondFactor = userstore.SecondFactorOptional
		app, _ := s.WithApp(alice)
		accounts.SecondFactor = userstore.SecondFactorOff
		c := caller{s, s.LoginByApp(alice, app).Access}
		proof := c.proofOf(apitest.Fields{"code": app.Code()})
		for _, path := range []string{"totp", "passkeys/options"} {
			c.send("POST", "/v1/profile/factors/"+path, apitest.Fields{"proof": proof}).Want(403, "factors_off")
		}
		bob := callerOf(s, s.SignUp("bob"))
		bob.send("POST", "/v1/profile/factors/code", nil).Want(403, "factors_off")
		c.send("DELETE", "/v1/profile/factors/totp", apitest.Fields{"proof": proof}).Want(204, "")
	}, unlimited)
}

// The last second factor stays where the policy wants one.
func TestTheLastSecondFactorUnderAPolicy(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		s.WithPasskey(alice)
		s.Replicas[0].Accounts.SecondFactor = userstore.SecondFactorRequired
		c := caller{s, s.LoginByApp(alice, app).Access}
		remove := func(path string) *apitest.Response {
			return c.send("DELETE", "/v1/profile/factors/"+path, apitest.Fields{"proof": c.proofOf(apitest.Fields{"code": app.Code()})})
		}
		remove("passkeys/"+c.factors().Passkeys[0].ID).Want(204, "")
		s.Unchanged(func() { remove("totp").Want(409, "last_factor") })
	}, unlimited)
}

// Trusted browsers are listed, and each can be ended.
func TestTrustedBrowsersByJSON(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		c := caller{s, s.LoginByApp(alice, app).Access}
		stored, err := s.DB.UserByID(t.Context(), alice.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, _, trusted, err := s.Replicas[0].Issuer.StartSecondSession(t.Context(), userstore.SecondLogin{
			UserID: alice.ID, PasswordMark: stored.PasswordMark(), FactorVersion: stored.FactorVersion, At: s.Clock.Now(),
		}, userstore.FactorProof{Code: app.Code()}, true, issuer.PageLogin{})
		if err != nil || trusted == "" {
			t.Fatalf("trust a browser: %q %v", trusted, err)
		}
		f := c.factors()
		if len(f.TrustedBrowsers) != 1 || f.TrustedBrowsers[0].ID == "" {
			t.Fatalf("trusted browsers: %+v", f.TrustedBrowsers)
		}
		path := "/v1/profile/factors/trusted-browsers/" + f.TrustedBrowsers[0].ID
		callerOf(s, s.SignUp("bob")).send("DELETE", path, nil).Want(404, "not_found")
		c.send("DELETE", path, nil).Want(204, "")
		c.send("DELETE", path, nil).Want(404, "not_found")
		if f := c.factors(); len(f.TrustedBrowsers) != 0 {
			t.Errorf("trusted browsers: %+v", f.TrustedBrowsers)
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.TrustedBrowser = 30 * 24 * time.Hour }))
}
