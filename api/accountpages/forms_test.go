package accountpages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
)

// Each form of the account belongs to its page, its user, its browser and its session.
func TestFormsOfTheAccountAreNoOneElses(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		s.AddressProved(alice)
		s.AddressProved(bob)
		b, bobs := s.SignedIn(alice), s.SignedIn(bob)
		fields := map[string]string{"name": "Mallory", "email": "m@example.test", "current_password": alice.Password,
			"new_password": apitest.GoodPassword + "!", "session": "others", "client": "web"}
		tokens := map[string]string{}
		for path, button := range accountPages {
			if button != "" {
				tokens[path] = bobs.Open(path).Value("csrf")
			}
		}
		s.Unchanged(func() {
			for path := range accountPages {
				if path == "/account" || path == "/account/activity" || path == "/account/security" {
					continue
				}
				for what, csrf := range map[string]string{"none": "", "another page's": "x", "another user's": tokens[path]} {
					form := url.Values{"csrf": {csrf}}
					if what == "another page's" {
						other := "/account/profile"
						if path == other {
							other = "/account/address"
						}
						form.Set("csrf", account(s, alice, b, other).Value("csrf"))
					}
					for name, value := range fields {
						form.Set(name, value)
					}
					if res := b.Send(apitest.Request{Method: "POST", Path: path, Form: form}); res.Status != 403 {
						t.Errorf("%s with the token of %s: %d", path, what, res.Status)
					}
					if res := b.Send(apitest.Request{Method: "POST", Path: path, Form: form,
						Header: http.Header{"Origin": {"https://evil.test"}, "Sec-Fetch-Site": {"cross-site"}}}); res.Status != 403 {
						t.Errorf("%s from elsewhere: %d", path, res.Status)
					}
				}
				stranger := s.Browser()
				if res := stranger.Send(apitest.Request{Method: "POST", Path: path,
					Form: url.Values{"csrf": {"x"}}}); res.Status != 303 ||
					!strings.HasPrefix(res.Header.Get("Location"), "/login?next=") {
					t.Errorf("%s signed out: %d", path, res.Status)
				}
			}
		})
	})
}

// What is done at the pages is in the audit log as the user's own act, in the browser's session.
func TestActsAtThePagesAreTheUsers(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		b := s.SignedIn(alice)
		q := account(s, alice, b, "/account/profile").Form("profile-submit", map[string]string{"nickname": "Al"})
		events := s.EventsOf(b.Send(q).Response)
		if len(events) != 1 || events[0].Name != audit.UserUpdated || events[0].Actor.Type != audit.ByUser ||
			events[0].Actor.ID != alice.ID || events[0].SessionID == "" {
			t.Errorf("%+v", events)
		}
	})
}
