package mailpages_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// The page of security events has its own words for what a message led to.
func TestTheAccountPageNamesWhatMessagesLedTo(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		b := s.Browser()
		b.Open("/forgot").WantPage(200, "ask-submit").Submit("ask-submit",
			map[string]string{"email": alice.Email}).WantPage(200, "reset-submit")
		next := s.Secret("another planted password")
		b.Open(s.MailOf(outbox.ResetPassword).Link).WantPage(200, "reset-submit").
			Submit("reset-submit", map[string]string{"new_password": next}).WantPage(200, "")
		alice.Password = next
		p := s.SignedIn(alice).Open("/account/activity").WantPage(200, "")
		if text := p.Text(); !strings.Contains(text, "Password reset by a message") ||
			strings.Contains(text, "Another event") {
			t.Errorf("%s", text)
		}
	})
}
