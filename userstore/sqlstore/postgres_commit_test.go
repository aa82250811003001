//go:build unix

package sqlstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

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
		{"P0001", 1, 1, false}, {"XX000", 1, 1, false}, {"53100", 1, 1, false}, {"42P01", 1, 1, false},
		{"55P03", 1, 1, false},
	} {
		t.Run(fmt.Sprintf("%s %d times", test.code, test.times), func(t *testing.T) {
			u, g := create(t, db)
			psql(t, admin, `SELECT setval('failures', 1, false)`,
				fmt.Sprintf(`CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON grants FOR EACH ROW EXECUTE FUNCTION fail(%d, '%s')`,
					test.times, test.code))
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
			check("login", db.StartGrant(t.Context(),
				userstore.StartGrant{Grant: newGrant(u), PasswordHash: "hash", Rehash: "better"}))
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
				return db.SetPassword(ctx,
					userstore.PasswordChange{UserID: u.ID, OldHash: "hash", NewHash: "new " + u.ID, At: now})
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
			op: func(u userstore.User, g userstore.Grant) error {
				return db.RevokeSession(ctx, u.ID, g.SessionID, now)
			},
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
			if errors.Is(test.want, userstore.ErrConflict) && strings.HasPrefix(test.name, "an edit") ||
				errors.Is(test.want, keys.ErrConflict) {
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
