package sqlstore_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// appStatements are the statements on app sessions, with arguments, by name.
var appStatements = map[string]struct {
	sql  string
	args []any
}{
	"a new one":         {sqlstore.StartAppSQL, []any{[]byte("0123456789abcdef")}},
	"the bounds":        {sqlstore.BoundAppsSQL, []any{"u1", "c1", "b1", "s1", int64(9), "u1", "c1", "s1", int64(99), "u1", "s1", int64(999), "s1", "u1"}},
	"whether one waits": {sqlstore.SomeAppDueSQL, []any{int64(5)}},
	"claim one":         {sqlstore.ClaimAppSQL, []any{int64(9), "l", int64(5), int64(5), int64(2), int64(5)}},
	"the rest":          {sqlstore.PostponeRestSQL, []any{int64(9), "s1", int64(9)}},
	"of a user":         {`UPDATE app_sessions SET due_at = $1 WHERE ended_at = 0 AND user_id = $2`, []any{int64(5), "u1"}},
	"of a browser": {`UPDATE app_sessions SET due_at = $1 WHERE ended_at = 0 AND browser_session = $2 AND browser_session <> ''`,
		[]any{int64(5), "b1"}},
	"untold ones": {sqlstore.DeleteUntoldSQL + `user_id = $1`, []any{"u1"}},
	"of a client": {`SELECT session_id FROM app_sessions WHERE client_id = $1 LIMIT 1000`, []any{"c1"}},
}

// Logins, logouts and the workers that look twice a second find app sessions by an index.
func TestPlansOfAppSessions(t *testing.T) {
	t.Parallel()
	lite := sqltest.SQLite(t)
	url := sqltest.PostgresURL(t)
	admin := session(t, url)
	psql(t, admin,
		`INSERT INTO users (id, email, email_key, email_verified, username, username_key, claims, roles, is_active, is_staff, created_at,
			updated_at, version, last_login_at, last_session_id, password_hash)
			SELECT 'u'||n, 'e'||n, 'e'||n, TRUE, 'n'||n, 'n'||n, '{}', '[]', TRUE, FALSE, n, n, 1, 0, '', 'h' FROM generate_series(1, 3000) n`,
		`INSERT INTO clients (id, name, public, first_party, grant_types, scopes, resources, id_token_alg, epoch, disabled_at, created_at)
			SELECT 'c'||n, '', TRUE, TRUE, '[]', '[]', '[]', '', n, 0, n FROM generate_series(1, 3000) n`,
		`INSERT INTO grants (id, generation, rotated_at, late_generation, late_count, revoked_at, expires_at, created_at, auth_time,
			client_epoch, client_id, user_id, session_id, scopes, resources, amr, acr, nonce, user_agent, address)
			SELECT decode(md5(n::text), 'hex'), 1, n, 0, 0, 0, n, n, n, 1, 'c'||(n%3000+1), 'u'||(n%3000+1), 's'||n, '[]', '[]', '[]', '', '', '', ''
			FROM generate_series(1, 6000) n`,
		`INSERT INTO browser_sessions (hash, last_used_at, created_at, expires_at, auth_time, id, user_id, amr, acr, user_agent, address)
			SELECT decode(md5(n::text)||md5(n::text), 'hex'), n, n, n, n, 'b'||n, 'u'||(n%3000+1), '[]', '', '', '' FROM generate_series(1, 6000) n`,
		`INSERT INTO app_sessions (session_id, user_id, client_id, client_epoch, browser_session, created_at, expires_at, ended_at, due_at)
			SELECT 's'||n, 'u'||(n%3000+1), 'c'||(n%3000+1), 1, 'b'||n, n, n, n%100/99*n, n%100/99*n FROM generate_series(1, 20000) n`,
		`ANALYZE`)
	for name, s := range appStatements {
		plan, err := sqlstore.SQLitePlan(t.Context(), lite, s.sql, s.args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if slices.ContainsFunc(slices.Collect(strings.Lines(plan)), func(l string) bool {
			return strings.HasPrefix(l, "SCAN a") && !strings.Contains(l, "USING")
		}) {
			t.Errorf("SQLite, %s:\n%s", name, plan)
		}
		rows, err := admin.Query(t.Context(), `EXPLAIN `+s.sql, s.args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if plan := strings.Join(lines, "\n"); strings.Contains(plan, "Seq Scan") {
			t.Errorf("PostgreSQL, %s:\n%s", name, plan)
		}
	}
}
