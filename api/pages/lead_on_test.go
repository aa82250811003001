package pages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// The mark of a first visit does not stay in the address: as a bookmark it would say of every new
// browser that its cookies are off.
func TestTheMarkOfAFirstVisitLeavesTheAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		for _, path := range []string{"/login", "/signup", "/forgot", "/verify", "/account/profile", authorizePath(c)} {
			p := s.Browser().Open(path)
			if p.Status != http.StatusOK || strings.Contains(p.Path, "cookies=") {
				t.Errorf("%s ends at %s: %d", path, p.Path, p.Status)
			}
			if strings.HasPrefix(path, "/account") && !strings.Contains(p.Path, "next=account%2Fprofile") {
				t.Errorf("%s ends at %s", path, p.Path)
			}
		}
	})
}

// The link of a message in a browser without cookies is no matter of the link.
func TestALinkOfAMessageWithoutCookies(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Mails()
		s.Advance(time.Hour)
		b := s.Browser()
		b.Open("/forgot").Submit("ask-submit", map[string]string{"email": alice.Email}).WantPage(200, "reset-submit")
		link := s.MailOf(outbox.ResetPassword).Link
		for _, path := range []string{link, "/reset/garbage", "/verify/garbage", "/invite/garbage", "/reset?request=x",
			"/verify?request=x"} {
			off := s.Browser()
			off.NoCookies = true
			if p := off.Open(path).WantPage(403, ""); !strings.Contains(p.Text(), "Cookies are off") {
				t.Errorf("%.20s: %s", path, p.Text())
			}
		}
		// The page of another browser is no matter of cookies, also for a new one.
		page := b.Open(link).WantPage(200, "reset-submit")
		if p := s.Browser().Open(page.Path).WantPage(400, ""); strings.Contains(p.Text(), "Cookies") ||
			p.Link("/forgot") != "/forgot" {
			t.Errorf("%s", p.Text())
		}
		if p := s.Browser().Open("/verify?request=x").WantPage(400, ""); p.Link("/verify") != "/verify" {
			t.Errorf("%s", p.Text())
		}
	})
}

// What a message was for is done once, and the page that says so can be loaded again.
func TestTheEndOfAMessageCanBeLoadedAgain(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := s.Browser()
		ada := map[string]string{"email": "ada@example.test", "password": s.Secret("a planted password of ada")}
		b.Open("/signup").Submit("signup-submit", ada)
		done := b.Open(s.MailOf(outbox.VerifyEmail).Link).WantPage(200, "verify-submit").Submit("verify-submit", nil)
		for _, p := range []*apitest.Page{done, b.Open(done.Path)} {
			// Who is signed in is not asked to sign in again.
			if p.WantPage(200, ""); !strings.Contains(p.Text(), "is confirmed") || p.Link("/account") != "/account" ||
				p.Link("/login") != "" {
				t.Errorf("%s: %s", p.Path, p.Text())
			}
		}
		s.Advance(time.Hour)
		b.Open("/forgot").Submit("ask-submit", map[string]string{"email": ada["email"]}).WantPage(200, "reset-submit")
		reset := b.Open(s.MailOf(outbox.ResetPassword).Link).WantPage(200, "reset-submit")
		done = reset.Submit("reset-submit", map[string]string{"new_password": s.Secret("another planted password")})
		for _, p := range []*apitest.Page{done, b.Open(done.Path)} {
			if p.WantPage(200, ""); !strings.Contains(p.Text(), "Your password is set") || p.Link("/login") != "/login" {
				t.Errorf("%s: %s", p.Path, p.Text())
			}
		}
		s.Browser().Open(done.Path).WantPage(400, "")
	}, apitest.Verifying)
}

// A form that was shown to another session of the browser is shown again, or leads to its page.
// Nothing is done.
func TestAFormOfAnotherSessionLeadsOn(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		b := s.SignedIn(alice)
		consent := b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
		offer := b.Open(consent.Link("/login?request=")).WantPage(200, "continue-submit")
		profile := b.Open("/account/profile").WantPage(200, "profile-submit")
		b.Open("/logout").Submit("logout-confirm", nil)
		b.SignIn("/login", bob)

		s.Unchanged(func() {
			p := consent.Submit("consent-approve", nil).WantPage(403, "consent-approve")
			if !strings.Contains(p.Text(), bob.Email) || strings.Contains(p.Text(), alice.Email) {
				t.Errorf("%s", p.Text())
			}
			p = offer.Submit("continue-submit", nil).WantPage(403, "continue-submit")
			if !strings.Contains(p.Text(), "Continue as "+bob.Email) {
				t.Errorf("%s", p.Text())
			}
			p = profile.Submit("profile-submit", map[string]string{"given_name": "Eve"}).WantPage(403, "")
			b.Open(p.Link("/account/profile")).WantPage(200, "profile-submit")
		})
		wantCode(t, consent.Submit("consent-approve", nil).Submit("consent-approve", nil))
	})
}

