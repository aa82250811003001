package sqltest

import (
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// expired says of each table with rows that expire how a row number n of it is made, on both
// engines. BLOB and TEXT stand for random values, AT for an instant that rises with n, USER for the
// id of one of the users of Expired. share is in thousandths of all rows.
var expired = []struct {
	table, columns, values string
	share                  int
}{
	{"grants",
		`id, generation, rotated_at, late_generation, late_count, revoked_at, expires_at, created_at, auth_time,
		client_epoch, client_id, user_id, session_id, scopes, resources, amr, acr, nonce, user_agent, address`,
		`BLOB, 9, AT, 0, 0, 0, AT, AT, AT, 1, 'signet', USER, TEXT, '["openid","profile","email"]', '[]',
		'["pwd"]', '1', '', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
		'203.0.113.7'`, 300},
	{"throttle_attempts", `budget, at, attempt, pending_until, expires_at`, `BLOB, AT, BLOB, 0, AT`, 200},
	{"audit_events",
		`at, id, name, outcome, reason, actor_type, actor_id, target_type, target_id, client_id, session_id,
		address, user_agent, request_id, changes`,
		`AT, TEXT, 'login_succeeded', 'success', '', 'user', USER, 'user', USER, 'signet', TEXT, '203.0.113.7',
		'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', TEXT, '[]'`, 200},
	{"codes",
		`hash, used_at, grant_id, expires_at, created_at, auth_time, client_epoch, by_consent, client_id,
		user_id, browser_session, redirect_uri, code_challenge, scopes, resources, nonce, claims, amr, acr,
		user_agent, address`,
		`BLOB, AT, BLOB, AT, AT, AT, 1, TRUE, 'app', USER, TEXT, 'https://app.example.com/callback', TEXT,
		'["openid"]', '[]', '', '', '["pwd"]', '1', '', '203.0.113.7'`, 100},
	{"browser_sessions",
		`hash, last_used_at, created_at, expires_at, auth_time, id, user_id, amr, acr, user_agent, address`,
		`BLOB, AT, AT, AT, AT, TEXT, USER, '["pwd"]', '1', '', '203.0.113.7'`, 80},
	{"app_sessions",
		`session_id, user_id, client_id, client_epoch, browser_session, created_at, expires_at`,
		`TEXT, USER, 'app', 1, TEXT, AT, AT`, 40},
	{"client_assertions", `client_id, jti, expires_at`, `'app', BLOB, AT`, 20},
	{"dpop_proofs", `id, expires_at`, `BLOB, AT`, 20},
	{"pushed_requests",
		`id, client_id, client_epoch, request, code, expires_at, remove_at`,
		`BLOB, 'app', 1, '{}', BLOB, AT, AT`, 10},
	{"device_authorizations",
		`id, code_hash, user_code, client_id, client_epoch, scopes, resources, address, user_agent, created_at,
		expires_at, remove_at, state, answered_by, poll_interval, due_at, was_early`,
		`TEXT, BLOB, BLOB, 'app', 1, '[]', '[]', '', '', AT, AT, AT, '', '', 5000000, AT, FALSE`, 10},
	{"one_time_tokens",
		`id, kind, user_id, address, address_key, epoch, at, ends_at, spent_at`,
		`TEXT, 'reset_password', USER, '', '', 1, AT, AT, AT`, 10},
	{"mail_requests",
		`id, kind, budget, mailed, tries, at, ends_at`,
		`TEXT, 'reset_password', BLOB, 1, 0, AT, AT`, 10},
	{"pending_signups",
		`id, email, email_key, username, username_key, claims, password_hash, language, browser, at, ends_at,
		token_id, token_at, token_ends_at`,
		`TEXT, TEXT, TEXT, '', '', '{}', '$', 'en', BLOB, AT, AT, TEXT, AT, AT`, 5},
	{"spent_handles", `id, ends_at`, `TEXT, AT`, 6},
	{"trusted_browsers",
		`hash, last_used_at, id, user_id, token_epoch, factor_epoch, created_at, ends_at, user_agent, address`,
		`BLOB, AT, TEXT, USER, 0, 0, AT, AT, '', ''`, 2},
	{"retired_apps",
		`id, last_counter, last_used_at, user_id, sealed, algorithm, digits, period, created_at, retired_at,
		ends_at`,
		`TEXT, 1, AT, USER, BLOB, 'SHA1', 6, 30, AT, AT, AT`, 1},
	{"retired_passkeys",
		`id, last_used_at, sign_count, backed_up, backup_eligible, user_id, credential_id, public_key,
		transports, aaguid, name, created_at, retired_at, ends_at`,
		`TEXT, AT, 1, TRUE, TRUE, USER, BLOB, BLOB, '[]', BLOB, '', AT, AT, AT`, 1},
	{"retired_codes", `user_id, mac, created_at, retired_at, ends_at`, `USER, BLOB, AT, AT, AT`, 1},
	{"registration_tokens",
		`id, hash, note, uses, uses_left, created_at, expires_at`,
		`TEXT, BLOB, '', 1, 1, AT, AT`, 1},
	{"throttle_networks", `budget, until`, `BLOB, AT`, 2},
	{"clients",
		`id, name, public, first_party, grant_types, scopes, resources, id_token_alg, epoch, disabled_at,
		created_at, unused_until`,
		`TEXT, '', TRUE, FALSE, '[]', '[]', '[]', '', 1, 0, AT, AT`, 1},
}

const (
	users = 1000
	// period is how long the rows of Expired have been expiring.
	period = 40 * 24 * time.Hour
)

// Expired fills the store at address with about n rows that have expired before now, of every kind
// of row that expires, in the order of their expiry as a store has them after weeks. It returns how
// many there are of each table. It is made for large numbers: it neither syncs nor waits.
func Expired(tb testing.TB, address string, now time.Time, n int) map[string]int {
	tb.Helper()
	exec, close := filler(tb, address)
	defer close()
	postgres := strings.HasPrefix(address, "postgres")
	insert := func(table, columns, values string, rows int) {
		from := now.Add(-period - 24*time.Hour).UnixMicro()
		at := fmt.Sprintf("%d + n * CAST(%d AS BIGINT)", from, period.Microseconds()/int64(rows))
		blob, text, series := "randomblob(32)", "lower(hex(randomblob(11)))",
			fmt.Sprintf(`WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %d) `, rows)
		source := "s"
		if postgres {
			blob, text, series = "sha256(CAST(CAST(random() AS TEXT) AS BYTEA))", "substr(md5(CAST(random() AS TEXT)), 1, 22)", ""
			source = fmt.Sprintf("generate_series(CAST(1 AS BIGINT), %d) s(n)", rows)
		}
		if table == "grants" { // ids of 16 bytes
			blob = strings.Replace(blob, "32", "16", 1)
			if postgres {
				blob = "decode(md5(CAST(random() AS TEXT)), 'hex')"
			}
		}
		values = strings.NewReplacer("BLOB", blob, "TEXT", text, "AT", at,
			"USER", fmt.Sprintf("'expired' || (n %% %d)", users)).Replace(values)
		exec(series + `INSERT INTO ` + table + ` (` + columns + `) SELECT ` + values + ` FROM ` + source +
			` WHERE TRUE ON CONFLICT DO NOTHING`) // users, when they are there already
	}
	insert("users", `id, email, email_key, email_verified, username, username_key, claims, roles, is_active, is_staff, created_at,
		updated_at, version, last_login_at, last_session_id, password_hash`,
		`'expired' || (n - 1), '', 'expired' || n, TRUE, '', '', '{}', '[]', TRUE, FALSE, AT, AT, 1, 0, '', '$'`, users)
	made := map[string]int{}
	for _, e := range expired {
		made[e.table] = max(n*e.share/1000, 1)
		if e.table == "clients" {
			made[e.table] = max(n/100_000, 1)
		}
		insert(e.table, e.columns, e.values, made[e.table])
	}
	if postgres && n >= 100_000 {
		exec(`VACUUM (ANALYZE)`)
		exec(`CHECKPOINT`)
	}
	return made
}

// filler returns a function that runs statements on a connection that does not sync.
func filler(tb testing.TB, address string) (exec func(string), close func()) {
	tb.Helper()
	ctx := tb.Context()
	if strings.HasPrefix(address, "postgres") {
		conn, err := pgx.Connect(ctx, address)
		if err != nil {
			tb.Fatalf("sqltest: fill: %v", err)
		}
		run := func(s string) {
			if _, err := conn.Exec(ctx, s); err != nil {
				tb.Fatalf("sqltest: fill: %s: %v", s, err)
			}
		}
		run(`SET synchronous_commit = off`)
		return run, func() { conn.Close(ctx) }
	}
	settings := url.Values{"_pragma": {"busy_timeout(10000)", "synchronous(OFF)", "cache_size(-1000000)", "temp_store(MEMORY)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: address, RawQuery: settings.Encode()}).String())
	if err != nil {
		tb.Fatalf("sqltest: fill: %v", err)
	}
	db.SetMaxOpenConns(1)
	return func(s string) {
		if _, err := db.ExecContext(ctx, s); err != nil {
			tb.Fatalf("sqltest: fill: %s: %v", s, err)
		}
	}, func() { db.Close() }
}

// Count returns the number of rows of each table.
func Count(tb testing.TB, address string) map[string]int {
	tb.Helper()
	counts := map[string]int{}
	add := func(table string, scan func(...any) error) {
		var n int
		if err := scan(&n); err != nil {
			tb.Fatalf("sqltest: count %s: %v", table, err)
		}
		counts[table] = n
	}
	ctx := tb.Context()
	if strings.HasPrefix(address, "postgres") {
		conn, err := pgx.Connect(ctx, address)
		if err != nil {
			tb.Fatalf("sqltest: count: %v", err)
		}
		defer conn.Close(ctx)
		for _, e := range expired {
			add(e.table, conn.QueryRow(ctx, `SELECT count(*) FROM `+e.table).Scan)
		}
		return counts
	}
	db, err := sql.Open("sqlite", address)
	if err != nil {
		tb.Fatalf("sqltest: count: %v", err)
	}
	defer db.Close()
	for _, e := range expired {
		add(e.table, db.QueryRowContext(ctx, `SELECT count(*) FROM `+e.table).Scan)
	}
	return counts
}
