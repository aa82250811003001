package account_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// post sends a request of a client without an access token.
func post(s *apitest.Server, path string, body any) *apitest.Response {
	s.T.Helper()
	return s.Do(apitest.Request{Method: "POST", Path: path, Body: body})
}

// step is how a login goes on.
type step struct {
	Login     string
	Methods   []string
	ExpiresIn int `json:"expires_in"`
}

func firstStep(s *apitest.Server, u apitest.User) (first step) {
	s.T.Helper()
	post(s, "/v1/login", apitest.Fields{"email": u.Email, "password": u.Password}).
		Want(401, "second_factor_required").JSON(&first)
	return first
}

// passkeyOptions asks for the options of a passkey, with a handle in the answer or none.
func passkeyOptions(s *apitest.Server, path, token string, body any) (options json.RawMessage, handle string) {
	s.T.Helper()
	var o struct {
		Options       json.RawMessage
		Login, Handle string
	}
	s.Do(apitest.Request{Method: "POST", Path: path, Token: token, Body: body}).Want(200, "").JSON(&o)
	return o.Options, o.Login + o.Handle
}

// forgedHandles are handles that were not made here, made of one that was.
func forgedHandles(handle string) map[string]string {
	raw, _ := base64.RawURLEncoding.DecodeString(handle)
	changed, other := slices.Clone(raw), slices.Clone(raw)
	changed[len(changed)-3] ^= 1
	other[0] ^= 1
	return map[string]string{
		"changed": base64.RawURLEncoding.EncodeToString(changed), "another MAC": base64.RawURLEncoding.EncodeToString(other),
		"cut": handle[:len(handle)-4], "the MAC alone": handle[:43], "padded": handle + "=", "not base64url": "§",
		"long": strings.Repeat("A", 50000), "a word": "x",
	}
}

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

// P-05: the password alone leads nowhere, and nothing is written before the last step: no session,
// grant, last login or remembered network.
func TestP05NothingIsWrittenBeforeTheLastStep(t *testing.T) {
	sqltest.EachURL(t, func(t *testing.T, url string) {
		db, err := sqlstore.Open(t.Context(), url, sqlstore.Options{MustExist: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		s := apitest.New(t, apitest.Options{DB: db})
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		cells := func() []string { // of every table, without the bytes of SQLite's file
			dump, _, _ := strings.Cut(string(sqltest.Dump(t, url)), "SQLite format 3\x00")
			return slices.Sorted(strings.Lines(dump))
		}
		before := cells()
		login := s.FirstStep(alice)
		if after := cells(); !slices.Equal(after, before) || len(before) < 100 {
			t.Errorf("P-05: the first step wrote something: %d cells, %d before", len(after), len(before))
		}
		s.Unchanged(func() {
			post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Wrong()}).Want(401, "invalid_code")
			post(s, "/v1/login/recovery-code", apitest.Fields{"login": login, "code": app.Wrong()}).Want(401, "invalid_code")
		})
		post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Code()}).Want(200, "")
	})
}

