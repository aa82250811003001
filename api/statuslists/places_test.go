package statuslists_test

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/verifier"
)

// A grant that an older version made has no place, and gets one with its next token.
func TestGrantsWithoutAPlace(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		c := s.WebClient()
		r := s.Replicas[0]
		status := r.Issuer.Status
		r.Issuer.Status = nil
		tokens := s.Redeem(u, c)
		r.Issuer.Status = status
		if claims(t, tokens.Access)["status"] != nil {
			t.Fatal("the grant has a place")
		}
		next := refreshed(s, c, tokens)
		again := refreshed(s, c, tokens) // an answer that was lost
		if a, b := place(t, next.Access), place(t, again.Access); a == 0 || a != b {
			t.Errorf("places %d and %d", a, b)
		}
		v := resourceServer(s)
		must(t, verify(v, next.Access))
		s.Do(s.Authenticated(c, "/oauth2/revoke", url.Values{"token": {again.Refresh}})).Want(200, "")
		s.Advance(17 * time.Second)
		if err := verify(v, next.Access); !errors.Is(err, verifier.ErrRevoked) {
			t.Errorf("%v", err)
		}
	}, func(o *apitest.Options) { o.StatusLists = true })
}

// forgetful is a store that forgets for a while that it gave places away.
type forgetful struct {
	apitest.Store
	now atomic.Bool
}

func (f *forgetful) StatusChanges(ctx context.Context, now time.Time, size int64) (userstore.StatusChanges, error) {
	c, err := f.Store.StatusChanges(ctx, now, size)
	if f.now.Load() {
		c.Next = 2
	}
	return c, err
}

// A database that lost writes, as after a failover without synchronous replication, may give places
// to one replica that another one has reserved, which gives away none of them any more.
func TestPlacesThatTheDatabaseForgot(t *testing.T) {
	s, f := through(t, func(db apitest.Store) *forgetful { return &forgetful{Store: db} })
	u := s.SignUp("alice")
	index := func() int64 {
		t.Helper()
		_, index := reference(t, s.Login(u).Access)
		return int64(index)
	}
	first := index()
	poll(s)
	if next := index(); next != first+1 {
		t.Errorf("the place %d follows %d: nothing is reserved", next, first)
	}
	f.now.Store(true)
	poll(s)
	last, err := s.DB.ReservePlaces(t.Context(), 1)
	must(t, err)
	if next := index(); next <= last {
		t.Errorf("the place %d is one that the database forgot", next)
	}
}
