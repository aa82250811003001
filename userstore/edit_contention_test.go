package userstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// atOnce is a store whose editors always meet: each goes on only when all that are left have read
// the same version of the user. So of each round one wins, and all others lose.
type atOnce struct {
	userstore.Store
	*round
}

type round struct {
	mu   sync.Mutex
	left int           // editors that have not won yet
	read int           // of them, those that wait
	next chan struct{} // closed when all wait
}

func (s atOnce) UserByID(ctx context.Context, id string) (userstore.User, error) {
	next := s.begun()
	u, err := s.Store.UserByID(ctx, id)
	s.hasRead()
	<-next
	return u, err
}

func (s atOnce) UpdateUser(ctx context.Context, u userstore.User, events ...audit.Event) error {
	err := s.Store.UpdateUser(ctx, u, events...)
	if err == nil {
		s.leave()
	}
	return err
}

func (r *round) begun() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

func (r *round) hasRead() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read++
	r.meet()
}

func (r *round) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
	r.meet()
}

// meet ends the round when all editors that are left wait.
func (r *round) meet() {
	if r.read == r.left {
		close(r.next)
		r.read, r.next = 0, make(chan struct{})
	}
}

// A program that adds several roles to one user at once succeeds with all of them, on any replica,
// also when its edits collide as often as they can.
func TestEditsAtOnceAllFindTheirTurn(t *testing.T) {
	eachThrottled(t, 2, func(t *testing.T, w *throttled) {
		u, store := w.register("alice@x.test", "alice"), w.replicas[0].Store
		const editors = 8
		r := &round{left: editors, next: make(chan struct{})}
		for i := range w.replicas {
			w.replicas[i].Store = atOnce{w.replicas[i].Store, r}
		}
		var want []string
		var all sync.WaitGroup
		for i := range editors {
			role := fmt.Sprintf("role-%02d", i)
			want = append(want, role)
			all.Go(func() {
				_, err := w.replicas[i%2].EditByOperator(t.Context(), u.ID, func(u *userstore.User) error {
					u.Roles = append(u.Roles, role)
					return nil
				})
				if err != nil {
					t.Errorf("%s: %v", role, err)
					r.leave()
				}
			})
		}
		all.Wait()
		u, err := store.UserByID(t.Context(), u.ID)
		if err != nil || !slices.Equal(u.Roles, want) {
			t.Errorf("roles %q, %v", u.Roles, err)
		}
	})
}

// An edit that another writer outruns each time ends with a conflict, and changes nothing.
func TestAnEditThatIsAlwaysOutrun(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		u, a := w.register("alice@x.test", "alice"), w.replicas[0]
		store := a.Store
		a.Store = outrun{store}
		runs := 0
		_, err := a.Edit(t.Context(), u.ID, func(u *userstore.User) error {
			runs++
			u.Claims.Name = fmt.Sprint(runs)
			return nil
		})
		if !errors.Is(err, userstore.ErrConflict) || runs != 8 {
			t.Errorf("after %d tries: %v", runs, err)
		}
		if now, err := store.UserByID(t.Context(), u.ID); err != nil || now.Claims.Name != u.Claims.Name {
			t.Errorf("the name is %q, %v", now.Claims.Name, err)
		}
	})
}

// outrun is a store in which another writer is always faster.
type outrun struct{ userstore.Store }

func (outrun) UpdateUser(context.Context, userstore.User, ...audit.Event) error {
	return userstore.ErrConflict
}

// A cancelled edit ends, though other writers are still faster.
func TestAnEditWaitsNoLongerThanItsCaller(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		u, a := w.register("alice@x.test", "alice"), w.replicas[0]
		a.Store = outrun{a.Store}
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		runs := 0
		_, err := a.Edit(ctx, u.ID, func(u *userstore.User) error {
			if runs++; runs == 2 {
				leave()
			}
			u.Claims.Name = fmt.Sprint(runs)
			return nil
		})
		if !errors.Is(err, context.Canceled) && !errors.Is(err, userstore.ErrUnavailable) || runs != 2 {
			t.Errorf("after %d tries: %v", runs, err)
		}
	})
}
