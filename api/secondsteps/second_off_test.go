package secondsteps_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// Where logins by JSON are off, none of their steps is on.
func TestNoStepOfALoginWhereItIsOff(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, path := range []string{
			"/v1/login", "/v1/login/totp", "/v1/login/recovery-code", "/v1/login/passkey", "/v1/login/passkey/options",
			"/v1/passkey/login", "/v1/passkey/login/options", "/v1/login/setup/code", "/v1/login/setup/totp",
			"/v1/login/setup/totp/confirm", "/v1/login/setup/passkeys", "/v1/login/setup/passkeys/options",
		} {
			post(s, path, apitest.Fields{}).Want(403, "login_closed")
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.API.JSONLogin = false }))
}

// An issuer whose host is an IP address has no passkeys, nor a word of them.
func TestWithoutPasskeys(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		tokens := s.LoginByApp(alice, app)
		for _, path := range []string{
			"/v1/login/passkey", "/v1/login/passkey/options", "/v1/passkey/login", "/v1/passkey/login/options",
			"/v1/login/setup/passkeys", "/v1/login/setup/passkeys/options", "/v1/profile/prove/passkey/options",
			"/v1/profile/factors/passkeys", "/v1/profile/factors/passkeys/options", "/v1/profile/factors/passkeys/x",
		} {
			s.Do(apitest.Request{Method: "POST", Path: path, Token: tokens.Access, Body: apitest.Fields{}}).Want(404, "not_found")
		}
		for path := range s.Describe().Paths.Map() {
			if strings.HasPrefix(path, "/v1/") && strings.Contains(path, "passkey") {
				t.Errorf("openapi.json has %s", path)
			}
		}
	}, apitest.WithoutPasskeys)
}
