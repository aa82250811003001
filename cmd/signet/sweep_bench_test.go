package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkExpiredRowsAreRemovedWhileServing fills a durable store with expired rows of every kind
// and measures refreshes and logins with and without the sweeper, in turns of some seconds, so that
// changes in the machine's load affect both. Requests come at a constant rate, whether or not
// earlier ones were answered, and their latency is counted from the time at which they came.
//
// EXPIRED is the number of rows, 200,000 unless it says otherwise, and RATE that of requests in a
// second; SWEEP ends the sweeping after so many seconds even if rows are left; b.N does not count.
// The metrics are the 99th percentile in milliseconds without the sweeper and with it, their ratio,
// and the rows removed in a second of sweeping.
func BenchmarkExpiredRowsAreRemovedWhileServing(b *testing.B) {
	rows, rate := fromEnvironment(b, "EXPIRED", 200_000), fromEnvironment(b, "RATE", 200)
	limit := time.Duration(fromEnvironment(b, "SWEEP", 24*3600)) * time.Second
	b.Run("postgres", func(b *testing.B) {
		url := pgtest.Start(b, pgtest.Options{Durable: true}).URL(b)
		removeWhileServing(b, url, rows, rate, limit)
	})
	b.Run("sqlite", func(b *testing.B) { removeWhileServing(b, sqltest.SQLitePath(b), rows, rate, limit) })
}

