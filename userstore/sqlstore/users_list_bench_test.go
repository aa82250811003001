//go:build unix

package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// BenchmarkUserLists fills a database of the schema before the indexes of searches with as many
// users as the variable SEARCH_USERS says, 100,000 if it says nothing, measures the lists of
// administrators, migrates, and measures them again. It prints a table; b.N does not count.
//
//	SEARCH_USERS=1000000 go test ./userstore/sqlstore -run '^$' -bench UserLists -benchtime 1x -timeout 0
func BenchmarkUserLists(b *testing.B) {
	users := fromEnvironment(b, "SEARCH_USERS", 100_000)
	b.Run("sqlite", func(b *testing.B) { userLists(b, filepath.Join(b.TempDir(), "signet.db"), users) })
	b.Run("postgres", func(b *testing.B) {
		userLists(b, pgtest.Start(b, largeServer).URL(b), users)
	})
}

// largeServer has room for many users.
var largeServer = pgtest.Options{Durable: true, Settings: []string{"shared_buffers=1GB", "max_wal_size=4GB"}}

// A user n of the benchmark: a name of two words and a number, an address that half of the users
// have at one domain, one in a thousand at another, and the last hundredth at late.test; a third
// are employees, one in a hundred an editor, ten in all auditors, and one in a hundred is disabled.
const (
	fillColumns = `INSERT INTO users (id, email, email_key, email_verified, username, username_key, claims, roles, is_active, is_staff,
		created_at, updated_at, version, last_login_at, last_session_id, password_hash) `
	fillValues = `SELECT 'user-' || n || '-' || (n * 7919 % 1000003), name || domain, name || domain, 1 = 1, name, name, '{"name":"Ada Lovelace","locale":"en"}',
		CASE WHEN n % (total / 10) = 7 THEN '["auditor"]' WHEN n % 100 = 3 THEN '["editor"]' WHEN n % 3 = 0 THEN '["employee"]' ELSE '[]' END,
		n % 100 <> 50, 1 = 0, 1700000000000000 + n * 1000000, 1700000000000000, 1, 0, '',
		'$argon2id$v=19$m=19456,t=2,p=1$c2FsdCBvZiAxNiBieXRl$aGFzaCBvZiAzMiBieXRlcyBpbiBiYXNlNjQgdGV4dC4'
		FROM (SELECT n, total, substr('adagracebarbaradonaldedsgermargaretalanjohnkatherinehedy', CAST(1 + n * 31 % 50 AS INT), 5) || '.' ||
			substr('lovelacehopperliskovknuthdijkstrahamiltonturingneumannjohnsonlamarr', CAST(1 + n * 17 % 60 AS INT), 6) || n AS name,
		CASE WHEN n > total - total / 100 THEN '@late.test' WHEN n % 2 = 0 THEN '@mail.test' ELSE '@company' || n % 1000 || '.test' END AS domain `
)

func fillUsers(b *testing.B, db *sqlstore.DB, url string, users int) {
	const batch = 100_000
	for from := 1; from <= users; from += batch {
		to := min(from+batch-1, users)
		numbers := fmt.Sprintf(`FROM (SELECT CAST(n AS BIGINT) AS n, CAST(%d AS BIGINT) AS total
			FROM generate_series(%d, %d) n) s) AS t`, users, from, to)
		if db.Engine() == "sqlite" {
			numbers = fmt.Sprintf(`FROM (WITH RECURSIVE s (n) AS (SELECT %d UNION ALL SELECT n + 1 FROM s WHERE n < %d)
				SELECT n, %d AS total FROM s)) AS t`, from, to, users)
			execute(b, raw(b, url), fillColumns+fillValues+numbers)
		} else {
			psql(b, session(b, url), fillColumns+fillValues+numbers)
		}
	}
	if db.Engine() == "postgres" {
		psql(b, session(b, url), `VACUUM ANALYZE users`)
	}
}

// measured is a line of the table.
type measured struct {
	name string
	took []time.Duration // before and after
}

