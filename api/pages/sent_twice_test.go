package pages_test

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const addressTaken = "There is an account with this email address."

// A double click, and a page that is loaded again, send the form a second time with the cookies of
// the first.
func TestSentTwiceGoesOn(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		password := s.Secret(apitest.GoodPassword)
		for name, path := range map[string]string{"alone": "", "for an app": authorizePath(c),
			"in place": authorizePath(c, set("state", longStates["letters"]))} {
			for _, atOnce := range []bool{false, true} {
				t.Run(name+map[bool]string{true: " at once", false: " one after the other"}[atOnce], func(t *testing.T) {
					s := s.With(t)
					user := strings.ReplaceAll(t.Name()[strings.LastIndex(t.Name(), "/")+1:], "_", "-")
					fields := map[string]string{"email": user + "@example.test", "username": user, "password": password}
					sent := func(what string, b *apitest.Browser, q apitest.Request) {
						answers := make([]*apitest.Page, 2)
						cookies := b.Cookies
						var both sync.WaitGroup
						for i := range answers {
							one := *b
							one.Cookies = maps.Clone(cookies)
							send := func() { answers[i] = one.Follow(q) }
							if !atOnce {
								send()
								continue
							}
							both.Go(send)
						}
						both.Wait()
						for i, p := range answers {
							switch {
							case path == "":
								if p.Status != http.StatusOK || p.Path != "/account" {
									t.Errorf("%s, answer %d: %d %s", what, i+1, p.Status, p.Text())
								}
							case p.To == "" && !p.Has("consent-approve"):
								t.Errorf("%s, answer %d: %d %s", what, i+1, p.Status, p.Text())
							default:
								wantPageOrCode(t, p)
							}
						}
					}
					b := s.Browser()
					open := "/signup"
					p := b.Open("/signup")
					if path != "" {
						p = b.Open(path)
						if p.Has("to-signup") {
							p = p.Submit("to-signup", nil)
						} else {
							p = b.Open(p.Link("/signup"))
						}
					}
					sent(open, b, p.WantPage(200, "signup-submit").Form("signup-submit", fields))

					b = s.Browser()
					if p = b.Open("/login"); path != "" {
						p = b.Open(path)
					}
					sent("login", b, p.WantPage(200, "login-submit").Form("login-submit", fields))
				})
			}
		}
	})
}

// Whoever has not the password learns what sign-up says to all: the address is taken. The attempt
// is counted as a login.
func TestSignUpWithATakenAddressIsNoOracle(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, off := s.SignUp("alice"), s.SignUp("off")
		if err := s.DB.SetActive(t.Context(), off.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		taken := func(name string, fields map[string]string) *apitest.Page {
			t.Helper()
			b := s.Browser()
			p := b.Open("/signup").Submit("signup-submit", fields).WantPage(409, "signup-submit")
			if !strings.Contains(p.Text(), addressTaken) || p.Header.Get("Retry-After") != "" {
				t.Errorf("%s: %v %s", name, p.Header, p.Text())
			}
			for cookie := range b.Cookies {
				if strings.Contains(cookie, "session") {
					t.Errorf("%s: there is a session", name)
				}
			}
			return p
		}
		wrong := s.Secret("another fine password of a stranger")
		guess := map[string]string{"email": alice.Email, "password": wrong}
		right := map[string]string{"email": alice.Email, "password": alice.Password}

		p := taken("a wrong password", guess)
		events := s.EventsOf(p.Response)
		var names []string
		for _, e := range events {
			names = append(names, string(e.Name))
		}
		if got := strings.Join(names, " "); !strings.Contains(got, string(audit.SignupRefused)) ||
			!strings.Contains(got, string(audit.LoginFailed)) {
			t.Errorf("the audit log has %q", got)
		}
		taken("a disabled account", map[string]string{"email": off.Email, "password": off.Password})
		for range 9 {
			taken("a wrong password", guess)
		}
		// The budget of strangers is used up: not even the right password is looked at, here or at the
		// login page.
		hashed := s.Hashes()
		taken("over the budget", right)
		if now := s.Hashes(); now != hashed {
			t.Errorf("%d passwords were checked over the budget", now-hashed)
		}
		s.Browser().Open("/login").Submit("login-submit", right).WantPage(429, "login-submit")

		// A taken username is no attempt at the account of an address that has none.
		b := s.Browser()
		claimed := map[string]string{"email": "first@example.test", "username": "claimed", "password": wrong}
		b.Open("/signup").Submit("signup-submit", claimed).WantPage(200, "")
		fields := map[string]string{"email": "second@example.test", "username": "claimed", "password": wrong}
		p = s.Browser().Open("/signup").Submit("signup-submit", fields).WantPage(409, "signup-submit")
		if !strings.Contains(p.Text(), "username already") {
			t.Errorf("%s", p.Text())
		}
		for _, e := range s.EventsOf(p.Response) {
			if e.Name == audit.LoginFailed {
				t.Error("it is a login that failed")
			}
		}
		if _, err := s.DB.UserByLogin(t.Context(), userstore.Login{EmailKey: "second@example.test"}); err == nil {
			t.Error("there is an account")
		}
	})
}
