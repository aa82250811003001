package budgets_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// U-01: whatever is wrong with an account, until its password is right the answers are the same
// byte for byte, and so they are when the budget is used up.
func TestU01NoAnswerTellsOfAnAccount(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		signUpAs(s, "alice")
		off := signUpAs(s, "disabled")
		if err := s.DB.SetActive(t.Context(), off.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		names := []string{"alice@example.test", "nobody@example.test", "disabled@example.test"}
		for i := range 14 {
			var first *apitest.Response
			for _, name := range names {
				a := login(s, 0, name, wrong, nil)
				for _, own := range []string{"X-Request-Id", "Date"} {
					a.Header.Del(own)
				}
				if i < 10 {
					a.Want(401, "invalid_credentials")
				} else {
					limited(s, a, time.Minute)
				}
				if first == nil {
					first = a
				}
				if a.Status != first.Status || !bytes.Equal(a.Body, first.Body) || !reflect.DeepEqual(a.Header, first.Header) {
					t.Errorf("U-01 attempt %d at %s is answered\n%v %s, at %s\n%v %s", i+1, name, a.Header, a.Body, names[0],
						first.Header, first.Body)
				}
			}
		}
		// Not even the right password is looked at then.
		before := s.Hashes()
		limited(s, login(s, 0, off.Email, off.Password, nil), time.Minute)
		if now := s.Hashes(); now != before {
			t.Errorf("%d passwords were checked over budget", now-before)
		}
	})
}

// U-13: an attacker is throttled, and alice is not locked out.
func TestU13Victim(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := signUpAs(s, "alice")
		login(s, 0, alice.Email, alice.Password, from("198.51.100.20")).Want(200, "")
		if n := guesses(s, 100, "alice", from("192.0.2.66")); n != 10 {
			t.Errorf("U-13 %d of 100 guesses were checked, want 10", n)
		}
		for i := range s.Replicas {
			login(s, i, alice.Email, alice.Password, from("198.51.100.20")).Want(200, "")
		}
		// From a network that she never used it takes her one wait.
		limited(s, login(s, 1, "alice", alice.Password, from("203.0.113.9")), time.Minute)
		s.Advance(time.Minute)
		login(s, 2, "alice", alice.Password, from("203.0.113.9")).Want(200, "")
		login(s, 0, "alice", alice.Password, from("203.0.113.9")).Want(200, "") // and is hers from then on
		if n := guesses(s, 9, "alice", from("192.0.2.66")); n != 1 {
			t.Errorf("U-13 after the wait %d guesses were checked, want 1", n)
		}
	}, behindProxy)
}

// U-15: at the limit, on three replicas at once.
func TestU15Parallel(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for round := range 3 { // in the first, connections are still being opened
			name := fmt.Sprintf("alice%d", round)
			signUpAs(s, name)
			before := s.Hashes()
			var checked atomic.Int64
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					switch a := login(s, i%3, name, wrong, from(fmt.Sprintf("192.0.2.%d", i))); a.Code() {
					case "invalid_credentials":
						checked.Add(1)
					case "rate_limited":
					default:
						t.Errorf("U-15: %d %s", a.Status, a.Body)
					}
				})
			}
			all.Wait()
			if n := s.Hashes() - before; checked.Load() != 10 || n != 10 {
				t.Errorf("U-15 %d answers, %d hashes, want 10", checked.Load(), n)
			}
		}
	}, behindProxy)
}

// U-16: fifty right ones at once, from a network that is new and then is not.
func TestU16Parallel(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := signUpAs(s, "alice")
		for range 2 {
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					login(s, i%3, []string{"alice", alice.Email}[i%2], alice.Password, from("192.0.2.1")).Want(200, "")
				})
			}
			all.Wait()
		}
		if n := guesses(s, 15, "alice", from("192.0.2.2")); n != 10 {
			t.Errorf("U-16 after that, %d guesses were checked, want 10: the right ones cost something", n)
		}
	}, behindProxy)
}

