package mailpages_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// An account whose address is not confirmed leads to the page that confirms it, as long as it is
// not, and where there is mail.
func TestTheAccountLeadsToTheConfirmationOfItsAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Mails()
		s.Advance(time.Hour)
		b := s.SignedIn(alice)
		ask := b.Open(b.Open("/account").WantPage(200, "").Link("/verify")).WantPage(200, "ask-submit")
		ask.Submit("ask-submit", map[string]string{"email": alice.Email}).WantPage(200, "verify-submit")
		b.Open(s.MailOf(outbox.VerifyEmail).Link).WantPage(200, "verify-submit").Submit("verify-submit", nil)
		if page := b.Open("/account"); page.Status != 200 || strings.Contains(string(page.Body), "/verify") {
			t.Errorf("after it is confirmed: %d %s", page.Status, page.Text())
		}
		activity := b.Open("/account/activity")
		if text := activity.Text(); !strings.Contains(text, "Email address confirmed") ||
			strings.Contains(text, "email_verified") {
			t.Errorf("the security events say %s", text)
		}
	}, apitest.Verifying)
}

func TestWithoutMailTheAccountOffersNoConfirmation(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		if page := s.SignedIn(s.SignUp("alice")).Open("/account"); page.Status != 200 ||
			strings.Contains(string(page.Body), "/verify") {
			t.Errorf("%d %s", page.Status, page.Text())
		}
	}, apitest.WithoutMail)
}
