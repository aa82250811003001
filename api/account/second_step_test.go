package account_test

import (
	"encoding/json"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// post sends a request of a client without an access token.
func post(s *apitest.Server, path string, body any) *apitest.Response {
	s.T.Helper()
	return s.Do(apitest.Request{Method: "POST", Path: path, Body: body})
}

func TestTheSecondStepOfALogin(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		var first struct {
			Login     string
			Methods   []string
			ExpiresIn int `json:"expires_in"`
		}
		post(s, "/v1/login", apitest.Fields{"email": alice.Email, "password": alice.Password}).
			Want(401, "second_factor_required").JSON(&first)
		t.Logf("%+v", first)
		s.LoginByApp(alice, app)
		post(s, "/v1/login/recovery-code", apitest.Fields{"login": s.FirstStep(alice), "code": recovery[0]}).Want(200, "")
		key, _ := s.WithPasskey(alice)
		login := s.FirstStep(alice)
		var o struct{ Options json.RawMessage }
		post(s, "/v1/login/passkey/options", apitest.Fields{"login": login}).Want(200, "").JSON(&o)
		post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(o.Options)}).Want(200, "")
		post(s, "/v1/passkey/login/options", apitest.Fields{}).Want(200, "").JSON(&o)
	})
}
