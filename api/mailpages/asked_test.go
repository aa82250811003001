package mailpages_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// askingPage is a page that asks for a message.
type askingPage struct {
	kind   outbox.Kind
	submit string // the button of the page that takes the code
	// form opens the page in the browser and returns what its form sends.
	form func(b *apitest.Browser, email string) apitest.Request
	// fields are sent with the code.
	fields func(s *apitest.Server) map[string]string
	begin  func(s *apitest.Server, name string) (b *apitest.Browser, email string)
}

func askings() map[string]askingPage {
	none := func(*apitest.Server) map[string]string { return map[string]string{} }
	ask := func(path string) func(*apitest.Browser, string) apitest.Request {
		return func(b *apitest.Browser, email string) apitest.Request {
			return b.Open(path).WantPage(200, "ask-submit").Form("ask-submit", map[string]string{"email": email})
		}
	}
	return map[string]askingPage{
		"forgot": {outbox.ResetPassword, "reset-submit", ask("/forgot"), func(s *apitest.Server) map[string]string {
			return map[string]string{"new_password": s.Secret("another planted password of the owner")}
		}, func(s *apitest.Server, name string) (*apitest.Browser, string) {
			return s.Browser(), s.SignUp(name).Email
		}},
		"verify": {outbox.VerifyEmail, "verify-submit", ask("/verify"), func(s *apitest.Server) map[string]string {
			return map[string]string{"new_password": s.Secret("another planted password of the owner")}
		}, func(s *apitest.Server, name string) (*apitest.Browser, string) {
			return s.Browser(), s.Operated(name+"@example.test", false).Email
		}},
		"change": {outbox.ChangeEmail, "change-submit", func(b *apitest.Browser, email string) apitest.Request {
			return b.Open("/account/address").WantPage(200, "address-submit").
				Form("address-submit", map[string]string{"email": email, "current_password": apitest.GoodPassword})
		}, none, func(s *apitest.Server, name string) (*apitest.Browser, string) {
			return owner(s, name), "new-" + name + "@example.test"
		}},
	}
}

// owner returns a browser in which a person signed up.
func owner(s *apitest.Server, name string) *apitest.Browser {
	b := s.Browser()
	signUp(b, apitest.User{Email: name + "@example.test", Password: s.Secret(apitest.GoodPassword)}).WantPage(200, "")
	return b
}

// signUp fills in the sign-up page, and returns the page after it.
func signUp(b *apitest.Browser, u apitest.User) *apitest.Page {
	return b.Open("/signup").WantPage(200, "signup-submit").Submit("signup-submit", u.Credentials())
}

// atOnce sends a form twice with the cookies that the browser has now. Of the answers the browser
// keeps the cookies of the last alone, as after a double click.
func atOnce(b *apitest.Browser, q apitest.Request) (answers [2]*apitest.Page, browsers [2]*apitest.Browser) {
	var both sync.WaitGroup
	for i := range answers {
		one := *b
		one.Cookies = maps.Clone(b.Cookies)
		browsers[i] = &one
		both.Go(func() { answers[i] = one.Follow(q) })
	}
	both.Wait()
	return answers, browsers
}

