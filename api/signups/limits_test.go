package signups_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

// P-01, U-03: a network signs up so many times, whether or not the addresses have accounts.
func TestP01PendingSignUpsOfANetwork(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, r := range s.Replicas {
			r.Accounts.Throttle.SignupsPerNetwork = 4
		}
		known := s.Operated("known@example.test", true)
		for network, email := range map[string]string{"192.0.2.1": known.Email, "198.51.100.1": "nobody@example.test"} {
			signUp := func(i int) *apitest.Response {
				return s.Do(apitest.Request{Method: "POST", Path: "/v1/signup", Replica: i % 3, Header: from(network),
					Body: apitest.Fields{
						"email":    email,
						"password": s.Secret("planted password of a network of sign-ups"),
					}})
			}
			for i := range 4 {
				signUp(i).Want(202, "")
			}
			before := s.Hashes()
			limited(s, signUp(4), time.Hour)
			if now := s.Hashes(); now != before {
				t.Errorf("P-01 %d passwords were hashed", now-before)
			}
		}
		if sent := len(s.Mails()); sent != 2 {
			t.Errorf("P-01 %d messages", sent)
		}
	}, behindProxy, apitest.Requiring)
}

// P-12: sign-ups are no way to send mail to somebody again and again, and nobody sees where they
// stop.
func TestP12PendingSignUpsShareTheBudgetOfAnAddress(t *testing.T) {
	requiring(t, 1, func(t *testing.T, s *apitest.Server) {
		s.Operated("known@example.test", true)
		for _, email := range []string{"known@example.test", "nobody@example.test"} {
			sent := 0
			for range 30 {
				s.SignUpPending(email)
				sent += len(s.Mails())
				s.Advance(10 * time.Minute)
			}
			if sent != 10 {
				t.Errorf("P-12 %d messages to %s in five hours, want 10", sent, email)
			}
		}
	})
}
