package secondsteps_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// creation is what a browser needs to make a passkey, as the API answers it.
type creation struct {
	Handle    string
	Options   json.RawMessage
	ExpiresIn int `json:"expires_in"`
}

// P-06: the options of a new passkey end with the proof that they were made with, and say so.
func TestP06TheOptionsOfAPasskeyEndWithTheirProof(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		tokens := s.LoginByApp(alice, app)
		c := caller{s, tokens.Access}
		proof := c.proofOf(apitest.Fields{"code": app.Code()})
		ask := func(want int) (got creation) {
			t.Helper()
			c.send("POST", "/v1/profile/factors/passkeys/options", apitest.Fields{"proof": proof}).Want(200, "").JSON(&got)
			var o struct{ Timeout int }
			if err := json.Unmarshal(got.Options, &o); err != nil || got.ExpiresIn != want || o.Timeout != 1000*want {
				t.Errorf("the options say %d s and %d ms, want %d s: %v", got.ExpiresIn, o.Timeout, want, err)
			}
			return got
		}
		refresh := func() {
			s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
			c.token = tokens.Access
		}
		add := func(got creation, key *apitest.Passkey) *apitest.Response {
			return c.send("POST", "/v1/profile/factors/passkeys",
				apitest.Fields{"handle": got.Handle, "response": key.Create(got.Options)})
		}
		early := ask(300)
		s.Advance(4*time.Minute + 59*time.Second)
		add(early, s.NewPasskey()).Want(201, "") // its own five minutes
		proof = c.proofOf(apitest.Fields{"code": app.Code()})

		s.Advance(9 * time.Minute)
		refresh()
		late := ask(60)
		s.Advance(59 * time.Second)
		last := ask(1)
		key := s.NewPasskey()
		s.Advance(time.Second)
		s.Unchanged(func() {
			add(late, key).Want(401, "invalid_code")
			add(last, key).Want(401, "invalid_code")
			c.send("POST", "/v1/profile/factors/passkeys/options", apitest.Fields{"proof": proof}).
				Want(401, "recent_proof_required")
		})
	}, unlimited)
}

// P-06: up to its end such a handle is good.
func TestTheLastSecondOfAProof(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		c := caller{s, s.LoginByApp(alice, app).Access}
		proof := c.proofOf(apitest.Fields{"code": app.Code()})
		s.Advance(9 * time.Minute)
		var got creation
		c.send("POST", "/v1/profile/factors/passkeys/options", apitest.Fields{"proof": proof}).Want(200, "").JSON(&got)
		s.Advance(59 * time.Second)
		c.send("POST", "/v1/profile/factors/passkeys",
			apitest.Fields{"handle": got.Handle, "response": s.NewPasskey().Create(got.Options)}).Want(201, "")
	}, unlimited)
}

// P-06: a change of the password, the factors or the address between the options and the answer voids
// the handle, with the first second factor as with a further one.
func TestP06AChangeVoidsTheOptionsOfAPasskey(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, first := range []bool{true, false} {
			for name, change := range map[string]func(c caller, u apitest.User, proof apitest.Fields){
				"password": func(c caller, u apitest.User, proof apitest.Fields) {
					body := apitest.Fields{"current_password": u.Password, "new_password": c.Secret("another planted password")}
					if c.factors().SecondFactor {
						body["proof"] = proof["proof"]
					}
					c.send("POST", "/v1/profile/password", body).Want(204, "") // this session goes on
				},
				"factors": func(c caller, u apitest.User, _ apitest.Fields) { c.WithPasskey(u) },
				"address": func(s caller, u apitest.User, _ apitest.Fields) {
					_, err := s.Replicas[0].Accounts.EditByOperator(s.T.Context(), u.ID, func(u *userstore.User) error {
						u.Email, u.EmailVerified = "moved-"+u.Email, true
						return nil
					})
					if err != nil {
						s.T.Fatal(err)
					}
				},
			} {
				of := map[bool]string{true: "first", false: "further"}[first]
				t.Run("P-06 "+of+" "+name, func(t *testing.T) {
					s := s.With(t)
					u := s.SignUp("of-" + of + "-" + name)
					c := callerOf(s, u)
					proof := apitest.Fields{"proof": c.mailboxProof(u)}
					if !first {
						app, _ := s.WithApp(u)
						c.token = s.LoginByApp(u, app).Access
						proof = apitest.Fields{"proof": c.proofOf(apitest.Fields{"code": app.Code()})}
					}
					options, handle := passkeyOptions(s, "/v1/profile/factors/passkeys/options", c.token, proof)
					change(c, u, proof)
					answer := apitest.Fields{"handle": handle, "response": s.NewPasskey().Create(options)}
					s.Unchanged(func() { c.send("POST", "/v1/profile/factors/passkeys", answer).Want(401, "invalid_code") })
				})
			}
		}
	}, unlimited)
}
