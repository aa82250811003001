package bymail_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// P-01, P-12: changes share the budget of an address, and say nothing of it; only the network is
// told 429.
func TestP12ChangesShareTheBudgetOfAnAddress(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := signUpAs(s, "alice")
		s.Mails()
		sent := 0
		for i := range 24 {
			tokens := s.Login(alice)
			res := s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email", Token: tokens.Access, Replica: i % 3,
				Header: from(fmt.Sprintf("192.0.2.%d", i)),
				Body:   proved(alice, "email", "victim@example.test")})
			res.Want(202, "")
			sent += len(s.Mails())
			s.Advance(7 * time.Minute)
		}
		if sent != 10 {
			t.Errorf("P-12 %d messages in three hours", sent)
		}
		// A message that was not sent ends nothing: the one before works still.
		tokens := s.Login(alice)
		begin := func(email string) *apitest.Response {
			return s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email", Token: tokens.Access,
				Header: from("203.0.113.1"),
				Body:   proved(alice, "email", email)})
		}
		begin("twice@example.test").Want(202, "")
		mail := s.MailOf(outbox.ChangeEmail)
		begin("twice@example.test").Want(202, "")
		begin("thrice@example.test\r\n").Want(400, "validation_error") // counts nothing
		begin("twice@example.test").Want(202, "")
		limited(s, begin("other@example.test"), time.Hour)
		if sent := s.Mails(); len(sent) != 0 {
			t.Errorf("%+v", sent)
		}
		confirm(s, tokens.Access, apitest.Fields{"token": mail.Token()}).Want(200, "")
	}, behindProxy, apitest.Configured(func(r *apitest.Replica) { r.Accounts.Throttle.SignupsPerNetwork = 3 }))
}
