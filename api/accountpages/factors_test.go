package accountpages_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// begin proves the account on a page of second factors, as an account without one does, and returns
// the page that asks for the rest.
func begin(s *apitest.Server, u apitest.User, p *apitest.Page, button string) *apitest.Page {
	s.T.Helper()
	p = p.WantPage(200, button).Submit(button, map[string]string{"current_password": u.Password})
	if s.Replicas[0].Accounts.NoMail {
		return p
	}
	p.WantPage(200, "mail-submit")
	return p.Submit("mail-submit", map[string]string{"mail_code": s.MailOf(outbox.FactorCode).Code})
}

// setUpApp sets up an authenticator app at the page, as the first second factor.
func setUpApp(s *apitest.Server, u apitest.User, b *apitest.Browser) (app *apitest.App, codes []string) {
	s.T.Helper()
	p := begin(s, u, b.Open("/account/authenticator"), "totp-begin")
	app = scan(s, p)
	p = p.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(200, "recovery-codes")
	if codes = codesOn(p); len(codes) != 10 {
		s.T.Fatalf("%d recovery codes: %s", len(codes), p.Text())
	}
	for _, code := range codes { // no other answer has one
		s.Secret(code)
	}
	return app, codes
}

func TestFirstAuthenticatorAppAtThePage(t *testing.T) {
	for name, options := range map[string][]func(*apitest.Options){"mail": nil, "no mail": {apitest.WithoutMail}} {
		t.Run(name, func(t *testing.T) {
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				alice := s.SignUp("alice")
				s.AddressProved(alice)
				b, other := s.SignedIn(alice), s.SignedIn(alice)
				s.Mails()
				if text := b.Open("/account").Text(); !strings.Contains(text, "Passkeys and second factors") {
					t.Error(text)
				}
				if p := b.Open("/account/security").WantPage(200, "to-authenticator"); p.Has("to-codes") || p.Has("to-trusted") {
					t.Error("codes and browsers without a second factor")
				}
				p := begin(s, alice, b.Open("/account/authenticator"), "totp-begin")
				app := scan(s, p)
				if link := p.Link("otpauth://totp/"); !strings.Contains(link, "issuer=Test") ||
					!strings.Contains(strings.ReplaceAll(inside(s, p, "totp-secret"), " ", ""), secretOf(link)) ||
					!strings.Contains(string(p.Body), "<svg") {
					t.Errorf("%q", link)
				}
				sameFactors(s, alice, func() {
					for _, code := range []string{"", app.Wrong(), app.Shown(-9), "abcdef", strings.Repeat("1", 2000)} {
						wrong := p.Submit("totp-confirm", map[string]string{"code": code})
						if wrong.Status != 403 || !wrong.Has("code-problem") ||
							inside(s, wrong, "totp-secret") != inside(s, p, "totp-secret") {
							t.Errorf("%.20q: %d %s", code, wrong.Status, wrong.Text())
						}
						p = wrong
					}
				})
				// Once a code was wrong, the right one still counts.
				done := p.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(200, "recovery-codes")
				codes := codesOn(done)
				if len(codes) != 10 || !done.Has("done") || !done.Has("sessions-end-others") || done.Has("language") ||
					strings.Contains(done.Path, codes[0]) {
					t.Errorf("%d codes: %s", len(codes), done.Text())
				}
				have := factorsOf(s, alice)
				if have.App == nil || have.RecoveryCodes != 10 || have.Version != 1 {
					t.Errorf("%+v", have)
				}
				// The codes can be downloaded from this page, and are on no other.
				file := done.Submit("codes-download", nil)
				if got := file.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" || file.Status != 200 ||
					!strings.HasPrefix(file.Header.Get("Content-Disposition"), "attachment") ||
					!strings.Contains(string(file.Body), strings.Join(codes, "\r\n")) {
					t.Errorf("%d %s %q", file.Status, got, file.Body)
				}
				for _, code := range codes {
					s.Secret(code)
				}
				s.Secret(inside(s, p, "totp-secret"))
				for _, path := range []string{"/account/codes", "/account/authenticator", "/account/security"} {
					if p := b.Open(path); p.Status != 200 || len(codesOn(p)) > 0 {
						t.Errorf("%s: %d, %d codes", path, p.Status, len(codesOn(p)))
					}
				}
				// The other sessions went on, until they are ended.
				other.Open("/account").WantPage(200, "to-profile")
				done.Submit("sessions-end-others", nil).WantPage(200, "done")
				other.Open("/account").WantPage(200, "login-submit")
			}, options...)
		})
	}
}

