//go:build unix

package sqlstore_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/userstore/storetest"
)

func newSession(u userstore.User) userstore.BrowserSession {
	s := userstore.BrowserSession{ID: rand.Text(), UserID: u.ID, AuthTime: now, AMR: []string{"pwd"}, CreatedAt: now,
		LastUsedAt: now, ExpiresAt: now.Add(720 * time.Hour)}
	rand.Read(s.Hash[:])
	return s
}

func newCode(s userstore.BrowserSession) userstore.Code {
	c := userstore.Code{ClientID: userstore.FirstPartyClientID, UserID: s.UserID, BrowserSession: s.ID,
		RedirectURI: "https://a.test/cb", CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
		Scopes: []string{"openid", "profile", "email"}, Nonce: "nonce", AuthTime: now, AMR: []string{"pwd"}, CreatedAt: now,
		ExpiresAt: now.Add(time.Minute)}
	rand.Read(c.Hash[:])
	return c
}

func redemption(u userstore.User, c userstore.Code) userstore.Redeem {
	g := newGrant(u)
	g.Scopes, g.BrowserSession = c.Scopes, c.BrowserSession
	return userstore.Redeem{Hash: c.Hash, Grant: g, Now: now}
}

// beginning returns a code with which a grant begins.
func beginning(u userstore.User, s userstore.BrowserSession, id userstore.GrantID) userstore.Code {
	c := newCode(s)
	c.Hash = sha256.Sum256(id[:])
	g := newGrant(u)
	g.ID, g.SessionID, g.Generation, g.BrowserSession = id, fmt.Sprintf("%x", id), 0, s.ID
	c.Begins = &userstore.BegunGrant{Grant: g}
	return c
}

// goingOn returns the redemption of that code.
func goingOn(u userstore.User, s userstore.BrowserSession, id userstore.GrantID, at time.Time) userstore.Redeem {
	c := beginning(u, s, id)
	r := redemption(u, c)
	r.Grant, r.Begun, r.Now = c.Begins.Grant, true, at
	r.Grant.Generation = 1
	return r
}

// inBrowser returns a user with a browser session and a code that may be redeemed.
func inBrowser(tb testing.TB, db *sqlstore.DB) (userstore.User, userstore.BrowserSession, userstore.Code) {
	tb.Helper()
	u := newUser()
	s := newSession(u)
	c := newCode(s)
	for _, err := range []error{db.CreateUser(tb.Context(), u),
		db.StartSession(tb.Context(), userstore.StartSession{Session: s, PasswordHash: u.PasswordHash}),
		db.SaveCode(tb.Context(), c, nil, time.Time{})} {
		if err != nil {
			tb.Fatal(err)
		}
	}
	return u, s, c
}

// T-04: replicas with pools of their own.
func TestT04OneCodeAtThreeReplicas(t *testing.T) {
	t.Parallel()
	for engine, url := range map[string]string{"sqlite": sqltest.SQLitePath(t), "postgres": sqltest.PostgresURL(t)} {
		t.Run(engine, func(t *testing.T) {
			storetest.RedeemAtOnce(t, open(t, url, sqlstore.Options{}), open(t, url, sqlstore.Options{}),
				open(t, url, sqlstore.Options{}))
		})
	}
}

// Replicas with pools of their own give a user one subject for each sector.
func TestOneSubjectAtThreeReplicas(t *testing.T) {
	t.Parallel()
	for engine, url := range map[string]string{"sqlite": sqltest.SQLitePath(t), "postgres": sqltest.PostgresURL(t)} {
		t.Run(engine, func(t *testing.T) {
			storetest.SubjectsAtOnce(t, open(t, url, sqlstore.Options{}), open(t, url, sqlstore.Options{}),
				open(t, url, sqlstore.Options{}))
		})
	}
}

