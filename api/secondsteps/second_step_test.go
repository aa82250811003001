package secondsteps_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

func TestTheSecondStepOfALogin(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		first := firstStep(s, alice)
		if !slices.Equal(first.Methods, []string{"totp", "recovery_code"}) || first.ExpiresIn != 300 || first.Login == "" {
			t.Errorf("the refusal says %+v", first)
		}
		key, _ := s.WithPasskey(alice)
		if first := firstStep(s, alice); !slices.Equal(first.Methods, []string{"passkey", "totp", "recovery_code"}) {
			t.Errorf("with a passkey the methods are %q", first.Methods)
		}

		// Whatever the second step is, the tokens are those that the login asked for, and say what was
		// proved.
		began := s.Clock.Now()
		s.Advance(time.Minute)
		for name, c := range map[string]struct {
			second func(login string) *apitest.Response
			amr    string
		}{
			"app": {func(login string) *apitest.Response {
				return post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Code()})
			}, "pwd otp mfa"},
			"app, in groups": {func(login string) *apitest.Response {
				code := app.Code()
				return post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": " " + code[:3] + " " + code[3:]})
			}, "pwd otp mfa"},
			"recovery code": {func(login string) *apitest.Response {
				return post(s, "/v1/login/recovery-code", apitest.Fields{"login": login, "code": recovery[0]})
			}, "pwd otp mfa"},
			"recovery code, as typed": {func(login string) *apitest.Response {
				code := strings.ToUpper(strings.ReplaceAll(recovery[1], "-", " "))
				return post(s, "/v1/login/recovery-code", apitest.Fields{"login": login, "code": code})
			}, "pwd otp mfa"},
			"passkey": {func(login string) *apitest.Response {
				options, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
				if !key.Allowed(options) {
					t.Error("the options do not allow the passkey")
				}
				return post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(options)})
			}, "pwd pop user mfa"},
		} {
			t.Run(name, func(t *testing.T) {
				login := s.FirstStep(alice, apitest.Fields{"scope": "openid email"})
				var tokens apitest.Tokens
				c.second(login).Want(200, "").JSON(&tokens)
				claims := apitest.Claims(tokens.ID)
				var amr []string
				for _, method := range claims["amr"].([]any) {
					amr = append(amr, method.(string))
				}
				if got := strings.Join(amr, " "); got != c.amr || claims["acr"] != "2" || tokens.Scope != "openid email" {
					t.Errorf("acr %v, amr %q, scope %q", claims["acr"], got, tokens.Scope)
				}
				if at := int64(claims["auth_time"].(float64)); at < began.Unix() || at > s.Clock.Now().Unix() {
					t.Errorf("auth_time %d", at)
				}
				if apitest.Claims(tokens.Access)["acr"] != "2" {
					t.Errorf("the access token has acr %v", apitest.Claims(tokens.Access)["acr"])
				}
				var next apitest.Tokens
				s.Refresh(tokens.Refresh).Want(200, "").JSON(&next)
				if acr := apitest.Claims(next.Access)["acr"]; acr != "2" {
					t.Errorf("after a refresh acr is %v", acr)
				}
			})
		}
	})
}

// What is wrong with a request by itself is said before anything is looked at.
func TestTheFormOfASecondStep(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.WithApp(alice)
		login := s.FirstStep(alice)
		for _, path := range []string{"/v1/login/totp", "/v1/login/recovery-code"} {
			refuseAll(t, s, apitest.Request{Method: "POST", Path: path},
				row("nothing"+path, apitest.Fields{}, 400, "validation_error", "login:required code:required"),
				row("no code"+path, apitest.Fields{"login": login}, 400, "validation_error", "code:required"),
				row("no login"+path, apitest.Fields{"code": "123456"}, 400, "validation_error", "login:required"),
				row("a number"+path, `{"login":"x","code":123456}`, 400, "validation_error", "code:wrong_type"),
				row("a client"+path, apitest.Fields{"login": login, "code": "1", "client_id": "signet"}, 400, "validation_error",
					"client_id:unknown_field"),
				row("a wider scope"+path, apitest.Fields{"login": login, "code": "1", "scope": "admin"}, 400, "validation_error",
					"scope:unknown_field"),
				row("two codes"+path, `{"login":"x","code":"1","code":"2"}`, 400, "validation_error", "code:duplicate_field"),
				row("no JSON"+path, `login=x`, 400, "validation_error", "*"),
			)
		}
		for _, path := range []string{"/v1/login/passkey", "/v1/passkey/login", "/v1/login/setup/passkeys"} {
			refuseAll(t, s, apitest.Request{Method: "POST", Path: path},
				row("nothing"+path, apitest.Fields{}, 400, "validation_error", "login:required response:required"),
				row("null"+path, `{"login":"x","response":null}`, 400, "validation_error", "response:required"),
			)
		}
		refuseAll(t, s, apitest.Request{Method: "POST", Path: "/v1/login/passkey/options"},
			row("no login", apitest.Fields{}, 400, "validation_error", "login:required"),
			row("no passkey", apitest.Fields{"login": login}, 409, "no_passkeys", ""),
			row("a login that is none", apitest.Fields{"login": "x"}, 401, "login_expired", ""),
		)
		res := post(s, "/v1/login/totp", apitest.Fields{"login": "x", "code": "1"}).Want(401, "login_expired")
		if got := res.Header.Get("WWW-Authenticate"); got != `Bearer realm="https://id.test"` {
			t.Errorf("challenge %q: no token was sent, and none helps", got)
		}
	})
}