func secretOf(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return err.Error()
	}
	return u.Query().Get("secret")
}

// P-05: who has the password, and not the mailbox, sets nothing up.
func TestP05FirstFactorAtThePageAsksTheMailbox(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		s.AddressProved(alice)
		s.AddressProved(bob)
		b := s.SignedIn(alice)
		s.Mails()
		sameFactors(s, alice, func() {
			for _, page := range [][2]string{{"/account/authenticator", "totp-begin"}, {"/account/passkeys", "passkey-begin"}} {
				start := b.Open(page[0]).WantPage(200, page[1])
				start.Submit(page[1], nil).WantPage(403, "current_password-problem")
				start.Submit(page[1], map[string]string{"current_password": wrongPassword}).
					WantPage(403, "current_password-problem")
				s.Advance(2 * time.Minute)
				p := start.Submit(page[1], map[string]string{"current_password": alice.Password}).WantPage(200, "mail-submit")
				mail := s.MailOf(outbox.FactorCode)
				if mail.Message.To != alice.Email || strings.Contains(string(p.Body), mail.Code) {
					t.Errorf("the code went to %s", mail.Message.To)
				}
				proof := p.Value("proof")
				p.Submit("mail-submit", map[string]string{"mail_code": "00000001"}).WantPage(400, "mail_code-problem")
				p.Submit("mail-submit", map[string]string{"mail_code": ""}).WantPage(400, "mail_code-problem")
				// The steps after the mailbox, without it.
				for _, step := range []string{"confirm", "create", "begin", ""} {
					q := p.Form("mail-submit", map[string]string{"step": step, "code": "123456", "passkey": "x", "response": "{}"})
					if res := b.Send(q); res.Status != 400 || !res.Has("mail_code-problem") {
						t.Errorf("%s %q: %d %s", page[0], step, res.Status, res.Text())
					}
				}
				// The proof of another user or session is none.
				for name, other := range map[string]*apitest.Browser{"bob": s.SignedIn(bob), "another session": s.SignedIn(alice)} {
					q := other.Open(page[0]).Form(page[1], map[string]string{"proof": proof, "mail_code": mail.Code})
					if res := other.Send(q); res.Status != 403 || res.Has("totp-secret") || res.Has("passkey-form") || !res.Has("problems") {
						t.Errorf("%s: %d %s", name, res.Status, res.Text())
					}
				}
				// A forged or changed proof.
				for _, text := range []string{"x", proof[:len(proof)-2], strings.Repeat("x", 50_000), mail.Code} {
					q := p.Form("mail-submit", map[string]string{"proof": text, "mail_code": mail.Code})
					if res := b.Send(q); res.Status != 403 || res.Has("totp-secret") || res.Has("passkey-form") {
						t.Errorf("%.20q: %d %s", text, res.Status, res.Text())
					}
				}
				// The right code, too late.
				s.Clock.Move(10 * time.Minute)
				late := p.Submit("mail-submit", map[string]string{"mail_code": mail.Code})
				if late.Status != 403 || !late.Has("problems") || !late.Has(page[1]) {
					t.Errorf("late: %d %s", late.Status, late.Text())
				}
			}
		})
	})
}

// Two messages within a minute would be one too many: the page leads to the code of the first.
func TestMailboxCodeIsAskedForOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.AddressProved(alice)
		b := s.SignedIn(alice)
		s.Mails()
		fields := map[string]string{"current_password": alice.Password}
		first := b.Open("/account/authenticator").Submit("totp-begin", fields).WantPage(200, "mail-submit")
		s.Clock.Move(40 * time.Second)
		second := b.Open("/account/passkeys").Submit("passkey-begin", fields).WantPage(200, "mail-submit")
		code := map[string]string{"mail_code": s.MailOf(outbox.FactorCode).Code}
		second.Submit("mail-submit", code).WantPage(200, "passkey-form")
		first.Submit("mail-submit", code).WantPage(400, "mail_code-problem") // it is used
	})
}

