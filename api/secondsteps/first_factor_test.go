package secondsteps_test

import (
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

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
