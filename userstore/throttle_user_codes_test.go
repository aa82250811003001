package userstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

func fromAddress(ctx context.Context, address string) context.Context {
	return audit.WithOrigin(ctx, audit.Origin{Address: address})
}

// userCode tries a user code on replica i. found is nil where find was not called.
func (w *throttled) userCode(i int, by userstore.UserCodeGuesser, from string, right bool) (looked bool, err error) {
	err = w.replicas[i].Throttle.TryUserCode(fromAddress(w.Context(), from), w.replicas[i].Now, by, func() (bool, error) {
		looked = true
		return right, nil
	})
	return looked, err
}

func browser(n int) userstore.UserCodeGuesser {
	return userstore.UserCodeGuesser{Browser: fmt.Sprintf("browser %d", n)}
}

// D-16: wrong user codes in one browser, on two replicas.
func TestD16WrongUserCodesOfABrowser(t *testing.T) {
	eachThrottled(t, 2, func(t *testing.T, w *throttled) {
		looks := 0
		for n := range 100 {
			looked, err := w.userCode(n%2, browser(1), fmt.Sprintf("2001:db8:%x::1", n), false)
			if looked {
				looks++
			}
			if looked != (err == nil) {
				t.Fatalf("guess %d: looked %t, %v", n, looked, err)
			}
		}
		w.want("codes that were looked up", looks, 10)
		_, err := w.userCode(0, browser(1), "192.0.2.1", true)
		w.limited(err, 15*time.Minute) // no wait tells a right code from a wrong one
		if looked, err := w.userCode(0, browser(2), "2001:db8:1::1", true); !looked || err != nil {
			t.Errorf("the right code in another browser: %t %v", looked, err)
		}
		w.wait(15 * time.Minute)
		for n := range 100 { // right ones cost nothing
			if looked, err := w.userCode(n%2, browser(1), "192.0.2.1", true); !looked || err != nil {
				t.Fatalf("right code %d: %t %v", n, looked, err)
			}
		}
		for _, a := range w.replicas {
			a.Throttle.Drain()
		}
		events, err := w.replicas[0].Store.ListEvents(t.Context(), userstore.EventQuery{Name: audit.RateLimited, Limit: 100})
		if err != nil || len(events) == 0 || events[0].Reason != "user_codes_from_session" {
			t.Errorf("audit: %+v %v", events, err)
		}
	})
}

// A browser is thrown away after each code: its network, and a block of networks, have a budget as
// for passwords. People who log in are counted by their account.
func TestD16WrongUserCodesOfANetworkAndABlock(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		throttle := w.replicas[0].Throttle
		throttle.FailuresPerNetwork, throttle.FailuresPerBlock = 20, 50
		guesses := func(n int, from string) (looks int) {
			for range n {
				if looked, _ := w.userCode(0, userstore.UserCodeGuesser{Browser: newID()}, from, false); looked {
					looks++
				}
			}
			return looks
		}
		w.want("of a network", guesses(30, "192.0.2.1"), 20)
		looks := 20
		for n := range 8 {
			looks += guesses(10, fmt.Sprintf("192.0.2.%d", 10+n))
		}
		w.want("of a block", looks, 50)
		w.want("of another block", guesses(1, "198.51.100.1"), 1)
		_, err := w.userCode(0, browser(1), "192.0.2.1", true)
		w.limited(err, 15*time.Minute)
		alice := userstore.UserCodeGuesser{UserID: "alice", Browser: "browser 1"}
		if looked, err := w.userCode(0, alice, "192.0.2.1", true); !looked || err != nil {
			t.Errorf("a person behind the same NAT who is logged in: %t %v", looked, err)
		}
		for n := range 12 {
			if looked, _ := w.userCode(0, alice, fmt.Sprintf("203.0.113.%d", n), false); looked != (n < 10) {
				t.Errorf("guess %d of an account: looked %t", n, looked)
			}
		}
		w.want("after guesses of an account", guesses(1, "203.0.113.1"), 1)
		w.wait(15 * time.Minute)
		if looked, err := w.userCode(0, browser(1), "192.0.2.1", true); !looked || err != nil {
			t.Errorf("later: %t %v", looked, err)
		}
	})
}

// D-16: an attacker with a new browser in a new block for each of thousands of guesses, with no
// limit configured.
func TestD16WrongUserCodesInAll(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		const tries = 2050
		looks := 0
		for n := range tries {
			looked, err := w.userCode(0, browser(n), fmt.Sprintf("2001:db8:%x::1", n), false)
			if looked {
				looks++
			}
			if looked != (err == nil) {
				t.Fatalf("guess %d: looked %t, %v", n, looked, err)
			}
		}
		w.want("codes that were looked up", looks, 2000)
		_, err := w.userCode(0, browser(tries), "192.0.2.1", true)
		w.limited(err, 15*time.Minute)
		if looked, err := w.userCode(0, userstore.UserCodeGuesser{UserID: "alice"}, "192.0.2.1", true); !looked || err != nil {
			t.Errorf("a person who is logged in: %t %v", looked, err)
		}
		if looked, _ := w.userCode(0, browser(tries), "192.0.2.1", true); looked { // what the refusal gave back
			t.Error("looked")
		}
		w.wait(15 * time.Minute)
		for range 10 {
			if looked, err := w.userCode(0, browser(tries), "192.0.2.1", false); !looked || err != nil {
				t.Errorf("later: %t %v", looked, err)
			}
		}
	})
}

// A look-up that fails is no guess, and a guesser without a name or a throttle that is missing is
// refused.
func TestUserCodesThatAreNoGuesses(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		down := errors.New("the store is down")
		for range 30 {
			err := w.replicas[0].Throttle.TryUserCode(t.Context(), w.replicas[0].Now, browser(1), func() (bool, error) {
				return false, down
			})
			if !errors.Is(err, down) {
				t.Fatalf("got %v", err)
			}
		}
		if looked, err := w.userCode(0, userstore.UserCodeGuesser{}, "192.0.2.1", true); looked || err == nil {
			t.Errorf("nobody guesses: %t %v", looked, err)
		}
		w.replicas[0].Throttle = nil
		if looked, err := w.userCode(0, browser(1), "192.0.2.1", true); looked || err == nil {
			t.Errorf("without a throttle: %t %v", looked, err)
		}
		w.replicas[0].Throttle = userstore.NoThrottle
		for range 30 {
			if looked, err := w.userCode(0, browser(1), "192.0.2.1", false); !looked || err != nil {
				t.Errorf("with no limit: %t %v", looked, err)
			}
		}
	})
}