func userLists(b *testing.B, url string, users int) {
	ctx := b.Context()
	db := open(b, url, sqlstore.Options{})
	if err := sqlstore.MigrateTo(ctx, db, 19); err != nil {
		b.Fatal(err)
	}
	fillUsers(b, db, url, users)
	middle := &userstore.User{CreatedAt: time.UnixMicro(1700000000000000 + int64(users/2)*1e6), ID: "user-"}
	lists := []struct {
		name string
		q    userstore.UserQuery
	}{
		{"all", userstore.UserQuery{}},
		{"text: one user's name", userstore.UserQuery{Text: fmt.Sprint(users * 7 / 10)}},
		{"text: nobody's", userstore.UserQuery{Text: "qzxqzx"}},
		{"text: nobody's, of frequent parts", userstore.UserQuery{Text: "company.test"}},
		{"text: one in a thousand", userstore.UserQuery{Text: "@company77.test"}},
		{"text: one in a thousand, from the middle", userstore.UserQuery{Text: "@company77.test", After: middle}},
		{"text: one in fifty", userstore.UserQuery{Text: "hopper"}},
		{"text: every second", userstore.UserQuery{Text: "mail.test"}},
		{"text: the last hundredth", userstore.UserQuery{Text: "late"}},
		{"text: two letters that many have", userstore.UserQuery{Text: "ma"}},
		{"text: two letters that nobody has", userstore.UserQuery{Text: "qz"}},
		{"role: ten users", userstore.UserQuery{Role: "auditor"}},
		{"role: a third", userstore.UserQuery{Role: "employee"}},
		{"role: nobody's", userstore.UserQuery{Role: "nobody"}},
		{"status: disabled", userstore.UserQuery{State: userstore.Disabled}},
		{"status: disabled, of ten users with a role", userstore.UserQuery{State: userstore.Disabled, Role: "auditor"}},
		{"status: disabled, of a third", userstore.UserQuery{State: userstore.Disabled, Role: "employee"}},
		{"text and role", userstore.UserQuery{Text: "@company77.test", Role: "employee"}},
	}
	var table []measured
	for _, l := range lists {
		table = append(table, measured{name: l.name})
	}
	round := func(calls int) {
		for i, l := range lists {
			l.q.Limit = 51
			table[i].took = append(table[i].took, median(calls, func() {
				if _, err := userstore.FullPage(ctx, db, l.q); err != nil { // after five seconds, say
					b.Logf("%s: %v", l.name, err)
				}
			}))
		}
	}
	sqlstore.WithoutSearch(db, true) // the tables are not there yet
	round(1)
	sqlstore.WithoutSearch(db, false)
	began := time.Now()
	if err := db.Migrate(ctx); err != nil {
		b.Fatal(err)
	}
	b.Logf("migrated in %s", time.Since(began).Round(time.Millisecond))
	began = time.Now()
	indexNames(b, db)
	b.Logf("indexed behind that in %s", time.Since(began).Round(time.Millisecond))
	if db.Engine() == "postgres" {
		psql(b, session(b, url), `VACUUM ANALYZE users`)
		b.Logf("users %s, its indexes %s, users_names %s",
			one[string](b, session(b, url), `SELECT pg_size_pretty(pg_table_size('users'))`),
			one[string](b, session(b, url), `SELECT pg_size_pretty(pg_indexes_size('users'))`),
			one[string](b, session(b, url), `SELECT pg_size_pretty(pg_relation_size('users_names'))`))
	} else if info, err := os.Stat(url); err == nil {
		b.Logf("the file has %d MiB", info.Size()>>20)
	}
	round(5)
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %d users; a call before, and the median of five after\n%-45s %12s %12s\n",
		db.Engine(), users, "", "before", "after")
	for _, m := range table {
		before, after := m.took[0].Round(time.Microsecond), m.took[1].Round(time.Microsecond)
		fmt.Fprintf(&text, "%-45s %12s %12s\n", m.name, before, after)
	}
	fmt.Fprintln(os.Stderr, text.String()) // a log of this length would be cut
}

func median(n int, do func()) time.Duration {
	var all []time.Duration
	do()
	for range n {
		began := time.Now()
		do()
		all = append(all, time.Since(began))
	}
	return middleOf(all)
}

