//go:build unix

package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
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
		"synchronous_commit off":      {"synchronous_commit = off", []string{"synchronous_commit is off", "ALTER DATABASE"}},
		"F-04 a read-only node":       {"default_transaction_read_only = on", []string{"takes no writes", "primary"}},
		"synchronous_commit is local": {"synchronous_commit = local", nil},
	} {
		t.Run(name, func(t *testing.T) {
			url := sqltest.PostgresURL(t)
			admin := session(t, url)
			psql(t, admin, `DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET `+test.setting+`'; END $$`)
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
		_, err := sqlstore.Open(t.Context(), strings.Replace(url, strings.TrimSuffix(name, "_latin1"), name, 1), sqlstore.Options{})
		says(t, err, "LATIN1", "UTF8")
	})
}

func TestF01AStoppedServer(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Options{})
	db := open(t, server.URL(t), sqlstore.Options{})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, g := create(t, db)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"read":    func() error { _, err := db.UserByID(t.Context(), u.ID); return err },
		"refresh": func() error { _, err := db.AdvanceGrant(t.Context(), advance(g, 1)); return err },
		"signup":  func() error { return db.CreateUser(t.Context(), newUser()) },
		"login": func() error {
			return db.StartGrant(t.Context(), userstore.StartGrant{Grant: newGrant(u), PasswordHash: "hash"})
		},
		"list":   func() error { _, err := db.ListUsers(t.Context(), userstore.UserQuery{Limit: 10}); return err },
		"ring":   func() error { _, err := db.LoadRing(t.Context()); return err },
		"rotate": func() error { return db.ChangeRing(t.Context(), 0, keys.Change{RefreshSecret: "x"}) },
		"ping":   func() error { return db.Ping(t.Context()) },
		"clock":  func() error { _, err := db.Now(t.Context()); return err },
		"schema": func() error { return db.CheckSchema(t.Context()) },
	}
	for name, call := range calls {
		within(t, name, 6*time.Second, func() { unavailable(t, name, call()) })
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	within(t, "the first success", 2*time.Second, func() {
		for db.Ping(t.Context()) != nil {
			time.Sleep(10 * time.Millisecond)
		}
	})
	for _, name := range []string{"read", "refresh", "signup", "login", "rotate"} {
		if err := calls[name](); err != nil {
			t.Errorf("%s after the restart: %v", name, err)
		}
	}
}

