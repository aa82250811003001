package mailpages_test

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// signUpAt fills in the sign-up page, alone or for an app, and returns the page that takes the
// code.
func signUpAt(s *apitest.Server, b *apitest.Browser, path string, u apitest.User) *apitest.Page {
	s.T.Helper()
	page := b.Open("/signup")
	if path != "" {
		page = b.Open(b.Open(path).WantPage(200, "login-submit").Link("/signup"))
	}
	return page.WantPage(200, "signup-submit").
		Submit("signup-submit", map[string]string{"email": u.Email, "password": u.Password, "given_name": "Ada"}).
		WantPage(200, "verify-submit")
}

// provingName returns the name of the cookie by which a browser remembers what it proves by.
func provingName(b *apitest.Browser) string { return cookieName(b, "signet-proving-") }

// signedInAs is who is signed in in this browser; empty: nobody.
func signedInAs(s *apitest.Server, b *apitest.Browser, candidates ...apitest.User) string {
	s.T.Helper()
	page := b.Open("/login")
	for _, u := range candidates {
		if page.Status == 200 && !page.Has("login-submit") && strings.Contains(page.Text(), u.Email) {
			return u.Email
		}
	}
	return ""
}

func pendingUser(s *apitest.Server, name string) apitest.User {
	return apitest.User{Email: name + "@example.test", Password: s.Secret("the planted password of " + name)}
}

func TestSignUpAtThePagesWithAProof(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		for number, row := range []struct{ way, path string }{
			{"code", ""}, {"code", authorizePath(c)}, {"link", ""}, {"link", authorizePath(c)},
			{"link in another tab, days later", ""}, {"code asked for again", authorizePath(c)},
			{"code hours later", authorizePath(c)}, {"link in another tab, days later", authorizePath(c)},
		} {
			t.Run(row.way+" "+fmt.Sprint(row.path != ""), func(t *testing.T) {
				s := s.With(t)
				u, b := pendingUser(s, fmt.Sprintf("ada%d", number)), s.Browser()
				b.Language = "de-CH"
				page := signUpAt(s, b, row.path, u)
				mail := s.MailOf(outbox.VerifyEmail)
				if !strings.Contains(page.Text(), "unterwegs") || mail.Contents.Locale != "de" {
					t.Errorf("%q; the message is in %q", page.Text(), mail.Contents.Locale)
				}
				if who := signedInAs(s, b, u); who != "" {
					t.Error("signed in before the proof")
				}
				if provingName(b) == "" {
					t.Error("the browser does not keep what it proves by")
				}
				fields := map[string]string{}
				switch row.way {
				case "code":
					wrong := page.Submit("verify-submit", map[string]string{"code": "00000000"}).
						WantPage(400, "verify-submit")
					if !wrong.Has("code-problem") || !strings.Contains(wrong.Text(), "unterwegs") {
						t.Errorf("%s", wrong.Text())
					}
					fields["code"] = mail.Code
				case "code hours later": // the app's request has expired, and begins again by itself
					s.Advance(3 * time.Hour)
					fields["code"] = mail.Code
				case "code asked for again":
					s.Advance(2 * time.Minute)
					page = b.Open("/verify").
						WantPage(200, "ask-submit").
						Submit("ask-submit", map[string]string{"email": u.Email}).
						WantPage(200, "verify-submit")
					fields["code"] = s.MailOf(outbox.VerifyEmail).Code
				case "link":
					page = b.Open(mail.Link).WantPage(200, "verify-submit")
				default:
					s.Advance(5 * 24 * time.Hour)
					b.Open("/verify").
						WantPage(200, "ask-submit").
						Submit("ask-submit", map[string]string{"email": u.Email}).
						WantPage(200, "verify-submit")
					page = b.Open(s.MailOf(outbox.VerifyEmail).Link).WantPage(200, "verify-submit")
				}
				if page.Has("new_password") {
					t.Error("it asks for a password")
				}
				form := page.Form("verify-submit", fields)
				done := b.Follow(form)
				if row.path != "" && !strings.HasSuffix(row.way, "days later") {
					wantPageOrCode(t, done)
				} else if done.Path != "/account" {
					t.Errorf("%d %s: %s", done.Status, done.Path, done.Text())
				}
				if who := signedInAs(s, b, u); who != u.Email {
					t.Errorf("signed in as %q: %s", who, b.Open("/login").Text())
				}
				if provingName(b) != "" {
					t.Error("the browser still keeps what it proved by")
				}
				s.Login(u)
				if again := b.Send(form); again.Status != 400 {
					t.Errorf("twice: %d", again.Status)
				}
			})
		}
	}, apitest.Requiring)
}

