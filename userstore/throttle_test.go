package userstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

const wrong = "not the password of anybody"

// throttled is Accounts behind a Throttle, one for each replica on one store.
type throttled struct {
	testing.TB
	replicas []*world
	clock    *time.Time
}

func eachThrottled(t *testing.T, replicas int, fn func(t *testing.T, w *throttled)) {
	t.Parallel()
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		w := &throttled{TB: t, clock: &now}
		for range replicas {
			a := newWorld(db)
			a.Accounts.Now = func() time.Time { return *w.clock }
			a.Accounts.Throttle = &userstore.Throttle{
				Store: db, Secret: func() ([]byte, error) { return []byte("a secret of thirty-two bytes ..."), nil },
				Wait: time.Minute, // a machine may be slow
			}
			w.replicas = append(w.replicas, a)
		}
		fn(t, w)
	})
}

func (w *throttled) register(email, username string) userstore.User {
	w.Helper()
	u, err := w.replicas[0].RegisterByOperator(w.Context(), userstore.OperatorUser{
		NewUser: userstore.NewUser{Email: email, Username: username, Password: password},
	})
	if err != nil {
		w.Fatal(err)
	}
	return u
}

func (w *throttled) wait(d time.Duration) { *w.clock = w.clock.Add(d) }

// login is a whole login on replica i.
func (w *throttled) login(i int, name, secret, from string) error {
	a := w.replicas[i]
	ctx := audit.WithOrigin(w.Context(), audit.Origin{Address: from})
	email, username := name, ""
	if !strings.Contains(name, "@") {
		email, username = "", name
	}
	v, err := a.Authenticate(ctx, email, username, secret, userstore.FirstPartyClientID, nil)
	if err != nil {
		return err
	}
	defer a.Release(ctx, v)
	g := userstore.Grant{SessionID: newID(), UserID: v.User.ID, ClientID: userstore.FirstPartyClientID, Generation: 1,
		CreatedAt: *w.clock, RotatedAt: *w.clock, AuthTime: *w.clock, ExpiresAt: w.clock.Add(time.Hour)}
	copy(g.ID[:], newID())
	return a.StartGrant(ctx, v, g, time.Time{})
}

// guess tries a wrong password and reports whether it was evaluated.
func (w *throttled) guess(i int, name, from string) bool {
	w.Helper()
	err := w.login(i, name, wrong, from)
	switch {
	case errors.Is(err, userstore.ErrInvalidCredentials):
		return true
	case errors.Is(err, userstore.ErrRateLimited):
		return false
	}
	w.Fatalf("a wrong password: %v", err)
	return false
}

// guesses makes n guesses and returns how many were evaluated.
func (w *throttled) guesses(n int, name, from string) (evaluated int) {
	w.Helper()
	for range n {
		if w.guess(0, name, from) {
			evaluated++
		}
	}
	return evaluated
}

func (w *throttled) want(what string, got, want any) {
	w.Helper()
	if got != want {
		w.Errorf("%s: %v, want %v", what, got, want)
	}
}

// limited fails unless err is a refusal with this wait.
func (w *throttled) limited(err error, wait time.Duration) {
	w.Helper()
	var e *userstore.RateLimitedError
	if !errors.As(err, &e) || e.RetryAfter != wait {
		w.Errorf("got %v, want to be refused for %s", err, wait)
	}
}

// A day and a half of a patient attacker with unlimited addresses.
func TestStrangersShareOneBudget(t *testing.T) {
	eachThrottled(t, 2, func(t *testing.T, w *throttled) {
		w.register("alice@x.test", "alice")
		names := []string{"alice@x.test", "alice", "ALICE@X.test", "Alice", "ａｌｉｃｅ"}
		for name, names := range map[string][]string{"a known account (U-18)": names,
			"an unknown one": {"nobody@x.test", "NOBODY@x.test"}} {
			var day, evaluated int
			for minute := range 36 * 60 {
				if minute < 20 || minute%7 == 0 {
					for i := range 2 {
						if w.guess(i, names[(minute+i)%len(names)], fmt.Sprintf("2001:db8:%x:%x::1", minute, i)) {
							evaluated++
						}
					}
				}
				if minute == 24*60-1 {
					day = evaluated
				}
				w.wait(time.Minute)
			}
			t.Logf("%s: %d guesses in 24 h, %d in 36 h", name, day, evaluated)
			if day < 20 || day >= 40 || evaluated-day >= 20 {
				t.Errorf("%s: %d guesses in 24 h, %d in 36 h", name, day, evaluated)
			}
			// Two days later the counts are zero.
			w.wait(48 * time.Hour)
			w.want(name+" later", w.guesses(20, names[0], "192.0.2.1"), 10)
		}
	})
}

