package bymail_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// U-04: free, taken, reserved, one's own: the same answer, and a message only where it is of use.
// Nothing is told by the code form either.
func TestU04AChangeToATakenAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, carol := s.SignUp("alice"), s.SignUp("bob"), s.SignUp("carol")
		tokens := s.Login(alice)
		s.Mails()
		changeTo(s, carol, s.Login(carol).Access, "carols-new@example.test") // and her old address is reserved
		var first string
		for _, row := range []struct {
			email string
			sent  bool
		}{
			{"free@example.test", true}, {bob.Email, false}, {strings.ToUpper(bob.Email), false},
			{"\uff42ob@example.test", false}, {carol.Email, false},
			{"carols-new@example.test", false}, {alice.Email, false},
		} {
			s.Advance(time.Hour)
			tokens = s.Login(alice)
			res := bearing(s, tokens.Access, "POST", "/v1/profile/email", proved(alice, "email", row.email)).Want(202,
				"")
			var answer struct{ Handle string }
			res.JSON(&answer)
			seen := shown(res)
			if first == "" {
				first = seen
			} else if seen != first {
				t.Errorf("U-04 %s: %s, the free one %s", row.email, seen, first)
			}
			if sent := s.Mails(); (len(sent) == 1) != row.sent || len(sent) > 1 || len(sent) == 1 &&
				sent[0].Contents.To != row.email {
				t.Errorf("U-04 %s: %+v", row.email, sent)
			}
			if names := s.EventsOf(res); len(names) != 1 || names[0].Name != audit.EmailChangeRequested {
				t.Errorf("U-04 %s: %+v", row.email, names)
			}
			for range 7 { // tries are counted alike, too
				confirm(s, tokens.Access, apitest.Fields{"handle": answer.Handle, "code": "00000001"}).Want(400,
					"one_time_token_invalid")
			}
		}
		if got := emailOf(s, alice) + emailOf(s, bob); got != alice.Email+bob.Email {
			t.Error(got)
		}
		// An address that is taken between the message and its confirmation stays where it is.
		s.Advance(time.Minute)
		beginChange(s, alice, tokens.Access, "late@example.test")
		mail := s.MailOf(outbox.ChangeEmail)
		s.SignUp("late")
		s.Unchanged(func() {
			confirm(s, tokens.Access, apitest.Fields{"token": mail.Token()}).Want(400, "one_time_token_invalid")
		})

		// Another way to write one's own address is confirmed like any other.
		s.Advance(25 * time.Hour)
		changeTo(s, alice, s.Login(alice).Access, "Alice@Example.test")
		if got := emailOf(s, alice); got != "Alice@Example.test, verified" {
			t.Error(got)
		}
	})
}
