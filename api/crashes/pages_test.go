package crashes_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/logos"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// signedIn is a browser in which a new account is logged in.
func signedIn(s *apitest.Server, name string) (apitest.User, *apitest.Browser) {
	s.T.Helper()
	u := quiet(s).Operated(name+"@example.test", true)
	return u, quiet(s).SignedIn(u).With(s)
}

// press does what the script of a page does with a passkey: it asks for options at a path, and sends
// the form of a button with the answer.
func press(p *apitest.Page, b *apitest.Browser, path, button string, key *apitest.Passkey) *apitest.Page {
	b.Server.T.Helper()
	q := p.Form(button, nil)
	q.Path, q.Header = path, http.Header{"Accept": {"*/*"}}
	for _, name := range []string{"passkey", "response", "email", "password", "trust", "stay", "app_code",
		"new_password"} {
		q.Form.Del(name)
	}
	var f fresh
	b.Send(q).Want(200, "").JSON(&f)
	return p.Submit(button, map[string]string{"passkey": f.Handle, "response": string(key.Get(f.Options)),
		"new_password": apitest.NextPassword})
}

// showingLogos lets the pages show the logo of a client, which is always the same picture.
func showingLogos(t *testing.T, o *apitest.Options) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 7, 5))); err != nil {
		t.Fatal(err)
	}
	apitest.Configured(func(r *apitest.Replica) {
		r.API.Logos = logos.New(func(context.Context, string) ([]byte, error) { return picture.Bytes(), nil }, r.API.Now)
	})(o)
}