func fromEnvironment(b *testing.B, name string, otherwise int) int {
	text, ok := os.LookupEnv(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	return n
}

func removeWhileServing(b *testing.B, url string, rows, rate int, limit time.Duration) {
	const turn = 3 * time.Second
	ctx := b.Context()
	db, err := sqlstore.Open(ctx, url, sqlstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil {
		b.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	begin := time.Now()
	all := 0
	for _, n := range sqltest.Expired(b, url, now, rows) {
		all += n
	}
	b.Logf("%d expired rows, made in %s", all, time.Since(begin).Round(time.Second))
	load := newLoad(b, db, now)

	load.run(2*turn, rate) // connections and caches
	var without, with []time.Duration
	without = append(without, load.run(4*turn, rate)...)
	before := percentile(without, 99)

	// The sweeper asks for the time before each batch, and gets no answer while it has to wait.
	var gate sync.RWMutex
	gate.Lock()
	swept := make(chan struct{})
	sweeper, stop := context.WithCancel(ctx)
	defer stop()
	kinds := allKinds(db, 30*24*time.Hour, slog.New(slog.NewTextHandler(b.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	go func() {
		defer close(swept)
		_ = paceOf(db).sweepKinds(sweeper, func(context.Context) (time.Time, error) {
			gate.RLock()
			defer gate.RUnlock()
			return now, nil
		}, kinds...)
	}()
	var sweeping time.Duration
	for ended := false; !ended; {
		start := time.Now()
		gate.Unlock()
		latencies := load.runUntil(turn, rate, swept)
		select {
		case <-swept:
			ended = true
		default:
			gate.Lock()
		}
		if sweeping += time.Since(start); sweeping > limit {
			stop()
		}
		with = append(with, latencies...)
		if !ended {
			without = append(without, load.run(turn, rate)...)
		}
	}
	removed := 0
	for _, k := range kinds {
		removed += k.removed
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(before), "ms-p99-before")
	b.ReportMetric(ms(percentile(without, 99)), "ms-p99-without")
	b.ReportMetric(ms(percentile(with, 99)), "ms-p99-with")
	b.ReportMetric(ms(percentile(without, 50)), "ms-p50-without")
	b.ReportMetric(ms(percentile(with, 50)), "ms-p50-with")
	b.ReportMetric(ms(percentile(with, 99))/ms(percentile(without, 99)), "p99-ratio")
	b.ReportMetric(float64(removed)/sweeping.Seconds(), "rows/s")
	b.ReportMetric(float64(load.failed.Load()), "failed")
	b.Logf("%d requests with the sweeper and %d without; %d of %d rows removed in %s", len(with), len(without), removed, all, sweeping.Round(time.Second))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func percentile(latencies []time.Duration, p int) time.Duration {
	if len(latencies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(latencies))
	return sorted[len(sorted)*p/100]
}

// load sends refreshes, and a login for each ten of them, to a store.
type load struct {
	db     *sqlstore.DB
	now    time.Time
	users  []userstore.User
	grants []*struct {
		sync.Mutex
		id         userstore.GrantID
		generation int64
	}
	next, failed atomic.Int64
}

func newLoad(b *testing.B, db *sqlstore.DB, now time.Time) *load {
	l := &load{db: db, now: now}
	for range 200 {
		u := userstore.User{ID: server.NewID(), PasswordHash: "$", IsActive: true, CreatedAt: now, UpdatedAt: now, Version: 1}
		u.Email, u.EmailKey = u.ID+"@x.test", u.ID+"@x.test"
		if err := db.CreateUser(b.Context(), u); err != nil {
			b.Fatal(err)
		}
		l.users = append(l.users, u)
		for range 5 {
			g := l.grant(u)
			if err := db.StartGrant(b.Context(), userstore.StartGrant{Grant: g, PasswordHash: "$"}); err != nil {
				b.Fatal(err)
			}
			l.grants = append(l.grants, &struct {
				sync.Mutex
				id         userstore.GrantID
				generation int64
			}{id: g.ID, generation: 1})
		}
	}
	return l
}

func (l *load) grant(u userstore.User) userstore.Grant {
	return userstore.Grant{ID: server.NewGrantID(), SessionID: server.NewID(), UserID: u.ID, ClientID: userstore.FirstPartyClientID,
		Scopes: []string{"openid"}, AMR: []string{"pwd"}, Generation: 1, CreatedAt: l.now, AuthTime: l.now, RotatedAt: l.now,
		ExpiresAt: l.now.Add(720 * time.Hour)}
}

func (l *load) run(d time.Duration, rate int) []time.Duration { return l.runUntil(d, rate, nil) }

// runUntil sends requests for d, or until ended is closed, and returns the latency of each.
func (l *load) runUntil(d time.Duration, rate int, ended <-chan struct{}) []time.Duration {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	end := time.After(d)
	var mu sync.Mutex
	var latencies []time.Duration
	var running sync.WaitGroup
	for {
		select {
		case <-end:
			running.Wait()
			return latencies
		case <-ended:
			running.Wait()
			return latencies
		case came := <-tick.C:
			n := l.next.Add(1)
			running.Go(func() {
				var err error
				if n%11 == 0 {
					err = l.login(l.users[int(n/11)%len(l.users)])
				} else {
					err = l.refresh(int(n) % len(l.grants))
				}
				if err != nil {
					l.failed.Add(1)
				}
				mu.Lock()
				defer mu.Unlock()
				latencies = append(latencies, time.Since(came))
			})
		}
	}
}

func (l *load) refresh(i int) error {
	g := l.grants[i]
	g.Lock()
	defer g.Unlock()
	_, err := l.db.AdvanceGrant(context.Background(), userstore.Advance{ID: g.id, Generation: g.generation,
		ClientID: userstore.FirstPartyClientID, FirstParty: true, Now: l.now, IdleSince: l.now.Add(-time.Hour)})
	if err == nil {
		g.generation++
	}
	return err
}

func (l *load) login(u userstore.User) error {
	ctx := context.Background()
	if _, _, _, err := l.db.LoginView(ctx, userstore.Login{EmailKey: u.EmailKey}, userstore.FirstPartyClientID); err != nil {
		return err
	}
	r := userstore.Reserve{Attempt: userstore.Attempt{At: l.now}, NetworkLimit: userstore.Limit{Free: 100, Window: time.Hour},
		PendingUntil: l.now.Add(time.Minute)}
	rand.Read(r.ID[:])
	rand.Read(r.Network[:])
	if err := l.db.ReserveAttempt(ctx, r); err != nil {
		return err
	}
	return l.db.StartGrant(ctx, userstore.StartGrant{Grant: l.grant(u), PasswordHash: "$", Attempt: r.Attempt,
		Remember: l.now.Add(2160 * time.Hour)})
}
