//go:build unix

package sqlstore_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// Rows of a release without second factors live on: sessions, grants and users, who have no factor
// and can set one up.
func TestSecondFactorsComeToADatabaseWithRows(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, url string) {
		ctx := t.Context()
		db := open(t, url, sqlstore.Options{})
		if err := sqlstore.MigrateTo(ctx, db, 10); err != nil {
			t.Fatal(err)
		}
		begin, end := `X'`, `'`
		if db.Engine() == "postgres" {
			begin, end = `'\x`, `'::bytea`
		}
		const session = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		for _, statement := range []string{
			`INSERT INTO users (id, email, email_key, email_verified, username, username_key, claims, roles, is_active, is_staff,
				created_at, updated_at, version, last_login_at, last_session_id, password_hash)
			VALUES ('u', 'a@x.test', 'a@x.test', ` + yes(db) + `, '', '', '{}', '["admin"]', ` + yes(db) + `, ` + yes(db) + `,
				1, 2, 3, 4, 's', 'hash')`,
			`INSERT INTO browser_sessions (hash, id, user_id, auth_time, amr, acr, created_at, last_used_at, expires_at,
				user_agent, address)
			VALUES (` + begin + session + end + `, 'b', 'u', 1700000000000001, '["pwd"]', '1', 1, 1, 4000000000000000, '', '')`,
			`UPDATE key_ring SET version = 7`,
		} {
			if err := sqlstore.Exec(ctx, db, statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
		before, err := db.Migrations(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(before,
			func(m sqlstore.Migration) bool { return m.AppliedAt.IsZero() }); before[i].Name != "0011_factors" {
			t.Fatalf("the next migration is %s", before[i].Name)
		}
		if err := db.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		u, err := db.UserByID(ctx, "u")
		if err != nil || u.SecondFactor || u.FactorVersion != 0 || u.Version != 3 || !u.HasRole(userstore.RoleAdmin) {
			t.Errorf("%+v, %v", u, err)
		}
		if s, err := db.SecondFactors(ctx, "u"); err != nil || !reflect.DeepEqual(s, userstore.SecondFactors{}) {
			t.Errorf("%+v, %v", s, err)
		}
		s := userstore.SessionHash{}
		for i := range s {
			s[i] = 0xaa
		}
		got, _, err := db.BrowserSession(ctx, s, now, time.Time{})
		proved := []userstore.ProvedFactor{{Factor: userstore.FactorPassword, At: time.UnixMicro(1700000000000001).UTC()}}
		if err != nil || !reflect.DeepEqual(got.Proved, proved) || got.ID != "b" {
			t.Errorf("%+v, %v", got, err)
		}
		if ring, err := db.LoadRing(ctx); err != nil || ring.Version != 7 {
			t.Errorf("%+v, %v", ring, err)
		}

		// A login without a second factor, and then the first one.
		step := userstore.SecondStep{}
		if err := db.StartGrant(ctx, userstore.StartGrant{Grant: newGrant(u), PasswordHash: "hash",
			Second: step}); err != nil {
			t.Error(err)
		}
		if err := db.ChangeFactors(ctx, userstore.FactorChange{UserID: "u", PasswordHash: "hash", At: now, PasskeyHandle: "h",
			AddPasskey: &userstore.Passkey{ID: "p", UserID: "u", CredentialID: []byte{1}, PublicKey: []byte{2},
				CreatedAt: now}}); err != nil {
			t.Error(err)
		}
		if err := db.StartGrant(ctx, userstore.StartGrant{Grant: newGrant(u), PasswordHash: "hash",
			Second: step}); err == nil {
			t.Error("a login without the second factor")
		}
	})
}

// A binary of before would let people in by the password alone: the schema refuses it.
func TestNoOlderBinaryWritesBesideSecondFactors(t *testing.T) {
	t.Parallel()
	sqltest.EachURL(t, func(t *testing.T, url string) {
		db := open(t, url, sqlstore.Options{})
		oldest, err := sqlstore.OldestWriter(t.Context(), db)
		if err != nil || oldest < 11 {
			t.Errorf("the schema lets version %d write, %v", oldest, err)
		}
	})
}

func TestOperatorsViewsOfSecondFactors(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{})
	u, app := withFactors(t, db)
	s := newSession(u)
	trust := userstore.NewTrust{Hash: s.Hash, ID: "trusted", EndsAt: now.Add(time.Hour)}
	if err := db.StartSession(t.Context(), userstore.StartSession{Session: s, PasswordHash: u.PasswordHash,
		Second: userstore.SecondStep{FactorVersion: u.FactorVersion, Proved: true, Trust: &trust}}); err != nil {
		t.Fatal(err)
	}
	admin := session(t, url)
	for query, want := range map[string]time.Time{
		`SELECT created_at FROM readable_authenticator_apps WHERE id = '` + app.ID + `' AND confirmed AND last_used_at
			IS NULL`: now,
		`SELECT created_at FROM readable_passkeys WHERE name = 'Phone' AND last_used_at IS NULL AND aaguid = ''`: now,
		`SELECT ends_at FROM readable_trusted_browsers WHERE id = 'trusted' AND
			NOT ended`: trust.EndsAt,
		`SELECT created_at FROM readable_users WHERE second_factor AND factor_epoch = 1 AND wrong_codes = 2 AND
			recovery_codes = 2`: u.CreatedAt,
	} {
		if got := one[time.Time](t, admin, query); !got.Equal(want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	if _, err := db.RevokeUserGrants(t.Context(), u.ID, "", now); err != nil {
		t.Fatal(err)
	}
	if !one[bool](t, admin, `SELECT ended FROM readable_trusted_browsers WHERE id = 'trusted'`) {
		t.Error("a trusted browser after the end of all sessions")
	}
	if n := one[int64](t, admin, `SELECT count(*) FROM information_schema.columns WHERE table_name LIKE 'readable%'
		AND column_name IN ('sealed', 'mac', 'hash', 'public_key', 'credential_id', 'factor_secret',
			'passkey_handle')`); n != 0 {
		t.Error("a view shows a secret")
	}
}

// Every statement about second factors finds its rows by an index.
func TestPlansOfSecondFactorsUseIndexes(t *testing.T) {
	t.Parallel()
	admin := session(t, sqltest.PostgresURL(t))
	psql(t, admin,
		`INSERT INTO users (id, email, email_key, email_verified, username, username_key, claims, roles, is_active, is_staff,
			created_at, updated_at, version, last_login_at, last_session_id, password_hash)
			SELECT 'u'||n, 'e'||n, 'e'||n, TRUE, 'n'||n, 'n'||n, '{}', '[]', TRUE, FALSE, n, n, 1, 0, '', 'h' FROM
				generate_series(1, 3000) n`,
		`INSERT INTO authenticator_apps SELECT 'a'||n, 0, 0, 'u'||n, TRUE, '', 'SHA1', 6, 30, n FROM
			generate_series(1, 3000) n`,
		`INSERT INTO passkeys SELECT 'p'||n, 0, 0, FALSE, FALSE, 'u'||(n%3000+1), decode(md5(n::text), 'hex'), '',
			'[]', '', '', n FROM generate_series(1, 6000) n`,
		`INSERT INTO recovery_codes SELECT 'u'||(n%3000+1), decode(md5(n::text), 'hex'), n FROM generate_series(1, 30000) n`,
		`INSERT INTO trusted_browsers SELECT decode(md5(n::text), 'hex'), n, 't'||n, 'u'||(n%3000+1), 0, 0, n, n, '',
			'' FROM generate_series(1, 6000) n`,
		`INSERT INTO spent_handles SELECT 'h'||n, n FROM generate_series(1, 6000) n`,
		`INSERT INTO one_time_tokens SELECT 't'||n, 'undo_email', 'u'||n, '', '', 0, n, n, 0, TRUE FROM
			generate_series(1, 3000) n`,
		`INSERT INTO retired_apps SELECT 'a'||n, 0, 0, 'u'||n, '', 'SHA1', 6, 30, n, n, n FROM generate_series(1, 3000) n`,
		`INSERT INTO retired_passkeys SELECT 'p'||n, 0, 0, FALSE, FALSE, 'u'||(n%3000+1), decode(md5(n::text), 'hex'),
			'', '[]', '', '', n, n, n FROM generate_series(1, 6000) n`,
		`INSERT INTO retired_codes SELECT 'u'||(n%3000+1), decode(md5(n::text), 'hex'), n, n, n FROM
			generate_series(1, 30000) n`,
		`ANALYZE`)
	id := make([]byte, 16)
	queries := map[string]struct {
		sql  string
		args []any
	}{
		"a user's app": {`SELECT a.id FROM authenticator_apps a WHERE a.user_id = $1`, []any{"u1"}},
		"a user's passkeys": {`SELECT p.id FROM passkeys p WHERE p.user_id = $1 ORDER BY p.created_at, p.id`,
			[]any{"u1"}},
		"a passkey": {`SELECT p.id FROM passkeys p JOIN users u ON u.id = p.user_id WHERE p.credential_id = $1`, []any{id}},
		"a recovery code": {`DELETE FROM recovery_codes WHERE user_id = $1 AND (FALSE OR mac = $2 OR mac = $3)`,
			[]any{"u1", id, id}},
		"a trusted browser":         {sqlstore.TrustByHashSQL, []any{id, int64(1)}},
		"a user's browsers":         {sqlstore.TrustOfUserSQL, []any{"u1", int64(1)}},
		"the bound of browsers":     {sqlstore.BoundTrustSQL, []any{"u1", "u1", int64(25)}},
		"ended browsers":            {sqlstore.RemoveTrustedSQL, []any{int64(5), int64(100)}},
		"ended handles":             {sqlstore.RemoveHandlesSQL, []any{int64(5), int64(100)}},
		"whether there is a factor": {sqlstore.RecountSQL, []any{"u1"}},
		"a retired credential": {`SELECT 1 FROM retired_passkeys r WHERE r.credential_id = $1 AND r.user_id <> $2`,
			[]any{id, "u1"}},
	}
	add := func(name, sql string, args ...any) {
		queries[name] = struct {
			sql  string
			args []any
		}{sql, args}
	}
	for i, sql := range sqlstore.HeldSQL {
		args := []any{"t1", "t1", "t1", "t1", "t1"}
		if i == 0 {
			args = append(args, "t1")
		}
		add(fmt.Sprint("what was there before an act, ", i), sql, args...)
	}
	for i, sql := range sqlstore.RetireSQL() {
		add(fmt.Sprint("what is retired, ", i), sql, int64(5), int64(5), int64(5), int64(5), "u1", int64(5))
	}
	for i, sql := range sqlstore.RemoveRetiredSQL {
		add(fmt.Sprint("what nothing brings back, ", i), sql, int64(5), int64(100))
	}
	for name, q := range queries {
		rows, err := admin.Query(t.Context(), `EXPLAIN `+q.sql, q.args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if plan := strings.Join(lines, "\n"); strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}