// pageJourneys are those of browsers, beside the pages of the account.
var pageJourneys = []journey{
	{"sign-up and login at the pages", nil, func(s *apitest.Server, name string) {
		c := quiet(s).Register(userstore.Client{ID: name})
		u := apitest.User{Email: name + "@example.test", Password: s.Secret(apitest.GoodPassword)}
		b := s.Browser()
		login := b.Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit")
		p := b.Open(login.Link("/signup")).WantPage(200, "signup-submit")
		p = p.Submit("signup-submit", u.Credentials()).WantPage(200, "consent-approve")
		p = p.Submit("language-submit", map[string]string{"language": "de"}).WantPage(200, "consent-approve")
		apitest.WantCode(s.T, p.Submit("consent-approve", nil))
		b.Open("/logout").WantPage(200, "logout-confirm").Submit("logout-confirm", nil).WantPage(200, "")
	}},
	{"a login for an app, and another", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		c := quiet(s).Register(userstore.Client{ID: name})
		b := s.Browser()
		tab := b.Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit")
		b.SignIn("/login", u).WantPage(200, "")
		p := b.Open(tab.Path).WantPage(200, "continue-submit").Submit("continue-submit", nil)
		apitest.WantCode(s.T, p.WantPage(200, "consent-approve").Submit("consent-approve", nil))
		form, _ := url.ParseQuery(apitest.AuthorizePath(c)[len("/oauth2/authorize?"):])
		apitest.WantCode(s.T, b.Follow(apitest.Request{Method: "POST", Path: "/oauth2/authorize", Form: form}))
	}},
	{"a login with a second factor at the pages", with(apitest.Configured(apitest.Trusting)), func(s *apitest.Server,
		name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		app, _ := quiet(s).WithApp(u)
		trusting(s, u, app)
	}},
	{"a login with a passkey at the pages", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		key, _ := quiet(s).WithPasskey(u)
		b := s.Browser()
		p := b.Open("/login").WantPage(200, "login-passkey")
		press(p, b, "/login/passkey", "login-passkey", key).WantPage(200, "to-security")
	}},
	{"a demanded authenticator app at the pages", with(demanded), func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		b := s.Browser()
		p := b.SignIn("/account", u).WantPage(200, "setup-totp").Submit("setup-totp", nil).WantPage(200, "mail-submit")
		p = p.Submit("mail-submit", map[string]string{"mail_code": mailed(s, outbox.FactorCode, u.Email).Code})
		p.Submit("totp-confirm", map[string]string{"code": apitest.Scan(s, p).Code()}).WantPage(200, "recovery-codes")
	}},
	{"a demanded passkey at the pages", with(demanded), func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		b, key := s.Browser(), s.NewPasskey()
		p := b.SignIn("/account", u).WantPage(200, "setup-passkey").Submit("setup-passkey", nil).WantPage(200, "mail-submit")
		p = p.Submit("mail-submit", map[string]string{"mail_code": mailed(s, outbox.FactorCode, u.Email).Code})
		answer := apitest.MakePasskey(s, b, p, "/login/setup/options", key)
		p.Submit("passkey-create", answer.Fields("phone")).WantPage(200, "recovery-codes")
	}},
	{"a pending sign-up at the pages", with(apitest.Requiring), func(s *apitest.Server, name string) {
		u := apitest.User{Email: name + "@example.test", Password: s.Secret(apitest.GoodPassword)}
		b := s.Browser()
		p := b.Open("/signup").WantPage(200, "signup-submit").Submit("signup-submit", u.Credentials()).
			WantPage(200, "verify-submit")
		p.Submit("verify-submit", map[string]string{"code": mailed(s, outbox.VerifyEmail, u.Email).Code}).WantPage(200, "")
	}},
	{"an address that is proved later at the pages", with(apitest.Verifying), func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", false)
		b := s.Browser()
		b.Open("/verify").WantPage(200, "ask-submit").Submit("ask-submit", map[string]string{"email": u.Email}).
			WantPage(200, "verify-submit")
		p := b.Open(mailed(s, outbox.VerifyEmail, u.Email).Link).WantPage(200, "verify-submit")
		p.Submit("verify-submit", map[string]string{"password": u.Password,
			"new_password": s.Secret(apitest.NextPassword)}).WantPage(200, "")
	}},
	{"a forgotten password at the pages", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		b := s.Browser()
		b.Open("/forgot").WantPage(200, "ask-submit").Submit("ask-submit", map[string]string{"email": u.Email}).
			WantPage(200, "reset-submit")
		p := b.Open(mailed(s, outbox.ResetPassword, u.Email).Link).WantPage(200, "reset-submit")
		p.Submit("reset-submit", map[string]string{"new_password": s.Secret(apitest.NextPassword)}).WantPage(200, "")
	}},
	{"a forgotten password with a passkey at the pages", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		key, _ := quiet(s).WithPasskey(u)
		post(quiet(s), "/v1/password/forgot", apitest.Fields{"email": u.Email}).Want(202, "")
		b := s.Browser()
		p := b.Open(mailed(s, outbox.ResetPassword, u.Email).Link).WantPage(200, "second-passkey")
		s.Secret(apitest.NextPassword)
		press(p, b, "/message/passkey", "second-passkey", key).WantPage(200, "")
	}},
	{"an invitation at the pages", nil, func(s *apitest.Server, name string) {
		root := adminOf(quiet(s), name)
		email := name + "@example.test"
		root.do("POST", "/v1/admin/users", apitest.Fields{"email": email, "invite": true}).Want(201, "")
		p := s.Browser().Open(mailed(s, outbox.Invite, email).Link).WantPage(200, "reset-submit")
		p.Submit("reset-submit", map[string]string{"new_password": s.Secret(apitest.NextPassword)}).WantPage(200, "")
	}},
	{"a change of address at the pages, and its undoing", nil, func(s *apitest.Server, name string) {
		u, b := signedIn(s, name)
		p := b.Open("/account/address").WantPage(200, "address-submit")
		p.Submit("address-submit", map[string]string{"email": "new-" + u.Email, "current_password": u.Password}).
			WantPage(200, "change-submit")
		p = b.Open(mailed(s, outbox.ChangeEmail, "new-"+u.Email).Link).WantPage(200, "change-submit")
		p.Submit("change-submit", nil).WantPage(200, "address-submit")
		p = s.Browser().Open(mailed(s, outbox.UndoEmail, u.Email).Link).WantPage(200, "undo-submit")
		p.Submit("undo-submit", map[string]string{"new_password": s.Secret(apitest.NextPassword)}).WantPage(200, "")
	}},
	{"a second factor that was not the person's", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		link := appAdded(s, u).Link
		p := s.Browser().Open(link).WantPage(200, "undo-submit")
		p.Submit("undo-submit", map[string]string{"new_password": s.Secret(apitest.NextPassword)}).WantPage(200, "")
	}},
	{"few recovery codes", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		_, codes := quiet(s).WithApp(u)
		for _, code := range codes[:6] {
			post(quiet(s), "/v1/login/recovery-code", apitest.Fields{"login": quiet(s).FirstStep(u), "code": code}).Want(200, "")
		}
		b := quiet(s).Browser().With(s)
		p := b.With(quiet(s)).SignIn("/login", u).WantPage(200, "second-code")
		p = b.Open(p.Link("/login/second?by=recovery"))
		p.Submit("second-submit", map[string]string{"recovery_code": codes[6]}).WantPage(200, "codes-continue")
	}},
	{"a request of long ago", nil, func(s *apitest.Server, name string) {
		c := quiet(s).Register(userstore.Client{ID: name})
		b := quiet(s).Browser()
		login := b.Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit")
		quiet(s).Advance(24 * time.Hour)
		b = b.With(s)
		apitest.WantError(s.T, b.Follow(b.Open(login.Path).
			WantPage(400, "back-submit").Form("back-submit", nil)), "access_denied")
	}},
	{"a request that is too long for a link", nil, func(s *apitest.Server, name string) {
		c := quiet(s).Register(userstore.Client{ID: name})
		b := quiet(s).Browser()
		p := b.Open(apitest.AuthorizePath(c, apitest.Param("state", strings.Repeat("x", 6000)))).WantPage(200, "to-signup")
		b = b.With(s)
		b.Follow(p.Form("to-signup", nil)).WantPage(200, "signup-submit")
	}},
	{"the logo of a client", showingLogos, func(s *apitest.Server, name string) {
		c := quiet(s).Register(userstore.Client{ID: name, ClientMetadata: userstore.ClientMetadata{
			RedirectURIs: []string{"https://web.test/cb"}, LogoURI: "https://web.test/" + name + ".png"}})
		p := quiet(s).Browser().Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit")
		_, rest, _ := strings.Cut(string(p.Body), `<img class="app-logo" src="`)
		logo, _, _ := strings.Cut(rest, `"`)
		s.Do(apitest.Request{Path: strings.ReplaceAll(logo, "&amp;", "&")}).Want(200, "")
	}},
	{"logouts that a client begins", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		c := quiet(s).Register(userstore.Client{ID: name, ClientMetadata: userstore.ClientMetadata{
			RedirectURIs: []string{"https://web.test/cb"}, PostLogoutRedirectURIs: []string{"https://web.test/bye"},
			BackchannelLogoutURI: "https://web.test/out", FrontchannelLogoutURI: "https://web.test/front"}})
		for _, method := range []string{"GET", "POST"} {
			b := quiet(s).SignedIn(u).With(s)
			tokens := apitest.LogIn(quiet(s), b.With(quiet(s)), c)
			form := url.Values{"id_token_hint": {tokens.ID}, "post_logout_redirect_uri": {"https://web.test/bye"}}
			q := apitest.Request{Method: method, Path: "/oauth2/logout", Form: form}
			if method == "GET" {
				q.Path, q.Form = q.Path+"?"+form.Encode(), nil
			}
			b.Follow(q).WantPage(200, "")
		}
	}},
}

// appAdded sets up an authenticator app, and returns the message about it.
func appAdded(s *apitest.Server, u apitest.User) apitest.Mail {
	s.T.Helper()
	accounts := s.Replicas[1].Accounts
	stored, err := s.DB.UserByID(s.T.Context(), u.ID)
	if err != nil {
		s.T.Fatal(err)
	}
	begun, err := accounts.BeginApp(s.T.Context(), stored)
	if err != nil {
		s.T.Fatal(err)
	}
	codes, err := accounts.ConfirmApp(s.T.Context(), stored, quiet(s).NewApp(s.Secret(begun.Secret)).Code(),
		userstore.KeepAll)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, code := range codes {
		s.Secret(code)
	}
	return mailed(s, outbox.FactorAdded, u.Email)
}