func TestF02KilledBackends(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{MaxConns: 4})
	u, g := create(t, db)
	admin := session(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var killer sync.WaitGroup
	killer.Go(func() {
		for ctx.Err() == nil {
			_, _ = admin.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'signet' ORDER BY random() LIMIT 1`)
			time.Sleep(5 * time.Millisecond)
		}
	})
	generation, refused, refreshed := int64(1), 0, 0
	for range 120 {
		if _, err := db.UserByID(ctx, u.ID); err != nil {
			unavailable(t, "read", err)
		}
		v, err := db.AdvanceGrant(ctx, advance(g, generation))
		switch {
		case err == nil:
			generation = v.Grant.Generation
			refreshed++
		case errors.Is(err, userstore.ErrUnavailable):
			refused++
		case errors.Is(err, userstore.ErrConflict): // the answer was lost, and the retry found the first try's change
		default:
			t.Fatal(err)
		}
		if err != nil {
			for { // as a caller does next
				v, err := db.GrantByID(ctx, g.ID)
				if err == nil {
					if v.Grant.Generation != generation && v.Grant.Generation != generation+1 {
						t.Fatalf("generation %d after %d", v.Grant.Generation, generation)
					}
					generation = v.Grant.Generation
					break
				}
				unavailable(t, "read", err)
			}
		}
	}
	cancel()
	killer.Wait()
	if refreshed < 40 {
		t.Errorf("only %d of 120 refreshes succeeded, %d were refused", refreshed, refused)
	}
}

func TestF04ANodeThatBecomesReadOnly(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{MaxConns: 2})
	u, g := create(t, db)
	admin := session(t, url)
	psql(t, admin, `DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET default_transaction_read_only = on'; END $$`)
	// The open connections do not notice; set them read-only, as a demoted node would.
	if err := sqlstore.EachConn(t.Context(), db, `SET default_transaction_read_only = on`); err != nil {
		t.Fatal(err)
	}
	err := db.Ping(t.Context())
	unavailable(t, "ping", err)
	if _, err := db.UserByID(t.Context(), u.ID); err != nil {
		t.Errorf("a read: %v", err)
	}
	_, err = db.AdvanceGrant(t.Context(), advance(g, 1))
	unavailable(t, "a write", err)
	unavailable(t, "a write over a new connection", db.CreateUser(t.Context(), newUser()))
	psql(t, admin, `SET default_transaction_read_only = off`, `DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' RESET default_transaction_read_only'; END $$`)
	ready(t, db)
	if _, err := db.AdvanceGrant(t.Context(), advance(g, 1)); err != nil {
		t.Errorf("a write afterwards: %v", err)
	}
}

func TestF05F14LocksAndAFullPool(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{MaxConns: 3})
	alice, aliceGrant := create(t, db)
	bob, _ := create(t, db)
	locker := session(t, url)
	psql(t, locker, `BEGIN`, `SELECT 1 FROM users WHERE id = '`+alice.ID+`' FOR UPDATE`, `SELECT 1 FROM grants WHERE user_id = '`+alice.ID+`' FOR UPDATE`)

	within(t, "F-14 the one whose rows are locked", 4*time.Second, func() {
		_, err := db.AdvanceGrant(t.Context(), advance(aliceGrant, 1))
		unavailable(t, "F-14 refresh", err)
	})
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() { unavailable(t, "F-14 disable", db.SetActive(t.Context(), alice.ID, false, now)) })
	}
	time.Sleep(200 * time.Millisecond) // all three connections wait for a lock now
	within(t, "F-05 a call without a free connection", 1500*time.Millisecond, func() {
		_, err := db.UserByID(t.Context(), bob.ID)
		unavailable(t, "F-05", err)
		says(t, err, "no free connection")
	})
	waiting.Wait()
	if _, err := db.UserByID(t.Context(), alice.ID); err != nil {
		t.Errorf("F-14 a read of the locked row: %v", err)
	}
	if err := db.SetActive(t.Context(), bob.ID, false, now); err != nil {
		t.Errorf("F-14 another user: %v", err)
	}
	psql(t, locker, `ROLLBACK`)
	if _, err := db.AdvanceGrant(t.Context(), advance(aliceGrant, 1)); err != nil {
		t.Errorf("F-14 afterwards: %v", err)
	}
}

