package secondsteps_test

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// caller is a client with an access token.
type caller struct {
	*apitest.Server
	token string
}

func (c caller) send(method, path string, body any) *apitest.Response {
	c.T.Helper()
	return c.Do(apitest.Request{Method: method, Path: path, Token: c.token, Body: body})
}

// proofOf sends what proves the caller, and returns the proof.
func (c caller) proofOf(body apitest.Fields) string {
	c.T.Helper()
	var answer struct{ Proof string }
	c.send("POST", "/v1/profile/prove", body).Want(200, "").JSON(&answer)
	return answer.Proof
}

// mailboxProof is a proof of the password and the mailbox.
func (c caller) mailboxProof(u apitest.User) string {
	c.T.Helper()
	handle, code := c.mailCode(u)
	return c.proofOf(apitest.Fields{"current_password": u.Password, "handle": handle, "mail_code": code})
}

func (c caller) mailCode(u apitest.User) (handle, code string) {
	c.T.Helper()
	c.Mails()
	c.Advance(time.Minute) // two requests within a minute send one message
	var answer struct{ Handle string }
	c.send("POST", "/v1/profile/factors/code", apitest.Fields{"current_password": u.Password}).Want(202, "").JSON(&answer)
	return answer.Handle, c.MailOf(outbox.FactorCode).Code
}

// callerOf is a session of a user whose address is proved.
func callerOf(s *apitest.Server, u apitest.User) caller {
	s.T.Helper()
	s.AddressProved(u)
	return caller{s, s.Login(u).Access}
}

// factors is what GET answers.
type factors struct {
	SecondFactor  bool `json:"second_factor"`
	Authenticator *struct {
		ID         string
		CreatedAt  time.Time `json:"created_at"`
		LastUsedAt time.Time `json:"last_used_at"`
	}
	Passkeys []struct {
		ID, Name   string
		CreatedAt  time.Time `json:"created_at"`
		LastUsedAt time.Time `json:"last_used_at"`
		Synced     bool
		Transports []string
	}
	RecoveryCodes   struct{ Left int }             `json:"recovery_codes"`
	TrustedBrowsers []struct{ ID, Address string } `json:"trusted_browsers"`
}

func (c caller) factors() (f factors) {
	c.T.Helper()
	c.send("GET", "/v1/profile/factors", nil).Want(200, "").JSON(&f)
	return f
}

// begun is an authenticator app that waits for its first code.
type begun struct {
	Secret, URI string
	Login       string
	QR          string `json:"qr_svg"`
}

