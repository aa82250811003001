package secondsteps_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// demanded is an option of Each: every account has to have a second factor.
func demanded(o *apitest.Options) {
	apitest.Configured(func(r *apitest.Replica) { r.Accounts.SecondFactor = userstore.SecondFactorRequired })(o)
}

// setupStep sends the right password of a user who has to set up a second factor, and returns the
// handle that opens the setup; more is merged into the request.
func setupStep(s *apitest.Server, u apitest.User, more ...apitest.Fields) string {
	s.T.Helper()
	body := apitest.Fields{"email": u.Email, "password": u.Password}
	for _, m := range more {
		for name, value := range m {
			body = body.With(name, value)
		}
	}
	var first step
	post(s, "/v1/login", body).Want(401, "second_factor_setup_required").JSON(&first)
	if first.Login == "" || first.Methods != nil || first.ExpiresIn != 300 {
		s.T.Errorf("the refusal says %+v", first)
	}
	return first.Login
}

// setupCode asks for a code to the mailbox of a setup.
func setupCode(s *apitest.Server, login string) (handle, code string) {
	s.T.Helper()
	s.Mails()
	s.Advance(time.Minute)
	var answer struct{ Handle string }
	post(s, "/v1/login/setup/code", apitest.Fields{"login": login}).Want(202, "").JSON(&answer)
	return answer.Handle, s.MailOf(outbox.FactorCode).Code
}

// setUp is the answer of the last step.
type setUp struct {
	apitest.Tokens
	Codes []string `json:"recovery_codes"`
}

func TestASetupThatThePolicyDemands(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for name, finish := range map[string]func(t *testing.T, s *apitest.Server, login string, mail apitest.Fields) *apitest.Response{
			"app": func(t *testing.T, s *apitest.Server, login string, mail apitest.Fields) *apitest.Response {
				var b begun
				post(s, "/v1/login/setup/totp", mail.With("login", login)).Want(200, "").JSON(&b)
				if !strings.HasPrefix(b.QR, "<svg ") || b.Login == "" {
					t.Errorf("the app is set up with %+v", b)
				}
				app := s.NewApp(b.Secret)
				s.Unchanged(func() {
					post(s, "/v1/login/setup/totp/confirm", apitest.Fields{"login": b.Login, "code": app.Wrong()}).Want(401, "invalid_code")
					post(s, "/v1/login/setup/totp/confirm", apitest.Fields{"login": login, "code": app.Shown(0)}).
						Want(401, "mail_code_required")
					// P-10: of a setup in the place of a second step.
					post(s, "/v1/login/totp", apitest.Fields{"login": b.Login, "code": app.Shown(0)}).Want(401, "login_expired")
				})
				confirm := apitest.Fields{"login": b.Login, "code": app.Code()}
				res := post(s, "/v1/login/setup/totp/confirm", confirm)
				post(s, "/v1/login/setup/totp/confirm", confirm.With("code", app.Code())).Want(401, "login_expired") // once
				return res
			},
			"passkey": func(t *testing.T, s *apitest.Server, login string, mail apitest.Fields) *apitest.Response {
				key := s.NewPasskey()
				options, next := passkeyOptions(s, "/v1/login/setup/passkeys/options", "", mail.With("login", login))
				phished := *key
				phished.Party.Origin = "https://evil.test"
				add := func(login string, response json.RawMessage) *apitest.Response {
					return post(s, "/v1/login/setup/passkeys", apitest.Fields{"login": login, "response": response, "name": "phone"})
				}
				s.Unchanged(func() {
					add(login, key.Create(options)).Want(401, "mail_code_required")
					add(next, phished.Create(options)).Want(401, "invalid_code")
					post(s, "/v1/passkey/login", apitest.Fields{"login": next, "response": key.Create(options)}).Want(401, "login_expired")
					post(s, "/v1/login/passkey/options", apitest.Fields{"login": next}).Want(401, "login_expired")
				})
				res := add(next, key.Create(options))
				add(next, key.Create(options)).Want(401, "login_expired") // once
				return res
			},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				u := s.SignUp("of-" + name)
				login := setupStep(s, u, apitest.Fields{"scope": "openid email"})
				for _, path := range []string{"totp", "passkeys/options", "code"} {
					post(s, "/v1/login/setup/"+path, apitest.Fields{"login": login}).Want(403, "email_not_verified")
				}
				s.AddressProved(u)
				var res *apitest.Response
				handle, code := setupCode(s, login)
				s.Unchanged(func() {
					for _, path := range []string{"totp", "passkeys/options"} {
						ask := func(body apitest.Fields) *apitest.Response { return post(s, "/v1/login/setup/"+path, body) }
						ask(apitest.Fields{"login": login}).Want(401, "mail_code_required")
						ask(apitest.Fields{"login": login, "handle": handle}).Want(400, "validation_error")
						ask(apitest.Fields{"login": login, "mail_code": code}).Want(400, "validation_error")
						ask(apitest.Fields{"login": login, "handle": "x", "mail_code": code}).Want(400, "one_time_token_invalid")
						ask(apitest.Fields{"login": login, "handle": handle, "mail_code": "1"}).Want(400, "one_time_token_invalid")
						// P-10: a code of another login of the same user.
						other := setupStep(s, u)
						ask(apitest.Fields{"login": other, "handle": handle, "mail_code": code}).Want(400, "one_time_token_invalid")
						for what, forged := range forgedHandles(login) {
							res := ask(apitest.Fields{"login": forged, "handle": handle, "mail_code": code})
							if res.Status != 401 || res.Code() != "login_expired" {
								t.Errorf("a login %s: %d %s", what, res.Status, res.Body)
							}
						}
					}
				})
				var done setUp
				res = finish(t, s, login, apitest.Fields{"handle": handle, "mail_code": code}).Want(200, "").JSON(&done)
				claims := apitest.Claims(done.ID)
				if len(done.Codes) != 10 || claims["acr"] != "2" || done.Scope != "openid email" || claims["sub"] != u.ID {
					t.Errorf("the setup answers %s with %v", res.Body, claims)
				}
				if f := (caller{s, done.Access}).factors(); !f.SecondFactor || f.RecoveryCodes.Left != 10 {
					t.Errorf("the account has %+v", f)
				}
				post(s, "/v1/login/recovery-code", apitest.Fields{"login": s.FirstStep(u), "code": done.Codes[0]}).Want(200, "")
				s.Refresh(done.Refresh).Want(200, "")
			})
		}
	}, demanded, unlimited)
}

