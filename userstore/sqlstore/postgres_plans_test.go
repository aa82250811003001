//go:build unix

package sqlstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// A refresh must not grow the table or an index: PostgreSQL updates in place when
// no indexed column changes and the page has room.
func TestARefreshIsUpdatedInPlace(t *testing.T) {
	t.Parallel()
	// The test has a server of its own: long transactions of other tests, in whatever database,
	// keep PostgreSQL from clearing the room that an update in place needs.
	url := pgtest.Start(t, pgtest.Options{}).URL(t)
	db := open(t, url, sqlstore.Options{})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	admin := session(t, url)
	var grants []userstore.Grant
	for range 50 {
		_, g := create(t, db)
		grants = append(grants, g)
	}
	size := func() int64 {
		return one[int64](t, admin, `SELECT pg_relation_size('grants') + pg_indexes_size('grants')`)
	}
	before := size()
	const rounds = 60
	for generation := range int64(rounds) {
		for _, g := range grants {
			a := advance(g, generation+1)
			a.Now = now.Add(time.Duration(generation+1) * time.Second) // rotated_at changes, as always
			if _, err := db.AdvanceGrant(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
	}
	db.Close() // flushes the statistics
	const all = 50 * rounds
	deadline := time.Now().Add(time.Minute)
	for {
		psql(t, admin, `SELECT pg_stat_clear_snapshot()`)
		updates := one[int64](t, admin, `SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'grants'`)
		hot := one[int64](t, admin, `SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'grants'`)
		if updates >= all {
			if hot < updates*95/100 {
				t.Errorf("only %d of %d updates were in place", hot, updates)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d updates are known", updates)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if after := size(); after > before+64<<10 {
		t.Errorf("%d refreshes grew the table and its indexes from %d to %d bytes", all, before, after)
	}
}

// Every statement of the request path finds its rows by an index.
func TestPlansUseIndexes(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	admin := session(t, url)
	psql(t, admin,
		`INSERT INTO users SELECT 'u'||n, 'e'||n, 'e'||n, TRUE, 'n'||n, 'n'||n, '{}', '[]', TRUE, FALSE, n, n, 1, 0, '', 'h' FROM generate_series(1, 3000) n`,
		`INSERT INTO grants SELECT decode(md5(n::text), 'hex'), 1, n, 0, 0, 0, n, n, n, 1, 'signet', 'u'||(n%3000+1), 's'||n, '[]', '[]', '[]', '', '', '', '' FROM generate_series(1, 6000) n`,
		`INSERT INTO audit_events SELECT n, 'e'||n, CASE WHEN n % 1000 = 0 THEN 'keys_rotated' ELSE 'login_failed' END, 'success', '',
			'user', 'a'||(n%3000), 'user', 't'||(n%3000), '', '', '', '', '', '[]' FROM generate_series(1, 6000) n`,
		`INSERT INTO clients (id, name, public, first_party, grant_types, scopes, resources, id_token_alg, epoch, disabled_at, created_at)
			SELECT 'c'||n, '', TRUE, TRUE, '[]', '[]', '[]', '', n, 0, n FROM generate_series(1, 3000) n`,
		`INSERT INTO browser_sessions SELECT decode(md5(n::text)||md5(n::text), 'hex'), n, n, n, n, 'b'||n, 'u'||(n%3000+1), '[]', '', '', '' FROM generate_series(1, 6000) n`,
		`INSERT INTO codes SELECT decode(md5(n::text)||md5(n::text), 'hex'), 0, '', n, n, n, n, TRUE, 'c'||(n%3000+1), 'u'||(n%3000+1), 'b'||n, '', '', '[]', '[]', '', '', '[]', '', '', '' FROM generate_series(1, 6000) n`,
		`INSERT INTO consents SELECT 'u'||n, 'c'||n, '', n, n, '[]' FROM generate_series(1, 3000) n`,
		`INSERT INTO pushed_requests SELECT decode(md5(n::text)||md5(n::text), 'hex'), 'c'||(n%3000+1), n, '', '', n, n FROM generate_series(1, 6000) n`,
		`INSERT INTO subjects SELECT 'u'||(n%3000+1), 's'||n, 'p'||n, n FROM generate_series(1, 6000) n`,
		`INSERT INTO client_assertions SELECT 'c'||(n%3000+1), decode(md5(n::text), 'hex'), n FROM generate_series(1, 6000) n`,
		`INSERT INTO dpop_proofs SELECT decode(md5(n::text)||md5(n::text), 'hex'), n FROM generate_series(1, 6000) n`,
		`ANALYZE`)
	plan := func(query string, args ...any) string {
		rows, err := admin.Query(t.Context(), `EXPLAIN `+query, args...)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return strings.Join(lines, "\n")
	}
	id := make([]byte, 16)
	for name, p := range map[string]string{
		"refresh":     plan(sqlstore.AdvanceSQL, int64(1), "", id, int64(1), "signet", int64(1), int64(1), ""),
		"grant view":  plan(sqlstore.ViewSQL, "s1"),
		"by email":    plan(sqlstore.UserByEmailSQL, "e1"),
		"by username": plan(sqlstore.UserByUsernameSQL, "n1"),
		"a page of users": plan(
			`SELECT id FROM users u WHERE (u.created_at, u.id) > ($1, $2) ORDER BY u.created_at, u.id LIMIT 10`, int64(5), "u5"),
		"a user's grants": plan(`SELECT id FROM grants WHERE user_id = $1`, "u1"),
		"list of grants":  plan(sqlstore.ListGrantsSQL, "u1", int64(1), int64(1)),
		"oldest grants": plan(sqlstore.EndOldestSQL, "u1", "c1", id, int64(1), int64(1), int64(50), int64(1000), "n",
			"r", int64(100)),
		"recorded grants": plan(sqlstore.RecordEndedSQL, "u1", "c1", id, int64(1), int64(1), int64(50), int64(1000), "",
			"", "", "", "", "", "", "", "", ""),
		"another admin": plan(sqlstore.DeleteAdminSQL, "u1"),

		"a code": plan(sqlstore.CodeSQL, id),
		"save a code": plan(sqlstore.SaveCodeSQL, id, "", "", "[]", "[]", "", "", int64(1), "[]", "", true,
			int64(1), int64(1), "", "", "", id, "", "u1", "c1", "b1", int64(1), int64(1)),
		"use a code":                  plan(sqlstore.UseCodeSQL, int64(1), id, id, "u1", "c1", int64(1), "s", id),
		"use a code of a grant":       plan(sqlstore.UseCodeOfGrantSQL, int64(1), id, id, "u1", "c1", int64(1), "s", id, int64(1)),
		"the grant of a code goes on": plan(sqlstore.GoOnSQL, int64(1), int64(1), int64(1), "", id, id, int64(1)),
		"the grant of a code": plan(sqlstore.GrantOfCodeSQL, id, int64(1), int64(1), int64(1), int64(1), int64(1),
			int64(1), int64(1), "s", "[]", "[]", "[]", "", "", "", "", "", "", int64(1), id, id),
		"a proof is used":        plan(sqlstore.UseDPoPProofSQL, id, int64(1), int64(1)),
		"a browser session":      plan(sqlstore.SessionSQL, id, int64(1), int64(1)),
		"a user's sessions":      plan(sqlstore.ListSessionsSQL, "u1", int64(1), int64(1)),
		"grants of the replaced": plan(sqlstore.RevokeReplacedSQL, int64(1), id, "u1", "b1", "u1", "m"),
		"grants of a session": plan(
			`UPDATE grants SET revoked_at = $1 WHERE browser_session = $2 AND browser_session <> ''`, int64(1), "b1"),
		"idle sessions": plan(sqlstore.DeleteIdleSQL, "u1", int64(1), id, "u1", int64(50), id),
		"told sessions": plan(sqlstore.RecordSurplusSQL, int64(1), "", "", "", "", "", "", "", "", "", "",
			"", "u1", id, int64(1), int64(49), id),
		"surplus sessions":     plan(sqlstore.EndSurplusSQL, int64(1), "u1", "session_revoked", "too_many", id),
		"a pushed request":     plan(sqlstore.ReadPushedSQL, id, "c1"),
		"a user's consents":    plan(sqlstore.ListConsentsSQL, "u1", "u1"),
		"a subject":            plan(sqlstore.ReadSubjectSQL, "u1", "s1"),
		"by subject":           plan(sqlstore.UserBySubjectSQL, "p1"),
		"a user's subjects":    plan(sqlstore.ListSubjectsSQL, "u1"),
		"a page of clients":    plan(sqlstore.NextClientsSQL, int64(5), "c5", int64(10)),
		"grants of a client":   plan(`SELECT id FROM grants WHERE client_id = $1 LIMIT 1000`, "c1"),
		"consents of a client": plan(`DELETE FROM consents WHERE client_id = $1`, "c1"),
		"unused codes of a client": plan(
			`DELETE FROM codes WHERE user_id = $1 AND client_id = $2 AND used_at = 0`, "u1", "c1"),
	} {
		if name == "another admin" && !strings.Contains(p, "users_admins") {
			t.Errorf("the last admin is looked for among everybody:\n%s", p)
		}
		if name == "list of grants" || name == "oldest grants" || name == "recorded grants" {
			if !strings.Contains(p, "grants_user") {
				t.Errorf("%s goes without the index of a user's grants:\n%s", name, p)
			}
		}
		for line := range strings.Lines(p) {
			if strings.Contains(line, "Seq Scan") {
				t.Errorf("%s:\n%s", name, p)
			}
		}
	}
}