func TestAnAuthenticatorAppByJSON(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := callerOf(s, alice)
		if f := c.factors(); f.SecondFactor || f.Authenticator != nil || len(f.Passkeys) != 0 || f.RecoveryCodes.Left != 0 {
			t.Errorf("a new account has %+v", f)
		}
		proof := c.mailboxProof(alice)
		c.send("POST", "/v1/profile/factors/totp/confirm", apitest.Fields{"proof": proof, "code": "123456"}).
			Want(404, "not_found") // nothing waits

		var first, b begun
		c.send("POST", "/v1/profile/factors/totp", apitest.Fields{"proof": proof}).Want(200, "").JSON(&first)
		c.send("POST", "/v1/profile/factors/totp", apitest.Fields{"proof": proof}).Want(200, "").JSON(&b)
		if !strings.HasPrefix(b.URI, "otpauth://totp/Test:alice%40example.test?") ||
			!strings.Contains(b.URI, "secret="+strings.ReplaceAll(b.Secret, " ", "")) || b.Login != "" {
			t.Errorf("the app is set up with %+v", b)
		}
		if err := xml.Unmarshal([]byte(b.QR), new(struct{})); err != nil || !strings.HasPrefix(b.QR, "<svg ") {
			t.Errorf("the picture is no SVG: %v %.100s", err, b.QR)
		}
		if f := c.factors(); f.SecondFactor || f.Authenticator != nil {
			t.Errorf("before the first code the account has %+v", f)
		}
		app := s.NewApp(s.Secret(b.Secret))
		confirm := func(fields apitest.Fields) *apitest.Response {
			return c.send("POST", "/v1/profile/factors/totp/confirm", fields.With("proof", proof))
		}
		s.Unchanged(func() {
			confirm(apitest.Fields{"code": app.Wrong()}).Want(401, "invalid_code")
			confirm(apitest.Fields{"code": s.NewApp(first.Secret).Shown(0)}).Want(401, "invalid_code") // another came after it
			confirm(apitest.Fields{}).Want(400, "validation_error")
			confirm(apitest.Fields{"code": app.Shown(2)}).Want(401, "invalid_code")
		})
		other := s.Login(alice)
		var made struct {
			Codes []string `json:"recovery_codes"`
		}
		res := confirm(apitest.Fields{"code": app.Code()}).Want(200, "").JSON(&made)
		if len(made.Codes) != 10 {
			t.Errorf("there are %d recovery codes", len(made.Codes))
		}
		if events := s.EventsOf(res); len(events) != 1 || events[0].Name != audit.FactorAdded || events[0].Target.ID != alice.ID {
			t.Errorf("the audit log has %+v", events)
		}
		f := c.factors()
		if !f.SecondFactor || f.Authenticator == nil || f.RecoveryCodes.Left != 10 {
			t.Errorf("the account has %+v", f)
		}
		// The other session goes on: nobody asked for its end.
		caller{s, other.Access}.factors()

		// The proof was of the password alone, which does not suffice any more, and of other factors.
		confirm(apitest.Fields{"code": app.Code()}).Want(401, "recent_proof_required")

		// Another app takes the place of the first, which counts until then.
		proof = c.proofOf(apitest.Fields{"code": app.Code()})
		c.send("POST", "/v1/profile/factors/totp", apitest.Fields{"proof": proof}).Want(200, "").JSON(&b)
		next := s.NewApp(b.Secret)
		s.LoginByApp(alice, app)
		res = confirm(apitest.Fields{"code": next.Code(), "end_other_sessions": true}).Want(200, "")
		if string(res.Body) != "{}" {
			t.Errorf("the second app brings %s", res.Body)
		}
		if got := c.factors(); got.Authenticator.ID == f.Authenticator.ID || got.RecoveryCodes.Left != 10 {
			t.Errorf("the account has %+v", got)
		}
		s.Refresh(other.Refresh).Want(401, "token_invalid")
		post(s, "/v1/login/totp", apitest.Fields{"login": s.FirstStep(alice), "code": app.Code()}).Want(401, "invalid_code")
		s.LoginByApp(alice, next)

		// Removed, with the recovery codes.
		remove := func(body any) *apitest.Response { return c.send("DELETE", "/v1/profile/factors/totp", body) }
		proof = c.proofOf(apitest.Fields{"recovery_code": made.Codes[0]})
		remove(apitest.Fields{"proof": proof}).Want(204, "")
		if f := c.factors(); f.SecondFactor || f.RecoveryCodes.Left != 0 {
			t.Errorf("after the removal the account has %+v", f)
		}
		remove(apitest.Fields{"proof": proof}).Want(401, "recent_proof_required")
		remove(apitest.Fields{"current_password": alice.Password}).Want(404, "not_found")
		s.Login(alice)
	}, unlimited)
}

