package userstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// dies is a store that is gone after some accounts.
type dies struct {
	userstore.Store
	left int
}

var errGone = errors.New("the store is gone")

func (d *dies) EndAccess(ctx context.Context, id string, now time.Time) error {
	if d.left--; d.left < 0 {
		return errGone
	}
	return d.Store.EndAccess(ctx, id, now)
}

// app gives a user an authenticator app, as the store keeps it.
func (w *world) app(t *testing.T, userID string) {
	t.Helper()
	a := userstore.AuthenticatorApp{ID: newID(), UserID: userID, Sealed: []byte("sealed"), Algorithm: "SHA1", Digits: 6,
		Period: 30, CreatedAt: w.now}
	err := w.Store.BeginApp(t.Context(), a, w.read(t, userID).FactorVersion)
	if err == nil {
		err = w.Store.ChangeFactors(t.Context(), userstore.FactorChange{
			UserID: userID, At: w.now, ConfirmApp: a.ID, Counter: 1, Version: w.read(t, userID).FactorVersion, KeepSession: userstore.KeepAll,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A recovery that was cut short tells how far it came, writes no entry, and is begun again.
func TestF35RecoverIsBegunAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		first := w.alice(t)
		second, err := w.Register(t.Context(), userstore.NewUser{Email: "bob@x.test", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		w.app(t, first.ID)
		w.app(t, second.ID)
		recovery := userstore.Recovery{Reason: "kek_lost", Report: func(int64) {}}
		whole := w.Store
		w.Store = &dies{whole, 1}
		done, err := w.Recover(t.Context(), recovery)
		if !errors.Is(err, errGone) || done.Accounts != 1 {
			t.Errorf("%+v, %v", done, err)
		}
		w.Store = whole
		entries := func() int {
			events, err := w.Store.ListEvents(t.Context(), userstore.EventQuery{Name: audit.StoreRecovered, Limit: 5})
			if err != nil {
				t.Fatal(err)
			}
			return len(events)
		}
		if n := entries(); n != 0 {
			t.Errorf("%d entries of a recovery that was not done", n)
		}
		done, err = w.Recover(t.Context(), recovery)
		if err != nil || done.Accounts != 2 || done.WithoutFactor != 0 || len(done.Apps) != 2 || len(done.OnlyApps) != 2 {
			t.Errorf("%+v, %v", done, err)
		}
		if n := entries(); n != 1 {
			t.Errorf("%d entries", n)
		}
		for _, id := range []string{first.ID, second.ID} {
			if u := w.read(t, id); !u.SecondFactor {
				t.Errorf("%s: the password alone lets in", u.Email)
			}
		}
	})
}

func TestF35RecoverReachesEveryAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.alice(t)
		_, session, err := w.login(t, "alice@x.test", password)
		if err != nil {
			t.Fatal(err)
		}
		var others []userstore.User
		for n := range 1100 { // several pages, and more than one of them full
			name := fmt.Sprintf("%04d@x.test", n)
			others = append(others, userstore.User{ID: newID(), Email: name, EmailKey: name, IsActive: n%2 == 0,
				CreatedAt: w.now, UpdatedAt: w.now})
		}
		if taken, err := w.Store.CreateUsers(t.Context(), others, nil); err != nil || len(taken) > 0 {
			t.Fatalf("%v, %v", taken, err)
		}
		var told []int64
		done, err := w.Recover(t.Context(), userstore.Recovery{Restored: true, Reason: "restored",
			Report: func(n int64) { told = append(told, n) }})
		if err != nil || done.Accounts != 1101 || done.WithoutFactor != 1101 || len(done.Apps) != 0 {
			t.Errorf("%+v, %v", done, err)
		}
		if len(told) != 1101 || !slices.IsSorted(told) || told[0] != 1 {
			t.Errorf("told %d times, first %d", len(told), told[0])
		}
		if w.live(t, session) {
			t.Error("the session lives on")
		}
		if _, _, err := w.login(t, "alice@x.test", password); err != nil {
			t.Errorf("the next login: %v", err)
		}
		events, err := w.Store.ListEvents(t.Context(), userstore.EventQuery{Name: audit.StoreRecovered, Limit: 5})
		if err != nil || len(events) != 1 || events[0].Reason != "restored" ||
			!slices.Equal(events[0].Changes, []audit.Change{{Field: "accounts", After: "1101"}}) {
			t.Errorf("%+v, %v", events, err)
		}
	})
}

// After a recovery no place in the status lists is given to a second grant, and what was revoked stays
// revoked: a restored store does not know the places that it gave away, or revoked, since its backup.
func TestF35RecoverKeepsPlacesRevoked(t *testing.T) {
	for _, restored := range []bool{true, false} {
		onBoth(t, func(t *testing.T, w *world) {
			place := func() int64 {
				t.Helper()
				p, err := w.Store.ReservePlaces(t.Context(), 1)
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			revoked := func(p int64) bool {
				t.Helper()
				places, err := w.Store.RevokedPlaces(t.Context(), p, p)
				if err != nil {
					t.Fatal(err)
				}
				return p < places.CutoffIndex || slices.Contains(places.Ended, p)
			}
			grant := func(u userstore.User) userstore.Grant {
				t.Helper()
				g := userstore.Grant{ID: userstore.GrantID([]byte(newID())[:16]), SessionID: newID(), UserID: u.ID,
					ClientID: userstore.FirstPartyClientID, Generation: 1, CreatedAt: w.now, RotatedAt: w.now,
					ExpiresAt: w.now.Add(time.Hour), StatusIndex: place()}
				if err := w.Store.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash}); err != nil {
					t.Fatal(err)
				}
				return g
			}
			u := w.read(t, w.alice(t).ID)
			ended, live := grant(u), grant(u)
			if err := w.Store.RevokeGrant(t.Context(), ended.ID, w.now); err != nil {
				t.Fatal(err)
			}
			forgotten := live.StatusIndex + 1_000_000
			for range 2 { // the second one is begun again
				_, err := w.Recover(t.Context(), userstore.Recovery{Restored: restored, Reason: "why", Report: func(int64) {}})
				if err != nil {
					t.Fatal(err)
				}
			}
			for what, p := range map[string]int64{"revoked before": ended.StatusIndex, "live before": live.StatusIndex} {
				if !revoked(p) {
					t.Errorf("the place of a grant that was %s is not revoked", what)
				}
			}
			next := place()
			if revoked(next) {
				t.Error("the next place is revoked")
			}
			if known := revoked(forgotten) && next > forgotten; known != restored {
				t.Errorf("restored %v: the place %d is given away next, after one that the store forgot: %d", restored, next, forgotten)
			}
		})
	}
}
