package mailpages_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

func TestForgottenPasswordAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := s.WebClient()
		s.Mails()
		for _, way := range []string{"code", "link", "link in another browser"} {
			t.Run(way, func(t *testing.T) {
				s := s.With(t)
				s.Advance(time.Hour)
				old := s.Browser()
				old.SignIn("/login", alice)
				b := s.Browser()
				login := b.Open(apitest.AuthorizePath(c)).WantPage(200, "login-submit")
				ask := b.Open(login.Link("/forgot")).WantPage(200, "ask-submit")
				ask.Submit("ask-submit", map[string]string{"email": "nobody"}).WantPage(400, "ask-submit")
				unknown := ask.Submit("ask-submit", map[string]string{"email": "nobody@example.test"}).WantPage(200, "reset-submit")
				reset := ask.Submit("ask-submit", map[string]string{"email": alice.Email}).WantPage(200, "reset-submit")
				if known, other := reset.Text(), unknown.Text(); known != other {
					t.Errorf("U-04 the page tells that there is an account:\n%s\n%s", known, other)
				}
				mail := s.MailOf(outbox.ResetPassword)
				next := s.Secret("the planted password by the " + way)
				fields := map[string]string{"new_password": next}
				if way != "code" {
					if way != "link" {
						b = s.Browser()
					}
					first := b.Send(apitest.Request{Path: mail.Link})
					if first.Status != 303 || first.Header.Get("Referrer-Policy") != "no-referrer" ||
						strings.Contains(first.Header.Get("Location"), mail.Token()[:20]) {
						t.Errorf("U-28 %d %v", first.Status, first.Header)
					}
					s.Unchanged(func() { // what programs do that look at mail
						for range 3 {
							s.Do(apitest.Request{Path: mail.Link}).Want(303, "")
							s.Do(apitest.Request{Method: "HEAD", Path: mail.Link}).Want(303, "")
							b.Open(mail.Link).WantPage(200, "reset-submit")
						}
					})
					reset = b.Open(mail.Link).WantPage(200, "reset-submit")
					if strings.Contains(string(reset.Body), mail.Token()) || strings.Contains(reset.Path, mail.Token()) ||
						reset.Has("code") {
						t.Error("U-28 the page or its address holds the token, or asks for a code")
					}
				} else {
					fields["code"] = mail.Code
					wrong := map[string]string{"code": "00000000", "new_password": next}
					if page := reset.Submit("reset-submit", wrong).WantPage(400, "reset-submit"); !page.Has("code-problem") ||
						page.Value("new_password") != "" {
						t.Error("it does not say what is wrong, or repeats the password")
					}
				}
				reset.Submit("reset-submit",
					map[string]string{"code": mail.Code, "new_password": "short"}).WantPage(400, "reset-submit")
				reset.Submit("reset-submit", map[string]string{"code": mail.Code, "new_password": ""}).WantPage(400, "reset-submit")
				done := reset.Submit("reset-submit", fields)
				if done.Status != 200 || !strings.Contains(done.Text(), "Your password is set") {
					t.Fatalf("%d %s", done.Status, done.Text())
				}
				if page := reset.Submit("reset-submit", fields); page.Status != 400 {
					t.Errorf("U-28 used twice: %d", page.Status)
				}
				old.Open("/login").WantPage(200, "login-submit") // signed out
				alice.Password = next
				// Who came from an app, and stayed on its page, goes on to it.
				page := b.Open(done.Link("/login")).WantPage(200, "login-submit")
				page = page.Submit("login-submit", alice.Credentials())
				if way == "code" && !page.Has("consent-approve") && page.To == "" {
					t.Errorf("%d %s", page.Status, page.Path)
				}
			})
		}
	})
}