func TestPasskeysByJSON(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := callerOf(s, alice)
		create := func(proof string) (json.RawMessage, string) {
			return passkeyOptions(s, "/v1/profile/factors/passkeys/options", c.token, apitest.Fields{"proof": proof})
		}
		key := s.NewPasskey()
		key.Authenticator.Options.BackupEligible, key.Authenticator.Options.BackupState = true, true
		options, handle := create(c.mailboxProof(alice))
		add := func(handle string, response json.RawMessage, name string) *apitest.Response {
			return c.send("POST", "/v1/profile/factors/passkeys",
				apitest.Fields{"handle": handle, "response": response, "name": name})
		}

		elsewhere, phished := *key, *key
		elsewhere.Party.ID = "evil.test"
		phished.Party.Origin = "https://id.test.evil.test"
		unverified := *key
		unverified.Authenticator.Options.UserNotVerified = true
		stranger, _ := passkeyOptions(s, "/v1/passkey/login/options", "", apitest.Fields{})
		bobs := s.SignUp("bob")
		bob, another := callerOf(s, bobs), caller{s, s.Login(alice).Access}
		s.Unchanged(func() {
			for name, response := range map[string]json.RawMessage{
				"P-09 of another RP id": elsewhere.Create(options), "P-09 of another origin": phished.Create(options),
				"P-09 without user verification": unverified.Create(options), "an assertion": key.Get(stranger),
				"an object": json.RawMessage(`{}`), "a text": json.RawMessage(`"x"`),
			} {
				if res := add(handle, response, ""); res.Status != 401 || res.Code() != "invalid_code" {
					t.Errorf("%s: %d %s", name, res.Status, res.Body)
				}
			}
			for name, forged := range forgedHandles(handle) {
				if res := add(forged, key.Create(options), ""); res.Status != 401 || res.Code() != "invalid_code" {
					t.Errorf("a handle that is %s: %d %s", name, res.Status, res.Body)
				}
			}
			// P-09: the challenge of another browser: of another user, or another session.
			for _, other := range []caller{bob, another} {
				other.send("POST", "/v1/profile/factors/passkeys", apitest.Fields{"handle": handle, "response": key.Create(options)}).
					Want(401, "invalid_code")
			}
			res := add(handle, key.Create(options), strings.Repeat("x", 65)).Want(400, "validation_error")
			if res.Faults() != "name:too_long" {
				t.Error(res.Faults())
			}
			add("", nil, "").Want(400, "validation_error")
		})
		var made struct {
			ID, Name string
			Codes    []string `json:"recovery_codes"`
		}
		add(handle, key.Create(options), " my phone ").Want(201, "").JSON(&made)
		f := c.factors()
		if len(made.Codes) != 10 || made.Name != "my phone" || len(f.Passkeys) != 1 || f.Passkeys[0].ID != made.ID ||
			!f.Passkeys[0].Synced || !f.Passkeys[0].LastUsedAt.IsZero() || !f.SecondFactor {
			t.Errorf("made %+v, has %+v", made, f)
		}
		add(handle, key.Create(options), "").Want(401, "invalid_code") // once

		proof := c.proofOf(apitest.Fields{"recovery_code": made.Codes[0]})
		options, handle = create(proof)
		if !strings.Contains(string(options), "excludeCredentials") {
			t.Errorf("the options do not exclude the passkey: %s", options)
		}
		add(handle, key.Create(options), "").Want(409, "passkey_exists")
		second := s.NewPasskey()
		res := add(handle, second.Create(options), "").Want(201, "")
		if strings.Contains(string(res.Body), "recovery_codes") {
			t.Errorf("the second passkey brings %s", res.Body)
		}

		rename := func(c caller, id string, body apitest.Fields) *apitest.Response {
			return c.send("PATCH", "/v1/profile/factors/passkeys/"+id, body)
		}
		proof = c.proofOf(apitest.Fields{"recovery_code": made.Codes[1]})
		mine := func(body apitest.Fields) apitest.Fields { return body.With("proof", proof) }
		res = rename(c, made.ID, mine(apitest.Fields{"name": "Ключ 🔑"})).Want(200, "")
		if !strings.Contains(string(res.Body), "Ключ") {
			t.Errorf("renamed to %s", res.Body)
		}
		rename(c, made.ID, mine(apitest.Fields{"name": ""})).Want(200, "")
		rename(c, made.ID, mine(apitest.Fields{})).Want(400, "validation_error")
		rename(c, made.ID, mine(apitest.Fields{"name": "a\nb"})).Want(400, "validation_error")
		rename(c, "nothing", mine(apitest.Fields{"name": "x"})).Want(404, "not_found")
		rename(bob, made.ID, apitest.Fields{"name": "x", "current_password": bobs.Password}).Want(404, "not_found")

		remove := func(c caller, id string, body any) *apitest.Response {
			return c.send("DELETE", "/v1/profile/factors/passkeys/"+id, body)
		}
		asked, proving := passkeyOptions(s, "/v1/profile/prove/passkey/options", c.token, nil)
		proof = c.proofOf(apitest.Fields{"handle": proving, "response": key.Get(asked)})
		remove(c, "nothing", apitest.Fields{"proof": proof}).Want(404, "not_found")
		remove(c, made.ID, apitest.Fields{"proof": proof}).Want(204, "")
		if f := c.factors(); len(f.Passkeys) != 1 || f.Passkeys[0].ID == made.ID || f.RecoveryCodes.Left != 8 {
			t.Errorf("after the removal the account has %+v", f)
		}
		login, with := passkeyOptions(s, "/v1/passkey/login/options", "", apitest.Fields{})
		post(s, "/v1/passkey/login", apitest.Fields{"login": with, "response": key.Get(login)}).Want(401, "invalid_code")
		post(s, "/v1/passkey/login", apitest.Fields{"login": with, "response": second.Get(login)}).Want(200, "")
	}, unlimited)
}
