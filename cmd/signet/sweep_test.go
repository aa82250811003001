package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// sweeping counts the calls of the store's methods that remove expired rows.
type sweeping struct {
	userstore.Store
	calls map[string]int
}

func (s sweeping) note(name string) (int, error) { s.calls[name]++; return 1, nil }

func (s sweeping) RemoveExpired(context.Context, time.Time, int) (int, error) {
	return s.note("RemoveExpired")
}

func (s sweeping) RemoveExpiredAttempts(context.Context, time.Time, int) (int, error) {
	return s.note("RemoveExpiredAttempts")
}

func (s sweeping) RemoveEvents(context.Context, time.Time, int) (int, error) {
	return s.note("RemoveEvents")
}

func (s sweeping) RemoveExpiredCodes(context.Context, time.Time, int) (int, error) {
	return s.note("RemoveExpiredCodes")
}

func (s sweeping) RemoveExpiredTokens(context.Context, time.Time, int) (int, error) {
	return s.note("RemoveExpiredTokens")
}

func (s sweeping) RemoveSpentHandles(context.Context, time.Time, int) (int, error) {
	return s.note("RemoveSpentHandles")
}

func (s sweeping) RemoveRegistrationTokens(context.Context, time.Time, int) (int, error) {
	return s.note("RemoveRegistrationTokens")
}

func (s sweeping) RemoveExpiredAppSessions(context.Context, time.Time, int) (int, error) {
	return s.note("RemoveExpiredAppSessions")
}

func (s sweeping) RemovePlaces(context.Context, time.Time, int) (int, error) {
	return s.note("RemovePlaces")
}

func (s sweeping) TendEventMonths(_ context.Context, _, before time.Time) (time.Time, error) {
	_, _ = s.note("TendEventMonths")
	return before, nil
}

func (s sweeping) UnusedClients(context.Context, time.Time, int) ([]string, error) { return nil, nil }

// sweepOnce removes the rows of one kind. The first batch is of so many rows.
func sweepOnce(ctx context.Context, remove remover, now clock, batch int) (removed int, err error) {
	k := expiring{remove: remove, batch: batch}
	err = besideWriters.sweepKinds(ctx, now, &k)
	return k.removed, err
}

// A round of the sweeper calls each method of the store that removes rows by their time, so that no
// table grows for ever.
func TestARoundSweepsEveryKindOfRow(t *testing.T) {
	s := sweeping{calls: map[string]int{}}
	now := func(context.Context) (time.Time, error) { return time.Now(), nil }
	sweepAll(t.Context(), s, besideWriters, now, time.Hour, slog.New(slog.DiscardHandler))
	store := reflect.TypeFor[userstore.Store]()
	remove := reflect.TypeFor[func(context.Context, time.Time, int) (int, error)]()
	found := 0
	for i := range store.NumMethod() {
		if m := store.Method(i); m.Type == remove {
			found++
			if s.calls[m.Name] != 1 {
				t.Errorf("%s was called %d times", m.Name, s.calls[m.Name])
			}
		}
	}
	if found < 8 || found+1 != len(s.calls) || s.calls["TendEventMonths"] != 1 {
		t.Errorf("%d methods that remove rows, and %v", found, s.calls)
	}
}

func TestSpentHandlesAndTrustedBrowsersAreSwept(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
		u := userstore.User{ID: server.NewID(), EmailKey: "a@example.com", PasswordHash: "$", IsActive: true, CreatedAt: now}
		if err := db.CreateUser(ctx, u); err != nil {
			t.Fatal(err)
		}
		login := func(name byte, ends time.Time) userstore.StartSession {
			hash := userstore.SessionHash{name}
			return userstore.StartSession{PasswordHash: "$", Session: userstore.BrowserSession{Hash: hash, ID: server.NewID(),
				UserID: u.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}, Second: userstore.SecondStep{Proved: true,
				Use:   userstore.FactorUse{Handles: []userstore.Handle{{ID: string(name), EndsAt: ends}}},
				Trust: &userstore.NewTrust{Hash: hash, ID: server.NewID(), EndsAt: ends}}}
		}
		for i, ends := range []time.Time{now.Add(-time.Second), now.Add(time.Hour)} {
			if err := db.StartSession(ctx, login('a'+byte(i), ends)); err != nil {
				t.Fatal(err)
			}
		}
		var log bytes.Buffer
		clock := func(context.Context) (time.Time, error) { return now, nil }
		sweepAll(ctx, db, paceOf(db), clock, time.Hour, slog.New(slog.NewTextHandler(&log, nil)))
		if !strings.Contains(log.String(), "spent_handles_and_trusted_browsers=2") {
			t.Errorf("log: %s", log.String())
		}
		for i, want := range []error{nil, userstore.ErrSpent} {
			err := db.UseFactor(ctx, u.ID, 0, userstore.FactorUse{Handles: []userstore.Handle{{ID: string(rune('a' + i)), EndsAt: now}}})
			if !errors.Is(err, want) {
				t.Errorf("handle %d after the sweep: %v, want %v", i, err, want)
			}
		}
		list, err := db.ListTrustedBrowsers(ctx, u.ID, now.Add(-time.Hour))
		if err != nil || len(list) != 1 {
			t.Errorf("%d trusted browsers are left, %v", len(list), err)
		}
	})
}

// A batch that only waited for its turn is no large one, and its pause is not long.
func TestABatchThatWaitedForItsTurnIsNotMadeSmaller(t *testing.T) {
	now := func(context.Context) (time.Time, error) { return time.Now(), nil }
	for name, c := range map[string]struct {
		waits time.Duration // for each batch
		large bool
	}{
		"its own work": {0, true},
		"its waiting":  {time.Minute, false},
	} {
		var waited time.Duration
		p := oneWriter
		p.waited = func() time.Duration { return waited }
		k := expiring{batch: 100, remove: func(_ context.Context, _ time.Time, limit int) (int, error) {
			time.Sleep(5 * p.batchTakes)
			waited += c.waits
			return limit, nil
		}}
		took, err := p.removeBatch(t.Context(), now, &k)
		if err != nil || (k.batch < 100) != c.large || (took >= 5*p.batchTakes) != c.large {
			t.Errorf("%s: took %s, then %d rows, %v", name, took, k.batch, err)
		}
	}
}
