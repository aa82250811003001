package budgets_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

// Whoever sprays passwords from many addresses of one block, at many accounts, is throttled though
// no single address and no account is over its budget. Networks that have logged in keep their own
// budget, and other blocks are not held up.
func TestSprayingFromOneBlock(t *testing.T) {
	for name, block := range map[string]struct {
		address func(i int) string // of the block
		home    string             // of the block, and remembered
		inside  []string           // of the block as well
		outside []string
	}{
		"an IPv4 /24": {
			func(i int) string { return fmt.Sprintf("198.51.100.%d", i) }, "198.51.100.250",
			[]string{"198.51.100.200", "::ffff:198.51.100.201"}, []string{"198.51.101.1", "198.51.99.255"},
		},
		"an IPv6 /48": {
			func(i int) string { return fmt.Sprintf("2001:db8:7:%x::1", i) }, "2001:db8:7:ffff::9",
			[]string{"2001:db8:7:8000::1"}, []string{"2001:db8:8::1", "2001:db8:6:ffff::1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				alice := signUpAs(s, "alice")
				login(s, 0, alice.Email, alice.Password, from(block.home)).Want(200, "")
				checked := 0
				for i := range 50 { // one wrong password from each address, at an account of its own
					checked += guesses(s, 1, fmt.Sprintf("user%d@example.test", i), from(block.address(i)))
				}
				if checked != 30 {
					t.Errorf("%d were checked, want 30", checked)
				}
				for i, address := range block.inside {
					limited(s, login(s, i, alice.Email, alice.Password, from(address)), 15*time.Minute)
				}
				for i, address := range block.outside {
					login(s, i, alice.Email, alice.Password, from(address)).Want(200, "")
				}
				// Who has logged in from there is not kept out, and mistypes as before.
				login(s, 1, alice.Email, alice.Password, from(block.home)).Want(200, "")
				if n := guesses(s, 12, alice.Email, from(block.home)); n != 10 {
					t.Errorf("%d of her own were checked, want 10", n)
				}
				s.Advance(15 * time.Minute)
				login(s, 2, alice.Email, alice.Password, from(block.inside[0])).Want(200, "")
				s.Replicas[0].Accounts.Throttle.Drain()
			}, behindProxy, apitest.Configured(func(r *apitest.Replica) {
				r.Accounts.Throttle.FailuresPerNetwork, r.Accounts.Throttle.FailuresPerBlock = 20, 30
			}))
		})
	}
}

// Right passwords take nothing from a block, however many there are, and 0 is no limit.
func TestABlockCountsWrongPasswordsOnly(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for i := range 6 {
			u := signUpAs(s, fmt.Sprint("user", i))
			login(s, i%3, u.Email, u.Password, from(fmt.Sprintf("192.0.2.%d", i))).Want(200, "")
		}
		if n := guesses(s, 5, "nobody@example.test", from("192.0.2.99")); n != 3 {
			t.Errorf("%d were checked, want 3", n)
		}
		for _, r := range s.Replicas {
			r.Accounts.Throttle.FailuresPerBlock = 0
		}
		if n := guesses(s, 5, "somebody@example.test", from("192.0.2.98")); n != 5 {
			t.Errorf("%d were checked without a limit, want 5", n)
		}
	}, behindProxy, apitest.Configured(func(r *apitest.Replica) { r.Accounts.Throttle.FailuresPerBlock = 3 }))
}
