package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

func (f *fixture) newRegistrationToken(uses int64) userstore.RegistrationToken {
	t := userstore.RegistrationToken{
		ID: id(), Note: "für <den> Laden", Uses: uses, UsesLeft: uses, CreatedAt: stored(f.now), ExpiresAt: stored(f.now.Add(time.Hour)),
	}
	_, _ = rand.Read(t.Hash[:])
	return t
}

func (f *fixture) registrationToken(t *testing.T, uses int64) userstore.RegistrationToken {
	t.Helper()
	token := f.newRegistrationToken(uses)
	must(t, f.CreateRegistrationToken(t.Context(), token))
	return token
}

// selfRegistered is a client that registered itself.
func (f *fixture) selfRegistered() userstore.Client {
	return userstore.Client{ID: id(), Kind: userstore.KindRegistered, RegistrationHash: "a hash", CreatedAt: stored(f.now),
		UpdatedAt: stored(f.now), UnusedUntil: stored(f.now.Add(time.Hour))}
}

func registrationTokens(t *testing.T, f *fixture) {
	ctx := t.Context()
	token := f.registrationToken(t, 2)
	got, err := f.RegistrationToken(ctx, token.Hash, f.now)
	must(t, err)
	equal(t, "registration token", got, token)
	for _, at := range []time.Time{token.ExpiresAt, token.ExpiresAt.Add(time.Hour)} {
		_, err = f.RegistrationToken(ctx, token.Hash, at)
		is(t, err, userstore.ErrNotFound)
	}
	_, err = f.RegistrationToken(ctx, f.newRegistrationToken(1).Hash, f.now)
	is(t, err, userstore.ErrNotFound)
	is(t, f.CreateRegistrationToken(ctx, userstore.RegistrationToken{ID: "a\x00"}), userstore.ErrInvalid)

	// A use is spent with the client that is stored, or not at all.
	c := f.selfRegistered()
	must(t, f.RegisterClient(ctx, c, token.Hash))
	stands, err := f.ClientByID(ctx, c.ID)
	must(t, err)
	c.Version = 1
	equal(t, "registered client", stands, c)
	existsIn(t, f.RegisterClient(ctx, c, token.Hash), "client_id")
	late := f.selfRegistered()
	late.CreatedAt = token.ExpiresAt
	is(t, f.RegisterClient(ctx, late, token.Hash), userstore.ErrConflict)
	is(t, f.RegisterClient(ctx, f.selfRegistered(), f.newRegistrationToken(1).Hash), userstore.ErrConflict)
	got, err = f.RegistrationToken(ctx, token.Hash, f.now)
	must(t, err)
	if got.UsesLeft != 1 {
		t.Errorf("%d uses are left", got.UsesLeft)
	}
	must(t, f.RegisterClient(ctx, f.selfRegistered(), token.Hash))
	is(t, f.RegisterClient(ctx, f.selfRegistered(), token.Hash), userstore.ErrConflict)
	_, err = f.RegistrationToken(ctx, token.Hash, f.now)
	is(t, err, userstore.ErrNotFound)

	must(t, f.DeleteRegistrationToken(ctx, token.ID))
	for _, gone := range []string{token.ID, "", "a\x00"} {
		is(t, f.DeleteRegistrationToken(ctx, gone), userstore.ErrNotFound)
	}
	_, err = f.ClientByID(ctx, c.ID)
	must(t, err)
}

func registrationTokenPages(t *testing.T, f *fixture) {
	ctx := t.Context()
	var want []string
	for n := range 5 {
		token := f.newRegistrationToken(1)
		token.ID = fmt.Sprint("t", n)
		if n > 2 { // the first three are of one instant
			token.CreatedAt = token.CreatedAt.Add(time.Second)
		}
		must(t, f.CreateRegistrationToken(ctx, token))
		want = append(want, token.ID)
	}
	var got []string
	var after *userstore.RegistrationToken
	for {
		page, err := f.ListRegistrationTokens(ctx, after, 2)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, token := range page {
			got = append(got, token.ID)
		}
		after = &page[len(page)-1]
	}
	equal(t, "ids", got, want)
	_, err := f.ListRegistrationTokens(ctx, nil, 0)
	is(t, err, userstore.ErrInvalid)

	for _, row := range []struct {
		now  time.Time
		want int
	}{{f.now.Add(time.Hour - time.Microsecond), 0}, {f.now.Add(time.Hour), 2}, {f.now.Add(time.Hour), 2}, {f.now.Add(time.Hour), 1}, {f.now.Add(time.Hour), 0}} {
		n, err := f.RemoveRegistrationTokens(ctx, row.now, 2)
		must(t, err)
		if n != row.want {
			t.Errorf("%d removed, want %d", n, row.want)
		}
	}
}