// P-10: the handle of a setup ends with its time, the password, the factors and the account.
func TestP10TheHandleOfASetup(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		confirm := func(s *apitest.Server, login string, app *apitest.App) *apitest.Response {
			return post(s, "/v1/login/setup/totp/confirm", apitest.Fields{"login": login, "code": app.Shown(0)})
		}
		for name, c := range map[string]struct {
			change func(t *testing.T, s *apitest.Server, u *apitest.User)
			status int
			code   string
		}{
			"nothing":      {func(*testing.T, *apitest.Server, *apitest.User) {}, 200, ""},
			"five minutes": {func(_ *testing.T, s *apitest.Server, _ *apitest.User) { s.Advance(5 * time.Minute) }, 401, "login_expired"},
			"the password": {func(t *testing.T, s *apitest.Server, u *apitest.User) {
				if err := s.Replicas[0].Accounts.SetPassword(t.Context(), u.ID, s.Secret("another planted password")); err != nil {
					t.Fatal(err)
				}
			}, 401, "login_expired"},
			"the factors": {func(_ *testing.T, s *apitest.Server, u *apitest.User) { s.WithPasskey(*u) }, 401, "login_expired"},
			"disabled": {func(t *testing.T, s *apitest.Server, u *apitest.User) {
				if err := s.Replicas[0].Accounts.SetActive(t.Context(), u.ID, false); err != nil {
					t.Fatal(err)
				}
			}, 403, "account_disabled"},
			"deleted": {func(t *testing.T, s *apitest.Server, u *apitest.User) {
				if err := s.DB.DeleteUser(t.Context(), u.ID); err != nil {
					t.Fatal(err)
				}
			}, 401, "login_expired"},
		} {
			t.Run("P-10 "+name, func(t *testing.T) {
				s := s.With(t)
				u := s.SignUp("of-" + strings.ReplaceAll(name, " ", "-"))
				login := setupStep(s, u)
				var b begun
				post(s, "/v1/login/setup/totp", apitest.Fields{"login": login}).Want(200, "").JSON(&b)
				if b.Login != login {
					t.Error("without mail the login goes on with another handle")
				}
				app := s.NewApp(b.Secret)
				c.change(t, s, &u)
				confirm(s, b.Login, app).Want(c.status, c.code)
			})
		}
		t.Run("nothing begun", func(t *testing.T) {
			s := s.With(t)
			login := setupStep(s, s.SignUp("hasty"))
			s.Unchanged(func() {
				post(s, "/v1/login/setup/totp/confirm", apitest.Fields{"login": login, "code": "123456"}).Want(401, "invalid_code")
				post(s, "/v1/login/setup/passkeys", apitest.Fields{"login": login, "response": apitest.Fields{}}).
					Want(401, "invalid_code")
			})
		})
		t.Run("P-10 of a second step in the place of a setup", func(t *testing.T) {
			s := s.With(t)
			u := s.SignUp("second")
			app, _ := s.WithApp(u)
			login := s.FirstStep(u)
			s.Unchanged(func() {
				confirm(s, login, app).Want(401, "login_expired")
				post(s, "/v1/login/setup/totp", apitest.Fields{"login": login}).Want(401, "login_expired")
			})
		})
	}, demanded, apitest.WithoutMail, unlimited)
}

// Under the policy admins an admin sets a second factor up, and others do not; the scope admin is
// checked before anything is set up.
func TestASetupOfAdmins(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		s.Give(alice, "admin")
		s.Login(bob)
		login := setupStep(s, alice, apitest.Fields{"scope": "profile admin"})
		var b begun
		post(s, "/v1/login/setup/totp", apitest.Fields{"login": login}).Want(200, "").JSON(&b)
		app := s.NewApp(b.Secret)
		var done setUp
		post(s, "/v1/login/setup/totp/confirm", apitest.Fields{"login": b.Login, "code": app.Code()}).Want(200, "").JSON(&done)
		s.Do(apitest.Request{Path: "/v1/admin/users", Token: done.Access}).Want(200, "")
		carol := s.SignUp("carol")
		s.Replicas[0].Accounts.SecondFactor = userstore.SecondFactorRequired
		login = setupStep(s, carol, apitest.Fields{"scope": "admin"})
		post(s, "/v1/login/setup/totp", apitest.Fields{"login": login}).Want(200, "").JSON(&b)
		s.Unchanged(func() {
			post(s, "/v1/login/setup/totp/confirm", apitest.Fields{"login": b.Login, "code": s.NewApp(b.Secret).Shown(0)}).
				Want(400, "invalid_scope")
		})
		s.Do(apitest.Request{Path: "/v1/admin/users", Token: s.LoginByApp(alice, app, apitest.Fields{"scope": "admin"}).Access}).
			Want(200, "")
	}, apitest.WithoutMail, unlimited, apitest.Configured(func(r *apitest.Replica) {
		r.Accounts.SecondFactor = userstore.SecondFactorAdmins
	}))
}