func middleOf(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkUserWrites compares the rates of writes on the schema before the indexes of searches with
// those on the schema that has them: two databases of as many users as SEARCH_USERS says, eight
// callers, in turns. It prints a table; b.N does not count.
//
//	SEARCH_USERS=100000 go test ./userstore/sqlstore -run '^$' -bench UserWrites -benchtime 1x -timeout 0
func BenchmarkUserWrites(b *testing.B) {
	users := fromEnvironment(b, "SEARCH_USERS", 100_000)
	b.Run("sqlite", func(b *testing.B) {
		userWrites(b, users, [2]string{filepath.Join(b.TempDir(), "before.db"), filepath.Join(b.TempDir(), "after.db")})
	})
	b.Run("postgres", func(b *testing.B) {
		userWrites(b, users, [2]string{pgtest.Start(b, largeServer).URL(b), pgtest.Start(b, largeServer).URL(b)})
	})
}

// writeActs are the writes that are measured, each of one user.
var writeActs = []struct {
	name string
	do   func(ctx context.Context, db *sqlstore.DB, u *userstore.User) error
}{
	{"a user signs up", func(ctx context.Context, db *sqlstore.DB, u *userstore.User) error {
		return db.CreateUser(ctx, *u)
	}},
	{"a profile is changed", func(ctx context.Context, db *sqlstore.DB, u *userstore.User) error {
		u.Claims.Name = "Another Name"
		return updated(ctx, db, u)
	}},
	{"an address is changed", func(ctx context.Context, db *sqlstore.DB, u *userstore.User) error {
		u.Email, u.EmailKey = "n"+u.Email, "n"+u.EmailKey
		return updated(ctx, db, u)
	}},
	{"a role is given", func(ctx context.Context, db *sqlstore.DB, u *userstore.User) error {
		u.Roles = []string{"employee"}
		return updated(ctx, db, u)
	}},
	{"a user is deleted", func(ctx context.Context, db *sqlstore.DB, u *userstore.User) error {
		return db.DeleteUser(ctx, u.ID)
	}},
}

func updated(ctx context.Context, db *sqlstore.DB, u *userstore.User) error {
	err := db.UpdateUser(ctx, *u)
	u.Version++
	return err
}

func userWrites(b *testing.B, users int, urls [2]string) {
	const rounds, callers, each = 12, 8, 100
	var dbs [2]*sqlstore.DB
	for i, url := range urls {
		dbs[i] = open(b, url, sqlstore.Options{})
		if err := sqlstore.MigrateTo(b.Context(), dbs[i], 19); err != nil {
			b.Fatal(err)
		}
		fillUsers(b, dbs[i], url, users)
	}
	if err := dbs[1].Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	indexNames(b, dbs[1])
	took := make([][2][]time.Duration, len(writeActs))
	longest := make([][2]time.Duration, len(writeActs))
	var behind time.Duration // what indexing took behind the calls
	for round := range rounds {
		for turn := range 2 {
			n := (round + turn) % 2
			made := make([]userstore.User, callers*each)
			for i := range made {
				made[i] = newUser()
				made[i].Version = 1
				made[i].CreatedAt = time.UnixMicro(1700000000000000 + int64(users+round*len(made)+i)*1e6)
			}
			for a, act := range writeActs {
				do := func(u *userstore.User) error { return act.do(b.Context(), dbs[n], u) }
				all, most := inParallel(b, callers, made, do)
				took[a][n], longest[a][n] = append(took[a][n], all), max(longest[a][n], most)
				if n == 1 {
					began := time.Now()
					indexNames(b, dbs[1])
					behind += time.Since(began)
				}
			}
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %d users, %d callers; calls in a second, and the longest call\n",
		dbs[0].Engine(), users, callers)
	for a, act := range writeActs {
		rate := func(n int) float64 { return callers * each / middleOf(took[a][n]).Seconds() }
		fmt.Fprintf(&text, "%-25s %8.0f %8.0f  ×%.2f %12s %12s\n", act.name, rate(0), rate(1), rate(1)/rate(0),
			longest[a][0].Round(time.Microsecond), longest[a][1].Round(time.Microsecond))
	}
	fmt.Fprintf(&text, "names are indexed behind that in %s a user who signs up\n",
		(behind / (rounds * callers * each)).Round(time.Microsecond))
	fmt.Fprintln(os.Stderr, text.String())
}

// inParallel calls do for each user, and returns how long all took, and the longest call.
func inParallel(
	b *testing.B, callers int, all []userstore.User, do func(*userstore.User) error,
) (took, longest time.Duration) {
	var group sync.WaitGroup
	most := make([]time.Duration, callers)
	began := time.Now()
	for c := range callers {
		group.Go(func() {
			for i := c; i < len(all); i += callers {
				began := time.Now()
				if err := do(&all[i]); err != nil {
					b.Error(err)
					return
				}
				most[c] = max(most[c], time.Since(began))
			}
		})
	}
	group.Wait()
	return time.Since(began), slices.Max(most)
}

// indexNames indexes all names.
func indexNames(tb testing.TB, db *sqlstore.DB) {
	tb.Helper()
	for {
		if n, err := db.IndexNames(tb.Context(), 250); err != nil {
			tb.Fatal(err)
		} else if n == 0 {
			return
		}
	}
}