// U-13: a network that logged in keeps a budget that strangers cannot use up.
func TestU13NobodyIsLockedOutByStrangers(t *testing.T) {
	eachThrottled(t, 2, func(t *testing.T, w *throttled) {
		w.register("alice@x.test", "alice")
		for _, home := range []string{"198.51.100.7", "2001:db8:77:7::1"} {
			if err := w.login(0, "alice", password, home); err != nil {
				t.Fatal(err)
			}
		}
		w.want("strangers", w.guesses(100, "alice@x.test", "192.0.2.1"), 10)
		w.limited(w.login(1, "alice", password, "192.0.2.1"), time.Minute)
		w.limited(w.login(1, "alice", password, "192.0.2.200"), time.Minute) // another stranger shares it
		for _, home := range []string{"198.51.100.7", "::ffff:198.51.100.7", "2001:db8:77:7:ffff::2"} {
			for i := range w.replicas {
				if err := w.login(i, "alice", password, home); err != nil {
					t.Errorf("U-13 at home, %s: %v", home, err)
				}
			}
		}
		// The known network has a budget of its own, but a bounded one.
		w.want("at home", w.guesses(30, "alice", "198.51.100.7"), 10)
		w.limited(w.login(1, "alice", password, "198.51.100.7"), 15*time.Minute)
		if err := w.login(1, "alice", password, "2001:db8:77:7::1"); err != nil {
			t.Errorf("U-13 at the other home: %v", err)
		}
		w.wait(15 * time.Minute)
		if err := w.login(1, "alice", password, "198.51.100.7"); err != nil {
			t.Error(err)
		}
		// Ninety days after its last login a network is a stranger again.
		w.wait(91 * 24 * time.Hour)
		w.want("long after", w.guesses(30, "alice", "192.0.2.9"), 10)
		w.limited(w.login(0, "alice", password, "198.51.100.7"), time.Minute)
	})
}

// U-15, U-16: concurrent attempts on two replicas count as consecutive ones do.
func TestU15WrongAtOnce(t *testing.T) {
	eachThrottled(t, 2, func(t *testing.T, w *throttled) {
		for round := range 5 { // in the first, connections are still being opened
			name := fmt.Sprintf("alice%d", round)
			w.register(name+"@x.test", name)
			var evaluated atomic.Int64
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					name := []string{name, name + "@x.test"}[i/2%2]
					switch err := w.login(i%2, name, wrong, fmt.Sprintf("192.0.2.%d", i)); {
					case errors.Is(err, userstore.ErrInvalidCredentials):
						evaluated.Add(1)
					case !errors.Is(err, userstore.ErrRateLimited):
						t.Errorf("U-15: %v", err)
					}
				})
			}
			all.Wait()
			w.want("U-15 evaluated", evaluated.Load(), int64(10))
		}
	})
}

func TestU16RightAtOnce(t *testing.T) {
	eachThrottled(t, 2, func(t *testing.T, w *throttled) {
		w.register("alice@x.test", "alice")
		for round := range 2 { // from a network that is new, and then is not
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					if err := w.login(i%2, "alice", password, "192.0.2.1"); err != nil {
						t.Errorf("U-16 round %d: %v", round, err)
					}
				})
			}
			all.Wait()
		}
		w.want("after that", w.guesses(20, "alice", "192.0.2.1"), 10)
		w.want("elsewhere", w.guesses(20, "alice", "192.0.2.2"), 10)
	})
}

// A right login does not erase the wrong ones of others, nor of its own network.
func TestARightLoginReturnsOnlyItself(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		w.replicas[0].Throttle.FailuresPerNetwork = 25
		w.register("alice@x.test", "alice")
		w.register("mallory@x.test", "mallory")
		const from = "192.0.2.1"
		total := 0
		for i := range 40 {
			if w.guess(0, []string{"alice", "nobody", fmt.Sprintf("user%d@x.test", i)}[i%3], from) {
				total++
			}
			if err := w.login(0, "mallory", password, from); err != nil && !errors.Is(err, userstore.ErrRateLimited) {
				t.Fatal(err)
			}
		}
		w.want("of one network at many accounts", total, 25)
		w.limited(w.login(0, "mallory", password, from), 15*time.Minute)
		if err := w.login(0, "mallory", password, "192.0.2.2"); err != nil {
			t.Error(err)
		}
		w.wait(15 * time.Minute)
		if err := w.login(0, "mallory", password, from); err != nil {
			t.Error(err)
		}
	})
}

