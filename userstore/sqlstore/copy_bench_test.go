//go:build unix

package sqlstore_test

import (
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkCopyTo copies 10,000 accounts with a session and five audit entries each.
func BenchmarkCopyTo(b *testing.B) {
	path := sqltest.SQLitePath(b)
	execute(b, raw(b, path),
		`INSERT INTO users (id, email, email_key, email_verified, username, username_key, claims, roles, is_active, is_staff,
			created_at, updated_at, version, last_login_at, last_session_id, password_hash)
		WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10000)
		SELECT hex(randomblob(16)), 'person' || n || '@example.com', 'person' || n || '@example.com', 1, '', '', '{"name":"A Person"}',
			'[]', 1, 0, n, n, 1, n, hex(randomblob(16)), '$argon2id$v=19$m=19456,t=2,p=1$' || hex(randomblob(16)) || '$' || hex(randomblob(32)) FROM c`,
		`INSERT INTO grants (id, generation, rotated_at, late_generation, late_count, revoked_at, expires_at, created_at, auth_time,
			client_epoch, client_id, user_id, session_id, scopes, resources, amr, acr, nonce, user_agent, address)
		SELECT randomblob(16), 3, 1, 0, 0, 0, 1, 1, 1, 1, 'signet', id, hex(randomblob(16)), '["profile","email"]', '[]', '["pwd"]', '1', '',
			'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', '192.0.2.1' FROM users`,
		`INSERT INTO audit_events (at, id, name, outcome, reason, actor_type, actor_id, target_type, target_id, client_id, session_id,
			address, user_agent, request_id, changes)
		SELECT n, hex(randomblob(16)), 'login_succeeded', 'success', '', 'user', id, 'user', id, 'signet', hex(randomblob(16)), '192.0.2.1',
			'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', hex(randomblob(8)), ''
		FROM users, (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5)`)
	for b.Loop() {
		b.StopTimer()
		url := pgtest.URL(b)
		b.StartTimer()
		from, to := open(b, path, sqlstore.Options{}), open(b, url, sqlstore.Options{})
		r, err := from.CopyTo(b.Context(), to, sqlstore.CopyOptions{})
		if err != nil {
			b.Fatal(err)
		}
		from.Close()
		to.Close()
		b.ReportMetric(float64(r.Rows), "rows")
	}
}