// A person who asks for a message a second time gets no second message within a minute. The code of
// the first is of use on every page that the person may have come to.
func TestTheCodeOfTheFirstMessageWorksThoughItWasAskedForTwice(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		number := 0
		for name, a := range askings() {
			ways := map[string]func(s *apitest.Server, b *apitest.Browser, email string) *apitest.Page{
				"Back and send again": func(_ *apitest.Server, b *apitest.Browser, email string) *apitest.Page {
					q := a.form(b, email)
					b.Follow(q).WantPage(200, a.submit)
					b.Follow(q).WantPage(200, a.submit)
					return b.Follow(q)
				},
				"the form once more, with the address in another spelling": func(
					s *apitest.Server, b *apitest.Browser, email string,
				) *apitest.Page {
					b.Follow(a.form(b, email)).WantPage(200, a.submit)
					s.Advance(time.Minute - time.Microsecond)
					return b.Follow(a.form(b, " "+strings.ToUpper(email)))
				},
				"the second of two at once": func(_ *apitest.Server, b *apitest.Browser, email string) *apitest.Page {
					answers, browsers := atOnce(b, a.form(b, email))
					answers[0].WantPage(200, a.submit)
					b.Cookies = browsers[1].Cookies
					return answers[1]
				},
				"the first of two at once": func(_ *apitest.Server, b *apitest.Browser, email string) *apitest.Page {
					answers, browsers := atOnce(b, a.form(b, email))
					answers[1].WantPage(200, a.submit)
					b.Cookies = browsers[0].Cookies
					return answers[0]
				},
				"at once, and then again": func(s *apitest.Server, b *apitest.Browser, email string) *apitest.Page {
					q := a.form(b, email)
					_, browsers := atOnce(b, q)
					b.Cookies = browsers[1].Cookies
					s.Advance(59 * time.Second)
					return b.Follow(q)
				},
				"after a minute": func(s *apitest.Server, b *apitest.Browser, email string) *apitest.Page {
					q := a.form(b, email)
					b.Follow(q).WantPage(200, a.submit)
					old := s.MailOf(a.kind)
					s.Advance(time.Minute)
					page := b.Follow(q).WantPage(200, a.submit)
					fields := a.fields(s)
					fields["code"] = old.Code
					page.Submit(a.submit, fields).WantPage(400, a.submit)
					return b.Follow(q) // the newer one is remembered
				},
			}
			if name != "change" { // there another address ends the change to the first
				ways["another address in between"] = func(
					_ *apitest.Server, b *apitest.Browser, email string,
				) *apitest.Page {
					q := a.form(b, email)
					b.Follow(q).WantPage(200, a.submit)
					for n := range 3 {
						b.Follow(a.form(b, fmt.Sprintf("other%d-%s", n, email))).WantPage(200, a.submit)
					}
					return b.Follow(q)
				}
			}
			for way, ask := range ways {
				number++
				who := fmt.Sprintf("%s%d", name, number)
				t.Run(name+": "+way, func(t *testing.T) {
					s := s.With(t)
					s.Advance(25 * time.Hour)
					b, email := a.begin(s, who)
					s.Mails()
					page := ask(s, b, email).WantPage(200, a.submit)
					mail := s.MailOf(a.kind)
					fields := a.fields(s)
					fields["code"] = mail.Code
					if done := page.Submit(a.submit, fields); done.Status != 200 && done.Status != 409 {
						t.Fatalf("the code of the message: %d %s", done.Status, done.Text())
					}
				})
			}
		}
	}, apitest.Verifying)
}

var opaque = regexp.MustCompile(`[A-Za-z0-9_-]{20,}`)

// bare is an answer without what is random in it, but with its length.
func bare(p *apitest.Page) string {
	var text strings.Builder
	fmt.Fprintln(&text, p.Status)
	for _, name := range slices.Sorted(maps.Keys(p.Header)) {
		if name != "Date" {
			fmt.Fprintln(&text, name, p.Header[name])
		}
	}
	text.Write(p.Body)
	return opaque.ReplaceAllStringFunc(text.String(), func(handle string) string {
		return fmt.Sprintf("<%d>", len(handle))
	})
}

// Whether an address has an account shows in none of the answers, however often a person asks.
func TestAskingTwiceIsAlikeForKnownAndUnknownAddresses(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		known := map[string]string{
			"forgot": s.SignUp("known0").Email, "verify": s.Operated("known1@example.test", false).Email,
			"change": s.SignUp("known2").Email,
		}
		for name, a := range askings() {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				s.Mails()
				s.Advance(25 * time.Hour)
				browsers := [2]*apitest.Browser{s.Browser(), s.Browser()}
				if name == "change" {
					browsers[0], browsers[1] = owner(s, "owner0"), owner(s, "owner1")
				}
				var seen [2][]string
				for i, email := range []string{known[name], strings.Replace(known[name], "known", "other", 1)} {
					b := browsers[i]
					see := func(q apitest.Request) {
						answer := b.Send(q)
						if answer.Status != http.StatusSeeOther {
							t.Fatalf("%d %s", answer.Status, answer.Text())
						}
						page := b.Send(apitest.Request{Path: answer.Header.Get("Location")}).WantPage(200, a.submit)
						fields := a.fields(s)
						fields["code"] = "00000000"
						wrong := page.Submit(a.submit, fields).WantPage(400, a.submit)
						seen[i] = append(seen[i], bare(answer), bare(page), bare(wrong))
					}
					q := a.form(b, email)
					see(q)
					see(q)
					s.Advance(time.Minute)
					see(q)
					see(a.form(b, email))
					other := *b
					other.Cookies = maps.Clone(b.Cookies)
					delete(other.Cookies, askedName(b))
					b = &other
					see(q)
					s.Advance(time.Hour)
				}
				for n := range seen[0] {
					one := strings.ReplaceAll(seen[0][n], "owner0", "owner1")
					if one != seen[1][n] {
						t.Errorf("U-04 answer %d differs:\n%s\n\n%s", n, one, seen[1][n])
					}
				}
			})
		}
	}, apitest.Verifying)
}