func unusedClients(t *testing.T, f *fixture) {
	ctx := t.Context()
	unused, used, edited := f.selfRegistered(), f.selfRegistered(), f.selfRegistered()
	for _, c := range []userstore.Client{unused, used, edited} {
		must(t, f.CreateClient(ctx, c))
	}
	f.pushed(t, unused.ID)
	must(t, f.UseAssertion(ctx, unused.ID, "jti", f.now, f.now.Add(time.Hour)))
	for range 2 {
		must(t, f.KeepClient(ctx, used.ID))
	}
	is(t, f.KeepClient(ctx, id()), userstore.ErrNotFound)
	is(t, f.KeepClient(ctx, "a\x00"), userstore.ErrNotFound)

	// A change keeps what is stored about use: it cannot make a used client expire.
	edited.Version, edited.UnusedUntil = 1, time.Time{}
	must(t, f.UpdateClient(ctx, edited))
	used.Version = 1
	must(t, f.UpdateClient(ctx, used))
	for _, c := range []userstore.Client{used, edited} {
		got, err := f.ClientByID(ctx, c.ID)
		must(t, err)
		if !got.UnusedUntil.IsZero() {
			t.Errorf("it expires at %s", got.UnusedUntil)
		}
	}

	end := unused.UnusedUntil
	ids, err := f.UnusedClients(ctx, end.Add(-time.Microsecond), 10)
	must(t, err)
	if len(ids) != 0 {
		t.Errorf("too early: %v", ids)
	}
	ids, err = f.UnusedClients(ctx, end, 10)
	must(t, err)
	equal(t, "ids", ids, []string{unused.ID})
	e := audit.Event{At: f.now, Name: audit.ClientDeleted, Outcome: audit.Success, Actor: audit.Actor{Type: audit.BySystem}}
	is(t, f.DeleteUnusedClient(ctx, unused.ID, end.Add(-time.Microsecond), e), userstore.ErrNotFound)
	for _, stays := range []string{used.ID, edited.ID, userstore.FirstPartyClientID, "a\x00"} {
		is(t, f.DeleteUnusedClient(ctx, stays, end.Add(time.Hour), e), userstore.ErrNotFound)
	}
	must(t, f.DeleteUnusedClient(ctx, unused.ID, end))
	is(t, f.DeleteUnusedClient(ctx, unused.ID, end, e), userstore.ErrNotFound)
	_, err = f.ClientByID(ctx, unused.ID)
	is(t, err, userstore.ErrNotFound)

	// The next client of this id inherits nothing.
	must(t, f.CreateClient(ctx, unused))
	must(t, f.UseAssertion(ctx, unused.ID, "jti", f.now, f.now.Add(time.Hour)))
}

// raceRegistrations: many clients register with one token at once; its uses bound them.
func raceRegistrations(t *testing.T, f *fixture) {
	const uses, tries = 4, 16
	token := f.registrationToken(t, uses)
	var made, refused atomic.Int64
	var wg sync.WaitGroup
	for range tries {
		wg.Go(func() {
			switch err := f.RegisterClient(t.Context(), f.selfRegistered(), token.Hash); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, userstore.ErrConflict):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != uses || refused.Load() != tries-uses {
		t.Errorf("%d registered, %d refused", made.Load(), refused.Load())
	}
}

// raceUnused: a client is used while several replicas delete it: it is kept, or gone for all.
func raceUnused(t *testing.T, f *fixture) {
	for range 8 {
		c := f.selfRegistered()
		must(t, f.CreateClient(t.Context(), c))
		var deleted atomic.Int64
		var kept error
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				err := f.DeleteUnusedClient(t.Context(), c.ID, c.UnusedUntil)
				if err == nil {
					deleted.Add(1)
				} else if !errors.Is(err, userstore.ErrNotFound) {
					t.Error(err)
				}
			})
		}
		wg.Go(func() { kept = f.KeepClient(t.Context(), c.ID) })
		wg.Wait()
		_, err := f.ClientByID(t.Context(), c.ID)
		switch {
		case kept == nil && err == nil && deleted.Load() == 0:
		case errors.Is(kept, userstore.ErrNotFound) && errors.Is(err, userstore.ErrNotFound) && deleted.Load() == 1:
		default:
			t.Errorf("kept: %v, read: %v, deleted %d times", kept, err, deleted.Load())
		}
	}
}
