package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// remover removes at most limit rows that have expired at an instant, and tells how many.
type remover = func(ctx context.Context, now time.Time, limit int) (removed int, err error)

// sweep removes expired rows from time to time while requests are served. Replicas start at
// different times, so their sweeps rarely coincide; if they do, each row is still removed once.
//
// A row has expired only if it has expired by both clocks, the database's and this replica's: a
// clock that runs ahead must not delete live rows.
func sweep(ctx context.Context, db userstore.Store, ready func() error, retention time.Duration, log *slog.Logger) {
	now := earlierOf(db.Now, time.Now)
	for pause(ctx, 5*time.Minute) {
		if ready() == nil {
			sweepAll(ctx, db, now, retention, log)
		}
	}
}

// sweepAll removes what has expired of every kind.
func sweepAll(ctx context.Context, db userstore.Store, now clock, retention time.Duration, log *slog.Logger) {
	var counts []any
	var errs []error
	found := false
	for _, kind := range []struct {
		name   string
		remove remover
	}{
		{"grants", db.RemoveExpired},
		{"attempts", db.RemoveExpiredAttempts},
		{"events", removeOldEvents(db, retention)},
		{"codes_and_sessions", db.RemoveExpiredCodes},
		{"one_time_tokens", db.RemoveExpiredTokens},
		{"app_sessions", db.RemoveExpiredAppSessions},
		{"spent_handles_and_trusted_browsers", db.RemoveSpentHandles},
		{"unused_clients", removeUnusedClients(db, log)},
		{"registration_tokens", db.RemoveRegistrationTokens},
	} {
		removed, err := sweepOnce(ctx, kind.remove, now, 200)
		counts, errs, found = append(counts, kind.name, removed), append(errs, err), found || removed > 0
	}
	if found {
		log.Info("expired rows removed", counts...)
	}
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		log.Warn("expired rows could not be removed; the next round tries again", "error", err)
	}
}

// removeOldEvents returns a function that removes audit entries older than retention. With
// retention 0 it removes none.
func removeOldEvents(db userstore.Store, retention time.Duration) remover {
	return func(ctx context.Context, now time.Time, limit int) (int, error) {
		if retention <= 0 {
			return 0, nil
		}
		return db.RemoveEvents(ctx, now.Add(-retention), limit)
	}
}

// removeUnusedClients returns a function that deletes clients that registered themselves and were
// never used.
func removeUnusedClients(db userstore.Store, log *slog.Logger) remover {
	return func(ctx context.Context, now time.Time, limit int) (int, error) {
		return registration.RemoveUnused(ctx, db, log, now, limit)
	}
}

// sweepOnce removes rows in small batches with pauses in between, so that no request waits long for
// the store.
func sweepOnce(ctx context.Context, remove remover, now clock, batch int) (removed int, err error) {
	for {
		at, err := now(ctx)
		if err != nil {
			return removed, err
		}
		n, err := remove(ctx, at, batch)
		removed += n
		if err != nil || n < batch || !pause(ctx, 100*time.Millisecond) {
			return removed, err
		}
	}
}

// pause waits for about d, 20 % more or less. It returns false if ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d - d/5 + rand.N(d*2/5)):
		return true
	}
}
