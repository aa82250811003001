package userstore_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// A person who proves the address in the browser of the sign-up is signed in by the password that was
// typed then. The audit log has the login when it happens: an entry with the time of the password
// would stand before entries that a reader of the log has already read.
func TestLoginIsRecordedWhenItHappens(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		typed := w.now
		w.now = w.now.Add(26 * time.Hour)
		s := userstore.BrowserSession{ID: newID(), UserID: u.ID, AuthTime: typed, CreatedAt: w.now, LastUsedAt: w.now,
			ExpiresAt: w.now.Add(time.Hour)}
		rand.Read(s.Hash[:])
		v := userstore.Verified{User: w.read(t, u.ID), Signup: true}
		if err := w.StartSession(t.Context(), v, s, userstore.SessionHash{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		events, err := w.Store.ListEvents(t.Context(), userstore.EventQuery{TargetID: u.ID, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		logins := 0
		for _, e := range events {
			if e.Name != audit.LoginSucceeded {
				continue
			}
			logins++
			if !e.At.Equal(w.now) {
				t.Errorf("a login at %v is recorded at %v", w.now, e.At)
			}
		}
		if logins != 1 {
			t.Errorf("%d logins in %+v", logins, events)
		}
	})
}
