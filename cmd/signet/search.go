package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/signet-id/signet/userstore/sqlstore"
)

// logSearch says what serves the searches of admins: without trigrams they find the same users, but
// take the longer the more there are.
func logSearch(ctx context.Context, db *sqlstore.DB, log *slog.Logger) {
	trigrams, err := db.UserSearch(ctx)
	switch {
	case err != nil:
		log.Warn("it is unknown what serves searches for users", "error", err)
	case trigrams:
		log.Info("searches for users are served by trigrams")
	case db.Engine() == "postgres":
		log.Warn("searches for users read the list of users, for the database has no index of trigrams: have an administrator run " +
			"CREATE EXTENSION pg_trgm in it, and then run `signet migrate up`")
	default:
		log.Info("searches for users read the list of users, until the names of all are indexed")
	}
}

// indexNames indexes the names of new users from time to time, on SQLite, where that is not done by the
// database. It goes on with what a migration did not finish.
func indexNames(ctx context.Context, db *sqlstore.DB, ready func() error, log *slog.Logger) {
	if db.Engine() != "sqlite" {
		return
	}
	err := db.FillSearch(ctx)
	for {
		if err != nil && ctx.Err() == nil {
			log.Warn("the names of users could not be indexed for searches; the next round tries again", "error", err)
		}
		if !pause(ctx, 20*time.Second) {
			return
		}
		if err = ready(); err == nil {
			_, err = sweepOnce(ctx, func(ctx context.Context, _ time.Time, limit int) (int, error) {
				return db.IndexNames(ctx, limit)
			}, db.Now, leastBatch)
		}
	}
}
