//go:build unix

package sqlstore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// session opens a connection that bypasses the store, as an operator's psql does.
func session(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func psql(t testing.TB, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := conn.Exec(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func one[T any](t testing.TB, conn *pgx.Conn, query string, args ...any) (v T) {
	t.Helper()
	if err := conn.QueryRow(context.Background(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

func TestUnfitPostgresIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		setting string
		words   []string
	}{
		"synchronous_commit off": {"synchronous_commit = off",
			[]string{"synchronous_commit is off", "ALTER DATABASE"}},
		"F-04 a read-only node":       {"default_transaction_read_only = on", []string{"takes no writes", "primary"}},
		"synchronous_commit is local": {"synchronous_commit = local", nil},
	} {
		t.Run(name, func(t *testing.T) {
			url := sqltest.PostgresURL(t)
			admin := session(t, url)
			psql(t, admin,
				`DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET `+test.setting+`'; END $$`)
			db, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
			if test.words != nil {
				says(t, err, test.words...)
			} else if err != nil {
				t.Fatal(err)
			} else {
				db.Close()
			}
		})
	}
	t.Run("another encoding", func(t *testing.T) {
		url := pgtest.URL(t)
		admin := session(t, url)
		name := one[string](t, admin, `SELECT current_database()`) + "_latin1"
		psql(t, admin, `CREATE DATABASE `+name+` ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`)
		t.Cleanup(func() { psql(t, session(t, url), `DROP DATABASE `+name+` WITH (FORCE)`) })
		_, err := sqlstore.Open(t.Context(), strings.Replace(url, strings.TrimSuffix(name, "_latin1"), name, 1),
			sqlstore.Options{})
		says(t, err, "LATIN1", "UTF8")
	})
}

func TestAPoolerThatRefusesOurTimeLimits(t *testing.T) {
	t.Parallel()
	p := newProxy(t, sqltest.PostgresURL(t))
	p.refuse.Store("statement_timeout")
	db := open(t, p.url, sqlstore.Options{})
	_, g := create(t, db)
	if _, err := db.AdvanceGrant(t.Context(), advance(g, 1)); err != nil {
		t.Error(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
	p.refuse.Store("application_name") // another refusal is not mistaken for this one
	_, err := sqlstore.Open(t.Context(), p.url, sqlstore.Options{})
	unavailable(t, "another refusal", err)
}

func TestStatementsForOlderPoolers(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_describe", "describe_exec", "exec"} {
		db := open(t, sqltest.PostgresURL(t)+"&default_query_exec_mode="+mode, sqlstore.Options{})
		_, g := create(t, db)
		if _, err := db.AdvanceGrant(t.Context(), advance(g, 1)); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func TestTheServersOwnLimits(t *testing.T) {
	db := open(t, sqltest.PostgresURL(t), sqlstore.Options{})
	for name, want := range map[string]string{"statement_timeout": "4500ms", "lock_timeout": "2s", "TimeZone": "UTC",
		"idle_in_transaction_session_timeout": "10s", "application_name": "signet",
		"default_transaction_isolation": "read committed"} {
		if got, err := sqlstore.Setting(t.Context(), db, name); err != nil || got != want {
			t.Errorf("%s is %s, want %s (%v)", name, got, want, err)
		}
	}
}

func TestOperatorsViewsShowInstantsAndNoSecrets(t *testing.T) {
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{})
	u, g := create(t, db)
	if err := db.ChangeRing(
		t.Context(), 0,
		keys.Change{Insert: []keys.Key{{ID: "k", Algorithm: "EdDSA", Seq: 1, Sealed: "sealed", Public: []byte("{}"),
			CreatedAt: now, ActivateAt: now}}},
	); err != nil {
		t.Fatal(err)
	}
	if err := db.Record(t.Context(), audit.Event{ID: "e", At: now, Name: audit.KeysRotated}); err != nil {
		t.Fatal(err)
	}
	admin := session(t, url)
	for query, want := range map[string]time.Time{
		`SELECT created_at FROM readable_users WHERE id = '` + u.ID + `'`:                     now,
		`SELECT expires_at FROM readable_grants WHERE session_id = '` + g.SessionID + `'`:     g.ExpiresAt,
		`SELECT activate_at FROM readable_signing_keys WHERE id = 'k' AND revoked_at IS NULL`: now,
		`SELECT at FROM readable_audit_events WHERE id = 'e' AND name = 'keys_rotated'`:       now,
	} {
		if got := one[time.Time](t, admin, query); !got.Equal(want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	if n := one[int64](
		t, admin, `SELECT count(*) FROM readable_clients WHERE id = 'signet' AND disabled_at IS NULL`,
	); n != 1 {
		t.Error("readable_clients")
	}
	if n := one[int64](
		t, admin,
		`SELECT count(*) FROM information_schema.columns WHERE table_name LIKE 'readable%' AND column_name IN ('password_hash', 'sealed', 'refresh_secret', 'factor_secret', 'secret_hash', 'hash')`,
	); n != 0 {
		t.Error("a view shows a secret")
	}
}