// A replica whose requests use all connections is busy, not unready, and still learns of revoked
// keys.
func TestF05AFullPoolStaysReady(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	for name, test := range map[string]struct {
		url      string
		options  sqlstore.Options
		requests int
		spare    bool
	}{
		"the options count requests' connections": {url, sqlstore.Options{MaxConns: 2}, 2, true},
		"the address counts all connections":      {url + "&pool_max_conns=3", sqlstore.Options{}, 2, true},
		"an address that allows only one":         {url + "&pool_max_conns=1", sqlstore.Options{}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, test.url, test.options)
			u, _ := create(t, db)
			locker := session(t, url)
			psql(t, locker, `BEGIN`, `SELECT 1 FROM users WHERE id = '`+u.ID+`' FOR UPDATE`)
			var waiting sync.WaitGroup
			defer waiting.Wait()
			for range test.requests {
				waiting.Go(func() { unavailable(t, "disable", db.SetActive(t.Context(), u.ID, false, now)) })
			}
			for db.Stats().InUse < test.requests {
				time.Sleep(5 * time.Millisecond)
			}
			if !test.spare {
				unavailable(t, "Ping", db.Ping(t.Context()))
				return
			}
			if most := db.Stats().Max; most != test.requests+1 {
				t.Errorf("at most %d connections, for %d of requests", most, test.requests)
			}
			for name, vital := range map[string]func() error{
				"Ping":        func() error { return db.Ping(t.Context()) },
				"Now":         func() error { _, err := db.Now(t.Context()); return err },
				"RingVersion": func() error { _, err := db.RingVersion(t.Context()); return err },
				"LoadRing":    func() error { _, err := db.LoadRing(t.Context()); return err },
			} {
				within(t, name, 500*time.Millisecond, func() {
					if err := vital(); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			if waits := db.Stats().Waits; waits != 0 {
				t.Errorf("%d calls had to wait, want none so far", waits)
			}
			_, err := db.UserByID(t.Context(), u.ID)
			unavailable(t, "a request", err)
			if s := db.Stats(); s.Waits != 1 || s.Waited < 900*time.Millisecond {
				t.Errorf("%d calls waited %s, want one that waited a second", s.Waits, s.Waited)
			}
			waiting.Wait()
			if err := db.Ping(t.Context()); err != nil {
				t.Errorf("Ping afterwards: %v", err)
			}
		})
	}
}

// F-15 and F-16: a trigger fails exactly one statement, as often as it is set to.
func TestF15FailingStatements(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{})
	admin := session(t, url)
	psql(t, admin, `CREATE SEQUENCE failures`, // counts outside transactions
		`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('failures') <= TG_ARGV[0]::int THEN RAISE EXCEPTION 'made to fail' USING ERRCODE = TG_ARGV[1]; END IF;
			RETURN NEW; END $$`)
	for _, test := range []struct {
		code  string
		times int
		tries int64
		ok    bool
	}{
		{"40001", 3, 4, true}, {"40P01", 3, 4, true}, {"40001", 4, 4, false}, {"40P01", 100, 4, false},
		{"P0001", 1, 1, false}, {"XX000", 1, 1, false}, {"53100", 1, 1, false}, {"42P01", 1, 1, false}, {"55P03", 1, 1, false},
	} {
		t.Run(fmt.Sprintf("%s %d times", test.code, test.times), func(t *testing.T) {
			u, g := create(t, db)
			psql(t, admin, `SELECT setval('failures', 1, false)`,
				fmt.Sprintf(`CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON grants FOR EACH ROW EXECUTE FUNCTION fail(%d, '%s')`, test.times, test.code))
			defer psql(t, admin, `DROP TRIGGER fail ON grants`)
			check := func(what string, err error) {
				t.Helper()
				if test.ok && err != nil {
					t.Errorf("%s: %v", what, err)
				} else if !test.ok {
					unavailable(t, what, err)
				}
				if got := one[int64](t, admin, `SELECT last_value FROM failures`); got != test.tries {
					t.Errorf("%s: tried %d times, want %d", what, got, test.tries)
				}
				psql(t, admin, `SELECT setval('failures', 1, false)`)
			}
			_, err := db.AdvanceGrant(t.Context(), advance(g, 1))
			check("refresh", err)
			check("login", db.StartGrant(t.Context(), userstore.StartGrant{Grant: newGrant(u), PasswordHash: "hash", Rehash: "better"}))
			if test.ok {
				u.PasswordHash = "better"
			}
			n := one[int64](t, admin, `SELECT count(*) FROM grants WHERE user_id = $1`, u.ID)
			got, err := db.UserByID(t.Context(), u.ID)
			if err != nil || got.PasswordHash != u.PasswordHash || test.ok != (n == 2) {
				t.Errorf("half a login: hash %q, %d grants, %v", got.PasswordHash, n, err)
			}
		})
	}
}

