package userstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signet-id/signet/internal/audit"

	"github.com/signet-id/signet/userstore/password"
)

// slowAttempts counts how many calls are in the store at once, each for a moment.
type slowAttempts struct {
	Attempts
	inside, most, reserved, returned atomic.Int64
}

func (s *slowAttempts) in() (out func()) {
	n := s.inside.Add(1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	time.Sleep(10 * time.Millisecond)
	return func() { s.inside.Add(-1) }
}

func (s *slowAttempts) ReserveAttempt(context.Context, Reserve) error {
	defer s.in()()
	s.reserved.Add(1)
	return nil
}

func (s *slowAttempts) ReturnAttempt(context.Context, Attempt) error {
	defer s.in()()
	s.returned.Add(1)
	return nil
}

// Of a thousand concurrent logins only a few are in the store at any time, so that a refresh waits
// for few. Logins beyond the queue, and logins that waited too long, are refused without reaching
// the store.
func TestFewAttemptsAreInTheStoreAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowAttempts{}
		throttle := &Throttle{Store: store, Wait: time.Second,
			Secret: func() ([]byte, error) { return make([]byte, 32), nil }}
		var admitted, refused, other atomic.Int64
		var helds sync.Map
		var work sync.WaitGroup
		for i := range 1000 {
			work.Go(func() {
				h, err := throttle.admit(t.Context(), time.Now, subject(User{}, false, string(rune('a'+i))), audit.Target{})
				switch {
				case err == nil:
					admitted.Add(1)
					helds.Store(i, h)
				case errors.Is(err, ErrOverloaded):
					refused.Add(1)
				default:
					other.Add(1)
				}
			})
		}
		work.Wait()
		// Of the 258 logins that may wait, as many are admitted as fit into a second.
		if fit := int64(time.Second / (10 * time.Millisecond) * turnsAtOnce); other.Load() != 0 ||
			admitted.Load() != store.reserved.Load() ||
			admitted.Load() < fit-turnsAtOnce || admitted.Load() > fit+turnsAtOnce || refused.Load()+admitted.Load() != 1000 {
			t.Errorf("%d admitted, %d reserved, %d refused, %d otherwise", admitted.Load(), store.reserved.Load(),
				refused.Load(), other.Load())
		}
		// All are returned at once, and none waits for long.
		began := time.Now()
		helds.Range(func(_, h any) bool {
			work.Go(func() { h.(*reservation).giveBack(t.Context()) })
			return true
		})
		work.Wait()
		if took := time.Since(began); took > returnGrace {
			t.Errorf("to give back took %s", took)
		}
		synctest.Wait()
		throttle.Drain()
		if store.returned.Load() != admitted.Load() {
			t.Errorf("%d of %d were given back", store.returned.Load(), admitted.Load())
		}
		if store.most.Load() > max(turnsAtOnce, returnsAtOnce) {
			t.Errorf("%d were in the store at once", store.most.Load())
		}
	})
}

// While the hash queue is full, a login that would be refused writes nothing.
func TestAFullHashQueueCostsNoWrite(t *testing.T) {
	store := &slowAttempts{}
	// One slow hash has the only slot, and another waits in the only place of the queue.
	h := password.New(password.Params{MemoryKiB: 64 << 10, Time: 40, Threads: 1}, 1, 1, time.Minute)
	for range 2 {
		go h.Hash(t.Context(), "a long enough passphrase")
	}
	for stats := h.Stats(); stats.Running+stats.Waiting < 2; stats = h.Stats() {
		time.Sleep(time.Millisecond)
	}
	a := &Accounts{Store: onlyReads{}, Hasher: h, Now: time.Now,
		Throttle: &Throttle{Store: store, Secret: func() ([]byte, error) { return make([]byte, 32), nil }}}
	if _, err := a.Authenticate(t.Context(), "ada@example.com", "", "a long enough passphrase", "signet",
		nil); !errors.Is(err, ErrOverloaded) {
		t.Errorf("a login: %v", err)
	}
	if err := a.CheckPassword(t.Context(), User{ID: "u"}, "a long enough passphrase"); !errors.Is(err, ErrOverloaded) {
		t.Errorf("a check: %v", err)
	}
	if n := store.reserved.Load(); n != 0 || h.Stats().Refused != 2 {
		t.Errorf("%d attempts were written, %d counted as refused", n, h.Stats().Refused)
	}
}

// onlyReads is a store that finds every user.
type onlyReads struct{ Store }

func (onlyReads) LoginView(context.Context, Login, string) (User, bool, Client, error) {
	return User{ID: "u", IsActive: true}, true, Client{}, nil
}

func (onlyReads) UserByID(_ context.Context, id string) (User, error) {
	return User{ID: id, IsActive: true}, nil
}
