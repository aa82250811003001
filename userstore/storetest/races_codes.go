package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// raceRedeem: of many redemptions of one code, one inserts its grant, the code names this grant,
// and the others insert none.
func raceRedeem(t *testing.T, f *fixture) {
	RedeemAtOnce(t, f, f)
}

// RedeemAtOnce redeems codes 32 times at once, through all of the stores, which are replicas of
// one.
func RedeemAtOnce(t *testing.T, replicas ...userstore.Store) {
	f := &fixture{Store: replicas[0].(Store), now: base}
	u, c := f.user(t), f.client(t, nil)
	s := f.session(t, u)
	for range 6 {
		code := f.consented(t, s, c)
		var mu sync.Mutex
		var won, lost []userstore.GrantID
		together(32, func(i int) {
			r := f.redeem(code)
			err := replicas[i%len(replicas)].RedeemCode(t.Context(), r)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, r.Grant.ID)
				return
			}
			isAsync(t, err, userstore.ErrConflict)
			lost = append(lost, r.Grant.ID)
		})
		equal(t, "winners", len(won), 1)
		v, err := f.CodeByHash(t.Context(), code.Hash)
		must(t, err)
		equal(t, "the code's grant", v.Code.GrantID, won[0])
		_, err = f.GrantByID(t.Context(), won[0])
		must(t, err)
		for _, id := range lost {
			_, err = f.GrantByID(t.Context(), id)
			is(t, err, userstore.ErrNotFound)
		}
	}
	list, err := f.ListGrants(t.Context(), u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "grants", len(list), 6)
}

// raceVoid redeems codes against each operation that makes them void. After the operation has
// returned, no code can be redeemed and no grant of a code is live, even after the user or client
// is enabled or created again.
func raceVoid(t *testing.T, f *fixture) {
	type world struct {
		u userstore.User
		c userstore.Client
		s userstore.BrowserSession
	}
	for _, op := range []struct {
		name    string
		end     func(ctx context.Context, w world) error
		restore func(ctx context.Context, w world) error
	}{
		{name: "take the consent back", end: func(ctx context.Context, w world) error {
			return f.RevokeConsent(ctx, w.u.ID, w.c.ID, f.now)
		}},
		{name: "log out", end: func(ctx context.Context, w world) error { return f.EndSession(ctx, w.s.ID, f.now) }},
		{name: "revoke the browser session", end: func(ctx context.Context, w world) error {
			return f.RevokeBrowserSession(ctx, w.u.ID, w.s.ID, f.now)
		}},
		{name: "log out everywhere", end: func(ctx context.Context, w world) error {
			_, err := f.RevokeUserGrants(ctx, w.u.ID, "", f.now)
			return err
		}},
		{name: "change the password", end: func(ctx context.Context, w world) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: w.u.ID, OldHash: w.u.PasswordHash,
				NewHash: "changed", At: f.now})
		}},
		{name: "another user logs in", end: func(ctx context.Context, w world) error {
			other := f.newUser()
			if err := f.CreateUser(ctx, other); err != nil {
				return err
			}
			return f.StartSession(ctx, userstore.StartSession{Session: f.newSession(other), Replaces: w.s.Hash,
				PasswordHash: other.PasswordHash})
		}},
		{name: "disable the user", end: func(ctx context.Context, w world) error {
			return f.SetActive(ctx, w.u.ID, false, f.now)
		},
			restore: func(ctx context.Context, w world) error { return f.SetActive(ctx, w.u.ID, true, f.now) }},
		{name: "disable the client", end: func(ctx context.Context, w world) error {
			return f.SetClientActive(ctx, w.c.ID, false, f.now)
		},
			restore: func(ctx context.Context, w world) error { return f.SetClientActive(ctx, w.c.ID, true, f.now) }},
		{name: "delete the client", end: func(ctx context.Context, w world) error {
			return f.DeleteClient(ctx, w.c.ID)
		},
			restore: func(ctx context.Context, w world) error { return f.CreateClient(ctx, w.c) }},
		{name: "delete the user", end: func(ctx context.Context, w world) error { return f.DeleteUser(ctx, w.u.ID) }},
	} {
		t.Run(op.name, func(t *testing.T) {
			for range 6 {
				ctx := t.Context()
				w := world{u: f.user(t), c: f.client(t, nil)}
				w.s = f.session(t, w.u)
				var over atomic.Bool
				var mu sync.Mutex
				var codes []userstore.Code
				var grants []userstore.Grant
				first := f.consented(t, w.s, w.c)
				var workers sync.WaitGroup
				for i := range 4 {
					workers.Go(func() {
						for n := 0; n < 12 && !over.Load(); n++ { // save and redeem as fast as it goes
							code := f.newCode(w.s, w.c)
							if i == 0 && n == 0 {
								code = first
							}
							code.ByConsent = true
							if err := f.SaveCode(ctx, code, nil, time.Time{}); err != nil {
								if !errors.Is(err, userstore.ErrConflict) {
									t.Error(err)
								}
								return
							}
							late := over.Load()
							r := f.redeem(code)
							err := f.RedeemCode(ctx, r)
							mu.Lock()
							codes = append(codes, code)
							if err == nil {
								grants = append(grants, r.Grant)
							}
							mu.Unlock()
							if err != nil && !errors.Is(err, userstore.ErrConflict) {
								t.Error(err)
							}
							if err == nil && late {
								t.Error("a code was redeemed that had become void")
							}
						}
					})
				}
				time.Sleep(3 * time.Millisecond)
				must(t, op.end(ctx, w))
				over.Store(true)
				workers.Wait()
				if op.restore != nil {
					must(t, op.restore(ctx, w))
				}
				for _, g := range grants {
					f.dead(t, g)
				}
				for _, code := range codes {
					is(t, f.RedeemCode(ctx, f.redeem(code)), userstore.ErrConflict)
				}
			}
		})
	}
}