func askedName(b *apitest.Browser) string { return cookieName(b, "signet-asked-") }

// cookieName returns the name of the browser's cookie whose name has this part; empty: it keeps none.
func cookieName(b *apitest.Browser, part string) string {
	for name := range b.Cookies {
		if strings.Contains(name, part) {
			return name
		}
	}
	return ""
}

// What one browser asked for leads another nowhere, and its cookie holds nothing readable.
func TestWhatABrowserAskedForStaysInIt(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for name, a := range askings() {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				s.Advance(25 * time.Hour)
				b, email := a.begin(s, "owner-"+name)
				s.Mails()
				b.Follow(a.form(b, email)).WantPage(200, a.submit)
				mail := s.MailOf(a.kind)
				cookie := askedName(b)
				if value := b.Cookies[cookie]; cookie == "" || strings.Contains(value, email) || len(value) > 3000 {
					t.Errorf("the cookie %q is %q", cookie, value)
				}
				for _, set := range b.Set {
					if set.Name == cookie && (!set.HttpOnly || !set.Secure || set.SameSite != http.SameSiteLaxMode) {
						t.Errorf("%v", set)
					}
				}
				stranger := s.Browser()
				if name == "change" {
					stranger = owner(s, "stranger")
				}
				stranger.Open("/login")
				s.Mails()
				for _, stolen := range []string{"", b.Cookies[cookie], "garbage"} {
					if stranger.Cookies[cookie] = stolen; stolen == "" {
						delete(stranger.Cookies, cookie)
					}
					fields := a.fields(s)
					fields["code"] = mail.Code
					stranger.Follow(a.form(stranger, email)).WantPage(200, a.submit).
						Submit(a.submit, fields).WantPage(400, a.submit)
					if more := s.Mails(); len(more) > 0 {
						t.Errorf("%d more messages", len(more))
					}
				}
				// It stands for no page's handle.
				for _, path := range []string{"/reset", "/verify", "/change"} {
					if got := b.Open(path + "?request=" + b.Cookies[cookie]); got.Status != 400 {
						t.Errorf("%s takes the cookie: %d", path, got.Status)
					}
				}
			})
		}
	}, apitest.Verifying)
}

// The cookie stays short, and what was asked for last is remembered.
func TestABrowserRemembersFewMessages(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	b, email := s.Browser(), s.SignUp("alice").Email
	s.Mails()
	form := askings()["forgot"].form
	for n := range 30 {
		b.Follow(form(b, fmt.Sprintf("%d-%s", n, email))).WantPage(200, "reset-submit")
	}
	q := form(b, email)
	b.Follow(q).WantPage(200, "reset-submit")
	page := b.Follow(q).WantPage(200, "reset-submit")
	if got := len(b.Cookies[askedName(b)]); got == 0 || got > 3000 {
		t.Errorf("the cookie has %d bytes", got)
	}
	fields := map[string]string{
		"code": s.MailOf(outbox.ResetPassword).Code, "new_password": s.Secret("another planted password of alice"),
	}
	if done := page.Submit("reset-submit", fields); done.Status != 200 {
		t.Errorf("%d %s", done.Status, done.Text())
	}
}

