//go:build unix

package sqlstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// However many callers ask, and however often, a replica writes once a second. PostgreSQL updates
// the row in place: the table does not grow.
func TestAProbeWritesOnceASecond(t *testing.T) {
	t.Parallel()
	// A server of its own, so that no transaction of another test keeps the old rows alive.
	address := pgtest.Start(t, pgtest.Options{}).URL(t)
	db := open(t, address, sqlstore.Options{})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for time.Since(began) < 3*time.Second {
				if err := db.Ping(t.Context()); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	all.Wait()
	time.Sleep(1100 * time.Millisecond) // the result of the last probe is reused for a second
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	took := time.Since(began)
	db.Close() // the server counts what a session did when the session ends, if not before
	admin := session(t, address)
	for one[int64](t, admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'signet'`) > 0 {
		time.Sleep(20 * time.Millisecond)
	}
	var written, inPlace, size int64
	if err := admin.QueryRow(t.Context(), `SELECT n_tup_upd, n_tup_hot_upd, pg_relation_size('write_probe')
		FROM pg_stat_user_tables WHERE relname = 'write_probe'`).Scan(&written, &inPlace, &size); err != nil {
		t.Fatal(err)
	}
	if written < 2 || written > int64(took/time.Second)+2 || inPlace != written || size > 8192 {
		t.Errorf("%d writes in %s, %d of them in place, table of %d bytes", written, took, inPlace, size)
	}
}

// A probe goes on when its first caller leaves, and the other callers get its result.
func TestAProbeOutlivesItsFirstCaller(t *testing.T) {
	t.Parallel()
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		gone, leave := context.WithCancel(t.Context())
		leave()
		unavailable(t, "a caller who has left", db.Ping(gone))
		if err := db.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// F-04 and rights: every cause that keeps all writes from happening makes a store unready, and the
// sentence says what to do.
func TestAStoreThatTakesNoWritesIsUnready(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil, session, mend, words string
	}{
		"F-04 read-only by default": {`ALTER DATABASE %db SET default_transaction_read_only = on`,
			`SET default_transaction_read_only = on`,
			`ALTER DATABASE %db RESET default_transaction_read_only`, "name the primary"},
		"the role lost its rights": {`REVOKE UPDATE ON write_probe FROM %role`, "", `GRANT UPDATE ON write_probe TO %role`,
			"give it the tables"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, admin, role := asRole(t)
			db := open(t, address, sqlstore.Options{})
			ready(t, db)
			psql(t, admin, fillIn(t, admin, test.spoil, role))
			if test.session != "" { // open connections do not notice, except in a failover
				if err := sqlstore.EachConn(t.Context(), db, test.session); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			for end := time.Now().Add(time.Minute); time.Now().Before(end) && err == nil; time.Sleep(50 * time.Millisecond) {
				err = db.Ping(t.Context())
			}
			if !errors.Is(err, userstore.ErrUnwritable) {
				t.Errorf("ready: %v", err)
			}
			says(t, err, test.words)
			psql(t, admin, fillIn(t, admin, test.mend, role))
			ready(t, db)
		})
	}
}

// A replica that is not ready finds the node that takes writes, also through a pooler that refuses
// our time limits, and even if the address leads through the pooler only now.
func TestAnUnreadyStoreConnectsAgainThroughAPooler(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{"known before": "statement_timeout", "new": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, sqltest.PostgresURL(t))
			p.refuse.Store(before)
			db := open(t, p.url, sqlstore.Options{})
			ready(t, db)
			// As after a failover: the open connections are read-only, new ones are not.
			if err := sqlstore.EachConn(t.Context(), db, `SET default_transaction_read_only = on`); err != nil {
				t.Fatal(err)
			}
			p.refuse.Store("statement_timeout")
			time.Sleep(1100 * time.Millisecond) // the result of the last probe is reused for a second
			if before == "" {
				if err := db.Ping(t.Context()); !errors.Is(err, userstore.ErrUnwritable) {
					t.Errorf("the probe that meets the pooler: %v", err)
				}
			}
			ready(t, db)
		})
	}
}

// A role that may spill nothing to disk does not make a store unready.
func TestARoleThatMayNotSpillIsReady(t *testing.T) {
	t.Parallel()
	address, admin, role := asRole(t)
	psql(t, admin, `ALTER ROLE `+role+` SET temp_file_limit = 0`)
	db := open(t, address, sqlstore.Options{})
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// A lock on the rows does not make a store unready, and the probe does not wait for the lock.
func TestAProbeDoesNotWaitForOthers(t *testing.T) {
	t.Parallel()
	address := sqltest.PostgresURL(t)
	db := open(t, address, sqlstore.Options{})
	admin := session(t, address)
	psql(t, admin, `BEGIN; SELECT * FROM write_probe WHERE id < 8 FOR UPDATE`)
	within(t, "a probe beside a lock", 10*time.Second, func() {
		if err := db.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
	psql(t, admin, `ROLLBACK`)

	// SQLite has one writer. A busy server is ready without a write by the probe.
	path := sqltest.SQLitePath(t)
	lite := open(t, path, sqlstore.Options{})
	other := raw(t, path)
	for try := 1; ; try++ {
		began := time.Now()
		create(t, lite)
		execute(t, other, `BEGIN IMMEDIATE`)
		err := lite.Ping(t.Context())
		busyFor := time.Since(began)
		execute(t, other, `ROLLBACK`)
		if busyFor < time.Second {
			if err != nil {
				t.Error(err)
			}
			break
		}
		// A write counts for a second. On a loaded machine that may be over when the probe comes.
		if try == 20 {
			t.Fatalf("a probe behind another writer took %s: %v", busyFor, err)
		}
	}
	time.Sleep(1100 * time.Millisecond)
	ready(t, lite)
}

// ready waits until the store is ready.
func ready(t *testing.T, db *sqlstore.DB) {
	t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = db.Ping(t.Context()); err == nil {
			return
		}
	}
	t.Errorf("not ready: %v", err)
}

// asRole returns a fresh, migrated database for a new role, which is no superuser.
func asRole(t *testing.T) (address string, admin *pgx.Conn, role string) {
	t.Helper()
	u, err := url.Parse(sqltest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	owner := u.String()
	admin = session(t, owner)
	role = "signet_test_" + strings.ToLower(rand.Text())
	psql(t, admin, `CREATE ROLE `+role+` LOGIN PASSWORD 'secret'`, `GRANT ALL ON ALL TABLES IN SCHEMA public TO `+role)
	t.Cleanup(func() { psql(t, session(t, owner), `DROP OWNED BY `+role, `DROP ROLE `+role) })
	u.User = url.UserPassword(role, "secret")
	return u.String(), admin, role
}

func fillIn(t *testing.T, admin *pgx.Conn, statement, role string) string {
	t.Helper()
	return strings.NewReplacer("%db", one[string](t, admin, `SELECT current_database()`), "%role", role).Replace(statement)
}
