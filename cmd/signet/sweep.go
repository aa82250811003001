package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// remover removes at most limit rows that have expired at an instant, and tells how many.
type remover = func(ctx context.Context, now time.Time, limit int) (removed int, err error)

// sweep removes expired rows from time to time while requests are served. Replicas start at
// different times, so their sweeps rarely coincide; if they do, each row is still removed once.
//
// A row has expired only if it has expired by both clocks, the database's and this replica's: a
// clock that runs ahead must not delete live rows.
func sweep(
	ctx context.Context, db userstore.Store, p pace, ready func() error, retention time.Duration, log *slog.Logger,
) {
	now := earlierOf(db.Now, time.Now)
	if err := tendEvents(ctx, db, now); err != nil && ctx.Err() == nil {
		log.Warn("the audit log has no table for the months to come; the next round tries again", "error", err)
	}
	for pause(ctx, 5*time.Minute) {
		if ready() == nil {
			sweepAll(ctx, db, p, now, retention, log)
		}
	}
}

// tendEvents makes the months of the audit log to come, where it is kept by months.
func tendEvents(ctx context.Context, db userstore.Store, now clock) error {
	at, err := now(ctx)
	if err == nil {
		_, err = db.TendEventMonths(ctx, at, time.Time{})
	}
	return err
}

// pace is how much of a store's time the sweeper takes.
type pace struct {
	// A batch grows or shrinks until it takes about so long: a request hardly waits longer for the
	// store than that, and a store whose statements take longer slows the sweeper down.
	batchTakes time.Duration
	// waited is how long batches have waited for their turn, but for those that also write what is
	// synced. That is not the batch's doing: a store with one writer that is busy day and night
	// would else be swept by two rows at a time. nil: a batch waits for nobody.
	waited             func() time.Duration
	first, least, most int // how many rows a batch removes at most
	// A pause is rest times as long as the batch before it, so that however much there is to
	// remove, most of the store's time is left to requests; and longestRest at most.
	rest, longestRest time.Duration
}

var (
	besideWriters = pace{
		batchTakes: 8 * time.Millisecond, first: 100, least: 50, most: 2000, rest: 4, longestRest: 100 * time.Millisecond,
	}
	// Of SQLite's writes one runs at a time: each request that comes meanwhile waits for the batch.
	// A kind that takes several statements for a batch, or a commit for each row, removes few rows
	// at a time.
	oneWriter = pace{batchTakes: time.Millisecond, first: 10, least: 2, most: 2000, rest: 30, longestRest: time.Second}
)

func paceOf(db *sqlstore.DB) pace {
	if db.Engine() != "sqlite" {
		return besideWriters
	}
	p := oneWriter
	p.waited = db.SweepsWaited
	return p
}

// expiring is a kind of rows that expire.
type expiring struct {
	name    string
	remove  remover
	batch   int // how many rows the next batch removes at most; 0 before the first one
	removed int
	done    bool // a batch found fewer rows than it could have removed, or failed
}

// allKinds returns every kind of rows that expire.
func allKinds(db userstore.Store, retention time.Duration, log *slog.Logger) []*expiring {
	return []*expiring{
		{name: "grants", remove: db.RemoveExpired},
		{name: "attempts", remove: db.RemoveExpiredAttempts},
		{name: "events", remove: removeOldEvents(db, retention)},
		{name: "codes_and_sessions", remove: db.RemoveExpiredCodes},
		{name: "one_time_tokens", remove: db.RemoveExpiredTokens},
		{name: "app_sessions", remove: db.RemoveExpiredAppSessions},
		{name: "spent_handles_and_trusted_browsers", remove: db.RemoveSpentHandles},
		{name: "unused_clients", remove: removeUnusedClients(db, log)},
		{name: "registration_tokens", remove: db.RemoveRegistrationTokens},
		{name: "status_places", remove: db.RemovePlaces},
	}
}

// sweepAll removes what has expired of every kind, a batch of each in turn, so that no kind waits
// for another one of which there is much.
func sweepAll(
	ctx context.Context, db userstore.Store, p pace, now clock, retention time.Duration, log *slog.Logger,
) {
	kinds := allKinds(db, retention, log)
	err := p.sweepKinds(ctx, now, kinds...)
	var counts []any
	found := false
	for _, k := range kinds {
		counts, found = append(counts, k.name, k.removed), found || k.removed > 0
	}
	if found {
		log.Info("expired rows removed", counts...)
	}
	if err != nil && ctx.Err() == nil {
		log.Warn("expired rows could not be removed; the next round tries again", "error", err)
	}
}

// removeOldEvents returns a function that removes audit entries older than retention. With
// retention 0 it removes none. What is kept by months goes by months, so that an entry stays up to
// a month longer, unless the retention is so short that this would be much.
func removeOldEvents(db userstore.Store, retention time.Duration) remover {
	const short = 90 * 24 * time.Hour
	var begin, rest time.Time // the months are looked at once, not for each batch
	return func(ctx context.Context, now time.Time, limit int) (int, error) {
		if begin.IsZero() {
			var before time.Time
			if retention > 0 {
				before = now.Add(-retention)
			}
			end, err := db.TendEventMonths(ctx, now, before)
			if err != nil {
				return 0, err
			}
			begin, rest = now, end
			if retention < short {
				rest = before
			}
		}
		if retention <= 0 {
			return 0, nil
		}
		return db.RemoveEvents(ctx, rest, limit)
	}
}

// removeUnusedClients returns a function that deletes clients that registered themselves and were
// never used.
func removeUnusedClients(db userstore.Store, log *slog.Logger) remover {
	return func(ctx context.Context, now time.Time, limit int) (int, error) {
		return registration.RemoveUnused(ctx, db, log, now, limit)
	}
}

// sweepKinds removes rows in small batches with pauses in between until there are none, or ctx
// ends. A kind whose rows cannot be removed does not keep the others from being removed.
func (p pace) sweepKinds(ctx context.Context, now clock, kinds ...*expiring) error {
	var errs []error
	for left := true; left; {
		left = false
		for _, k := range kinds {
			if k.done {
				continue
			}
			took, err := p.removeBatch(ctx, now, k)
			if err != nil {
				k.done = true
				errs = append(errs, err)
				continue
			}
			left = left || !k.done
			if !k.done && !pause(ctx, min(p.rest*max(took, time.Millisecond), p.longestRest)) {
				return errors.Join(errs...)
			}
		}
	}
	return errors.Join(errs...)
}

// removeBatch removes one batch, and makes the next one smaller or larger by how long that took.
func (p pace) removeBatch(ctx context.Context, now clock, k *expiring) (took time.Duration, err error) {
	at, err := now(ctx)
	if err != nil {
		return 0, err
	}
	if k.batch == 0 {
		k.batch = p.first
	}
	begin, waited := time.Now(), p.waits()
	n, err := k.remove(ctx, at, k.batch)
	took = max(time.Since(begin)-(p.waits()-waited), 0)
	k.removed += n
	k.done = n < k.batch
	switch {
	case took > p.batchTakes:
		k.batch = max(k.batch/2, min(k.batch, p.least))
	case took < p.batchTakes/2:
		k.batch = min(k.batch*3/2+1, p.most)
	}
	return took, err
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

func (p pace) waits() time.Duration {
	if p.waited == nil {
		return 0
	}
	return p.waited()
}