// What one browser was given is of no use in another, nor on another page, nor from another site.
func TestHandlesOfMessagesAreBound(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Mails()
		s.Advance(time.Hour)
		b, stranger := s.Browser(), s.Browser()
		b.Open("/forgot").WantPage(200, "ask-submit").Submit("ask-submit",
			map[string]string{"email": alice.Email}).WantPage(200, "reset-submit")
		mail := s.MailOf(outbox.ResetPassword)
		page := b.Open(mail.Link).WantPage(200, "reset-submit")
		stranger.Open("/login")
		s.Unchanged(func() {
			if got := stranger.Open(page.Path); got.Status != 400 {
				t.Errorf("another browser: %d", got.Status)
			}
			_, handle, _ := strings.Cut(page.Path, "?")
			if got := b.Open("/verify?" + handle); got.Status != 400 {
				t.Errorf("another page: %d", got.Status)
			}
			if got := b.Open("/login?" + handle); got.Status != 400 {
				t.Errorf("the login page: %d", got.Status)
			}
			if got := b.Open("/reset?request=garbage"); got.Status != 400 {
				t.Errorf("garbage: %d", got.Status)
			}
			form := page.Form("reset-submit", map[string]string{"new_password": "a planted password of a stranger"})
			form.Form.Set("csrf", "forged")
			if got := b.Send(form); got.Status != 403 {
				t.Errorf("P-12 a forged form: %d", got.Status)
			}
		})
		b.Open("/reset").WantPage(200, "ask-submit")
	})
}

func TestVerifyAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		signup := func(s *apitest.Server, email, password string) (*apitest.Browser, apitest.Mail) {
			b := s.Browser()
			signUp(b, apitest.User{Email: email, Password: password})
			return b, s.MailOf(outbox.VerifyEmail)
		}
		t.Run("in the browser that signed up", func(t *testing.T) {
			s := s.With(t)
			b, mail := signup(s, "ada@example.test", s.Secret("a planted password of ada"))
			page := b.Open(mail.Link).WantPage(200, "verify-submit")
			if verified(s, "ada@example.test") {
				t.Error("verified before the button was pressed")
			}
			if page.Has("new_password") {
				t.Error("it asks for a password")
			}
			if done := page.Submit("verify-submit", nil); done.Status != 200 || !verified(s, "ada@example.test") {
				t.Errorf("%d %s", done.Status, done.Text())
			}
			if again := page.Submit("verify-submit", nil); again.Status != 400 {
				t.Errorf("twice: %d", again.Status)
			}
		})
		t.Run("P-03 in another browser a new password is chosen", func(t *testing.T) {
			s := s.With(t)
			attacker, mail := signup(s, "bob@example.test", s.Secret("a planted password of an attacker"))
			b := s.Browser()
			page := b.Open(mail.Link).WantPage(200, "verify-submit").Submit("verify-submit", nil).WantPage(409, "verify-submit")
			if !page.Has("new_password") || verified(s, "bob@example.test") {
				t.Fatal("no new password is asked for")
			}
			page = page.Submit("verify-submit", map[string]string{"new_password": ""}).WantPage(409, "verify-submit")
			page = page.Submit("verify-submit", map[string]string{"new_password": "short"}).WantPage(400, "verify-submit")
			next := s.Secret("a planted password of bob")
			if done := page.Submit("verify-submit", map[string]string{"new_password": next}); done.Status != 200 ||
				!verified(s, "bob@example.test") {
				t.Errorf("%d %s", done.Status, done.Text())
			}
			attacker.Open("/login").WantPage(200, "login-submit")
			s.Login(apitest.User{Email: "bob@example.test", Password: next})
		})
		t.Run("asked for again, by code", func(t *testing.T) {
			s := s.With(t)
			b, _ := signup(s, "eve@example.test", s.Secret("a planted password of eve"))
			s.Advance(time.Minute)
			page := b.Open("/verify?again=yes").WantPage(200, "ask-submit").
				Submit("ask-submit", map[string]string{"email": "eve@example.test"}).WantPage(200, "verify-submit")
			code := s.MailOf(outbox.VerifyEmail).Code
			page.Submit("verify-submit", map[string]string{"code": "00000000"}).WantPage(400, "verify-submit")
			if done := page.Submit("verify-submit", map[string]string{"code": code}); done.Status != 200 ||
				!verified(s, "eve@example.test") {
				t.Errorf("%d %s", done.Status, done.Text())
			}
		})
	}, apitest.Verifying)
}

// verified reports whether an account has the address and has proved it.
func verified(s *apitest.Server, email string) bool {
	s.T.Helper()
	for _, u := range must(userstore.FullPage(s.T.Context(), s.DB, userstore.UserQuery{Limit: 100})) {
		if u.Email == email {
			return u.EmailVerified
		}
	}
	return false
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
