package mailpages_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/outbox"
)

const (
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	safari  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"
)

// notifying is an option of Each: users hear of logins in browsers that are not recognised.
var notifying = apitest.Configured(func(r *apitest.Replica) { r.Accounts.NotifyNewDevice = true })

// newDevices sends what waits, and returns the notices of a new browser among it.
func newDevices(s *apitest.Server) (found []mail.Letter) {
	for _, l := range s.Letters() {
		if strings.Contains(l.Subject.String(), "sign-in") || strings.Contains(l.Subject.String(), "Anmeldung") {
			found = append(found, l)
		}
	}
	return found
}

// A login at the pages in a browser that is not remembered for this user sends one notice, with
// names from fixed lists and the time in UTC.
func TestLoginsInNewBrowsersAreMailed(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		signIn := func(b *apitest.Browser, u apitest.User) {
			t.Helper()
			b.SignIn("/login", u).WantPage(200, "to-profile")
			b.Open("/logout").Submit("logout-confirm", nil)
		}
		want := func(what string, to, device string) {
			t.Helper()
			got := newDevices(s)
			if (to == "") != (len(got) == 0) || len(got) > 1 {
				t.Errorf("%s: %d notices", what, len(got))
			}
			for _, l := range got {
				if l.To.String() != to || !strings.Contains(l.Text, device) || !strings.Contains(l.HTML, device) {
					t.Errorf("%s: to %s:\n%s", what, l.To, l.Text)
				}
			}
		}
		want("two sign-ups", "", "")
		home := s.Browser()
		home.Agent = firefox
		signIn(home, alice)
		want("the first browser", alice.Email, "Firefox on Linux")
		signIn(home, alice)
		want("the same browser again", "", "")
		home.Agent = safari
		signIn(home, alice)
		want("the same browser under another name", "", "")
		signIn(home, bob)
		want("the same browser, another user", bob.Email, "Safari on iPhone")
		signIn(home, alice)
		want("the first user again", "", "")

		phone := s.Browser()
		phone.Agent = safari
		wrong := alice
		wrong.Password = apitest.WrongPassword
		phone.Open("/login").Submit("login-submit", wrong.Credentials()).WantPage(403, "login-submit")
		want("a wrong password", "", "")
		s.Advance(30 * time.Minute)
		signIn(phone, alice)
		want("another browser", alice.Email, "2026-11-21 12:30 UTC")
		signIn(phone, alice)
		want("another browser again", "", "")

		s.Advance(91 * 24 * time.Hour)
		signIn(phone, alice)
		want("three months later", alice.Email, "Safari on iPhone")

		stranger := s.Browser()
		stranger.Agent = "Buy pills at evil.test <b>{{7*7}}</b> {service}"
		signIn(stranger, alice)
		unnamed := newDevices(s)
		if len(unnamed) != 1 {
			t.Errorf("a browser without a known name: %d notices", len(unnamed))
		}
		for _, l := range unnamed {
			if strings.Contains(l.Text+l.HTML, "evil") || strings.Contains(l.Text+l.HTML, "pills") ||
				!strings.Contains(l.Text, "Unknown device") {
				t.Errorf("a stranger's text in a notice:\n%s", l.Text)
			}
		}
		s.Login(alice) // by JSON: an app has no such cookie
		want("a login by JSON", "", "")
	}, notifying)
}

// The login that a sign-up makes is no notice, also when its form was sent twice. The sign-up form
// is no way around the notice for who has somebody's password.
func TestSignupsMailNoNewBrowser(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := s.Browser()
		form := b.Open("/signup").WantPage(200, "signup-submit").Form("signup-submit",
			map[string]string{"email": "ada@example.test", "password": s.Secret("a planted password of ada")})
		for range 2 {
			if p := b.Follow(form); p.Status != 200 || !p.Has("to-profile") {
				t.Fatalf("%d %s", p.Status, p.Path)
			}
		}
		if got := newDevices(s); len(got) != 0 {
			t.Errorf("%d notices of a sign-up", len(got))
		}
		other := s.Browser()
		again := other.Open("/signup").Form("signup-submit",
			map[string]string{"email": "ada@example.test", "password": "a planted password of ada"})
		if p := other.Follow(again); p.Status != 200 || !p.Has("to-profile") {
			t.Fatalf("%d %s", p.Status, p.Path)
		}
		if got := newDevices(s); len(got) != 1 {
			t.Errorf("another browser, by the form of a sign-up: %d notices", len(got))
		}

		// An account that never signed in, and that an operator made long ago.
		_, admin := s.Admin("root")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users", Token: admin.Access,
			Body: apitest.Fields{
				"email":    "bob@example.test",
				"password": s.Secret("a planted password of bob"),
				"locale":   "de-CH",
			}}).Want(201, "")
		s.Letters()
		s.Advance(time.Hour)
		third := s.Browser()
		third.Follow(third.Open("/signup").Form("signup-submit",
			map[string]string{
				"email":    "bob@example.test",
				"password": "a planted password of bob",
			}),
		).WantPage(200, "to-profile")
		if got := newDevices(s); len(got) != 1 || got[0].To.String() != "bob@example.test" || got[0].Language != "de" {
			t.Errorf("a first login by the form of a sign-up: %d notices", len(got))
		}
	}, notifying)
}

// It is off unless an operator wants it.
func TestNewBrowsersAreNotMailedByDefault(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Browser().SignIn("/login", alice).WantPage(200, "to-profile")
		for _, m := range s.Mails() {
			if m.Kind == outbox.NewDevice {
				t.Errorf("a notice: %+v", m)
			}
		}
	})
}
