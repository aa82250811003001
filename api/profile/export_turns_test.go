package profile_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// gated is an audit log whose readers wait.
type gated struct {
	userstore.Audit
	reached chan struct{}
	open    chan struct{}
}

func (g gated) ListEvents(ctx context.Context, q userstore.EventQuery) ([]audit.Event, error) {
	g.reached <- struct{}{}
	<-g.open
	return g.Audit.ListEvents(ctx, q)
}

// Two exports are gathered at a time; a caller that gives up gets ErrOverloaded, and the next one
// that waits gets its turn.
func TestTwoExportsAtATime(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		g := gated{Audit: db, reached: make(chan struct{}, 8), open: make(chan struct{})}
		for _, id := range []string{"alice", "bob"} {
			u := userstore.User{ID: id, EmailKey: id, CreatedAt: time.Now(), UpdatedAt: time.Now()}
			if err := db.CreateUser(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
		e := profile.Exporter{
			Factors: db, Sessions: profile.Sessions{Grants: db, Browsers: db, Now: time.Now},
			Consents: profile.Consents{Consents: db, Clients: db}, Subjects: db, Audit: g, Now: time.Now,
		}
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() {
				if _, err := e.Of(t.Context(), userstore.User{ID: "alice"}, userstore.Grant{}); err != nil {
					t.Error(err)
				}
			})
		}
		<-g.reached
		<-g.reached
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := e.Of(gone, userstore.User{ID: "bob"}, userstore.Grant{}); err != userstore.ErrOverloaded {
			t.Errorf("the third: %v", err)
		}
		close(g.open)
		wait.Wait()
		if _, err := e.Of(t.Context(), userstore.User{ID: "bob"}, userstore.Grant{}); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
