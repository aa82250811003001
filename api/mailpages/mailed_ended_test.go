package mailpages_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// A link that has ended leads to the page that asks for another message, also when it ends while
// its page is open.
func TestALinkThatHasEndedLeadsToAnotherMessage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Mails()
		for _, c := range []struct {
			page, submit string
			kind         outbox.Kind
			lasts        time.Duration
		}{
			{"/forgot", "reset-submit", outbox.ResetPassword, 30 * time.Minute},
			{"/verify", "verify-submit", outbox.VerifyEmail, 24 * time.Hour},
		} {
			t.Run(c.page, func(t *testing.T) {
				s := s.With(t)
				s.Advance(time.Hour)
				b := s.Browser()
				ask := b.Open(c.page).WantPage(200, "ask-submit")
				ask.Submit("ask-submit", map[string]string{"email": alice.Email}).WantPage(200, c.submit)
				form := b.Open(s.MailOf(c.kind).Link).WantPage(200, c.submit)
				s.Advance(c.lasts)
				ended := form.Submit(c.submit, map[string]string{"new_password": s.Secret("a password that came too late")})
				if ended.Status != 400 {
					t.Fatalf("U-28 after its end the link answers %d", ended.Status)
				}
				b.Open(ended.Link(c.page)).WantPage(200, "ask-submit")
				garbage := b.Open(form.Path + "x")
				if garbage.Status != 400 {
					t.Fatalf("a handle that is not ours: %d", garbage.Status)
				}
				b.Open(garbage.Link(c.page)).WantPage(200, "ask-submit")
			})
		}
	}, apitest.Verifying)
}
