//go:build unix

package sqlstore_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkSizes measures what a row of each kind takes on each engine, indexes included: 20,000 are
// stored by the methods that the server stores them by, and the growth of the database is divided.
// bytes is the growth as it comes (on PostgreSQL after VACUUM, which its servers run by themselves);
// packed-bytes is that of a copy without free room, as VACUUM makes it on SQLite and VACUUM FULL on
// PostgreSQL. docs/deployment.md has the figures and the command. b.N does not count.
func BenchmarkSizes(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { storedSizes(b, sqltest.SQLitePath(b), sqlitePacked) })
	b.Run("postgres", func(b *testing.B) { storedSizes(b, sqltest.PostgresURL(b), postgresPacked) })
}

const sizedRows = 20_000

// sizedKinds are the kinds of rows, in an order in which each finds what it belongs to. Row n is
// that of user n. Between two rounds, which begin with 1, PostgreSQL's free room is found by VACUUM.
var sizedKinds = []struct {
	name   string
	rounds int
	store  func(ctx context.Context, db *sqlstore.DB, n, round int) error
}{
	{"account", 1, func(ctx context.Context, db *sqlstore.DB, n, _ int) error {
		return db.CreateUser(ctx, sizedUser(n))
	}},
	{"audit-entry", 1, func(ctx context.Context, db *sqlstore.DB, n, _ int) error {
		id := sizedUser(n).ID
		return db.Record(ctx, audit.Event{At: time.Now(), Name: audit.LoginSucceeded, Outcome: audit.Success,
			Actor: audit.Actor{Type: audit.ByUser, ID: id}, Target: audit.User(id),
			ClientID: userstore.FirstPartyClientID, SessionID: random(16), Address: "203.0.113.7", UserAgent: sizedAgent,
			RequestID: random(16)})
	}},
	{"browser-session", 1, func(ctx context.Context, db *sqlstore.DB, n, _ int) error {
		at := time.Now()
		s := userstore.BrowserSession{ID: random(16), UserID: sizedUser(n).ID,
			Proved:   []userstore.ProvedFactor{{Factor: userstore.FactorPassword, At: at}},
			AuthTime: at, AMR: []string{"pwd"}, ACR: "1", CreatedAt: at, LastUsedAt: at, ExpiresAt: at.AddDate(0, 1, 0),
			UserAgent: sizedAgent, Address: "203.0.113.7"}
		rand.Read(s.Hash[:])
		return db.StartSession(ctx, userstore.StartSession{Session: s, PasswordHash: sizedHash})
	}},
	{"grant", 1, func(ctx context.Context, db *sqlstore.DB, n, _ int) error {
		return db.StartGrant(ctx, userstore.StartGrant{Grant: sizedGrant(n), PasswordHash: sizedHash})
	}},
	{"refreshed-ten-times", 10, func(ctx context.Context, db *sqlstore.DB, n, round int) error {
		at := time.Now()
		_, err := db.AdvanceGrant(ctx, userstore.Advance{ID: sizedGrant(n).ID, Generation: int64(round), FirstParty: true,
			ClientID: userstore.FirstPartyClientID, Now: at, IdleSince: at.Add(-time.Hour)})
		return err
	}},
}

// What people's browsers and accounts have, in its usual lengths.
const (
	sizedAgent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 " +
		"(KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
	sizedHash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdCBvZiAxNiBieXRl$aGFzaCBvZiAzMiBieXRlcyBpbiBiYXNlNjQgdGV4dC4"
)

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// spread returns bytes that n decides, in no order, as random ids have none.
func spread(n, length int) []byte {
	id := make([]byte, length)
	x := uint64(n) + 1
	for i := range id {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		id[i] = byte(x >> 24)
	}
	return id
}

