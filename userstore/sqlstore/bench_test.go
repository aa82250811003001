//go:build unix

package sqlstore_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkRefreshPostgres measures AdvanceGrant against a bare one-row UPDATE through pgx. Both
// are durable and use 16 connections. They alternate every fraction of a second, so that changes in
// the machine's load affect both. vs-bare is the ratio of their rates.
func BenchmarkRefreshPostgres(b *testing.B) {
	const conns, rows = 16, 2000
	server := pgtest.Start(b, pgtest.Options{Durable: true})
	url := server.URL(b)
	db := open(b, url, sqlstore.Options{MaxConns: conns})
	if err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	admin := session(b, url)
	psql(b, admin,
		`INSERT INTO users SELECT 'user'||n, 'e'||n, 'e'||n, TRUE, '', '', '{}', '[]', TRUE, FALSE, 1, 1, 1, 0, '', 'h' FROM generate_series(1, 2000) n`,
		`CREATE TABLE bare (id BYTEA PRIMARY KEY, n BIGINT NOT NULL) WITH (fillfactor = 50)`)
	now := time.Now()
	grants := make([]userstore.Grant, rows)
	for i := range grants {
		g := &grants[i]
		binary.BigEndian.PutUint64(g.ID[8:], uint64(i)*0x9e3779b97f4a7c15)
		g.SessionID, g.UserID, g.ClientID = fmt.Sprintf("session-%016d", i), fmt.Sprint("user", i+1),
			userstore.FirstPartyClientID
		g.Scopes, g.AMR, g.Generation = []string{"openid", "profile", "email"}, []string{"pwd"}, 1
		g.CreatedAt, g.AuthTime, g.RotatedAt, g.ExpiresAt = now, now, now, now.Add(720*time.Hour)
		g.UserAgent, g.Address = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "203.0.113.7"
		if err := db.StartGrant(b.Context(), userstore.StartGrant{Grant: *g, PasswordHash: "h"}); err != nil {
			b.Fatal(err)
		}
	}
	psql(b, admin, `INSERT INTO bare SELECT id, 0 FROM grants`, `VACUUM ANALYZE`, `CHECKPOINT`)
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = conns
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()

	generations := make([]int64, rows)
	refresh := func(i int) error {
		v, err := db.AdvanceGrant(context.Background(), userstore.Advance{ID: grants[i].ID, Generation: generations[i] + 1,
			ClientID: grants[i].ClientID, FirstParty: true, Now: now, IdleSince: now.Add(-time.Hour)})
		generations[i] = v.Grant.Generation - 1
		return err
	}
	bare := func(i int) error {
		_, err := pool.Exec(context.Background(), `UPDATE bare SET n = n + 1 WHERE id = $1`, grants[i].ID[:])
		return err
	}
	// turn runs n operations in all on 16 workers, each with rows of its own.
	turn := func(n int, op func(int) error) time.Duration {
		var left atomic.Int64
		left.Store(int64(n))
		var all sync.WaitGroup
		start := time.Now()
		for w := range conns {
			all.Go(func() {
				for i := w; left.Add(-1) >= 0; i += conns {
					if err := op(i % (rows / conns * conns)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		return time.Since(start)
	}
	turn(2000, refresh)
	turn(2000, bare)
	b.ResetTimer()
	var refreshing, updating time.Duration
	const slice = 1000
	done := 0
	for ; done < b.N; done += slice {
		refreshing += turn(slice, refresh)
		updating += turn(slice, bare)
	}
	b.ReportMetric(float64(done)/refreshing.Seconds(), "refreshes/s")
	b.ReportMetric(float64(done)/updating.Seconds(), "bare-updates/s")
	b.ReportMetric(updating.Seconds()/refreshing.Seconds(), "vs-bare")
}

// BenchmarkRefreshSQLite measures durable refreshes by 16 callers on one file.
func BenchmarkRefreshSQLite(b *testing.B) {
	db := open(b, sqltest.SQLitePath(b), sqlstore.Options{})
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		_, g := create(b, db)
		for generation := int64(1); pb.Next(); generation++ {
			if _, err := db.AdvanceGrant(context.Background(), advance(g, generation)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refreshes/s")
}

// BenchmarkLogin measures the read, the reservation and the batch of a login, and a refused login:
// a reservation without room, and the read of when there is room again.
func BenchmarkLogin(b *testing.B) {
	server := pgtest.Start(b, pgtest.Options{Durable: true})
	postgres := open(b, server.URL(b), sqlstore.Options{})
	if err := postgres.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, db := range []*sqlstore.DB{postgres, open(b, sqltest.SQLitePath(b), sqlstore.Options{})} {
		u, _ := create(b, db)
		b.Run(db.Engine()+"/read", func(b *testing.B) {
			for b.Loop() {
				if _, _, _, err := db.LoginView(context.Background(), userstore.Login{EmailKey: u.EmailKey},
					userstore.FirstPartyClientID); err != nil {
					b.Fatal(err)
				}
			}
		})
		r := userstore.Reserve{Attempt: userstore.Attempt{At: now, Own: userstore.BudgetKey{1},
			Strangers: userstore.BudgetKey{2}, Network: userstore.BudgetKey{3}},
			OwnLimit: userstore.Limit{Free: 10, Window: time.Hour}, StrangersLimit: userstore.Limit{Free: 10, Window: time.Hour},
			NetworkLimit: userstore.Limit{Free: 100, Window: time.Hour}, PendingUntil: now.Add(time.Minute)}
		b.Run(db.Engine()+"/reserve and batch", func(b *testing.B) {
			for b.Loop() {
				rand.Read(r.ID[:])
				if err := db.ReserveAttempt(context.Background(), r); err != nil {
					b.Fatal(err)
				}
				if err := db.StartGrant(context.Background(), userstore.StartGrant{Grant: newGrant(u), PasswordHash: u.PasswordHash,
					Attempt: r.Attempt, Remember: now.Add(2160 * time.Hour)}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(db.Engine()+"/refused", func(b *testing.B) {
			r.Network = userstore.BudgetKey{4}
			for range 10 {
				rand.Read(r.ID[:])
				if err := db.ReserveAttempt(context.Background(), r); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				rand.Read(r.ID[:])
				if err := db.ReserveAttempt(context.Background(), r); !errors.Is(err, userstore.ErrConflict) {
					b.Fatal(err)
				}
				if _, err := db.Tallies(context.Background(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(db.Engine()+"/batch", func(b *testing.B) {
			for b.Loop() {
				if err := db.StartGrant(context.Background(),
					userstore.StartGrant{Grant: newGrant(u), PasswordHash: u.PasswordHash}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
