package mailpages_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// wantShortAddresses fails the test if a header of a page's answer is longer than proxies take.
func wantShortAddresses(t *testing.T, p *apitest.Page) *apitest.Page {
	t.Helper()
	for name, values := range p.Header {
		for _, value := range values {
			if len(value) > 2500 {
				t.Errorf("%.40s: the header %s has %d bytes", p.Path, name, len(value))
			}
		}
	}
	return p
}

// A request that is too long for addresses goes to the page that asks for a message, and no further:
// the code and the link work without it, and the person starts again from the app.
func TestALongRequestIsLeftOutOfThePagesAboutMessages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		path := authorizePath(c, set("state", strings.Repeat("s", 8<<10)))
		u, b := pendingUser(s, "ada"), s.Browser()
		signup := b.Open(path).WantPage(200, "login-submit").Submit("to-signup", nil).WantPage(200, "signup-submit")
		answer := b.Send(signup.Form("signup-submit", map[string]string{"email": u.Email, "password": u.Password}))
		page := b.Open(wantShortAddresses(t, answer).Header.Get("Location")).WantPage(200, "verify-submit")
		code := s.MailOf(outbox.VerifyEmail).Code
		if done := page.Submit("verify-submit", map[string]string{"code": code}); done.Path != "/account" {
			t.Errorf("%d %s: %s", done.Status, done.Path, done.Text())
		}

		b = s.Browser()
		forgot := b.Open(path).WantPage(200, "login-submit").Submit("to-forgot", nil).WantPage(200, "ask-submit")
		forgot = forgot.Submit("ask-submit", map[string]string{"email": "nobody"}).WantPage(400, "ask-submit")
		answer = b.Send(forgot.Form("ask-submit", map[string]string{"email": u.Email}))
		page = b.Open(wantShortAddresses(t, answer).Header.Get("Location")).WantPage(200, "reset-submit")
		next := s.Secret("the planted password of a long request")
		fields := map[string]string{"code": s.MailOf(outbox.ResetPassword).Code, "new_password": next}
		page = page.Submit("reset-submit", fields).WantPage(200, "")
		page = b.Open(page.Link("/login")).WantPage(200, "login-submit")
		u.Password = next
		if done := page.Submit("login-submit", u.Credentials()); done.Path != "/account" {
			t.Errorf("%d %s: %s", done.Status, done.Path, done.Text())
		}
	}, apitest.Requiring)
}

// Text that is no address is named beside its field, and sends nothing.
func TestAskingForAProofOfNoAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		ask := s.Browser().Open("/verify").WantPage(200, "ask-submit")
		for _, email := range []string{"", "nobody", strings.Repeat("a", 300) + "@example.test"} {
			s.Unchanged(func() {
				page := ask.Submit("ask-submit", map[string]string{"email": email}).WantPage(400, "ask-submit")
				if !page.Has("email-problem") || page.Value("email") != email {
					t.Errorf("%.20q: %s", email, page.Text())
				}
			})
		}
		if sent := s.Mails(); len(sent) > 0 {
			t.Errorf("%d messages", len(sent))
		}
	})
}