// The number of rows is bounded by the networks' budgets, however many names are made up, and rows
// are removed.
func TestMadeUpNamesLeaveFewRows(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		w.replicas[0].Throttle.FailuresPerNetwork = 25
		evaluated := 0
		for i := range 600 {
			evaluated += w.guesses(1, fmt.Sprintf("%d-%s@x.test", i, newID()), fmt.Sprintf("192.0.2.%d", i%2))
		}
		w.want("evaluated", evaluated, 2*25)
		store := w.replicas[0].Throttle.Store
		for _, after := range []time.Duration{15*time.Minute - time.Microsecond, 15 * time.Minute,
			24*time.Hour - time.Microsecond, 24 * time.Hour} {
			n, err := store.RemoveExpiredAttempts(t.Context(), w.clock.Add(after), 10_000)
			if err != nil {
				t.Fatal(err)
			}
			w.want(fmt.Sprintf("rows that go after %s", after), n,
				map[time.Duration]int{15 * time.Minute: 50, 24 * time.Hour: 50}[after])
		}
	})
}

// U-25: a holder of a session without the password is counted as any other guesser.
func TestU25CurrentPasswordsCount(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		u, a := w.register("alice@x.test", "alice"), w.replicas[0]
		ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: "192.0.2.1"})
		for i := range 12 {
			err := []func() error{
				func() error { return a.ChangePassword(ctx, u.ID, userstore.Proof{Password: wrong}, changed, "") },
				func() error { return a.Delete(ctx, u.ID, userstore.Proof{Password: wrong}) },
				func() error { return a.CheckPassword(ctx, u, wrong) },
			}[i%3]()
			if i < 10 && !errors.Is(err, userstore.ErrInvalidCredentials) {
				t.Fatalf("U-25 wrong for the %dth time: %v", i+1, err)
			}
			if i >= 10 {
				w.limited(err, time.Minute)
			}
		}
		w.want("U-25 at login", w.guesses(5, "alice", "192.0.2.2"), 0)
		hashed := a.Hasher.Stats().Started
		w.limited(a.ChangePassword(ctx, u.ID, userstore.Proof{Password: password}, changed, ""), time.Minute)
		w.want("U-25 hashes of a refused one", a.Hasher.Stats().Started, hashed)
		w.wait(time.Minute)
		if err := a.ChangePassword(ctx, u.ID, userstore.Proof{Password: password}, changed, ""); err != nil {
			t.Error(err)
		}
		if err := a.CheckPassword(ctx, u, changed); err != nil { // the right one took nothing
			t.Error(err)
		}
	})
}

