package crashes_test

import (
	"regexp"
	"strings"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

var (
	passkeyButton = regexp.MustCompile(`id="(passkey-remove-[^"]+)"`)
	trustButton   = regexp.MustCompile(`id="(trust-end-[^"]+)"`)
)

func buttonOn(s *apitest.Server, p *apitest.Page, id *regexp.Regexp) string {
	s.T.Helper()
	m := id.FindSubmatch(p.Body)
	if m == nil {
		s.T.Fatalf("%s: no button: %s", p.Path, p.Text())
	}
	return string(m[1])
}

// secondStep takes the step with an authenticator app that a page led to.
func secondStep(p *apitest.Page, app *apitest.App) *apitest.Page {
	if link := p.Link("/login/second?by=totp"); link != "" {
		p = p.Open(link)
	}
	return p.WantPage(200, "second-submit").Submit("second-submit", map[string]string{"code": app.Code()})
}

// accountPageJourneys are those of the pages of the account.
var accountPageJourneys = []journey{
	{"the pages of the account", nil, func(s *apitest.Server, name string) {
		u, b := signedIn(s, name)
		for _, path := range []string{"", "/security", "/activity", "/codes", "/trusted", "/passkeys", "/authenticator"} {
			b.Open("/account"+path).WantPage(200, "")
		}
		b.Open("/account/profile").WantPage(200, "profile-submit").
			Submit("profile-submit", map[string]string{"name": "Ada"}).WantPage(200, "done")
		b.Open("/account/data").WantPage(200, "data-submit").
			Submit("data-submit", map[string]string{"current_password": u.Password})
		b.Open("/account/address").WantPage(200, "address-submit").Submit("address-submit",
			map[string]string{"email": u.Email, "username": name, "current_password": u.Password}).WantPage(200, "done")
		b.Open("/account/password").WantPage(200, "password-submit").Submit("password-submit",
			map[string]string{"current_password": u.Password, "new_password": s.Secret(apitest.NextPassword)}).
			WantPage(200, "done")
	}},
	{"sessions and apps at the pages of the account", nil, func(s *apitest.Server, name string) {
		u, q := quiet(s).Operated(name+"@example.test", true), quiet(s)
		c := q.Register(userstore.Client{ID: name})
		b, _ := q.Allowed(u, c)
		q.SignedIn(u)
		one := q.Login(u)
		b = b.With(s)
		p := b.Open("/account/sessions").WantPage(200, "sessions-end-others")
		p.Submit("session-end-"+one.SessionID(), nil).WantPage(200, "done")
		p.Submit("sessions-end-others", nil).WantPage(200, "done")
		b.Open("/account/apps").WantPage(200, "").Submit("app-end-"+c.ID, nil).WantPage(200, "done")
	}},
	{"the end of an account at the page", nil, func(s *apitest.Server, name string) {
		u, b := signedIn(s, name)
		b.Open("/account/delete").WantPage(200, "delete-submit").Submit("delete-submit",
			map[string]string{"current_password": u.Password}).WantPage(200, "account-deleted")
	}},
	{"an authenticator app at the page of the account", nil, func(s *apitest.Server, name string) {
		u, b := signedIn(s, name)
		p := b.Open("/account/authenticator").WantPage(200, "totp-begin").
			Submit("totp-begin", map[string]string{"current_password": u.Password}).WantPage(200, "mail-submit")
		p = p.Submit("mail-submit", map[string]string{"mail_code": mailed(s, outbox.FactorCode, u.Email).Code})
		p.Submit("totp-confirm", map[string]string{"code": apitest.Scan(s, p).Code()}).WantPage(200, "recovery-codes")
	}},
	{"new recovery codes and no app at the pages of the account", nil, func(s *apitest.Server, name string) {
		u, b := signedIn(s, name)
		app, _ := quiet(s).WithApp(u)
		p := secondStep(b.Open("/account/codes").WantPage(200, "codes-make").Submit("codes-make", nil), app)
		p.Submit("codes-make", nil).WantPage(200, "recovery-codes")
		b.Open("/account/authenticator").WantPage(200, "totp-remove").Submit("totp-remove", nil).WantPage(200, "")
	}},
	{"a passkey at the page of the account", nil, func(s *apitest.Server, name string) {
		u, b := signedIn(s, name)
		p := b.Open("/account/passkeys").WantPage(200, "passkey-begin").
			Submit("passkey-begin", map[string]string{"current_password": u.Password}).WantPage(200, "mail-submit")
		p = p.Submit("mail-submit", map[string]string{"mail_code": mailed(s, outbox.FactorCode, u.Email).Code})
		answer := apitest.MakePasskey(s, b, p, "/account/passkeys/options", s.NewPasskey())
		p.Submit("passkey-create", answer.Fields("phone")).WantPage(200, "recovery-codes")
	}},
	{"a renamed and a removed passkey at the page of the account", nil, func(s *apitest.Server, name string) {
		u, b := signedIn(s, name)
		app, _ := quiet(s).WithApp(u)
		quiet(s).WithPasskey(u)
		p := b.Open("/account/passkeys").WantPage(200, "passkey-begin")
		remove := buttonOn(s, p, passkeyButton)
		p = secondStep(p.Submit(remove, nil), app)
		p.Submit(strings.Replace(remove, "remove", "rename", 1), map[string]string{"name": "tablet"}).WantPage(200, "")
		p.Submit(remove, nil).WantPage(200, "")
	}},
	{"a trusted browser at the page of the account", with(apitest.Configured(apitest.Trusting)), func(s *apitest.Server,
		name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		app, _ := quiet(s).WithApp(u)
		b := trusting(quiet(s), u, app).With(s)
		p := b.Open("/account/trusted").WantPage(200, "trust-end-all")
		p.Submit(buttonOn(s, p, trustButton), nil).WantPage(200, "")
	}},
}