// The message of a sign-up has a code. The account leads to the page that takes it.
func TestTheAccountTakesTheCodeOfItsSignUp(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		again := func(page *apitest.Page, b *apitest.Browser, u apitest.User) *apitest.Page {
			return b.Open(page.Link("/verify")).WantPage(200, "ask-submit").
				Submit("ask-submit", map[string]string{"email": u.Email}).WantPage(200, "verify-submit")
		}
		for number, row := range []struct {
			way   string
			steps func(s *apitest.Server, b *apitest.Browser, u apitest.User) (*apitest.Page, apitest.Mail)
		}{
			{"at once", func(s *apitest.Server, b *apitest.Browser, u apitest.User) (*apitest.Page, apitest.Mail) {
				return b.Open(b.Open("/account").Link("/verify")), s.MailOf(outbox.VerifyEmail)
			}},
			{"an hour later", func(s *apitest.Server, b *apitest.Browser, u apitest.User) (*apitest.Page, apitest.Mail) {
				s.Advance(time.Hour)
				return b.Open("/verify"), s.MailOf(outbox.VerifyEmail)
			}},
			{"another message within the minute", func(
				s *apitest.Server, b *apitest.Browser, u apitest.User,
			) (*apitest.Page, apitest.Mail) {
				return again(b.Open("/verify").WantPage(200, "verify-submit"), b, u), s.MailOf(outbox.VerifyEmail)
			}},
			{"another message later", func(
				s *apitest.Server, b *apitest.Browser, u apitest.User,
			) (*apitest.Page, apitest.Mail) {
				first := s.MailOf(outbox.VerifyEmail)
				s.Advance(time.Minute)
				page := again(b.Open("/verify").WantPage(200, "verify-submit"), b, u)
				mail := s.MailOf(outbox.VerifyEmail)
				page.Submit("verify-submit", map[string]string{"code": first.Code}).WantPage(400, "verify-submit")
				return b.Open("/verify"), mail // leads to the page of the newest
			}},
		} {
			t.Run(row.way, func(t *testing.T) {
				s := s.With(t)
				u, b := pendingUser(s, fmt.Sprintf("grace%d", number)), s.Browser()
				signUp(b, u)
				page, mail := row.steps(s, b, u)
				done := page.WantPage(200, "verify-submit").Submit("verify-submit", map[string]string{"code": mail.Code})
				if done.Status != 200 || !verified(s, u.Email) {
					t.Fatalf("%d %s", done.Status, done.Text())
				}
				b.Open("/verify").WantPage(200, "ask-submit") // nothing is left to prove
			})
		}
		t.Run("a day later", func(t *testing.T) {
			s := s.With(t)
			u, b := pendingUser(s, "grace-late"), s.Browser()
			signUp(b, u)
			s.Advance(24 * time.Hour)
			b.Open("/verify").WantPage(200, "ask-submit")
		})
		t.Run("another account of the browser", func(t *testing.T) {
			s := s.With(t)
			u, b := pendingUser(s, "grace-first"), s.Browser()
			signUp(b, u)
			b.Open("/logout").Submit("logout-confirm", nil)
			b.Open("/verify").WantPage(200, "ask-submit")
			b.SignIn("/login", s.Operated("grace-second@example.test", false))
			if page := b.Open("/verify").WantPage(200, "ask-submit"); page.Value("email") != "grace-second@example.test" {
				t.Errorf("%s", page.Text())
			}
		})
	}, apitest.Verifying)
}

// Where proofs are required, the same holds of the code of a sign-up and of a login.
func TestARequiredProofTakesTheFirstCode(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		prove := func(s *apitest.Server, b *apitest.Browser, page *apitest.Page, u apitest.User) {
			s.T.Helper()
			code := s.MailOf(outbox.VerifyEmail).Code
			page.WantPage(200, "verify-submit").Submit("verify-submit", map[string]string{"code": code})
			if who := signedInAs(s, b, u); who != u.Email {
				s.T.Errorf("%q is signed in", who)
			}
		}
		t.Run("a sign-up and a message that is asked for", func(t *testing.T) {
			s := s.With(t)
			u, b := pendingUser(s, "iris"), s.Browser()
			page := signUpAt(s, b, "", u)
			page = b.Open(page.Link("/verify")).WantPage(200, "ask-submit").
				Submit("ask-submit", map[string]string{"email": u.Email})
			prove(s, b, page, u)
		})
		login := func(b *apitest.Browser, u apitest.User) apitest.Request {
			return b.Open("/login").WantPage(200, "login-submit").Form("login-submit", u.Credentials())
		}
		t.Run("a login, Back and again", func(t *testing.T) {
			s := s.With(t)
			u, b := s.Operated("judy@example.test", false), s.Browser()
			q := login(b, u)
			b.Follow(q).WantPage(200, "verify-submit")
			prove(s, b, b.Follow(q), u)
		})
		t.Run("a login sent twice at once", func(t *testing.T) {
			s := s.With(t)
			u, b := s.Operated("kim@example.test", false), s.Browser()
			answers, browsers := atOnce(b, login(b, u))
			answers[0].WantPage(200, "verify-submit")
			b.Cookies = browsers[1].Cookies
			*browsers[1] = *b
			prove(s, browsers[1], answers[1], u)
		})
		t.Run("a message that is asked for, and a login", func(t *testing.T) {
			s := s.With(t)
			u, b := s.Operated("lena@example.test", false), s.Browser()
			b.Follow(askings()["verify"].form(b, u.Email)).WantPage(200, "verify-submit")
			prove(s, b, b.Follow(login(b, u)), u)
		})
		t.Run("a login, and a message that is asked for", func(t *testing.T) {
			s := s.With(t)
			u, b := s.Operated("mona@example.test", false), s.Browser()
			page := b.Follow(login(b, u)).WantPage(200, "verify-submit")
			page = b.Open(page.Link("/verify")).WantPage(200, "ask-submit").
				Submit("ask-submit", map[string]string{"email": u.Email})
			prove(s, b, page, u)
		})
	}, apitest.Requiring)
}
