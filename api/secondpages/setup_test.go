package secondpages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// demand makes second factors required, for accounts that are there.
func demand(s *apitest.Server) {
	for _, r := range s.Replicas {
		r.Accounts.SecondFactor = userstore.SecondFactorRequired
	}
}

// toSetUp is a user without a second factor whose login leads to the setup, and the page that asks
// which one. path is what the browser opens.
func toSetUp(s *apitest.Server, name, path string) (u apitest.User, b *apitest.Browser, p *apitest.Page) {
	s.T.Helper()
	u = s.SignUp(name)
	s.AddressProved(u)
	s.Mails()
	demand(s)
	b = s.Browser()
	p = b.SignIn(path, u).WantPage(200, "setup-totp")
	if hasSession(b) {
		s.T.Fatal("there is a session before the second factor")
	}
	return u, b, p
}

// chooseSetup presses the button of a way, and proves the mailbox where there is mail.
func chooseSetup(s *apitest.Server, p *apitest.Page, button string) *apitest.Page {
	s.T.Helper()
	p = p.Submit(button, nil)
	if s.Replicas[0].Accounts.NoMail {
		return p
	}
	p.WantPage(200, "mail-submit")
	return p.Submit("mail-submit", map[string]string{"mail_code": s.MailOf(outbox.FactorCode).Code})
}

func TestForcedSetupAtThePages(t *testing.T) {
	for name, options := range map[string][]func(*apitest.Options){"mail": nil, "no mail": {apitest.WithoutMail}} {
		t.Run(name, func(t *testing.T) {
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				c := s.WebClient()
				for _, way := range []string{"totp", "passkey"} {
					s.Replicas[0].Accounts.SecondFactor = userstore.SecondFactorOptional
					u, b, p := toSetUp(s, way, apitest.AuthorizePath(c))
					if !strings.Contains(p.Text(), c.Name) {
						t.Errorf("the page does not name the app: %s", p.Text())
					}
					p = chooseSetup(s, p, "setup-"+way)
					if way == "totp" {
						app := scan(s, p)
						wrong := p.Submit("totp-confirm", map[string]string{"code": app.Wrong()}).WantPage(403, "code-problem")
						if inside(s, wrong, "totp-secret") != inside(s, p, "totp-secret") || hasSession(b) {
							t.Error("another picture, or a session")
						}
						p = wrong.Submit("totp-confirm", map[string]string{"code": app.Code()})
					} else {
						p.WantPage(200, "passkey-form").Submit("passkey-create", nil).WantPage(403, "problems")
						p = p.Submit("passkey-create", makePasskey(s, b, p, "/login/setup/options", s.NewPasskey()).Fields("Key"))
					}
					p.WantPage(200, "recovery-codes")
					codes := codesOn(p)
					if len(codes) != 10 || !hasSession(b) || p.Has("language") {
						t.Fatalf("%d codes, session %t: %s", len(codes), hasSession(b), p.Text())
					}
					if file := p.Submit("codes-download", nil); file.Status != 200 || !strings.Contains(string(file.Body), codes[0]) {
						t.Errorf("%d %s", file.Status, file.Body)
					}
					// The pending request goes on; what was proved is in its tokens.
					answer := p.Submit("setup-continue", nil)
					if answer.To == "" {
						answer = answer.WantPage(200, "consent-approve").Submit("consent-approve", nil)
					}
					amr := []string{"pwd", "otp", "mfa"}
					if way == "passkey" {
						amr = []string{"pwd", "pop", "user", "mfa"}
					}
					wantStrength(t, s.TokensOf(c, answer), "2", s.Clock.Now(), amr...)
					b.Open("/account").WantPage(200, "to-security")
					if _, err := s.DB.UserByID(t.Context(), u.ID); err != nil {
						t.Error(err)
					}
				}
			}, options...)
		})
	}
}

// Without a request of an app the setup leads to the page of the account that was asked for.
func TestForcedSetupLeadsToTheAccount(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, b, p := toSetUp(s, "alice", "/account/apps")
		p = p.Submit("setup-passkey", nil).WantPage(200, "passkey-form").Submit("setup-other", nil).WantPage(200, "setup-totp")
		p = p.Submit("language-submit", map[string]string{"language": "de"}).WantPage(200, "setup-totp")
		if p.Header.Get("Content-Language") != "de" {
			t.Error(p.Header.Get("Content-Language"))
		}
		p = p.Submit("setup-totp", nil)
		app := scan(s, p)
		p = p.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(200, "recovery-codes")
		if link := p.Link("/account/apps"); link == "" {
			t.Errorf("the page leads elsewhere: %s", p.Body)
		}
		b.Open("/account/apps").WantPage(200, "to-account")
	}, apitest.WithoutMail)
}