// U-18: one counter, whatever a guesser varies.
func TestU18Evasion(t *testing.T) {
	ways := map[string]func(i int) (name string, header http.Header){
		"email, username and how they are written": func(i int) (string, http.Header) {
			return []string{"alice@example.test", "alice", "ALICE@Example.TEST", "Alice", "\uff41lice",
				"alice@\uff45xample.test", "alice@example.test"}[i%7], from("192.0.2.1")
		},
		"networks": func(i int) (string, http.Header) { return "alice", from(fmt.Sprintf("192.0.%d.%d", i, i)) },
		"addresses of one IPv6": func(i int) (string, http.Header) {
			return "alice",
				from(fmt.Sprintf("2001:db8:1:2::%x", i))
		},
		"IPv4 written as IPv6": func(i int) (string, http.Header) {
			return "alice", from([]string{"192.0.2.1", "::ffff:192.0.2.1"}[i%2])
		},
		"what the client forwards": func(i int) (string, http.Header) {
			return "alice",
				from(fmt.Sprintf("192.0.2.%d, 198.51.100.1", i))
		},
		"addresses that are none": func(i int) (string, http.Header) { return "alice", from(fmt.Sprintf("host-%d", i)) },
		"other headers": func(i int) (string, http.Header) {
			h := from("192.0.2.1")
			for _, name := range []string{"Forwarded", "X-Real-Ip", "X-Client-Ip", "X-Forwarded-Host", "User-Agent", "Cookie"} {
				h[name] = []string{fmt.Sprintf("for=10.0.0.%d", i)}
			}
			return "alice", h
		},
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		signUpAs(s, "alice")
		for way, vary := range ways {
			t.Run(way, func(t *testing.T) {
				s := s.With(t)
				s.Advance(25 * time.Hour) // since the last row
				checked := 0
				for i := range 21 {
					name, header := vary(i)
					switch a := login(s, i%3, name, wrong, header); a.Code() {
					case "invalid_credentials":
						checked++
					case "rate_limited":
					default:
						t.Fatalf("%d %s", a.Status, a.Body)
					}
				}
				if checked != 10 {
					t.Errorf("U-18 %d guesses were checked, want 10", checked)
				}
			})
		}
	}, behindProxy)
}

// H-06 for throttling: without a trusted proxy nobody says where he comes from.
func TestU18SpoofedNetworks(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		checked := 0
		for i := range 40 {
			h := from(fmt.Sprintf("192.0.2.%d", i))
			h.Set("Forwarded", "for=192.0.2."+strconv.Itoa(i))
			checked += guesses(s, 1, fmt.Sprintf("user%d@example.test", i), h)
		}
		if checked != 20 {
			t.Errorf("U-18 %d guesses of one network were checked, want 20", checked)
		}
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.Accounts.Throttle.FailuresPerNetwork = 20 }
	})
}

// One network at many accounts, known or not; and others are not held up by it.
func TestOneNetworkManyAccounts(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := signUpAs(s, "alice")
		checked := 0
		for i := range 60 {
			checked += guesses(s, 1, []string{fmt.Sprintf("user%d@example.test", i), "alice"}[i%10/9], from("192.0.2.1"))
		}
		if checked != 40 {
			t.Errorf("%d were checked, want 40", checked)
		}
		limited(s, login(s, 1, alice.Email, alice.Password, from("192.0.2.1")), 15*time.Minute)
		login(s, 1, alice.Email, alice.Password, from("192.0.2.2")).Want(200, "")
		s.Advance(15 * time.Minute)
		login(s, 1, alice.Email, alice.Password, from("192.0.2.1")).Want(200, "")
	}, behindProxy, apitest.Configured(func(r *apitest.Replica) { r.Accounts.Throttle.FailuresPerNetwork = 40 }))
}

// U-19: what was counted outlives every replica.
func TestU19Restart(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := signUpAs(s, "alice")
		login(s, 0, alice.Email, alice.Password, from("198.51.100.20")).Want(200, "")
		if n := guesses(s, 7, "alice", from("192.0.2.1")); n != 7 {
			t.Fatalf("%d of 7 guesses were checked", n)
		}
		o := apitest.Options{DB: s.DB}
		behindProxy(&o)
		again := apitest.New(t, o)
		if n := guesses(again, 20, alice.Email, from("192.0.2.1")); n != 3 {
			t.Errorf("U-19 after a restart %d guesses were checked, want the 3 that were left", n)
		}
		login(again, 0, alice.Email, alice.Password, from("198.51.100.20")).Want(200, "") // remembered, too
	}, behindProxy)
}