// raceSessions: simultaneous logins at the pages in one browser leave one session, and in many
// browsers no more than a user may have. No session survives an operation that ends all.
func raceSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	first := f.session(t, u)
	// With one id: a login form that is submitted twice.
	equal(t, "winners", winners(t, 8, userstore.ErrConflict, func(int) error {
		s := userstore.StartSession{Session: f.newSession(u), Replaces: first.Hash, PasswordHash: u.PasswordHash}
		s.Session.ID = first.ID
		return f.StartSession(ctx, s)
	}), 1)
	f.sessionExists(t, first, false)
	together(userstore.MaxBrowserSessionsPerUser+8, func(int) {
		if err := f.StartSession(ctx, userstore.StartSession{Session: f.newSession(u),
			PasswordHash: u.PasswordHash}); err != nil {
			t.Error(err)
		}
	})
	list, err := f.ListBrowserSessions(ctx, u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "sessions", len(list), userstore.MaxBrowserSessionsPerUser)

	for range 4 {
		u := f.user(t)
		together(9, func(i int) {
			if i == 4 {
				time.Sleep(time.Millisecond)
				if err := f.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, OldHash: u.PasswordHash,
					NewHash: "changed", At: f.now}); err != nil {
					t.Error(err)
				}
				return
			}
			for range 4 {
				err := f.StartSession(ctx, userstore.StartSession{Session: f.newSession(u),
					PasswordHash: u.PasswordHash})
				if err != nil {
					isAsync(t, err, userstore.ErrConflict)
				}
			}
		})
		list, err := f.ListBrowserSessions(ctx, u.ID, f.now, time.Time{})
		must(t, err)
		equal(t, "sessions after the password changed", len(list), 0)
	}
}

func raceConsents(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, c := f.user(t), f.client(t, nil)
	s := f.session(t, u)
	var want []string
	for i := range 6 {
		want = append(want, fmt.Sprint("scope-", i))
	}
	together(len(want), func(i int) {
		code := f.newCode(s, c)
		for {
			err := f.SaveCode(ctx, code,
				&userstore.Consent{Allowed: []userstore.Allowance{{Resource: "https://two.test", Scopes: want[i : i+1]},
					{Scopes: want[i : i+1]}, {Resource: fmt.Sprint("https://", i, ".test")}}}, time.Time{})
			if err == nil {
				break
			}
			if !errors.Is(err, userstore.ErrConflict) {
				t.Error(err)
				return
			}
		}
		if err := f.RedeemCode(ctx, f.redeem(code)); err != nil {
			t.Error(err)
		}
	})
	got, err := f.ConsentOf(ctx, u.ID, c.ID)
	must(t, err)
	equal(t, "resources", len(got.Allowed), len(want)+2)
	for _, resource := range []string{"", "https://two.test"} {
		scopes, _ := got.At(resource)
		slices.Sort(scopes)
		equal(t, "what was allowed at once", scopes, want)
	}
}

func raceAssertions(t *testing.T, f *fixture) {
	client := id()
	for round := range 10 {
		equal(t, "uses of one jti", winners(t, 8, userstore.ErrExists, func(int) error {
			return f.UseAssertion(t.Context(), client, fmt.Sprint(round), f.now, f.now.Add(time.Minute))
		}), 1)
	}
}

func raceClients(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.client(t, nil)
	u := f.user(t)
	var edits, deleted, made atomic.Int64
	together(6, func(i int) {
		for range 5 {
			got, err := f.ClientByID(ctx, c.ID)
			if err != nil {
				t.Error(err)
				return
			}
			got.Name += fmt.Sprint(i)
			if err := f.UpdateClient(ctx, got); err == nil {
				edits.Add(1)
			} else {
				isAsync(t, err, userstore.ErrConflict)
			}
		}
	})
	got, err := f.ClientByID(ctx, c.ID)
	must(t, err)
	equal(t, "edits that are there", int64(len(got.Name)-len(c.Name)), edits.Load())
	equal(t, "version", got.Version, 1+edits.Load())

	// The client is deleted and created again by many at once, while a user logs in.
	var mu sync.Mutex
	var before []userstore.Grant
	together(9, func(i int) {
		switch i % 3 {
		case 0:
			if err := f.DeleteClient(ctx, c.ID); err == nil {
				deleted.Add(1)
			} else {
				isAsync(t, err, userstore.ErrNotFound)
			}
		case 1:
			if err := f.CreateClient(ctx, c); err == nil {
				made.Add(1)
			} else {
				isAsync(t, err, userstore.ErrExists)
			}
		default:
			for range 10 {
				g := f.newGrant(u)
				g.ClientID = c.ID
				if err := f.StartGrant(ctx, userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash}); err == nil {
					mu.Lock()
					before = append(before, g)
					mu.Unlock()
				} else {
					isAsync(t, err, userstore.ErrConflict)
				}
			}
		}
	})
	if n := 1 + made.Load() - deleted.Load(); n != 0 && n != 1 {
		t.Errorf("%d made and %d deleted", made.Load(), deleted.Load())
	}
	if err := f.DeleteClient(ctx, c.ID); err != nil {
		is(t, err, userstore.ErrNotFound)
	}
	must(t, f.CreateClient(ctx, c))
	for _, g := range before {
		f.dead(t, g)
	}
}