// P-05: the password alone sets nothing up where there is mail, and the handle of a login is bound to
// its browser, its request and the account as it was.
func TestP05P10ForcedSetupRefusesWhatIsNotRight(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, b, p := toSetUp(s, "alice", "/account")
		mailPage := p.Submit("setup-totp", nil).WantPage(200, "mail-submit")
		code := s.MailOf(outbox.FactorCode).Code
		sameFactors(s, alice, func() {
			mailPage.Submit("mail-submit", map[string]string{"mail_code": "00000001"}).WantPage(400, "mail_code-problem")
			mailPage.Submit("mail-submit", nil).WantPage(400, "mail_code-problem")
			for _, step := range []string{"confirm", "create", "totp", "passkey", "x", ""} {
				form := url.Values{"csrf": {p.Value("csrf")}, "login": {p.Value("login")}, "step": {step}, "code": {"123456"},
					"passkey": {"x"}, "response": {"{}"}}
				res := b.Send(apitest.Request{Method: "POST", Path: "/login/setup", Form: form})
				if res.Has("totp-secret") || res.Has("passkey-form") || res.Has("recovery-codes") || hasSession(b) {
					t.Errorf("%q without the mailbox: %d %s", step, res.Status, res.Text())
				}
			}
			options := url.Values{"csrf": {p.Value("csrf")}, "login": {p.Value("login")}}
			if res := b.Send(apitest.Request{Method: "POST", Path: "/login/setup/options", Form: options}); res.Status/100 == 2 {
				t.Errorf("options without the mailbox: %d", res.Status)
			}
			for what, change := range map[string]func(q *apitest.Request){
				"no token":      func(q *apitest.Request) { q.Form.Set("csrf", "") },
				"no login":      func(q *apitest.Request) { q.Form.Set("login", "") },
				"changed login": func(q *apitest.Request) { q.Form.Set("login", q.Form.Get("login")+"x") },
				"another site": func(q *apitest.Request) {
					q.Header = http.Header{"Origin": {"https://evil.test"}, "Sec-Fetch-Site": {"cross-site"}}
				},
			} {
				q := mailPage.Form("mail-submit", map[string]string{"mail_code": code})
				change(&q)
				if res := b.Send(q); res.Status < 300 || res.Has("totp-secret") {
					t.Errorf("%s: %d %s", what, res.Status, res.Text())
				}
			}
			other := s.Browser()
			other.Open("/login")
			if res := other.Send(mailPage.Form("mail-submit", map[string]string{"mail_code": code})); res.Status < 400 {
				t.Errorf("another browser: %d %s", res.Status, res.Text())
			}
		})
		scanPage := mailPage.Submit("mail-submit", map[string]string{"mail_code": code}).WantPage(200, "totp-confirm")
		app := scan(s, scanPage)
		mailPage.Submit("mail-submit", map[string]string{"mail_code": code}).WantPage(400, "mail_code-problem") // it is used
		sameFactors(s, alice, func() {
			s.Clock.Move(15 * time.Minute)
			late := scanPage.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(403, "login-submit")
			if late.Value("email") != alice.Email || hasSession(b) {
				t.Errorf("late: %s", late.Text())
			}
		})
	})
	t.Run("after the password changed", func(t *testing.T) {
		apitest.Each(t, func(t *testing.T, s *apitest.Server) {
			alice, b, p := toSetUp(s, "alice", "/account")
			scanPage := p.Submit("setup-totp", nil)
			app := scan(s, scanPage)
			if err := s.Replicas[0].Accounts.SetPassword(t.Context(), alice.ID, s.Secret("another planted password")); err != nil {
				t.Fatal(err)
			}
			sameFactors(s, alice, func() {
				scanPage.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(403, "login-submit")
				p.Submit("setup-totp", nil).WantPage(403, "login-submit")
				if hasSession(b) {
					t.Error("a session")
				}
			})
		}, apitest.WithoutMail)
	})
	t.Run("after it was finished", func(t *testing.T) {
		apitest.Each(t, func(t *testing.T, s *apitest.Server) {
			alice, b, p := toSetUp(s, "alice", "/account")
			elsewhere := s.Browser() // the same person, at the same point
			second := elsewhere.SignIn("/account", alice).Submit("setup-totp", nil)
			p = p.Submit("setup-totp", nil)
			app := scan(s, p)
			codes := codesOn(p.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(200, "recovery-codes"))
			sameFactors(s, alice, func() {
				again := p.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(200, "setup-continue")
				if len(codesOn(again)) > 0 || !strings.Contains(again.Text(), "set up already") {
					t.Errorf("sent twice: %s", again.Text())
				}
				second.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(403, "login-submit")
			})
			if hasSession(elsewhere) || !hasSession(b) || len(codes) != 10 {
				t.Error("who has not finished is signed in")
			}
		}, apitest.WithoutMail)
	})
}

// An address that is not proved is proved first.
func TestForcedSetupOfAnAddressThatIsNotProved(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		demand(s)
		s.Mails()
		b := s.Browser()
		p := b.SignIn("/account", alice).WantPage(200, "factors-unverified")
		if p.Has("setup-totp") || p.Link("/verify") == "" || hasSession(b) {
			t.Error(p.Text())
		}
		if mails := s.Mails(); len(mails) > 0 {
			t.Errorf("%d messages", len(mails))
		}
	})
}

// A request that is too long for an address goes on all the same.
func TestForcedSetupKeepsALongRequest(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		_, _, p := toSetUp(s, "alice", apitest.AuthorizePath(c, apitest.Param("state", strings.Repeat("s", 3000))))
		p = p.Submit("setup-totp", nil)
		app := scan(s, p)
		p = p.Submit("totp-confirm", map[string]string{"code": app.Code()}).WantPage(200, "recovery-codes")
		answer := p.Submit("setup-continue", nil)
		if answer.To == "" {
			answer = answer.Submit("consent-approve", nil)
		}
		if state := answer.Query().Get("state"); len(state) != 3000 {
			t.Errorf("%d characters of the state", len(state))
		}
	}, apitest.WithoutMail)
}