// auth_time is when the password was typed, and not when the link was opened.
func TestTheTimeOfALoginByProof(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u, b := pendingUser(s, "ada"), s.Browser()
		typed := s.Clock.Now()
		page := signUpAt(s, b, "", u)
		s.Advance(3 * time.Hour)
		page.Submit("verify-submit", map[string]string{"code": s.MailOf(outbox.VerifyEmail).Code})
		tokens := apitest.LogIn(s, b, s.WebClient())
		if at, _ := apitest.Claims(tokens.ID)["auth_time"].(float64); int64(at) != typed.Unix() {
			t.Errorf("auth_time is %v, the password was typed at %d", at, typed.Unix())
		}
	}, apitest.Requiring)
}

// A request that begins again asks anew for a login: the password of hours before is not what it
// demands.
func TestARequestThatBeginsAgainAfterAProofKeepsItsDemands(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		for n, demand := range []struct{ name, value string }{{"prompt", "login"}, {"max_age", "600"}} {
			u, b := pendingUser(s, fmt.Sprint("ada", n)), s.Browser()
			page := signUpAt(s, b, authorizePath(c, set(demand.name, demand.value)), u)
			s.Advance(3 * time.Hour)
			page.Submit("verify-submit", map[string]string{"code": s.MailOf(outbox.VerifyEmail).Code}).
				WantPage(200, "login-submit")
		}
	}, apitest.Requiring)
}

// P-03: in another browser than the one that signed up a new password is chosen, and nobody is
// signed in.
func TestP03PendingSignUpsInAnotherBrowser(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		stranger, strangers := pendingUser(s, "victim"), s.Browser()
		theirs := signUpAt(s, strangers, "", stranger)
		mail := s.MailOf(outbox.VerifyEmail)
		b := s.Browser()
		page := b.Open(mail.Link).
			WantPage(200, "verify-submit").
			Submit("verify-submit", nil).
			WantPage(409, "verify-submit")
		if !page.Has("new_password") || !strings.Contains(page.Text(), "You did not sign up in this browser.") {
			t.Fatalf("no new password is asked for: %s", page.Text())
		}
		page = page.Submit("verify-submit", map[string]string{"new_password": ""}).WantPage(409, "verify-submit")
		page = page.Submit("verify-submit", map[string]string{"new_password": "short"}).WantPage(400, "verify-submit")
		next := s.Secret("the planted password of the victim's own")
		if done := page.Submit("verify-submit", map[string]string{"new_password": next}); done.Status != 200 ||
			!strings.Contains(done.Text(), "is confirmed") {
			t.Errorf("%d %s", done.Status, done.Text())
		}
		if theirs.Submit("verify-submit", map[string]string{"code": mail.Code}).Status != 400 {
			t.Error("the stranger's page still works")
		}
		strangers.Open("/login").WantPage(200, "login-submit").
			Submit("login-submit", map[string]string{"email": stranger.Email, "password": stranger.Password}).
			WantPage(403, "login-submit")
		for _, browser := range []*apitest.Browser{b, strangers} {
			if who := signedInAs(s, browser, stranger); who != "" {
				t.Errorf("%s is signed in", who)
			}
		}
		s.Login(apitest.User{Email: stranger.Email, Password: next})
	}, apitest.Requiring)
}

// U-03: the pages look alike for an address that has an account.
func TestU03SignUpAtThePagesLooksAlike(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		known := s.Operated("known@example.test", true)
		var texts []string
		for _, email := range []string{"nobody@example.test", known.Email} {
			page := signUpAt(
				s,
				s.Browser(),
				"",
				apitest.User{Email: email, Password: s.Secret("the planted password for " + email)},
			)
			wrong := page.Submit("verify-submit", map[string]string{"code": "00000000"}).WantPage(400, "verify-submit")
			texts = append(texts, page.Text()+wrong.Text())
		}
		if texts[0] != texts[1] {
			t.Errorf("U-03\n%s\n%s", texts[0], texts[1])
		}
		// A username that is taken says nothing of the address, whatever the password is.
		_, err := s.Replicas[0].Accounts.EditByOperator(
			t.Context(),
			known.ID,
			func(u *userstore.User) error { u.Username = "taken"; return nil },
		)
		if err != nil {
			t.Fatal(err)
		}
		started := s.Hashes()
		for _, email := range []string{"nobody@example.test", known.Email} {
			page := s.Browser().Open("/signup").WantPage(200, "signup-submit").Submit("signup-submit",
				map[string]string{
					"email":    email,
					"username": "taken",
					"password": known.Password,
				}).
				WantPage(409, "signup-submit")
			if !page.Has("username-problem") || page.Has("email-problem") {
				t.Errorf("U-03 %s: %s", email, page.Text())
			}
		}
		if now := s.Hashes(); now != started {
			t.Errorf("U-03 %d passwords were checked", now-started)
		}
	}, apitest.Requiring)
}