// A setup in two tabs, and a form that is sent twice.
func TestSetupOfAnAppInTwoTabs(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		b := s.SignedIn(alice)
		fields := map[string]string{"current_password": alice.Password}
		one := b.Open("/account/authenticator").Submit("totp-begin", fields).WantPage(200, "totp-confirm")
		two := b.Open("/account/authenticator").Submit("totp-begin", fields).WantPage(200, "totp-confirm")
		first, second := scan(s, one), scan(s, two)
		// The first tab shows the picture that counts now.
		p := one.Submit("totp-confirm", map[string]string{"code": first.Code()}).WantPage(403, "code-problem")
		if inside(s, p, "totp-secret") != inside(s, two, "totp-secret") {
			t.Error("the first tab still shows a picture that is void")
		}
		code := map[string]string{"code": second.Code()}
		two.Submit("totp-confirm", code).WantPage(200, "recovery-codes")
		sameFactors(s, alice, func() {
			for _, tab := range []*apitest.Page{two, one, p} {
				again := tab.Submit("totp-confirm", code).WantPage(409, "problems")
				if !strings.Contains(again.Text(), "set up already") || len(codesOn(again)) > 0 {
					t.Errorf("%s", again.Text())
				}
			}
		})
	}, apitest.WithoutMail)
}

func TestPagesWhereNoSecondFactorCanBeSetUp(t *testing.T) {
	for _, c := range []struct {
		name, said string
		become     func(s *apitest.Server, u apitest.User)
	}{
		{"switched off", "factors-off", func(s *apitest.Server, _ apitest.User) {
			s.Replicas[0].Accounts.SecondFactor = userstore.SecondFactorOff
		}},
		{"address not proved", "factors-unverified", func(s *apitest.Server, u apitest.User) {
			_, err := s.Replicas[0].Accounts.EditByOperator(s.T.Context(), u.ID, func(u *userstore.User) error {
				u.EmailVerified = false
				return nil
			})
			if err != nil {
				s.T.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				alice := s.SignUp("alice")
				s.AddressProved(alice)
				b := s.SignedIn(alice)
				s.Mails()
				fields := map[string]string{"current_password": alice.Password}
				for path, button := range map[string]string{"/account/authenticator": "totp-begin", "/account/passkeys": "passkey-begin"} {
					before := b.Open(path).WantPage(200, button)
					c.become(s, alice)
					if p := b.Open(path).WantPage(200, c.said); p.Has(button) || p.Has("current_password") {
						t.Errorf("%s offers a setup", path)
					}
					sameFactors(s, alice, func() {
						p := before.Submit(button, fields).WantPage(403, "problems")
						if !p.Has(c.said) || p.Has("totp-secret") || p.Has("passkey-form") {
							t.Errorf("%s: %s", path, p.Text())
						}
					})
					s.Replicas[0].Accounts.SecondFactor = userstore.SecondFactorOptional
					s.AddressProved(alice)
				}
				if mails := s.Mails(); len(mails) > 0 {
					t.Errorf("%d messages", len(mails))
				}
			})
		})
	}
	t.Run("an issuer without passkeys", func(t *testing.T) {
		s := apitest.New(t, apitest.Options{IssuerURL: "https://192.0.2.7"})
		alice := s.SignUp("alice")
		s.AddressProved(alice)
		b := s.SignedIn(alice)
		p := b.Open("/account/passkeys").WantPage(200, "")
		if p.Has("passkey-begin") || !strings.Contains(p.Text(), "This service has no passkeys.") {
			t.Errorf("%s", p.Text())
		}
		p = b.Send(apitest.Request{Method: "POST", Path: "/account/passkeys", Form: url.Values{
			"csrf": {p.Value("csrf")}, "step": {"create"}, "current_password": {alice.Password}}})
		if p.Has("passkey-create") {
			t.Errorf("%d %s", p.Status, p.Text())
		}
	})
}

// What changed is in the audit log as the user's act, in this session.
func TestSetupIsRecorded(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice := s.SignUp("alice")
	s.AddressProved(alice)
	b := s.SignedIn(alice)
	s.Mails()
	p := begin(s, alice, b.Open("/account/authenticator"), "totp-begin")
	app := scan(s, p)
	res := b.Send(p.Form("totp-confirm", map[string]string{"code": app.Code()}))
	codesOn(res)
	events := s.EventsOf(res.Response)
	if len(events) != 1 || events[0].Name != audit.FactorAdded || events[0].Actor.ID != alice.ID || events[0].SessionID == "" {
		t.Errorf("%+v", events)
	}
}
