package crashes_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

func required(r *apitest.Replica) { r.Accounts.SecondFactor = userstore.SecondFactorRequired }

// begun is a setup or a login that was begun.
type begun struct {
	Secret, Handle, Login, ID string
	Options                   json.RawMessage
	Codes                     []string `json:"recovery_codes"`
}

func (b bearer) begin(method, path string, body any, status int) (out begun) {
	b.s.T.Helper()
	b.do(method, path, body).Want(status, "").JSON(&out)
	for _, code := range out.Codes {
		b.s.Secret(code)
	}
	return out
}

// proof is a proof by a code of the app.
func (b bearer) proof(app *apitest.App) string {
	b.s.T.Helper()
	var out struct{ Proof string }
	b.do("POST", "/v1/profile/prove", apitest.Fields{"code": app.Code()}).Want(200, "").JSON(&out)
	return out.Proof
}

func (b bearer) quiet() bearer { return bearer{quiet(b.s), b.token} }

// withApp is an account with an authenticator app, and requests with its access token.
func withApp(s *apitest.Server, name string) (u apitest.User, app *apitest.App, codes []string, me bearer) {
	s.T.Helper()
	u, me = proved(s, name)
	app, codes = quiet(s).WithApp(u)
	me.token = quiet(s).LoginByApp(u, app).Access
	return u, app, codes, me
}

func first(s *apitest.Server, u apitest.User, code string) string {
	s.T.Helper()
	var out begun
	post(s, "/v1/login", apitest.Fields{"email": u.Email, "password": u.Password}).Want(401, code).JSON(&out)
	return out.Login
}

func options(s *apitest.Server, path, token string, body any) (out begun) {
	s.T.Helper()
	s.Do(apitest.Request{Method: "POST", Path: path, Token: token, Body: body}).Want(200, "").JSON(&out)
	return out
}

