package mailpages_test

import (
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// P-04, P-11: somebody who once has a recent proof adds a factor, removes all of the owner's, makes new
// recovery codes and changes the address. The owner still shows the removed app at the links of the
// messages, gets it back, and keeps the thief out. Until then it lets nobody in, and no page has it.
func TestP04OneStolenProofDoesNotMakeTheLinksUseless(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		accounts := s.Replicas[0].Accounts
		proved := userstore.Proof{Earlier: func(userstore.User) bool { return true }}
		for round, first := range []outbox.Kind{outbox.FactorAdded, outbox.UndoEmail} {
			alice := s.SignUp("alice" + string(rune('a'+round)))
			app, recovery := s.WithApp(alice)
			mine := must(s.DB.SecondFactors(t.Context(), alice.ID)).App.ID
			s.Advance(time.Minute)
			stored := func() userstore.User { return must(s.DB.UserByID(t.Context(), alice.ID)) }
			move := func() apitest.Mail {
				s.Advance(2 * time.Minute)
				handle := must(accounts.BeginEmailChange(t.Context(), alice.ID, "session", "thief-"+alice.Email, proved, ""))
				code := s.MailOf(outbox.ChangeEmail).Code
				must(accounts.ConfirmEmailChange(t.Context(), alice.ID, "session", userstore.Mailed{Handle: handle, Code: code}))
				return s.MailOf(outbox.UndoEmail)
			}
			var links []apitest.Mail
			if first == outbox.UndoEmail {
				links = append(links, move())
			} else {
				_, _, mail := addApp(s, alice)
				links = append(links, mail)
			}
			s.Advance(time.Minute)
			must(accounts.NewRecoveryCodes(t.Context(), stored(), userstore.KeepAll))
			if first == outbox.FactorAdded {
				s.Advance(time.Minute)
				links = append(links, move())
			}
			s.Advance(time.Minute)
			if err := accounts.RemoveFactors(t.Context(), stored(), userstore.RemovedFactors{All: true}, false, ""); err != nil {
				t.Fatal(err)
			}
			s.Mails()
			if stored().SecondFactor {
				t.Fatal("there is a second factor")
			}
			if have := must(s.DB.SecondFactors(t.Context(), alice.ID)); have.App != nil || have.RecoveryCodes != 0 {
				t.Errorf("what is there: %+v", have)
			}

			next := s.Secret("a planted password of the owner of " + string(first))
			for i, link := range links {
				page := s.Browser().Open(link.Link).WantPage(200, "second-code")
				s.Unchanged(func() {
					page.Submit("undo-submit", map[string]string{"new_password": next}).WantPage(400, "second-code-problem")
					page.Submit("undo-submit", map[string]string{"new_password": next, "by": ""}).WantPage(200, "second-code")
				})
				page.Submit("undo-submit", map[string]string{"new_password": next, "app_code": app.Wrong()}).
					WantPage(403, "second-code-problem")
				s.Advance(time.Minute)
				if i == 0 && first == outbox.UndoEmail {
					page = page.Submit("second-recovery", nil).WantPage(200, "second-recovery-code")
					page.Submit("undo-submit", map[string]string{"new_password": next, "recovery_code": recovery[4]}).WantPage(200, "")
				} else {
					page.Submit("undo-submit", map[string]string{"new_password": next, "app_code": app.Code()}).WantPage(200, "")
				}
			}
			have := must(s.DB.SecondFactors(t.Context(), alice.ID))
			if have.App == nil || have.App.ID != mine || have.RecoveryCodes < 9 || emailOf(s, alice) != alice.Email {
				t.Errorf("P-11 after all: %+v at %s", have, emailOf(s, alice))
			}
			alice.Password = next
			s.LoginByApp(alice, app)
			var back []audit.Change
			for _, e := range must(s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 1000})) {
				if e.Name == audit.FactorAdded && e.Target == audit.User(alice.ID) && e.Actor.ID == alice.ID {
					back = append(back, e.Changes...)
				}
			}
			if !slices.Contains(back, audit.Change{Field: "totp", After: mine}) {
				t.Errorf("P-11 the audit log has no app that came back: %+v", back)
			}
			s.Mails()
			s.Advance(time.Hour)
		}
	})
}
