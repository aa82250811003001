package mailpages_test

import (
	"net/http"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// P-05: a session from before the policy moves no address: the policy wants a second factor first, also
// of a form that was shown before.
func TestP05TheConfirmationOfAnAddressUnderAPolicy(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		b := s.SignedIn(u)
		s.Mails()
		typed := beginChange(b, u, "new-"+u.Email)
		mail := s.MailOf(outbox.ChangeEmail)
		linked := b.Open(mail.Link).WantPage(200, "change-submit")
		accounts := s.Replicas[0].Accounts
		accounts.SecondFactor = userstore.SecondFactorRequired
		s.Unchanged(func() {
			for name, q := range map[string]apitest.Request{
				"the page":         {Path: linked.Path},
				"the link's form":  linked.Form("change-submit", nil),
				"the code's form":  typed.Form("change-submit", map[string]string{"code": mail.Code}),
				"a wrong code":     typed.Form("change-submit", map[string]string{"code": "00000000"}),
				"without the code": typed.Form("change-submit", nil),
			} {
				if res := b.Send(q); res.Status != http.StatusSeeOther || res.Header.Get("Location") != "/account/security" {
					t.Errorf("%s: %d %q", name, res.Status, res.Header.Get("Location"))
				}
			}
		})
		accounts.SecondFactor = userstore.SecondFactorOptional
		linked.Submit("change-submit", nil).WantPage(200, "done")
		if got := emailOf(s, u); got != "new-"+u.Email {
			t.Errorf("the address is %s", got)
		}
	})
}
