//go:build unix

package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// BenchmarkUserLists fills a database of the schema before the indexes of searches with as many users as
// the variable SEARCH_USERS says, 100,000 if it says nothing, measures the lists of administrators and
// the rates of writes there, migrates, and measures them again. It prints a table; b.N does not count.
//
//	SEARCH_USERS=1000000 go test ./userstore/sqlstore -run '^$' -bench UserLists -benchtime 1x -timeout 0
func BenchmarkUserLists(b *testing.B) {
	users := 100_000
	if n, err := strconv.Atoi(os.Getenv("SEARCH_USERS")); err == nil {
		users = n
	}
	b.Run("sqlite", func(b *testing.B) { userLists(b, filepath.Join(b.TempDir(), "signet.db"), users) })
	b.Run("postgres", func(b *testing.B) {
		url := pgtest.Start(b, pgtest.Options{Durable: true, Settings: []string{"shared_buffers=1GB", "max_wal_size=4GB"}}).URL(b)
		userLists(b, url, users)
	})
}

// A user n of the benchmark: a name of two words and a number, an address that half of the users have at
// one domain, one in a thousand at another, and the last hundredth at late.test; a third are employees,
// one in a hundred an editor, ten in all auditors, and one in a hundred is disabled.
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
		numbers := fmt.Sprintf(`FROM (SELECT CAST(n AS BIGINT) AS n, CAST(%d AS BIGINT) AS total FROM generate_series(%d, %d) n) s) AS t`, users, from, to)
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
	table = append(table, measured{name: "a user is made"}, measured{name: "a profile is changed"}, measured{name: "an address is changed"})
	round := func(stage int) {
		for i, l := range lists {
			l.q.Limit = 51
			table[i].took = append(table[i].took, median(5, func() {
				if _, err := db.ListUsers(ctx, l.q); err != nil {
					b.Errorf("%s: %v", l.name, err)
				}
			}))
		}
		at := len(lists)
		for i, d := range writes(b, ctx, db, users, stage) {
			table[at+i].took = append(table[at+i].took, d)
		}
	}
	sqlstore.WithoutSearch(db, true) // the tables are not there yet
	round(0)
	sqlstore.WithoutSearch(db, false)
	began := time.Now()
	if err := db.Migrate(ctx); err != nil {
		b.Fatal(err)
	}
	b.Logf("migrated in %s", time.Since(began).Round(time.Millisecond))
	if db.Engine() == "postgres" {
		psql(b, session(b, url), `VACUUM ANALYZE users`)
		b.Logf("users %s, its indexes %s, users_names %s", one[string](b, session(b, url), `SELECT pg_size_pretty(pg_table_size('users'))`),
			one[string](b, session(b, url), `SELECT pg_size_pretty(pg_indexes_size('users'))`),
			one[string](b, session(b, url), `SELECT pg_size_pretty(pg_relation_size('users_names'))`))
	} else if info, err := os.Stat(url); err == nil {
		b.Logf("the file has %d MiB", info.Size()>>20)
	}
	round(1)
	var text strings.Builder
	fmt.Fprintf(&text, "%d users; median of a call\n%-45s %12s %12s\n", users, "", "before", "after")
	for _, m := range table {
		fmt.Fprintf(&text, "%-45s %12s %12s\n", m.name, m.took[0].Round(time.Microsecond), m.took[1].Round(time.Microsecond))
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
	slices.Sort(all)
	return all[n/2]
}

// writes measures what one caller waits for: users are made, and their profiles and addresses changed.
func writes(b *testing.B, ctx context.Context, db *sqlstore.DB, users, stage int) (took []time.Duration) {
	const n = 2000
	mean := func(do func(i int) error) {
		began := time.Now()
		for i := range n {
			if err := do(i); err != nil {
				b.Fatal(err)
			}
		}
		took = append(took, time.Since(began)/n)
	}
	var made []userstore.User
	mean(func(i int) error {
		u := newUser()
		u.CreatedAt = time.UnixMicro(1700000000000000 + int64(users+stage*n+i)*1e6)
		made = append(made, u)
		return db.CreateUser(ctx, u)
	})
	for i := range made {
		var err error
		if made[i], err = db.UserByID(ctx, made[i].ID); err != nil {
			b.Fatal(err)
		}
	}
	mean(func(i int) error {
		made[i].Claims.Name = "Another Name"
		err := db.UpdateUser(ctx, made[i])
		made[i].Version++
		return err
	})
	mean(func(i int) error {
		made[i].Email, made[i].EmailKey = "n"+made[i].Email, "n"+made[i].EmailKey
		return db.UpdateUser(ctx, made[i])
	})
	return took
}