var factorJourneys = []journey{
	{"an authenticator app by JSON", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		handle := me.begin("POST", "/v1/profile/factors/code", apitest.Fields{"current_password": u.Password}, 202).Handle
		var proof struct{ Proof string }
		me.do("POST", "/v1/profile/prove", apitest.Fields{"current_password": u.Password, "handle": handle,
			"mail_code": only(s, outbox.FactorCode).Code}).Want(200, "").JSON(&proof)
		got := me.begin("POST", "/v1/profile/factors/totp", apitest.Fields{"proof": proof.Proof}, 200)
		app := quiet(s).NewApp(s.Secret(got.Secret))
		made := me.begin("POST", "/v1/profile/factors/totp/confirm",
			apitest.Fields{"proof": proof.Proof, "code": app.Code()}, 200)
		me.token = quiet(s).LoginByApp(u, app).Access
		me.do("GET", "/v1/profile/factors", nil).Want(200, "")
		me.begin("POST", "/v1/profile/factors/recovery-codes", apitest.Fields{"proof": me.quiet().proof(app)}, 200)
		me.do("DELETE", "/v1/profile/factors/totp", apitest.Fields{"proof": me.quiet().proof(app)}).Want(204, "")
		_ = made
	}},
	{"a passkey by JSON", nil, func(s *apitest.Server, name string) {
		u, app, _, me := withApp(s, name)
		me.proof(app)
		o := options(s, "/v1/profile/factors/passkeys/options", me.token, apitest.Fields{"proof": me.quiet().proof(app)})
		key := quiet(s).NewPasskey()
		made := me.begin("POST", "/v1/profile/factors/passkeys",
			apitest.Fields{"handle": o.Handle, "response": key.Create(o.Options), "name": "a key"}, 201)
		me.token = quiet(s).LoginByApp(u, app).Access
		me.do("PATCH", "/v1/profile/factors/passkeys/"+made.ID,
			apitest.Fields{"name": "my key", "proof": me.quiet().proof(app)}).Want(200, "")

		o = options(s, "/v1/profile/prove/passkey/options", me.token, apitest.Fields{})
		me.do("POST", "/v1/profile/prove", apitest.Fields{"handle": o.Handle, "response": key.Get(o.Options)}).Want(200, "")

		o = options(s, "/v1/passkey/login/options", "", apitest.Fields{})
		post(s, "/v1/passkey/login", apitest.Fields{"login": o.Login, "response": key.Get(o.Options)}).Want(200, "")
		login := first(quiet(s), u, "second_factor_required")
		o = options(s, "/v1/login/passkey/options", "", apitest.Fields{"login": login})
		post(s, "/v1/login/passkey", apitest.Fields{"login": login, "response": key.Get(o.Options)}).Want(200, "")

		me.do("DELETE", "/v1/profile/factors/passkeys/"+made.ID, apitest.Fields{"proof": me.quiet().proof(app)}).Want(204, "")
	}},
	{"login by a second step", nil, func(s *apitest.Server, name string) {
		u, app, codes, _ := withApp(s, name)
		post(s, "/v1/login/totp", apitest.Fields{"login": first(s, u, "second_factor_required"), "code": app.Code()}).
			Want(200, "")
		post(s, "/v1/login/recovery-code",
			apitest.Fields{"login": first(quiet(s), u, "second_factor_required"), "code": codes[0]}).Want(200, "")
	}},
	{"a forgotten password with a second factor", nil, func(s *apitest.Server, name string) {
		u, _, _, _ := withApp(s, name)
		q := quiet(s)
		key, _ := q.WithPasskey(u)
		post(q, "/v1/password/forgot", apitest.Fields{"email": u.Email}).Want(202, "")
		var got begun
		post(s, "/v1/password/reset", apitest.Fields{"token": only(s, outbox.ResetPassword).Token(),
			"new_password": apitest.NextPassword}).Want(401, "second_factor_required").JSON(&got)
		o := options(s, "/v1/password/reset/passkey/options", "", apitest.Fields{"login": got.Login})
		post(s, "/v1/password/reset/second", apitest.Fields{"login": got.Login, "new_password": apitest.NextPassword,
			"response": key.Get(o.Options)}).Want(204, "")
	}},
	{"the setup of an app during a login", []func(*apitest.Options){apitest.Configured(required)},
		func(s *apitest.Server, name string) {
			u := quiet(s).Operated(name+"@example.test", true)
			me := bearer{s: s}
			login := first(s, u, "second_factor_setup_required")
			code := me.begin("POST", "/v1/login/setup/code", apitest.Fields{"login": login}, 202)
			got := me.begin("POST", "/v1/login/setup/totp", apitest.Fields{"login": login, "handle": code.Handle,
				"mail_code": only(s, outbox.FactorCode).Code}, 200)
			app := quiet(s).NewApp(s.Secret(got.Secret))
			me.begin("POST", "/v1/login/setup/totp/confirm", apitest.Fields{"login": got.Login, "code": app.Code()}, 200)
		}},
	{"the setup of a passkey during a login", []func(*apitest.Options){apitest.Configured(required)},
		func(s *apitest.Server, name string) {
			u := quiet(s).Operated(name+"@example.test", true)
			login := first(quiet(s), u, "second_factor_setup_required")
			code := bearer{s: quiet(s)}.begin("POST", "/v1/login/setup/code", apitest.Fields{"login": login}, 202)
			got := options(s, "/v1/login/setup/passkeys/options", "", apitest.Fields{"login": login, "handle": code.Handle,
				"mail_code": only(s, outbox.FactorCode).Code})
			bearer{s: s}.begin("POST", "/v1/login/setup/passkeys", apitest.Fields{"login": got.Login,
				"response": quiet(s).NewPasskey().Create(got.Options), "name": "a key"}, 200)
		}},
	{"factors at the pages", nil, func(s *apitest.Server, name string) {
		u, b := signedIn(s, name)
		b.Open("/account/security").WantPage(200, "to-authenticator")
		p := setUp(s, u, b.Open("/account/authenticator"), "totp-begin")
		app := apitest.Scan(s, p)
		p = p.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(200, "recovery-codes")
		p.Submit("codes-download", nil)
		secrets(s, p)
		secrets(s, press(b, app, "/account/codes", "codes-make", nil).WantPage(200, "recovery-codes"))

		key := quiet(s).NewPasskey()
		p = press(b, app, "/account/passkeys", "passkey-begin", nil).WantPage(200, "passkey-create")
		answer := apitest.MakePasskey(s, b, p, "/account/passkeys/options", key)
		p.Submit("passkey-create", answer.Fields("a key")).WantPage(200, "")
		p = b.Open("/account/passkeys")
		press(b, app, "/account/passkeys", button(s, p, "passkey-rename-"), map[string]string{"name": "my key"}).WantPage(200, "")
		press(b, app, "/account/passkeys", button(s, p, "passkey-remove-"), nil).WantPage(200, "")
		press(b, app, "/account/authenticator", "totp-remove", nil).WantPage(200, "")
	}},
	{"login at the pages by a second step", []func(*apitest.Options){apitest.Configured(apitest.Trusting)},
		func(s *apitest.Server, name string) {
			u, app, codes, me := withApp(s, name)
			b := s.Browser()
			p := b.Open("/login").WantPage(200, "login-submit").Submit("login-submit", u.Credentials())
			p.WantPage(200, "second-submit").
				Submit("second-submit", map[string]string{"code": app.Code(), "trust": "yes"}).WantPage(200, "to-profile")
			b.Open("/account/trusted").WantPage(200, "trust-end-all").Submit("trust-end-all", nil).WantPage(200, "")

			q := quiet(s)
			trusted := q.Browser()
			trusted.SignIn("/login", u).Submit("second-submit", map[string]string{"code": app.Code(), "trust": "yes"})
			var have struct {
				Browsers []struct{ ID string } `json:"trusted_browsers"`
			}
			me.quiet().do("GET", "/v1/profile/factors", nil).Want(200, "").JSON(&have)
			me.do("DELETE", "/v1/profile/factors/trusted-browsers/"+have.Browsers[0].ID,
				apitest.Fields{"proof": me.quiet().proof(app)}).Want(204, "")

			other := q.Browser()
			p = other.SignIn("/login", u).WantPage(200, "second-submit")
			other = other.With(s)
			other.Open(p.Link("/login/second?by=recovery")).
				Submit("second-submit", map[string]string{"recovery_code": codes[0]}).WantPage(200, "")
		}},
	{"login at the pages by a passkey", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		key, _ := quiet(s).WithPasskey(u)
		b := s.Browser()
		p := b.Open("/login").WantPage(200, "login-submit")
		usePasskey(b, p, "login-passkey", key).WantPage(200, "to-profile")
		other := s.Browser()
		p = other.With(quiet(s)).SignIn("/login", u)
		usePasskey(other, other.Open(p.Path).WantPage(200, "second-passkey"), "second-passkey", key).WantPage(200, "to-profile")
	}},
	{"the setup at the pages during a login", []func(*apitest.Options){apitest.Configured(required)},
		func(s *apitest.Server, name string) {
			u := quiet(s).Operated(name+"@example.test", true)
			c := quiet(s).Register(userstore.Client{ID: name})
			b := s.Browser()
			p := b.Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit").Submit("login-submit", u.Credentials())
			p = p.WantPage(200, "setup-totp").Submit("setup-totp", nil).WantPage(200, "mail-submit")
			p = p.Submit("mail-submit", map[string]string{"mail_code": only(s, outbox.FactorCode).Code})
			app := apitest.Scan(s, p)
			p = p.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(200, "recovery-codes")
			secrets(s, p)
			p.Submit("setup-continue", nil).WantPage(200, "consent-approve")
		}},
	{"the setup of a passkey at the pages during a login", []func(*apitest.Options){apitest.Configured(required)},
		func(s *apitest.Server, name string) {
			u := quiet(s).Operated(name+"@example.test", true)
			b := quiet(s).Browser()
			p := b.Open("/login").WantPage(200, "login-submit").Submit("login-submit", u.Credentials())
			p = p.WantPage(200, "setup-passkey").Submit("setup-passkey", nil).WantPage(200, "mail-submit")
			p = p.Submit("mail-submit", map[string]string{"mail_code": only(s, outbox.FactorCode).Code})
			b = b.With(s)
			answer := apitest.MakePasskey(s, b, p, "/login/setup/options", quiet(s).NewPasskey())
			q := p.Form("passkey-create", answer.Fields("a key"))
			secrets(s, b.Follow(q).WantPage(200, "recovery-codes"))
		}},
	{"the undo of a second factor", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		q := quiet(s)
		q.Mails()
		stored, err := q.DB.UserByID(s.T.Context(), u.ID)
		if err != nil {
			s.T.Fatal(err)
		}
		accounts := q.Replicas[1].Accounts
		app, err := accounts.BeginApp(s.T.Context(), stored)
		if err != nil {
			s.T.Fatal(err)
		}
		if _, err := accounts.ConfirmApp(s.T.Context(), stored, q.NewApp(s.Secret(app.Secret)).Code(), userstore.KeepAll); err != nil {
			s.T.Fatal(err)
		}
		q.Advance(time.Minute)
		s.Browser().Open(only(s, outbox.FactorAdded).Link).WantPage(200, "undo-submit").
			Submit("undo-submit", map[string]string{"new_password": apitest.NextPassword}).WantPage(200, "")
		_ = me
	}},
	{"a message's page with a passkey", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		q := quiet(s)
		key, _ := q.WithPasskey(u)
		post(q, "/v1/password/forgot", apitest.Fields{"email": u.Email}).Want(202, "")
		b := s.Browser()
		p := b.Open(only(s, outbox.ResetPassword).Link)
		form := map[string][]string{}
		for _, name := range []string{"request", "csrf", "page", "by"} {
			form[name] = []string{p.Value(name)}
		}
		var fresh begun
		b.Send(apitest.Request{Method: "POST", Path: "/message/passkey", Form: form}).Want(200, "").JSON(&fresh)
		p.Submit("second-passkey", map[string]string{"new_password": apitest.NextPassword, "passkey": fresh.Handle,
			"response": string(key.Get(fresh.Options))}).WantPage(200, "")
	}},
}