func sizedUser(n int) userstore.User {
	email, at := fmt.Sprintf("%s.%d@example.com", hex.EncodeToString(spread(n, 5)), n), time.Now()
	return userstore.User{ID: base64.RawURLEncoding.EncodeToString(spread(n, 16)), Email: email, EmailKey: email,
		EmailVerified: true, PasswordHash: sizedHash, IsActive: true, CreatedAt: at, UpdatedAt: at, Version: 1,
		Claims: userstore.Claims{Name: "Augusta Ada King"}}
}

func sizedGrant(n int) userstore.Grant {
	at := time.Now()
	g := userstore.Grant{SessionID: random(16), UserID: sizedUser(n).ID, ClientID: userstore.FirstPartyClientID,
		Scopes: []string{"openid", "profile", "email"}, AMR: []string{"pwd"}, ACR: "1", AuthTime: at, Generation: 1,
		RotatedAt: at, CreatedAt: at, ExpiresAt: at.AddDate(0, 1, 0), UserAgent: sizedAgent, Address: "203.0.113.7"}
	copy(g.ID[:], spread(n+sizedRows, len(g.ID)))
	return g
}

// storedSizes stores the rows of each kind and reports what they took.
func storedSizes(b *testing.B, url string, packedSize func(testing.TB, string) int64) {
	size, packed := storeSize(b, url), packedSize(b, url)
	for _, kind := range sizedKinds {
		b.Run(kind.name, func(b *testing.B) {
			now := size
			for round := range kind.rounds {
				storeRows(b, url, func(ctx context.Context, db *sqlstore.DB, n int) error {
					return kind.store(ctx, db, n, round+1)
				})
				now = storeSize(b, url)
			}
			size = reportGrowth(b, "bytes", size, now)
			packed = reportGrowth(b, "packed-bytes", packed, packedSize(b, url))
			b.ReportMetric(0, "ns/op")
		})
	}
}

// storeRows stores a row of each user, on eight connections.
func storeRows(b *testing.B, url string, store func(ctx context.Context, db *sqlstore.DB, n int) error) {
	db, err := sqlstore.Open(b.Context(), url, sqlstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := int(next.Add(1)); n <= sizedRows; n = int(next.Add(1)) {
				if err := store(b.Context(), db, n); err != nil {
					b.Errorf("%d: %v", n, err)
					return
				}
			}
		})
	}
	all.Wait()
	indexNames(b, db) // as a server does a little later
}

// reportGrowth reports the growth for each row, and returns the size that there is now.
func reportGrowth(b *testing.B, name string, before, now int64) int64 {
	b.ReportMetric(float64(now-before)/sizedRows, name)
	return now
}

// sqlitePacked returns the size of a copy of a database file that has no free pages.
func sqlitePacked(tb testing.TB, path string) int64 {
	tb.Helper()
	to := filepath.Join(tb.TempDir(), "packed.db")
	if _, err := raw(tb, path).Exec(`VACUUM INTO '` + to + `'`); err != nil {
		tb.Fatal(err)
	}
	info, err := os.Stat(to)
	if err != nil {
		tb.Fatal(err)
	}
	return info.Size()
}

// postgresPacked returns the size of a copy of a database after VACUUM FULL. Nobody may use the
// database meanwhile.
func postgresPacked(tb testing.TB, url string) int64 {
	tb.Helper()
	admin := session(tb, url)
	defer admin.Close(tb.Context())
	copied := "packed_" + strings.ToLower(rand.Text())
	psql(tb, admin, `CREATE DATABASE `+copied+` TEMPLATE `+
		pgx.Identifier{one[string](tb, admin, `SELECT current_database()`)}.Sanitize())
	defer psql(tb, admin, `DROP DATABASE `+copied)
	there, err := pgx.ParseConfig(url)
	if err != nil {
		tb.Fatal(err)
	}
	there.Database = copied
	conn, err := pgx.ConnectConfig(tb.Context(), there)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(tb.Context())
	psql(tb, conn, `VACUUM FULL`)
	return postgresSize(tb, conn)
}