// A double click, and a page that is loaded again: one sign-up and one message, whose code works on
// either page.
func TestASignUpThatIsSentTwice(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for round, atOnce := range []bool{false, true, true, true} {
			u, b := pendingUser(s, fmt.Sprintf("ada%d", round)), s.Browser()
			form := b.Open("/signup").
				WantPage(200, "signup-submit").
				Form("signup-submit", map[string]string{
					"email": u.Email, "password": u.Password, "username": fmt.Sprintf("ada-%d", round),
				})
			pages := make([]*apitest.Page, 2)
			var both sync.WaitGroup
			for i := range pages {
				one := *b
				one.Cookies = maps.Clone(b.Cookies)
				send := func() { pages[i] = one.Follow(form) }
				if atOnce {
					both.Go(send)
				} else {
					send()
				}
			}
			both.Wait()
			code := s.MailOf(outbox.VerifyEmail).Code
			page := pages[round%2].WantPage(200, "verify-submit")
			if done := page.Submit("verify-submit", map[string]string{"code": code}); done.Path != "/account" {
				t.Errorf("%d %s", done.Status, done.Text())
			}
			s.Login(u)
			s.Advance(time.Minute)
		}
	}, apitest.Requiring)
}

// Who has an unverified account is led to the proof after the right password, and then signed in.
func TestLoginOfAnUnverifiedAccountAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		for number, row := range []struct{ way, path string }{
			{"code", authorizePath(c)}, {"link", authorizePath(c)},
			{"link", "/login"}, {"link in another browser", "/login"},
		} {
			t.Run(row.way+" "+row.path[:5], func(t *testing.T) {
				s := s.With(t)
				u, b := s.Operated(fmt.Sprintf("bob%d@example.test", number), false), s.Browser()
				login := b.Open(row.path).WantPage(200, "login-submit")
				wrong := map[string]string{"email": u.Email, "password": "not the planted password"}
				nobody := map[string]string{"email": "nobody@example.test", "password": "not the planted password"}
				known := login.Submit("login-submit", wrong).WantPage(403, "login-submit").Text()
				unknown := login.Submit("login-submit", nobody).WantPage(403, "login-submit").Text()
				if known != unknown {
					t.Errorf("U-01\n%s\n%s", known, unknown)
				}
				page := login.Submit("login-submit", u.Credentials()).WantPage(200, "verify-submit")
				if !strings.Contains(page.Text(), "has to be confirmed") {
					t.Errorf("%s", page.Text())
				}
				if who := signedInAs(s, b, u); who != "" {
					t.Error("signed in before the proof")
				}
				mail := s.MailOf(outbox.VerifyEmail)
				fields := map[string]string{}
				switch row.way {
				case "code":
					fields["code"] = mail.Code
				case "link":
					page = b.Open(mail.Link).WantPage(200, "verify-submit")
				default:
					other := s.Browser()
					page := other.Open(mail.Link).
						WantPage(200, "verify-submit").
						Submit("verify-submit", nil).
						WantPage(409, "verify-submit")
					next := s.Secret("the planted password of another browser")
					page.Submit("verify-submit", map[string]string{"new_password": next}).
						WantPage(200, "")
					if signedInAs(s, other, u) != "" || signedInAs(s, b, u) != "" {
						t.Error("a proof in another browser signs somebody in")
					}
					return
				}
				done := page.Submit("verify-submit", fields)
				if row.path != "/login" {
					wantPageOrCode(t, done)
				} else if done.Path != "/account" {
					t.Errorf("%d %s: %s", done.Status, done.Path, done.Text())
				}
				if who := signedInAs(s, b, u); who != u.Email {
					t.Errorf("signed in as %q", who)
				}
				s.Login(u)
			})
		}
	}, apitest.Requiring)
}

// What a browser remembers is of no use in another one.
func TestWhatABrowserProvesByIsBound(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u, b := pendingUser(s, "ada"), s.Browser()
		signUpAt(s, b, "", u)
		link := s.MailOf(outbox.VerifyEmail).Link
		other := s.Browser()
		other.Open("/login")
		cookie := provingName(b)
		if cookie == "" {
			t.Fatal("the browser remembers nothing")
		}
		for _, value := range []string{b.Cookies[cookie], "garbage", strings.Repeat("A", 4000)} {
			other.Cookies[cookie] = value
			page := other.Open(link).WantPage(200, "verify-submit").Submit("verify-submit", nil)
			if page.Status != 409 {
				t.Errorf("%d %s", page.Status, page.Text())
			}
		}
	}, apitest.Requiring)
}

// U-37: where sign-up is closed the page says so, and a page that was open makes no account.
func TestU37PendingSignUpsAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u, b := pendingUser(s, "ada"), s.Browser()
		page := signUpAt(s, b, "", u)
		code := s.MailOf(outbox.VerifyEmail).Code
		s.Replicas[0].Accounts.SignupEnabled = false
		s.Unchanged(func() {
			if got := b.Open("/signup"); got.Status != 403 {
				t.Errorf("U-37 %d", got.Status)
			}
			if got := page.Submit("verify-submit", map[string]string{"code": code}); got.Status != 403 {
				t.Errorf("U-37 %d %s", got.Status, got.Text())
			}
		})
	}, apitest.Requiring)
}
