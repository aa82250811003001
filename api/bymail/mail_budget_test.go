package bymail_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// P-01: requests for verification of an address do not keep its owner from a reset, least of all
// those that lead to no message.
func TestP01AStrangerKeepsNobodyFromAReset(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		proved, handle, mail := signUp(s, "proved")
		post(s, "/v1/email/verify", apitest.Fields{"handle": handle, "code": mail.Code}).Want(204, "")
		unproved, _, _ := signUp(s, "unproved")
		for _, u := range []apitest.User{proved, unproved} {
			for range 12 { // more than a day's
				s.Advance(13 * time.Minute)
				post(s, "/v1/email/verification", apitest.Fields{"email": u.Email}).Want(202, "")
			}
			s.Mails()
			forgot(s, u.Email)
			if reset := s.MailOf(outbox.ResetPassword); reset.Contents.To != u.Email {
				t.Errorf("P-01 %+v", reset)
			}
		}
	}, apitest.Verifying)
}

// P-12: each kind of message has a budget of its own, so an address gets ten of a kind in a day,
// however the requests alternate, and a sign-up's message is one of those that verify.
func TestP12EachKindOfMessageHasABudget(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		s.Mails()
		victim, _, _ := signUp(s, "victim")
		sent := map[outbox.Kind]int{outbox.VerifyEmail: 1} // of the sign-up
		count := func() {
			for _, m := range s.Mails() {
				sent[m.Kind]++
			}
		}
		for range 100 {
			s.Advance(10 * time.Minute)
			forgot(s, victim.Email)
			post(s, "/v1/email/verification", apitest.Fields{"email": victim.Email}).Want(202, "")
			tokens := s.Login(alice)
			s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/email", Token: tokens.Access,
				Body: proved(alice, "email", "new-"+victim.Email)}).Want(202, "")
			count()
		}
		for _, kind := range []outbox.Kind{outbox.VerifyEmail, outbox.ResetPassword, outbox.ChangeEmail} {
			if sent[kind] != 10 {
				t.Errorf("P-12 %d messages of the kind %s in 17 hours, want 10", sent[kind], kind)
			}
		}
	}, apitest.Verifying)
}
