package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/signet-id/signet/userstore/sqlstore"
)

// logSearch warns where searches of admins have no trigrams: they find the same users, but take the
// longer the more users there are.
func logSearch(ctx context.Context, db *sqlstore.DB, log *slog.Logger) {
	trigrams, err := db.UserSearch(ctx)
	switch {
	case err != nil:
		log.Warn("it is unknown what serves searches for users", "error", err)
	case !trigrams && db.Engine() == "postgres":
		log.Warn("searches for users read the list of users, for the database has no index of trigrams: " +
			"unless `signet migrate up` is making it now, have an administrator run CREATE EXTENSION pg_trgm in it, " +
			"and then run that")
	case !trigrams:
		log.Info("searches for users read the list of users, until the names of all are indexed")
	}
}

// indexing is the pace at which names are indexed. A commit of few names costs nearly as much as
// one of many, and a request that writes waits for it.
var indexing = pace{
	batchTakes: 10 * time.Millisecond, first: 50, least: 20, most: 500, rest: 4, longestRest: 100 * time.Millisecond,
}

// indexNames indexes the names of new users from time to time, on SQLite, where the database does
// not do that by itself; and after a migration those of all users.
func indexNames(ctx context.Context, db *sqlstore.DB, ready func() error, log *slog.Logger) {
	if db.Engine() != "sqlite" {
		return
	}
	for {
		if ready() == nil {
			index := func(ctx context.Context, _ time.Time, limit int) (int, error) { return db.IndexNames(ctx, limit) }
			err := indexing.sweepKinds(ctx, db.Now, &expiring{remove: index})
			if err != nil && ctx.Err() == nil {
				log.Warn("the names of users could not be indexed for searches; the next round tries again",
					"error", err)
			}
		}
		if !pause(ctx, 5*time.Second) {
			return
		}
	}
}