func TestSignupsPerNetwork(t *testing.T) {
	eachThrottled(t, 2, func(t *testing.T, w *throttled) {
		for _, a := range w.replicas {
			a.Throttle.SignupsPerNetwork = 5
		}
		n := 0
		signup := func(from, email, password string) error {
			n++
			_, err := w.replicas[n%2].Register(audit.WithOrigin(t.Context(), audit.Origin{Address: from}),
				userstore.NewUser{Email: email, Password: password})
			return err
		}
		for i := range 3 {
			if err := signup("192.0.2.1", fmt.Sprintf("a%d@x.test", i), password); err != nil {
				t.Fatal(err)
			}
		}
		for range 9 { // invalid input is not counted
			if _, ok := errors.AsType[*userstore.ValidationError](signup("192.0.2.1", "b@x.test", "short")); !ok {
				t.Error("a short password was not refused")
			}
		}
		for range 2 { // U-03: a sign-up that reveals an account is counted
			if err := signup("192.0.2.1", "a1@x.test", password); !errors.Is(err, userstore.ErrExists) {
				t.Error(err)
			}
		}
		for _, email := range []string{"a1@x.test", "new@x.test"} {
			w.limited(signup("192.0.2.1", email, password), time.Hour)
		}
		if err := signup("192.0.2.2", "new@x.test", password); err != nil {
			t.Error(err)
		}
		w.register("by-operator@x.test", "")
		w.wait(time.Hour)
		if err := signup("192.0.2.1", "newer@x.test", password); err != nil {
			t.Error(err)
		}
		for _, a := range w.replicas {
			a.Throttle.SignupsPerNetwork = 0
		}
		for i := range 40 {
			if err := signup("192.0.2.1", fmt.Sprintf("c%d@x.test", i), password); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// When a replica dies in the middle of a check, the attempt stays counted: first as pending, then
// as wrong.
func TestAnAttemptWhoseReplicaDied(t *testing.T) {
	eachThrottled(t, 2, func(t *testing.T, w *throttled) {
		w.register("alice@x.test", "alice")
		ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: "192.0.2.1"})
		for range 10 {
			if _, err := w.replicas[0].Authenticate(ctx, "alice@x.test", "", password, userstore.FirstPartyClientID,
				nil); err != nil {
				t.Fatal(err)
			} // and neither StartGrant nor Release
		}
		w.replicas[1].Throttle.Wait = 100 * time.Millisecond
		if err := w.login(1, "alice", password, "192.0.2.1"); !errors.Is(err, userstore.ErrOverloaded) {
			t.Errorf("while they may turn out right: %v", err)
		}
		w.wait(29 * time.Second)
		if err := w.login(1, "alice", password, "192.0.2.1"); !errors.Is(err, userstore.ErrOverloaded) {
			t.Errorf("while they may still turn out right: %v", err)
		}
		w.wait(time.Second)
		w.limited(w.login(1, "alice", password, "192.0.2.1"), 30*time.Second)
		w.wait(30 * time.Second)
		if err := w.login(1, "alice", password, "192.0.2.1"); err != nil {
			t.Error(err)
		}
	})
}

// Without the secret nothing can be counted, so nothing is let through.
func TestThrottleFailsClosed(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		u, a := w.register("alice@x.test", "alice"), w.replicas[0]
		a.Throttle.SignupsPerNetwork = 1
		for name, secret := range map[string]func() ([]byte, error){
			"none":  func() ([]byte, error) { return nil, errors.New("no key yet") },
			"empty": func() ([]byte, error) { return nil, nil },
		} {
			a.Throttle.Secret = secret
			hashed := a.Hasher.Stats().Started
			_, signup := a.Register(t.Context(), userstore.NewUser{Email: "b@x.test", Password: password})
			for what, err := range map[string]error{
				"login":  w.login(0, "alice", password, "192.0.2.1"),
				"change": a.ChangePassword(t.Context(), u.ID, userstore.Proof{Password: password}, changed, ""), "signup": signup,
			} {
				if !errors.Is(err, userstore.ErrUnavailable) {
					t.Errorf("%s with %s: %v", what, name, err)
				}
			}
			w.want("hashes", a.Hasher.Stats().Started, hashed)
		}
	})
}

// A request that is cancelled before its password is checked is no guess.
func TestSomebodyWhoLeft(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		w.register("alice@x.test", "alice")
		a := w.replicas[0]
		hashed := a.Hasher.Stats().Started
		store := &leavingAttempts{Attempts: a.Throttle.Store}
		a.Throttle.Store = store // once: attempts are given back in the background
		for range 20 {
			ctx, leave := context.WithCancel(audit.WithOrigin(t.Context(), audit.Origin{Address: "192.0.2.1"}))
			store.leave.Store(&leave)
			if _, err := a.Authenticate(ctx, "alice@x.test", "", wrong, userstore.FirstPartyClientID,
				nil); !errors.Is(err, userstore.ErrOverloaded) {
				t.Fatal(err)
			}
		}
		store.leave.Store(nil)
		w.want("hashes", a.Hasher.Stats().Started, hashed)
		w.want("guesses that are left", w.guesses(20, "alice", "192.0.2.2"), 10)
	})
}

// leavingAttempts is a store that cancels the caller's context, if leave is set, as soon as an
// attempt is reserved.
type leavingAttempts struct {
	userstore.Attempts
	leave atomic.Pointer[context.CancelFunc]
}

func (l *leavingAttempts) ReserveAttempt(ctx context.Context, r userstore.Reserve) error {
	if leave := l.leave.Load(); leave != nil {
		defer (*leave)()
	}
	return l.Attempts.ReserveAttempt(ctx, r)
}