// P-10: a handle leads to what its login asked for, once, as long as password and factors are as they
// were, and for five minutes.
func TestP10TheHandleOfALogin(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		key, _ := s.WithPasskey(alice)
		second := func(s *apitest.Server, login string) *apitest.Response {
			s.T.Helper()
			return post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Code()})
		}
		t.Run("P-10 after use", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			second(s, login).Want(200, "")
			s.Unchanged(func() {
				second(s, login).Want(401, "login_expired")
				post(s, "/v1/login/recovery-code", apitest.Fields{"login": login, "code": recovery[0]}).Want(401, "login_expired")
				options, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
				post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(options)}).Want(401, "login_expired")
			})
			post(s, "/v1/login/recovery-code", apitest.Fields{"login": s.FirstStep(alice), "code": recovery[0]}).Want(200, "")
		})
		t.Run("P-10 after its time", func(t *testing.T) {
			s := s.With(t)
			login, again := s.FirstStep(alice), s.FirstStep(alice)
			s.Advance(5*time.Minute - time.Second)
			code := app.Shown(0)
			post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": code}).Want(200, "")
			s.Advance(time.Second)
			s.Unchanged(func() { second(s, again).Want(401, "login_expired") })
			second(s, s.FirstStep(alice)).Want(200, "")
		})
		t.Run("P-10 forged", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			s.Unchanged(func() {
				for name, handle := range forgedHandles(login) {
					for _, path := range []string{"totp", "recovery-code"} {
						res := post(s, "/v1/login/"+path, apitest.Fields{"login": handle, "code": app.Shown(0)})
						if res.Status != 401 || res.Code() != "login_expired" {
							t.Errorf("%s at %s: %d %s", name, path, res.Status, res.Code())
						}
					}
				}
			})
		})
		t.Run("P-10 for another purpose", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			options, alone := passkeyOptions(s, "/v1/passkey/login/options", "", apitest.Fields{})
			of, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
			s.Unchanged(func() {
				second(s, alone).Want(401, "login_expired")
				post(s, "/v1/login/passkey", apitest.Fields{"login": alone, "response": key.Get(options)}).Want(401, "login_expired")
				post(s, "/v1/passkey/login", apitest.Fields{"login": login, "response": key.Get(of)}).Want(401, "login_expired")
				// An answer to the challenge of another login.
				post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(options)}).Want(401, "invalid_code")
				post(s, "/v1/passkey/login", apitest.Fields{"login": alone, "response": key.Get(of)}).Want(401, "invalid_code")
				for _, path := range []string{"totp", "passkeys/options", "code"} {
					post(s, "/v1/login/setup/"+path, apitest.Fields{"login": login}).Want(401, "login_expired")
				}
				post(s, "/v1/login/setup/totp/confirm", apitest.Fields{"login": login, "code": app.Shown(0)}).Want(401, "login_expired")
			})
		})
		t.Run("P-10 of another user", func(t *testing.T) {
			s := s.With(t)
			bob := s.SignUp("bob")
			of, codes := s.WithApp(bob)
			s.Unchanged(func() {
				post(s, "/v1/login/totp", apitest.Fields{"login": s.FirstStep(alice), "code": of.Code()}).Want(401, "invalid_code")
				post(s, "/v1/login/recovery-code", apitest.Fields{"login": s.FirstStep(alice), "code": codes[0]}).
					Want(401, "invalid_code")
			})
		})
		t.Run("P-10 with its own client and scope", func(t *testing.T) {
			s := s.With(t)
			first := s.Register(userstore.Client{ID: "first", Name: "First", FirstParty: true, AuthMethod: userstore.AuthNone})
			login := s.FirstStep(alice, apitest.Fields{"client_id": first.ID, "scope": "email"})
			var tokens apitest.Tokens
			second(s, login).Want(200, "").JSON(&tokens)
			if claims := apitest.Claims(tokens.Access); claims["client_id"] != "first" || claims["scope"] != "email" {
				t.Errorf("the tokens are of %v for %v", claims["client_id"], claims["scope"])
			}
			login = s.FirstStep(alice, apitest.Fields{"client_id": first.ID})
			if err := s.Replicas[0].API.Clients.SetActive(t.Context(), first.ID, false); err != nil {
				t.Fatal(err)
			}
			s.Unchanged(func() { second(s, login).Want(400, "invalid_client") })
		})
		t.Run("P-10 of an account that was disabled", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			if err := s.Replicas[0].Accounts.SetActive(t.Context(), alice.ID, false); err != nil {
				t.Fatal(err)
			}
			second(s, login).Want(403, "account_disabled")
			if err := s.Replicas[0].Accounts.SetActive(t.Context(), alice.ID, true); err != nil {
				t.Fatal(err)
			}
		})
		t.Run("P-10 after the password changed", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			alice.Password = s.Secret("the next planted password of Alice")
			if err := s.Replicas[0].Accounts.SetPassword(t.Context(), alice.ID, alice.Password); err != nil {
				t.Fatal(err)
			}
			s.Unchanged(func() { second(s, login).Want(401, "login_expired") })
			second(s, s.FirstStep(alice)).Want(200, "")
		})
		t.Run("P-10 after the factors changed", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			options, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
			s.WithPasskey(alice)
			s.Unchanged(func() {
				second(s, login).Want(401, "login_expired")
				post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(options)}).Want(401, "login_expired")
			})
			second(s, s.FirstStep(alice)).Want(200, "")
		})
		t.Run("P-10 of an account that was deleted", func(t *testing.T) {
			s := s.With(t)
			login := s.FirstStep(alice)
			if err := s.DB.DeleteUser(t.Context(), alice.ID); err != nil {
				t.Fatal(err)
			}
			second(s, login).Want(401, "login_expired")
		})
	}, unlimited)
}

