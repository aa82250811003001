package issuer_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// slowLists is a store of status lists whose calls a test can hold up.
type slowLists struct {
	userstore.StatusLists
	changes, places func(ctx context.Context) error // before a call; nil: nothing
	read            int                             // lists
}

func (s *slowLists) StatusChanges(ctx context.Context, now time.Time, size int64) (userstore.StatusChanges, error) {
	if s.changes != nil {
		if err := s.changes(ctx); err != nil {
			return userstore.StatusChanges{}, err
		}
	}
	return s.StatusLists.StatusChanges(ctx, now, size)
}

func (s *slowLists) RevokedPlaces(ctx context.Context, first, last int64) (userstore.StatusPlaces, error) {
	s.read++ // the requests for one list take turns
	if s.places != nil {
		if err := s.places(ctx); err != nil {
			return userstore.StatusPlaces{}, err
		}
	}
	return s.StatusLists.RevokedPlaces(ctx, first, last)
}

// statusLists turns status lists on.
func (w *world) statusLists() *slowLists {
	s := &slowLists{StatusLists: w.db}
	w.Status = &issuer.StatusLists{
		Store: s, Keys: w.ring, Now: w.clock.Now, URL: issuerURL, Alg: jose.RS256,
		Sign: func(s *jose.Signer, typ string, payload []byte) (string, error) { return s.Sign(typ, payload) },
	}
	return s
}

// TestAListIsSignedOnce: of many requests at once the first has the list signed for all, also for one that
// came a moment earlier and takes longer: to that one the list is from the future.
func TestAListIsSignedOnce(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		synctest.Test(t, func(t *testing.T) {
			s := w.statusLists()
			s.StatusLists = nothingRevoked{}
			early, goOn := make(chan struct{}), make(chan struct{})
			s.changes = func(context.Context) error { <-early; return nil }
			s.places = func(context.Context) error { <-goOn; return nil }
			bodies := make(chan string)
			ask := func() {
				go func() {
					list, err := w.List(t.Context(), "0")
					if err != nil {
						t.Error(err)
					}
					bodies <- string(list.Body)
				}()
				synctest.Wait() // until it waits for the store, or for its turn
			}
			ask()
			s.changes = nil
			w.clock.add(time.Millisecond)
			ask()
			ask()
			close(goOn)
			first := <-bodies
			close(early)
			if second, third := <-bodies, <-bodies; second != first || third != first || s.read != 1 {
				t.Errorf("several lists within a millisecond, %d reads", s.read)
			}
		})
	})
}

// nothingRevoked are status lists with nothing in them.
type nothingRevoked struct{ userstore.StatusLists }

func (nothingRevoked) StatusChanges(context.Context, time.Time, int64) (userstore.StatusChanges, error) {
	return userstore.StatusChanges{Next: 1}, nil
}

func (nothingRevoked) RevokedPlaces(context.Context, int64, int64) (userstore.StatusPlaces, error) {
	return userstore.StatusPlaces{}, nil
}

// TestAListWhileTheStoreHangs: no request waits longer than its context says, neither for the store nor
// for another request, and each gets the last list as long as that has not expired.
func TestAListWhileTheStoreHangs(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		s := w.statusLists()
		last, err := w.List(t.Context(), "0")
		w.must(err)
		w.wait(6 * time.Minute) // more than half-way to its end

		hangs := make(chan struct{}, 1)
		s.places = func(ctx context.Context) error {
			hangs <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		hung := make(chan issuer.StatusDocument)
		ask := func(ctx context.Context) {
			list, err := w.List(ctx, "0")
			if err != nil {
				t.Error(err)
			}
			hung <- list
		}
		go ask(ctx)
		<-hangs // the request has its turn, and waits for the store
		over, end := context.WithCancel(t.Context())
		end()
		go ask(over)
		for range 2 { // first the one whose time is over
			select {
			case list := <-hung:
				if string(list.Body) != string(last.Body) {
					t.Error("another list than the last one")
				}
			case <-time.After(10 * time.Second):
				t.Fatal("a request waits for another one although its time is over")
			}
			cancel()
		}

		w.wait(4 * time.Minute)
		if _, err := w.List(over, "0"); !isUnavailable(err) {
			t.Errorf("an expired list: %v", err)
		}
		s.places = nil
		if _, err := w.List(t.Context(), "0"); err != nil {
			t.Error(err)
		}
	})
}

func isUnavailable(err error) bool {
	var e *issuer.Error
	return errors.As(err, &e) && e.Code == issuer.Unavailable
}