func TestF06AServerThatHangs(t *testing.T) {
	t.Parallel()
	p := newProxy(t, sqltest.PostgresURL(t))
	db := open(t, p.url, sqlstore.Options{MaxConns: 2})
	u, g := create(t, db)
	p.hang.Store(true)
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			within(t, "F-06 a write", 5500*time.Millisecond, func() {
				_, err := db.AdvanceGrant(t.Context(), advance(g, 1))
				unavailable(t, "F-06 a write", err)
			})
		})
		calls.Go(func() {
			within(t, "F-06 a read", 5500*time.Millisecond, func() {
				_, err := db.UserByID(t.Context(), u.ID)
				unavailable(t, "F-06 a read", err)
			})
		})
	}
	calls.Wait()
	p.hang.Store(false)
	within(t, "F-06 recovery", 2*time.Second, func() {
		for db.Ping(t.Context()) != nil {
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// F-08: the server committed, and its answer was lost.
func TestF08AnswerLostAfterCommit(t *testing.T) {
	t.Parallel()
	p := newProxy(t, sqltest.PostgresURL(t))
	db := open(t, p.url, sqlstore.Options{MaxConns: 1})
	ctx := t.Context()
	version, edits := int64(0), map[string]int64{}
	for _, test := range []struct {
		name string
		op   func(u userstore.User, g userstore.Grant) error
		want error // nil: as if the answer had arrived
		done func(u userstore.User, g userstore.Grant) error
	}{
		{name: "a refresh finds its own work", want: userstore.ErrConflict,
			op: func(_ userstore.User, g userstore.Grant) error {
				_, err := db.AdvanceGrant(ctx, advance(g, 1))
				return err
			},
			done: func(_ userstore.User, g userstore.Grant) error {
				v, err := db.GrantByID(ctx, g.ID)
				if err == nil && v.Grant.Generation != 2 {
					err = fmt.Errorf("generation %d", v.Grant.Generation)
				}
				return err
			}},
		{name: "a sign-up is not refused because of its own row",
			op: func(u userstore.User, _ userstore.Grant) error {
				u.ID, u.EmailKey = "new-"+u.ID, "new-"+u.EmailKey
				return db.CreateUser(ctx, u)
			},
			done: func(u userstore.User, _ userstore.Grant) error {
				_, err := db.UserByID(ctx, "new-"+u.ID)
				return err
			}},
		{name: "a login makes another grant the next time", want: userstore.ErrUnavailable,
			op: func(u userstore.User, _ userstore.Grant) error {
				return db.StartGrant(ctx, userstore.StartGrant{Grant: newGrant(u), PasswordHash: "hash"})
			},
			done: func(u userstore.User, _ userstore.Grant) error {
				return db.StartGrant(ctx, userstore.StartGrant{Grant: newGrant(u), PasswordHash: "hash"})
			}},
		{name: "a password change recognises its own hash",
			op: func(u userstore.User, _ userstore.Grant) error {
				return db.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, OldHash: "hash", NewHash: "new " + u.ID, At: now})
			},
			done: func(u userstore.User, g userstore.Grant) error {
				v, err := db.GrantByID(ctx, g.ID)
				if err == nil && v.Grant.RevokedAt.IsZero() {
					err = errors.New("the grant lives")
				}
				return err
			}},
		{name: "an edit is made anew by its caller", want: userstore.ErrConflict,
			op: func(u userstore.User, _ userstore.Grant) error {
				u.Version, u.Username = 1+edits[u.ID], "edited"
				err := db.UpdateUser(ctx, u)
				if err == nil {
					edits[u.ID]++
				}
				return err
			},
			done: func(u userstore.User, _ userstore.Grant) error {
				got, err := db.UserByID(ctx, u.ID)
				if err == nil && got.Username != "edited" {
					err = errors.New("not edited")
				}
				return err
			}},
		{name: "a deletion is one",
			op: func(u userstore.User, _ userstore.Grant) error { return db.DeleteUser(ctx, u.ID) },
			done: func(u userstore.User, _ userstore.Grant) error {
				if _, err := db.UserByID(ctx, u.ID); !errors.Is(err, userstore.ErrNotFound) {
					return fmt.Errorf("still there: %w", err)
				}
				return nil
			}},
		{name: "a session is revoked",
			op: func(u userstore.User, g userstore.Grant) error { return db.RevokeSession(ctx, u.ID, g.SessionID, now) },
			done: func(u userstore.User, g userstore.Grant) error {
				if err := db.RevokeSession(ctx, u.ID, g.SessionID, now); !errors.Is(err, userstore.ErrNotFound) {
					return fmt.Errorf("still live: %w", err)
				}
				return nil
			}},
		{name: "a grant is revoked",
			op:   func(_ userstore.User, g userstore.Grant) error { return db.RevokeGrant(ctx, g.ID, now) },
			done: func(_ userstore.User, g userstore.Grant) error { return db.RevokeGrant(ctx, g.ID, now) }},
		{name: "a user is disabled",
			op: func(u userstore.User, _ userstore.Grant) error { return db.SetActive(ctx, u.ID, false, now) },
			done: func(u userstore.User, _ userstore.Grant) error {
				got, err := db.UserByID(ctx, u.ID)
				if err == nil && got.IsActive {
					err = errors.New("still active")
				}
				return err
			}},
		{name: "a rotation finds its own work", want: keys.ErrConflict,
			op: func(userstore.User, userstore.Grant) error {
				err := db.ChangeRing(ctx, version, keys.Change{RefreshSecret: "x"})
				if err == nil {
					version++
				}
				return err
			},
			done: func(userstore.User, userstore.Grant) error {
				v, err := db.RingVersion(ctx)
				if err == nil && v != version+1 {
					err = fmt.Errorf("version %d, want %d", v, version+1)
				}
				return err
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			u, g := create(t, db)
			if err := test.op(u, g); err != nil { // prepares the statements, and shows that the operation works
				t.Fatal(err)
			}
			u, g = create(t, db)
			if errors.Is(test.want, userstore.ErrConflict) && strings.HasPrefix(test.name, "an edit") || errors.Is(test.want, keys.ErrConflict) {
				loseCommit(t, p, func() error { return test.op(u, g) }, test.want)
			} else {
				p.lose.Store(1)
				if err := test.op(u, g); !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
			}
			if left := p.lose.Load(); left != 0 {
				t.Fatal("no answer was lost")
			}
			if err := test.done(u, g); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// loseCommit loses the answer to each round trip of a transaction in turn, the last of which is its
// COMMIT. An operation that was not committed is retried; one that was is not done twice.
func loseCommit(t *testing.T, p *proxy, op func() error, want error) {
	t.Helper()
	for nth := int64(1); nth < 10; nth++ {
		p.skip.Store(nth - 1)
		p.lose.Store(1)
		err := op()
		if errors.Is(err, want) {
			return
		}
		if err != nil {
			t.Fatalf("answer %d lost: %v", nth, err)
		}
	}
	t.Fatal("the answer to COMMIT was never lost")
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
		"idle_in_transaction_session_timeout": "10s", "application_name": "signet", "default_transaction_isolation": "read committed"} {
		if got, err := sqlstore.Setting(t.Context(), db, name); err != nil || got != want {
			t.Errorf("%s is %s, want %s (%v)", name, got, want, err)
		}
	}
}

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
	deadline := time.Now().Add(20 * time.Second)
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
	psql(t, admin, `INSERT INTO users SELECT 'u'||n, 'e'||n, 'e'||n, TRUE, 'n'||n, 'n'||n, '{}', '[]', TRUE, FALSE, n, n, 1, 0, '', 'h' FROM generate_series(1, 3000) n`,
		`INSERT INTO grants SELECT decode(md5(n::text), 'hex'), 1, n, 0, 0, 0, n, n, n, 1, 'signet', 'u'||(n%3000+1), 's'||n, '[]', '[]', '[]', '', '', '', '' FROM generate_series(1, 6000) n`,
		`INSERT INTO audit_events SELECT n, 'e'||n, CASE WHEN n % 1000 = 0 THEN 'keys_rotated' ELSE 'login_failed' END, 'success', '',
			'user', 'a'||(n%3000), 'user', 't'||(n%3000), '', '', '', '', '', '[]' FROM generate_series(1, 6000) n`,
		`INSERT INTO clients (id, name, public, first_party, grant_types, scopes, resources, id_token_alg, epoch, disabled_at, created_at)
			SELECT 'c'||n, '', TRUE, TRUE, '[]', '[]', '[]', '', n, 0, n FROM generate_series(1, 3000) n`,
		`INSERT INTO browser_sessions SELECT decode(md5(n::text)||md5(n::text), 'hex'), n, n, n, n, 'b'||n, 'u'||(n%3000+1), '[]', '', '', '' FROM generate_series(1, 6000) n`,
		`INSERT INTO codes SELECT decode(md5(n::text)||md5(n::text), 'hex'), 0, '', n, n, n, n, TRUE, 'c'||(n%3000+1), 'u'||(n%3000+1), 'b'||n, '', '', '[]', '[]', '', '', '[]', '', '', '' FROM generate_series(1, 6000) n`,
		`INSERT INTO consents SELECT 'u'||n, 'c'||n, '', n, n, '[]' FROM generate_series(1, 3000) n`,
		`INSERT INTO client_assertions SELECT 'c'||(n%3000+1), decode(md5(n::text), 'hex'), n FROM generate_series(1, 6000) n`,
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
	for index, s := range sqlstore.EventsSQL {
		if p := plan(s.SQL(), s.Args()...); !strings.Contains(p, strings.TrimSpace(index)) || strings.Contains(p, "Seq Scan") {
			t.Errorf("events go without the index %s:\n%s", index, p)
		}
	}
	id := make([]byte, 16)
	for name, p := range map[string]string{
		"refresh":         plan(sqlstore.AdvanceSQL, int64(1), id, int64(1), "signet", int64(1), int64(1)),
		"grant view":      plan(sqlstore.ViewSQL, "s1"),
		"by email":        plan(sqlstore.UserByEmailSQL, "e1"),
		"by username":     plan(sqlstore.UserByUsernameSQL, "n1"),
		"a page of users": plan(`SELECT id FROM users u WHERE (u.created_at, u.id) > ($1, $2) ORDER BY u.created_at, u.id LIMIT 10`, int64(5), "u5"),
		"expired grants":  plan(sqlstore.RemoveExpiredSQL, int64(5), int64(100)),
		"a user's grants": plan(`SELECT id FROM grants WHERE user_id = $1`, "u1"),
		"list of grants":  plan(sqlstore.ListGrantsSQL, "u1", int64(1), int64(1)),
		"oldest grants":   plan(sqlstore.EndOldestSQL, "u1", "c1", id, int64(1), int64(1), int64(50), int64(1000), "n", "r", int64(100)),
		"recorded grants": plan(sqlstore.RecordEndedSQL, "u1", "c1", id, int64(1), int64(1), int64(50), int64(1000), "", "", "", "", "", "", "", "", "", ""),
		"another admin":   plan(sqlstore.DeleteAdminSQL, "u1"),

		"a code":                   plan(sqlstore.CodeSQL, id),
		"save a code":              plan(sqlstore.SaveCodeSQL, id, "", "", "[]", "[]", "", "", int64(1), "[]", "", true, int64(1), int64(1), "", "", id, "u1", "c1", "b1", int64(1), int64(1)),
		"use a code":               plan(sqlstore.UseCodeSQL, int64(1), id, id, "u1", "c1", int64(1), "s"),
		"the grant of a code":      plan(sqlstore.GrantOfCodeSQL, id, int64(1), int64(1), int64(1), int64(1), int64(1), int64(1), int64(1), "s", "[]", "[]", "[]", "", "", "", "", "", id, id),
		"expired codes":            plan(sqlstore.RemoveCodesSQL, int64(5), int64(5), int64(100)),
		"a browser session":        plan(sqlstore.SessionSQL, id, int64(1), int64(1)),
		"a user's sessions":        plan(sqlstore.ListSessionsSQL, "u1", int64(1), int64(1)),
		"grants of the replaced":   plan(sqlstore.RevokeReplacedSQL, int64(1), id, "u1", "b1", "u1", "m"),
		"grants of a session":      plan(`UPDATE grants SET revoked_at = $1 WHERE browser_session = $2 AND browser_session <> ''`, int64(1), "b1"),
		"idle sessions":            plan(sqlstore.DeleteIdleSQL, "u1", int64(1), id, "u1", int64(50), id),
		"told sessions":            plan(sqlstore.RecordSurplusSQL, int64(1), "", "", "", "", "", "", "", "", "", "", "", "u1", id, int64(1), int64(49), id),
		"surplus sessions":         plan(sqlstore.EndSurplusSQL, int64(1), "u1", "session_revoked", "too_many", id),
		"expired sessions":         plan(sqlstore.RemoveSessionsSQL, int64(5), int64(100)),
		"expired assertions":       plan(sqlstore.RemoveAssertSQL, int64(5), int64(100)),
		"a user's consents":        plan(sqlstore.ListConsentsSQL, "u1", "u1"),
		"a page of clients":        plan(sqlstore.NextClientsSQL, int64(5), "c5", int64(10)),
		"grants of a client":       plan(`SELECT id FROM grants WHERE client_id = $1 LIMIT 1000`, "c1"),
		"consents of a client":     plan(`DELETE FROM consents WHERE client_id = $1`, "c1"),
		"unused codes of a client": plan(`DELETE FROM codes WHERE user_id = $1 AND client_id = $2 AND used_at = 0`, "u1", "c1"),
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

func TestOperatorsViewsShowInstantsAndNoSecrets(t *testing.T) {
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{})
	u, g := create(t, db)
	if err := db.ChangeRing(t.Context(), 0, keys.Change{Insert: []keys.Key{{ID: "k", Algorithm: "EdDSA", Seq: 1, Sealed: "sealed", Public: []byte("{}"), CreatedAt: now, ActivateAt: now}}}); err != nil {
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
	if n := one[int64](t, admin, `SELECT count(*) FROM readable_clients WHERE id = 'signet' AND disabled_at IS NULL`); n != 1 {
		t.Error("readable_clients")
	}
	if n := one[int64](t, admin, `SELECT count(*) FROM information_schema.columns WHERE table_name LIKE 'readable%' AND column_name IN ('password_hash', 'sealed', 'refresh_secret', 'secret_hash', 'hash')`); n != 0 {
		t.Error("a view shows a secret")
	}
}
