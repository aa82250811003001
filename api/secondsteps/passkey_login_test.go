package secondsteps_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

func TestALoginByPasskeyAlone(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		key, _ := s.WithPasskey(alice)
		options, login := passkeyOptions(s, "/v1/passkey/login/options", "", apitest.Fields{"scope": "openid profile"})
		if strings.Contains(string(options), "allowCredentials\":[{") {
			t.Errorf("options without a user name a passkey: %s", options)
		}
		answer := apitest.Fields{"login": login, "response": key.Get(options)}
		var tokens apitest.Tokens
		post(s, "/v1/passkey/login", answer).Want(200, "").JSON(&tokens)
		claims := apitest.Claims(tokens.ID)
		if claims["sub"] != alice.ID || claims["acr"] != "2" || tokens.Scope != "openid profile" {
			t.Errorf("claims %v, scope %q", claims, tokens.Scope)
		}
		s.Unchanged(func() {
			post(s, "/v1/passkey/login", answer).Want(401, "login_expired") // P-09: replayed
		})
		for name, c := range map[string]struct {
			body apitest.Fields
			code string
		}{
			"an unknown client":     {apitest.Fields{"client_id": "nobody"}, "invalid_client"},
			"a scope that is none":  {apitest.Fields{"scope": "x"}, "invalid_scope"},
			"an unknown resource":   {apitest.Fields{"resource": "https://x.test"}, "invalid_target"},
			"a confidential client": {apitest.Fields{"client_id": s.WebClient().ID}, "unauthorized_client"},
			"an unknown member":     {apitest.Fields{"user": "alice"}, "validation_error"},
		} {
			if got := post(s, "/v1/passkey/login/options", c.body); got.Status != 400 || got.Code() != c.code {
				t.Errorf("%s: %d %s", name, got.Status, got.Code())
			}
		}

		// Somebody who may not be let in is told so after the passkey only.
		disabled := func(active bool) {
			if err := s.Replicas[0].Accounts.SetActive(t.Context(), alice.ID, active); err != nil {
				t.Fatal(err)
			}
		}
		disabled(false)
		options, login = passkeyOptions(s, "/v1/passkey/login/options", "", apitest.Fields{})
		post(s, "/v1/passkey/login", apitest.Fields{"login": login, "response": key.Get(options)}).Want(403, "account_disabled")
		disabled(true)
		stranger := s.NewPasskey()
		stranger.Authenticator.Options.UserHandle = key.Authenticator.Options.UserHandle
		post(s, "/v1/passkey/login", apitest.Fields{"login": login, "response": stranger.Get(options)}).Want(401, "invalid_code")
		post(s, "/v1/passkey/login", apitest.Fields{"login": login, "response": key.Get(options)}).Want(200, "")
	})
}
