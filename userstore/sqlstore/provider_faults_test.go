package sqlstore_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

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
		{name: "a proof is made anew by its client", want: userstore.ErrUnavailable,
			op: func(w world) error {
				return db.UseDPoPProof(ctx, sha256.Sum256([]byte(w.u.ID)), now, now.Add(time.Minute))
			},
			done: func(w world) error {
				id := sha256.Sum256([]byte(w.u.ID))
				if err := db.UseDPoPProof(ctx, id, now, now.Add(time.Minute)); !errors.Is(err, userstore.ErrExists) {
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

// F-08: the connection breaks while the server still runs the redemption. The retry comes before the
// server has ended that try, waits for it, and is no second redemption.
func TestF08ARedemptionOvertakenByItsOwnRetry(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	p := newProxy(t, url)
	db, admin, holder := open(t, p.url, sqlstore.Options{}), session(t, url), session(t, url)
	for _, begun := range []bool{false, true} {
		u, s, c := inBrowser(t, db)
		r := redemption(u, c)
		if begun {
			c = beginning(u, s, r.Grant.ID)
			if err := db.SaveCode(t.Context(), c, nil, time.Time{}); err != nil {
				t.Fatal(err)
			}
			r = goingOn(u, s, r.Grant.ID, now)
		}
		psql(t, holder, `BEGIN`, `UPDATE users SET version = version WHERE id = '`+u.ID+`'`)
		waiting := func(want int64) {
			t.Helper()
			for began := time.Now(); ; time.Sleep(time.Millisecond) {
				n := one[int64](t, admin, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
					AND wait_event_type = 'Lock' AND query LIKE 'UPDATE users SET last_session_id%'`)
				if n == want {
					return
				}
				if time.Since(began) > 2*time.Second {
					t.Fatalf("%d redemptions wait for the user's row, want %d", n, want)
				}
			}
		}
		answer := make(chan error, 1)
		go func() { answer <- db.RedeemCode(t.Context(), r) }()
		waiting(1)
		p.cut()
		waiting(2)
		psql(t, holder, `COMMIT`)
		if err := <-answer; err != nil {
			t.Errorf("begun %t: %v", begun, err)
		}
		if v, err := db.GrantByID(t.Context(), r.Grant.ID); err != nil || v.Grant.Generation != 1 {
			t.Errorf("begun %t: %+v, %v", begun, v.Grant, err)
		}
		r.Now = r.Now.Add(time.Second)
		if err := db.RedeemCode(t.Context(), r); !errors.Is(err, userstore.ErrConflict) {
			t.Errorf("begun %t: redeemed again: %v", begun, err)
		}
	}
}