// F-08 for the operations of an OpenID Provider: the server committed, and its answer was lost.
func TestF08AnswerLostAfterCommitOfTheProvider(t *testing.T) {
	t.Parallel()
	p := newProxy(t, sqltest.PostgresURL(t))
	db := open(t, p.url, sqlstore.Options{MaxConns: 1})
	ctx := t.Context()
	type world struct {
		u userstore.User
		s userstore.BrowserSession
		c userstore.Code
		r userstore.Redeem
	}
	consent := func(w world) (userstore.Code, error) {
		c := newCode(w.s)
		return c, db.SaveCode(ctx, c, &userstore.Consent{Allowed: []userstore.Allowance{{Scopes: c.Scopes}}}, time.Time{})
	}
	for _, test := range []struct {
		name   string
		before func(w world) error
		op     func(w world) error
		skip   int64 // answers of the operation before the one to its commit
		want   error // nil: as if the answer had arrived
		done   func(w world) error
	}{
		{name: "a redemption finds its own work",
			op: func(w world) error { return db.RedeemCode(ctx, w.r) },
			done: func(w world) error {
				v, err := db.GrantByID(ctx, w.r.Grant.ID)
				if err == nil && (!v.Grant.RevokedAt.IsZero() || v.Grant.Generation != 1) {
					err = fmt.Errorf("%+v", v.Grant)
				}
				return err
			}},
		{name: "a second redemption is none for that", want: userstore.ErrConflict,
			before: func(w world) error { return db.RedeemCode(ctx, redemption(w.u, w.c)) },
			op:     func(w world) error { return db.RedeemCode(ctx, w.r) },
			done: func(w world) error {
				if _, err := db.GrantByID(ctx, w.r.Grant.ID); !errors.Is(err, userstore.ErrNotFound) {
					return fmt.Errorf("a second grant: %w", err)
				}
				return nil
			}},
		{name: "a code is saved",
			op: func(w world) error {
				w.c.Hash[0] ^= 1
				return db.SaveCode(ctx, w.c, nil, time.Time{})
			},
			done: func(w world) error {
				w.c.Hash[0] ^= 1
				w.r.Hash = w.c.Hash
				return db.RedeemCode(ctx, w.r)
			}},
		{name: "a code is saved with a consent", skip: 1,
			op: func(w world) error { _, err := consent(w); return err },
			done: func(w world) error {
				_, err := db.ConsentOf(ctx, w.u.ID, userstore.FirstPartyClientID)
				return err
			}},
		{name: "a code is saved with a grant, and the retry begins no other",
			op: func(w world) error { return db.SaveCode(ctx, beginning(w.u, w.s, w.r.Grant.ID), nil, time.Time{}) },
			done: func(w world) error {
				v, err := db.GrantByID(ctx, w.r.Grant.ID)
				if err == nil && v.Grant.Generation != 0 {
					err = fmt.Errorf("%+v", v.Grant)
				}
				return err
			}},
		{name: "a redemption goes on with the grant, and finds its own work",
			before: func(w world) error { return db.SaveCode(ctx, beginning(w.u, w.s, w.r.Grant.ID), nil, time.Time{}) },
			op:     func(w world) error { return db.RedeemCode(ctx, goingOn(w.u, w.s, w.r.Grant.ID, now)) },
			done: func(w world) error {
				again := db.RedeemCode(ctx, goingOn(w.u, w.s, w.r.Grant.ID, now.Add(time.Second)))
				v, err := db.GrantByID(ctx, w.r.Grant.ID)
				if err == nil && (v.Grant.Generation != 1 || !errors.Is(again, userstore.ErrConflict)) {
					err = fmt.Errorf("%+v, and again %w", v.Grant, again)
				}
				return err
			}},
		{name: "a login makes another session the next time", want: userstore.ErrUnavailable,
			op: func(w world) error {
				return db.StartSession(ctx,
					userstore.StartSession{Session: newSession(w.u), Replaces: w.s.Hash, PasswordHash: "hash"})
			},
			done: func(w world) error {
				return db.StartSession(ctx, userstore.StartSession{Session: newSession(w.u), PasswordHash: "hash"})
			}},
		{name: "a logout is one",
			op: func(w world) error { return db.EndSession(ctx, w.s.ID, now) },
			done: func(w world) error {
				if err := db.RedeemCode(ctx, w.r); !errors.Is(err, userstore.ErrConflict) {
					return fmt.Errorf("redeemed: %w", err)
				}
				return nil
			}},
		{name: "a browser session is revoked",
			op: func(w world) error { return db.RevokeBrowserSession(ctx, w.u.ID, w.s.ID, now) },
			done: func(w world) error {
				if err := db.RevokeBrowserSession(ctx, w.u.ID, w.s.ID, now); !errors.Is(err, userstore.ErrNotFound) {
					return fmt.Errorf("still there: %w", err)
				}
				return nil
			}},
		{name: "a consent is taken back",
			before: func(w world) error { _, err := consent(w); return err },
			op: func(w world) error {
				return db.RevokeConsent(ctx, w.u.ID, userstore.FirstPartyClientID, now)
			},
			done: func(w world) error {
				if err := db.RevokeConsent(ctx, w.u.ID, userstore.FirstPartyClientID, now); !errors.Is(err, userstore.ErrNotFound) {
					return fmt.Errorf("still there: %w", err)
				}
				return nil
			}},
		{name: "a request is pushed anew by its client", want: userstore.ErrUnavailable,
			op: func(w world) error { return db.SavePushedRequest(ctx, pushedBy(w.u, now), roomy, now) },
			done: func(w world) error {
				_, err := db.PushedRequest(ctx, pushedBy(w.u, now).ID, userstore.FirstPartyClientID, now)
				return err
			}},
		{name: "a pushed request is used",
			op: func(w world) error { return db.UsePushedRequest(ctx, useBy(w.u, now, 0)) },
			done: func(w world) error {
				if err := db.UsePushedRequest(ctx, useBy(w.u, now, 1)); !errors.Is(err, userstore.ErrConflict) {
					return fmt.Errorf("used again: %w", err)
				}
				return nil
			}},
		{name: "an assertion is made anew by its client", want: userstore.ErrUnavailable,
			op: func(w world) error { return db.UseAssertion(ctx, "client", w.u.ID, now, now.Add(time.Minute)) },
			done: func(w world) error {
				if err := db.UseAssertion(ctx, "client", w.u.ID, now, now.Add(time.Minute)); !errors.Is(err, userstore.ErrExists) {
					return fmt.Errorf("used again: %w", err)
				}
				return nil
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			make := func() world {
				u, s, c := inBrowser(t, db)
				w := world{u, s, c, redemption(u, c)}
				if test.before != nil {
					if err := test.before(w); err != nil {
						t.Fatal(err)
					}
				}
				return w
			}
			// The first time prepares the statements, and shows what the operation does.
			if err := test.op(make()); err != nil && !(test.before != nil && errors.Is(err, test.want)) {
				t.Fatal(err)
			}
			w := make()
			p.skip.Store(test.skip)
			p.lose.Store(1)
			if err := test.op(w); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if left := p.lose.Load(); left != 0 {
				t.Fatal("no answer was lost")
			}
			if err := test.done(w); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// F-15: when the grant cannot be inserted the code is not used.
func TestF15HalfARedemption(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{})
	admin := session(t, url)
	u, _, c := inBrowser(t, db)
	psql(t, admin,
		`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'made to fail' USING ERRCODE = 'P0001'; END $$`,
		`CREATE TRIGGER fail BEFORE INSERT ON grants FOR EACH ROW EXECUTE FUNCTION fail()`)
	unavailable(t, "a redemption", db.RedeemCode(t.Context(), redemption(u, c)))
	v, err := db.CodeByHash(t.Context(), c.Hash)
	if err != nil || !v.Code.UsedAt.IsZero() {
		t.Fatalf("the code afterwards: %+v, %v", v.Code, err)
	}
	psql(t, admin, `DROP TRIGGER fail ON grants`)
	if err := db.RedeemCode(t.Context(), redemption(u, c)); err != nil {
		t.Fatal(err)
	}
}

// A client is deleted in steps, however many rows it has.
func TestDeletingAClientWithManyGrants(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{})
	admin := session(t, url)
	psql(t, admin,
		`INSERT INTO clients (id, name, public, first_party, grant_types, scopes, resources, id_token_alg, epoch, disabled_at, created_at) VALUES ('big', '', TRUE, TRUE, '[]', '[]', '[]', '', 7, 0, 7)`,
		`INSERT INTO users SELECT 'u'||n, 'e'||n, 'e'||n, TRUE, '', '', '{}', '[]', TRUE, FALSE, n, n, 1, 0, '', 'h' FROM generate_series(1, 2500) n`,
		`INSERT INTO grants SELECT decode(md5(n::text), 'hex'), 1, n, 0, 0, 0, n, n, n, 1, CASE WHEN n % 5 = 0 THEN 'signet' ELSE 'big' END, 'u'||n, 's'||n, '[]', '[]', '[]', '', '', '', '' FROM generate_series(1, 2500) n`,
		`INSERT INTO consents SELECT 'u'||n, CASE WHEN n % 5 = 0 THEN 'signet' ELSE 'big' END, '', n, n, '[]' FROM generate_series(1, 2500) n`)
	if err := db.DeleteClient(t.Context(), "big"); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"grants", "consents"} {
		if n := one[int64](t, admin, `SELECT count(*) FROM `+table); n != 500 {
			t.Errorf("%d %s are left, want those 500 of another client", n, table)
		}
	}
	// An interrupted deletion leaves the client disabled, and a second one goes on.
	psql(t, admin, `UPDATE clients SET disabled_at = 0 WHERE id = 'signet'`,
		`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'made to fail' USING ERRCODE = 'P0001'; END $$`,
		`CREATE TRIGGER fail BEFORE DELETE ON consents FOR EACH ROW EXECUTE FUNCTION fail()`)
	unavailable(t, "deletion", db.DeleteClient(t.Context(), "signet"))
	c, err := db.ClientByID(t.Context(), "signet")
	if err != nil || c.DisabledAt.IsZero() {
		t.Fatalf("the client afterwards: %+v, %v", c, err)
	}
	psql(t, admin, `DROP TRIGGER fail ON consents`)
	if err := db.DeleteClient(t.Context(), "signet"); err != nil {
		t.Fatal(err)
	}
	if n := one[int64](t, admin, `SELECT count(*) FROM consents`); n != 0 {
		t.Errorf("%d consents are left", n)
	}
}

// The migration to the provider leaves older rows unchanged and sets how their clients
// authenticate.
func TestMigrationToTheProvider(t *testing.T) {
	t.Parallel()
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		c, err := db.ClientByID(t.Context(), userstore.FirstPartyClientID)
		if err != nil || c.AuthMethod != userstore.AuthNone || c.Version != 1 || !c.UpdatedAt.IsZero() {
			t.Errorf("%+v, %v", c, err)
		}
		// A row that an older binary inserts is readable.
		old := `INSERT INTO clients (id, name, public, first_party, grant_types, scopes, resources, id_token_alg, epoch, disabled_at, created_at)
			VALUES ('old', '', ` + yes(db) + `, ` + yes(db) + `, '[]', '[]', '[]', '', 1, 0, 0)`
		if err := sqlstore.Exec(t.Context(), db, old); err != nil {
			t.Fatal(err)
		}
		if c, err := db.ClientByID(t.Context(), "old"); err != nil || c.Version != 1 {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

// The use of a browser session or of a code is updated in place, as a refresh is.
func TestUsesAreUpdatedInPlace(t *testing.T) {
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{})
	admin := session(t, url)
	const rows = 30
	for range rows {
		u, s, c := inBrowser(t, db)
		for n := range 20 {
			if err := db.TouchSession(t.Context(), s.Hash, now.Add(time.Duration(n+1)*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.RedeemCode(t.Context(), redemption(u, c)); err != nil {
			t.Fatal(err)
		}
	}
	db.Close() // flushes the statistics
	for table, want := range map[string]int64{"browser_sessions": rows * 20, "codes": rows} {
		deadline := time.Now().Add(time.Minute)
		for {
			psql(t, admin, `SELECT pg_stat_clear_snapshot()`)
			updates := one[int64](t, admin, `SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = '`+table+`'`)
			if updates >= want {
				if hot := one[int64](t, admin,
					`SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = '`+table+`'`); hot < updates*95/100 {
					t.Errorf("%s: only %d of %d updates were in place", table, hot, updates)
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d updates are known", table, updates)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func TestSQLitePlansOfTheProvider(t *testing.T) {
	t.Parallel()
	db := sqltest.SQLite(t)
	id := []byte("0123456789abcdef")
	for name, test := range map[string]struct {
		sql   string
		args  []any
		index []string
	}{
		"a code": {sqlstore.CodeSQL, []any{id}, []string{"sqlite_autoindex_codes_1", "browser_sessions_id"}},
		"use a code": {sqlstore.UseCodeSQL, []any{1, id, id, "u", "c", 1, "s", id},
			[]string{"sqlite_autoindex_codes_1"}},
		"use a code of a grant": {sqlstore.UseCodeOfGrantSQL, []any{1, id, id, "u", "c", 1, "s", id, 1},
			[]string{"sqlite_autoindex_codes_1", "sqlite_autoindex_grants_1"}},
		"the grant of a code goes on": {sqlstore.GoOnSQL, []any{1, 1, 1, id, id, 1}, []string{"sqlite_autoindex_grants_1"}},
		"a browser session":           {sqlstore.SessionSQL, []any{id, 1, 1}, []string{"sqlite_autoindex_browser_sessions_1"}},
		"a user's sessions":           {sqlstore.ListSessionsSQL, []any{"u", 1, 1}, []string{"browser_sessions_user"}},
		"grants of the replaced": {sqlstore.RevokeReplacedSQL, []any{1, id, "u", "b", "u", "m"},
			[]string{"grants_browser_session"}},
		"idle sessions": {sqlstore.DeleteIdleSQL, []any{"u", 1, id, "u", 50, id}, []string{"browser_sessions_user"}},
		"told sessions": {sqlstore.RecordSurplusSQL, []any{1, "", "", "", "", "", "", "", "", "", "", "", "u", id, 1,
			49, id}, []string{"browser_sessions_user", "browser_sessions_id"}},
		"surplus sessions": {sqlstore.EndSurplusSQL, []any{1, "u", "session_revoked", "too_many", id},
			[]string{"browser_sessions_id"}},
		"expired codes":      {sqlstore.RemoveCodesSQL, []any{1, id, 1, 1}, []string{"codes_expires"}},
		"expired assertions": {sqlstore.RemoveAssertSQL, []any{1, 1}, []string{"client_assertions_expires"}},
		"push a request": {sqlstore.SavePushedSQL, []any{id, "", id, 1, 1, "c", "c", 1, 1, 1, 1},
			[]string{"pushed_requests_client", "pushed_requests_expires"}},
		"a pushed request":        {sqlstore.ReadPushedSQL, []any{id, "c"}, []string{"sqlite_autoindex_pushed_requests_1"}},
		"expired pushed requests": {sqlstore.RemovePushedSQL, []any{1, 1}, []string{"pushed_requests_remove"}},
		"a device that asks": {sqlstore.SaveDeviceSQL, []any{"d", id, id, "", "", "", "", 1, 1, 1, 1, 1, 0, "c", "c", 1, 1, 1, 1},
			[]string{"device_authorizations_client", "device_authorizations_expires"}},
		"a device by its code":      {sqlstore.DeviceByCodeSQL, []any{id}, []string{"device_authorizations_code"}},
		"a device by its user code": {sqlstore.DeviceByUserCodeSQL, []any{id}, []string{"device_authorizations_user_code"}},
		"a device by its id":        {sqlstore.DeviceByIDSQL, []any{"d"}, []string{"sqlite_autoindex_device_authorizations_1"}},
		"a poll":                    {sqlstore.PollDeviceSQL, []any{1, 1, 1, 1, 1, 1, id, 1, 1, 1, 1}, []string{"device_authorizations_code"}},
		"expired devices":           {sqlstore.RemoveDevicesSQL, []any{1, 1}, []string{"device_authorizations_remove"}},
		"a user's consents":         {sqlstore.ListConsentsSQL, []any{"u", "u"}, []string{"USING PRIMARY KEY"}},
		"a subject":                 {sqlstore.ReadSubjectSQL, []any{"u", "s"}, []string{"sqlite_autoindex_subjects_1"}},
		"by subject":                {sqlstore.UserBySubjectSQL, []any{"p"}, []string{"subjects_subject"}},
		"a user's subjects":         {sqlstore.ListSubjectsSQL, []any{"u"}, []string{"sqlite_autoindex_subjects_1"}},
		"a page of clients":         {sqlstore.NextClientsSQL, []any{1, "c", 1}, []string{"clients_created"}},
	} {
		plan, err := sqlstore.SQLitePlan(t.Context(), db, test.sql, test.args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, index := range test.index {
			if !strings.Contains(plan, index) {
				t.Errorf("%s goes without %s:\n%s", name, index, plan)
			}
		}
		lines := slices.Collect(strings.Lines(plan))
		if slices.ContainsFunc(lines, func(l string) bool {
			return strings.HasPrefix(l, "SCAN ") && !strings.Contains(l, "USING") && !strings.Contains(l, "SCAN o\n")
		}) {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}

// BenchmarkCode measures the store's part of a login by authorization code.
func BenchmarkCode(b *testing.B) {
	server := pgtest.Start(b, pgtest.Options{Durable: true})
	postgres := open(b, server.URL(b), sqlstore.Options{})
	if err := postgres.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, db := range []*sqlstore.DB{postgres, open(b, sqltest.SQLitePath(b), sqlstore.Options{})} {
		u, s, _ := inBrowser(b, db)
		ctx := context.Background()
		fatal := func(b *testing.B, err error) {
			if err != nil {
				b.Fatal(err)
			}
		}
		b.Run(db.Engine()+"/browser session", func(b *testing.B) {
			for b.Loop() {
				_, _, err := db.BrowserSession(ctx, s.Hash, now, now.Add(-time.Hour))
				fatal(b, err)
			}
		})
		b.Run(db.Engine()+"/save", func(b *testing.B) {
			for b.Loop() {
				fatal(b, db.SaveCode(ctx, newCode(s), nil, time.Time{}))
			}
		})
		b.Run(db.Engine()+"/save, read, redeem", func(b *testing.B) {
			for b.Loop() {
				c := newCode(s)
				fatal(b, db.SaveCode(ctx, c, nil, time.Time{}))
				_, err := db.CodeByHash(ctx, c.Hash)
				fatal(b, err)
				fatal(b, db.RedeemCode(ctx, redemption(u, c)))
			}
		})
		b.Run(db.Engine()+"/login at the pages", func(b *testing.B) {
			for b.Loop() {
				fatal(b, db.StartSession(ctx, userstore.StartSession{Session: newSession(u), PasswordHash: u.PasswordHash}))
			}
		})
		b.Run(db.Engine()+"/assertion", func(b *testing.B) {
			for b.Loop() {
				fatal(b, db.UseAssertion(ctx, "client", rand.Text(), now, now.Add(time.Minute)))
			}
		})
	}
}

// BenchmarkRedeemCode measures RedeemCode alone, by 16 callers, each with users of its own.
func BenchmarkRedeemCode(b *testing.B) {
	server := pgtest.Start(b, pgtest.Options{Durable: true})
	postgres := open(b, server.URL(b), sqlstore.Options{MaxConns: 16})
	if err := postgres.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, db := range []*sqlstore.DB{postgres, open(b, sqltest.SQLitePath(b), sqlstore.Options{})} {
		b.Run(db.Engine(), func(b *testing.B) {
			const callers = 16
			type ready struct {
				u     userstore.User
				codes []userstore.Code
			}
			all := make(chan ready, callers)
			for range callers {
				u, s, _ := inBrowser(b, db)
				r := ready{u: u}
				for range b.N/callers + 1 {
					c := newCode(s)
					if err := db.SaveCode(b.Context(), c, nil, time.Time{}); err != nil {
						b.Fatal(err)
					}
					r.codes = append(r.codes, c)
				}
				all <- r
			}
			close(all)
			b.ResetTimer()
			done := make(chan error)
			for r := range all {
				go func() {
					for _, c := range r.codes {
						if err := db.RedeemCode(context.Background(), redemption(r.u, c)); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range callers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N/callers+1)*callers/b.Elapsed().Seconds(), "redemptions/s")
		})
	}
}