// setUp proves an account without a second factor at a page of second factors, by the password and the
// mailbox.
func setUp(s *apitest.Server, u apitest.User, p *apitest.Page, button string) *apitest.Page {
	s.T.Helper()
	p = p.WantPage(200, button).Submit(button, map[string]string{"current_password": u.Password}).WantPage(200, "mail-submit")
	return p.Submit("mail-submit", map[string]string{"mail_code": only(s, outbox.FactorCode).Code})
}

// secrets remembers the recovery codes of a page.
func secrets(s *apitest.Server, p *apitest.Page) {
	for _, code := range apitest.CodesOn(p) {
		s.Secret(code)
	}
}

// press presses a button of a page of the account, and proves the second factor where that is asked for.
func press(b *apitest.Browser, app *apitest.App, path, button string, fields map[string]string) *apitest.Page {
	b.Server.T.Helper()
	p := b.Open(path)
	for range 3 {
		switch {
		case p.Has("second-submit"):
			p = p.Submit("second-submit", map[string]string{"code": app.Code()})
		case p.Link("/login/second?by=totp") != "":
			p = p.Open(p.Link("/login/second?by=totp"))
		default:
			p = p.Submit(button, fields)
			if !p.Has("second-submit") && p.Link("/login/second?by=totp") == "" {
				return p
			}
		}
	}
	return p.Submit(button, fields)
}

// button is the id of the first button whose id begins so.
func button(s *apitest.Server, p *apitest.Page, begins string) string {
	s.T.Helper()
	m := regexp.MustCompile(`id="(` + begins + `[^"]+)"`).FindSubmatch(p.Body)
	if m == nil {
		s.T.Fatalf("no button %s: %s", begins, p.Text())
	}
	return string(m[1])
}

func usePasskey(b *apitest.Browser, p *apitest.Page, button string, key *apitest.Passkey) *apitest.Page {
	q := p.Form(button, nil)
	q.Path, q.Header = "/login/passkey", http.Header{"Accept": {"*/*"}}
	for _, name := range []string{"passkey", "response", "email", "password", "trust", "stay", "name"} {
		q.Form.Del(name)
	}
	var fresh begun
	b.Send(q).Want(200, "").JSON(&fresh)
	return p.Submit(button, map[string]string{"passkey": fresh.Handle, "response": string(key.Get(fresh.Options))})
}
