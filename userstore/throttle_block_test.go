package userstore_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// U-03, P-01, P-12: an owner of a whole block, a /48 with its 65,536 networks or a /24, has ten
// times the sign-ups and requests for messages of one network, and no more.
func TestP12SignupsAndMailPerBlock(t *testing.T) {
	eachThrottled(t, 2, func(t *testing.T, w *throttled) {
		for _, a := range w.replicas {
			a.Throttle.SignupsPerNetwork = 2
		}
		n := 0
		for what, act := range map[string]func(a *userstore.Accounts, from string) error{
			"signups": func(a *userstore.Accounts, from string) error {
				email := fmt.Sprintf("a%d@x.test", n)
				_, err := a.Register(audit.WithOrigin(t.Context(), audit.Origin{Address: from}),
					userstore.NewUser{Email: email, Password: password})
				return err
			},
			"mail": func(a *userstore.Accounts, from string) error {
				ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: from})
				_, err := a.ForgotPassword(ctx, fmt.Sprintf("b%d@x.test", n), "")
				return err
			},
		} {
			for _, block := range []string{"2001:db8:77:%x::1", "198.51.100.%d"} {
				do := func(network int) error {
					n++
					return act(w.replicas[n%2].Accounts, fmt.Sprintf(block, network))
				}
				for i := range 20 {
					if err := do(i); err != nil {
						t.Fatalf("%s %d: %v", what, i, err)
					}
				}
				for i := range 3 {
					w.limited(do(100+i), time.Hour)
				}
				if err := act(w.replicas[0].Accounts, "203.0.113.1"); err != nil { // of another block
					t.Errorf("%s elsewhere: %v", what, err)
				}
				w.wait(time.Hour)
				if err := do(200); err != nil {
					t.Errorf("%s later: %v", what, err)
				}
				w.wait(time.Hour)
			}
			for _, a := range w.replicas {
				a.Throttle.Drain()
			}
			events, err := w.replicas[0].Store.ListEvents(t.Context(), userstore.EventQuery{Name: audit.RateLimited, Limit: 100})
			if err != nil || !slices.ContainsFunc(events, func(e audit.Event) bool { return e.Reason == what+"_from_block" }) {
				t.Errorf("no entry %s_from_block: %+v %v", what, events, err)
			}
		}
	})
}
