package pages_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

// Without the choice, the session cookie ends with the browser; with it, with the session at the
// latest.
func TestStayingSignedIn(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		for _, row := range []struct {
			name, stay string
			age        int // seconds; 0: until the browser is closed
		}{
			{"not chosen", "", 0},
			{"chosen", "yes", int(720 * time.Hour / time.Second)},
			{"a value that the page does not send", "forever", 0},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				b := s.Browser()
				typed := alice.Credentials()
				if row.stay == "forever" {
					typed["stay"] = row.stay
				}
				// A wrong password changes nothing about the choice: the page shows it again.
				wrong := map[string]string{"email": alice.Email, "password": "not hers", "stay": row.stay}
				page := b.Open("/login").Submit("login-submit", wrong).WantPage(403, "login-submit")
				page.Submit("login-submit", typed)
				var ages []int
				for _, cookie := range b.Set {
					if cookie.Name == sessionName {
						ages = append(ages, cookie.MaxAge)
					}
				}
				if len(ages) != 1 || ages[0] != row.age {
					t.Errorf("the session cookie is kept for %v seconds, want %d", ages, row.age)
				}
			})
		}
		t.Run("sent twice", func(t *testing.T) {
			s := s.With(t)
			page := s.Browser().Open("/login")
			form := page.Form("login-submit", alice.Credentials())
			form.Form["stay"] = []string{"yes", "yes"}
			s.Do(form).Want(400, "")
		})
		t.Run("the session ends all the same", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			typed := alice.Credentials()
			typed["stay"] = "yes"
			b.Open("/login").Submit("login-submit", typed).WantPage(200, "language-submit")
			s.Advance(25 * time.Hour)
			b.Open("/login").WantPage(200, "login-submit")
		})
	})
}