// unlimited is an option of Each: guesses are not counted, but those of codes in a row.
func unlimited(o *apitest.Options) {
	apitest.Configured(func(r *apitest.Replica) { r.Accounts.Throttle = userstore.NoThrottle })(o)
}

// P-07, P-08: a code of the app and a recovery code count once, and a used one is refused as a wrong one
// is.
func TestP07P08ACodeCountsOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		send := func(path, code string) *apitest.Response {
			return post(s, path, apitest.Fields{"login": s.FirstStep(alice), "code": code})
		}
		alike := func(a, b *apitest.Response) {
			t.Helper()
			if string(a.Body) != string(b.Body) || a.Status != 401 || a.Code() != "invalid_code" ||
				a.Header.Get("WWW-Authenticate") != b.Header.Get("WWW-Authenticate") {
				t.Errorf("%d %s\nand %d %s", a.Status, a.Body, b.Status, b.Body)
			}
			s.EventsOf(a)
		}
		// The code that confirmed the app is used already, and so are those of the steps before it.
		alike(send("/v1/login/totp", app.Shown(0)), send("/v1/login/totp", app.Wrong()))
		alike(send("/v1/login/totp", app.Shown(-1)), send("/v1/login/totp", app.Wrong()))
		code := app.Code()
		send("/v1/login/totp", code).Want(200, "")
		alike(send("/v1/login/totp", code), send("/v1/login/totp", app.Wrong()))
		// One step either way: the clock of the app may be wrong by as much, but not by two.
		s.Advance(5 * time.Minute)
		alike(send("/v1/login/totp", app.Shown(-2)), send("/v1/login/totp", app.Shown(2)))
		send("/v1/login/totp", app.Shown(-1)).Want(200, "")
		send("/v1/login/totp", app.Shown(1)).Want(200, "")
		alike(send("/v1/login/totp", app.Shown(0)), send("/v1/login/totp", app.Shown(1))) // before one that was used

		s.Advance(time.Minute)
		for _, code := range recovery {
			send("/v1/login/recovery-code", code).Want(200, "")
			alike(send("/v1/login/recovery-code", code), send("/v1/login/recovery-code", "00000-00000-00000"))
		}
		if first := firstStep(s, alice); !slices.Equal(first.Methods, []string{"totp"}) {
			t.Errorf("without recovery codes the methods are %q", first.Methods)
		}
		used := send("/v1/login/totp", app.Code()).Want(200, "")
		if events := s.EventsOf(used); len(events) != 1 || events[0].Name != audit.LoginSucceeded {
			t.Errorf("the audit log has %+v", events)
		}
	}, unlimited)
}

// After a hundred wrong codes in a row the app lets nobody in; a passkey or a recovery code does.
func TestWrongCodesInARow(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		key, _ := s.WithPasskey(alice)
		login := s.FirstStep(alice)
		for range userstore.MaxWrongCodes {
			post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Wrong()}).Want(401, "invalid_code")
		}
		s.Advance(time.Minute)
		s.Unchanged(func() {
			post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Code()}).Want(403, "codes_blocked")
		})
		options, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
		post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(options)}).Want(200, "")
		post(s, "/v1/login/recovery-code", apitest.Fields{"login": s.FirstStep(alice), "code": recovery[0]}).Want(200, "")
	}, unlimited)
}

// Guesses of codes have the budgets of passwords, and a passkey never waits.
func TestCodesAreLimited(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		app, recovery := s.WithApp(alice)
		key, _ := s.WithPasskey(alice)
		login := s.FirstStep(alice)
		refused := 0
		for range 30 {
			res := post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Wrong()})
			if res.Status == 429 {
				refused++
			} else {
				res.Want(401, "invalid_code")
			}
		}
		if refused != 20 {
			t.Errorf("of 30 guesses %d were refused unchecked", refused)
		}
		post(s, "/v1/login/totp", apitest.Fields{"login": login, "code": app.Shown(0)}).Want(429, "rate_limited")
		post(s, "/v1/login/recovery-code", apitest.Fields{"login": login, "code": recovery[0]}).Want(429, "rate_limited")
		options, _ := passkeyOptions(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
		post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(options)}).Want(200, "")
	})
}

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