// No page leaves a person without a next step.
func TestErrorPagesLeadOn(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		elsewhere := s.Browser().Open(authorizePath(c)).Path
		for _, path := range []string{"/nothing", "/login/", "/continue", "/language", "/back", elsewhere} {
			p := s.Browser().Open(path)
			if p.Status < 400 || p.Link("/login") != "/login" {
				t.Errorf("%.30s: %d %s", path, p.Status, p.Text())
			}
		}
		b := s.Browser()
		old := b.Open(authorizePath(c)).WantPage(200, "login-submit")
		s.Advance(31 * 24 * time.Hour)
		if p := b.Open(old.Path).WantPage(400, ""); p.Link("/login") != "/login" {
			t.Errorf("%s", p.Text())
		}
	})
}

// Who signed up without a proof of the address finds the way to it, and their name, on the account
// page.
func TestTheAccountLeadsToTheProofOfItsAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := s.Browser()
		b.Open("/signup").Submit("signup-submit",
			map[string]string{"email": "ada@example.test", "given_name": "Ada", "family_name": "Lovelace",
				"password": s.Secret("a planted password of ada")})
		s.MailOf(outbox.VerifyEmail)
		s.Advance(time.Minute)
		p := b.Open("/account").WantPage(200, "to-verify")
		if !strings.Contains(p.Text(), "Ada Lovelace") {
			t.Errorf("%s", p.Text())
		}
		p = b.Open(p.Link("/verify")).WantPage(200, "verify-submit") // which takes the code of the sign-up
		p = b.Open(p.Link("/verify")).WantPage(200, "ask-submit")
		if p.Value("email") != "ada@example.test" {
			t.Errorf("the address is to be typed again: %q", p.Value("email"))
		}
		p = p.Submit("ask-submit", nil).WantPage(200, "verify-submit")
		p.Submit("verify-submit", map[string]string{"code": s.MailOf(outbox.VerifyEmail).Code}).WantPage(200, "")
		if p := b.Open("/account").WantPage(200, ""); p.Has("to-verify") {
			t.Errorf("%s", p.Text())
		}
		b.Open("/verify").WantPage(200, "ask-submit")
	}, apitest.Verifying)
}

// Another message is asked for with the app's request.
func TestAnotherMessageKeepsTheAppsRequest(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		s.Mails()
		b := s.Browser()
		p := b.Open(b.Open(authorizePath(c)).Link("/forgot")).Submit("ask-submit",
			map[string]string{"email": alice.Email}).WantPage(200, "reset-submit")
		s.Advance(2 * time.Hour)
		p = b.Open(p.Link("/forgot")).Submit("ask-submit",
			map[string]string{"email": alice.Email}).WantPage(200, "reset-submit")
		s.Mails()
		s.Advance(time.Minute)
		p = b.Open(p.Link("/forgot")).Submit("ask-submit",
			map[string]string{"email": alice.Email}).WantPage(200, "reset-submit")
		if to := p.Link("/forgot"); !strings.Contains(to, "request=") {
			t.Errorf("it leads to %q", to)
		}
	})
}

// The page by which a first visit with a long request passes does not say that it leads back to the
// app.
func TestAFirstVisitIsNotSentBackToTheApp(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		long := authorizePath(c, set("state", longStates["letters"], "response_mode", "form_post"))
		if p := s.Browser().Send(apitest.Request{Path: long}).WantPage(200, ""); !strings.Contains(p.Text(), "One moment") ||
			strings.Contains(p.Text(), "back to the app") {
			t.Errorf("%s", p.Text())
		}
		b := s.SignedIn(alice)
		p := b.Open(long).WantPage(200, "consent-approve").Submit("consent-approve", nil)
		if !strings.Contains(p.Text(), "back to the app") {
			t.Errorf("%s", p.Text())
		}
	})
}