// U-25: a wrong current password counts as a wrong login, whichever door it is tried at.
func TestU25CountsToTheLimiter(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := signUpAs(s, "alice")
		tokens := s.Login(alice)
		change := func(current string) *apitest.Response {
			return s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: tokens.Access,
				Body: apitest.Fields{"current_password": current, "new_password": s.Secret("another planted password of alice")}})
		}
		remove := func(current string) *apitest.Response {
			return s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile", Token: tokens.Access,
				Body: apitest.Fields{"current_password": current}})
		}
		for range 4 {
			change(wrong).Want(403, "wrong_password")
			remove(wrong).Want(403, "wrong_password")
		}
		for range 2 {
			login(s, 0, "alice", wrong, nil).Want(401, "invalid_credentials")
		}
		s.Unchanged(func() {
			limited(s, change(alice.Password), 15*time.Minute)
			limited(s, remove(alice.Password), 15*time.Minute)
			limited(s, login(s, 0, "alice", alice.Password, nil), 15*time.Minute)
		})
		s.Refresh(tokens.Refresh).Want(200, "") // which no budget stands in the way of
		s.Advance(15 * time.Minute)
		tokens = s.Login(alice)
		change(alice.Password).Want(204, "")
	})
}

// U-03: sign-up tells that an address is taken, so many times for a network.
func TestU03SignupsPerNetwork(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		signup := func(replica int, email, address string) *apitest.Response {
			return s.Do(apitest.Request{Method: "POST", Path: "/v1/signup", Header: from(address), Replica: replica,
				Body: apitest.Fields{"email": email, "password": s.Secret("planted password of whoever signs up")}})
		}
		signup(0, "alice@example.test", "192.0.2.1").Want(201, "")
		signup(1, "alice@example.test", "192.0.2.1").Want(409, "user_already_exists")
		signup(2, "bob@example.test", "192.0.2.1").Want(201, "")
		s.Unchanged(func() {
			limited(s, signup(0, "alice@example.test", "192.0.2.1"), time.Hour)
			limited(s, signup(1, "carol@example.test", "::ffff:192.0.2.1"), time.Hour)
		})
		signup(1, "carol@example.test", "192.0.2.2").Want(201, "")
		s.Advance(time.Hour)
		signup(1, "dave@example.test", "192.0.2.1").Want(201, "")
	}, behindProxy, apitest.Configured(func(r *apitest.Replica) { r.Accounts.Throttle.SignupsPerNetwork = 3 }))
}

// Retry-After is never a moment too early.
func TestRetryAfterIsRoundedUp(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	signUpAs(s, "alice")
	guesses(s, 10, "alice", nil)
	s.Advance(time.Minute - 1500*time.Millisecond)
	limited(s, login(s, 0, "alice", wrong, nil), 2*time.Second)
	s.Advance(1499 * time.Millisecond)
	limited(s, login(s, 0, "alice", wrong, nil), time.Second)
	s.Advance(time.Millisecond)
	login(s, 0, "alice", wrong, nil).Want(401, "invalid_credentials")
}

// What the store keeps of an attempt is made with a secret: the same attempt under another one is
// another budget.
func TestBudgetsAreNamedByASecret(t *testing.T) {
	var mu sync.Mutex
	seen := map[userstore.BudgetKey]bool{}
	for range 2 { // two issuers, each with a refresh secret of its own
		s := apitest.New(t, apitest.Options{Store: func(db *sqlstore.DB) apitest.Store { return &watched{db, &mu, seen} },
			Configure: func(r *apitest.Replica) { r.Accounts.Throttle.FailuresPerNetwork = 100 }})
		for range 3 {
			login(s, 0, "nobody@example.test", wrong, nil).Want(401, "invalid_credentials")
		}
	}
	if len(seen) != 2*3 {
		t.Errorf("%d budgets, want an own, a strangers' and a network's of each issuer", len(seen))
	}
}

type watched struct {
	*sqlstore.DB
	mu   *sync.Mutex
	seen map[userstore.BudgetKey]bool
}

func (w *watched) ReserveAttempt(ctx context.Context, r userstore.Reserve) error {
	w.mu.Lock()
	for _, key := range []userstore.BudgetKey{r.Own, r.Strangers, r.Network} {
		w.seen[key] = true
	}
	w.mu.Unlock()
	return w.DB.ReserveAttempt(ctx, r)
}
