package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// beginning returns a code with which a grant begins.
func (f *fixture) beginning(s userstore.BrowserSession, c userstore.Client) userstore.Code {
	code := f.newCode(s, c)
	g := f.redeem(code).Grant
	g.Generation, g.ExpiresAt = 0, f.now.Add(10*time.Minute)
	code.Begins = &userstore.BegunGrant{Grant: g}
	return code
}

// goingOn returns the redemption of a code with which a grant began.
func (f *fixture) goingOn(code userstore.Code) userstore.Redeem {
	r := f.redeem(code)
	r.Grant.ID, r.Grant.SessionID, r.Begun = code.Begins.Grant.ID, code.Begins.Grant.SessionID, true
	return r
}

// begunGrants: a grant begins with its code, once, under every condition of the code. The code is
// redeemed for that grant and for no other.
func begunGrants(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	c, closed := f.client(t, nil), f.client(t, nil)
	must(t, f.SetClientActive(ctx, closed.ID, false, f.now))
	s, ended := f.session(t, u), f.session(t, u)
	must(t, f.EndSession(ctx, ended.ID, f.now))
	off := f.user(t)
	offSession := f.session(t, off)
	must(t, f.SetActive(ctx, off.ID, false, f.now))

	for name, code := range map[string]userstore.Code{
		"an ended session": f.beginning(ended, c), "a disabled user": f.beginning(offSession, c),
		"a disabled client": f.beginning(s, closed),
	} {
		if err := f.SaveCode(ctx, code, nil, time.Time{}); err == nil {
			t.Fatalf("%s: saved", name)
		} else {
			is(t, err, userstore.ErrConflict)
		}
		f.noGrant(t, code)
	}
	byConsent := f.beginning(s, c)
	byConsent.ByConsent = true
	is(t, f.SaveCode(ctx, byConsent, nil, time.Time{}), userstore.ErrConflict)
	f.noGrant(t, byConsent)
	for name, change := range map[string]func(*userstore.Grant){
		"no id": func(g *userstore.Grant) { g.ID = userstore.GrantID{} }, "no session id": func(g *userstore.Grant) { g.SessionID = "" },
		"another user": func(g *userstore.Grant) { g.UserID = other.ID }, "another client": func(g *userstore.Grant) { g.ClientID = closed.ID },
		"a hostile scope": func(g *userstore.Grant) { g.Scopes = []string{"a\x00"} },
	} {
		code := f.beginning(s, c)
		change(&code.Begins.Grant)
		if err := f.SaveCode(ctx, code, nil, time.Time{}); err == nil {
			t.Fatalf("%s: saved", name)
		} else {
			is(t, err, userstore.ErrInvalid)
		}
		_, err := f.CodeByHash(ctx, code.Hash)
		is(t, err, userstore.ErrNotFound)
	}

	for _, consent := range []*userstore.Consent{nil, {Allowed: []userstore.Allowance{{Scopes: []string{"openid"}}}}} {
		code := f.beginning(s, c)
		must(t, f.SaveCode(ctx, code, consent, time.Time{}))
		first := code.Begins.Grant
		view, err := f.GrantByID(ctx, first.ID)
		must(t, err)
		want := first
		want.AuthTime, want.RotatedAt, want.CreatedAt, want.ExpiresAt = stored(want.AuthTime), stored(want.RotatedAt),
			stored(want.CreatedAt), stored(want.ExpiresAt)
		equal(t, "the grant", view.Grant, want)
		v, err := f.CodeByHash(ctx, code.Hash)
		must(t, err)
		equal(t, "the code's grant", v.Code.GrantID, first.ID)
		equal(t, "the code is unused", v.Code.UsedAt, time.Time{})

		// A31: saved again, also with another grant, there is one.
		again := code
		begins := *code.Begins
		again.Begins = &begins
		must(t, f.SaveCode(ctx, again, consent, time.Time{}))
		begins.Grant.ID, begins.Grant.SessionID = grantID(), id()
		must(t, f.SaveCode(ctx, again, consent, time.Time{}))
		_, err = f.GrantByID(ctx, begins.Grant.ID)
		is(t, err, userstore.ErrNotFound)

		// The code is for its grant only.
		is(t, f.RedeemCode(ctx, f.redeem(code)), userstore.ErrConflict)
		elsewhere := f.goingOn(code)
		elsewhere.Grant.ID = grantID()
		is(t, f.RedeemCode(ctx, elsewhere), userstore.ErrConflict)

		r := f.goingOn(code)
		r.Now = f.now.Add(time.Second)
		must(t, f.RedeemCode(ctx, r))
		view, err = f.GrantByID(ctx, first.ID)
		must(t, err)
		want.Generation, want.RotatedAt, want.ExpiresAt = 1, stored(r.Now), stored(r.Grant.ExpiresAt)
		equal(t, "the grant goes on", view.Grant, want)
		v, err = f.CodeByHash(ctx, code.Hash)
		must(t, err)
		equal(t, "used", v.Code.UsedAt, stored(r.Now))
		r.Now = r.Now.Add(time.Second)
		is(t, f.RedeemCode(ctx, r), userstore.ErrConflict)
		is(t, f.SaveCode(ctx, code, consent, time.Time{}), userstore.ErrExists)
		f.live(t, view.Grant)
	}

	// An app that wants to hear of logouts has a session from the beginning.
	told := f.client(t, func(c *userstore.Client) { c.BackchannelLogoutURI = "https://a.test/logout" })
	code := f.beginning(f.session(t, u), told)
	must(t, f.SaveCode(ctx, code, nil, time.Time{}))
	must(t, f.RedeemCode(ctx, f.goingOn(code)))
	apps, err := f.ListAppSessions(ctx, code.BrowserSession)
	must(t, err)
	if len(apps) != 1 || apps[0].SessionID != code.Begins.Grant.SessionID {
		t.Errorf("the app sessions are %+v", apps)
	}

	// A grant that has ended goes on with no code, and does not come back.
	for name, end := range map[string]func(g userstore.Grant) (userstore.Redeem, error){
		"revoked": func(g userstore.Grant) (r userstore.Redeem, err error) {
			return r, f.RevokeGrant(ctx, g.ID, f.now)
		},
		"its client disabled": func(g userstore.Grant) (r userstore.Redeem, err error) {
			must(t, f.SetClientActive(ctx, c.ID, false, f.now))
			return r, f.SetClientActive(ctx, c.ID, true, f.now)
		},
		"the session ended": func(g userstore.Grant) (r userstore.Redeem, err error) { return r, f.EndSession(ctx, s.ID, f.now) },
	} {
		if name == "its client disabled" {
			c = f.client(t, nil)
		}
		s = f.session(t, u)
		code := f.beginning(s, c)
		must(t, f.SaveCode(ctx, code, nil, time.Time{}))
		if _, err := end(code.Begins.Grant); err != nil {
			t.Fatal(err)
		}
		if err := f.RedeemCode(ctx, f.goingOn(code)); err == nil {
			t.Fatalf("%s: redeemed", name)
		} else {
			is(t, err, userstore.ErrConflict)
		}
		f.dead(t, code.Begins.Grant)
	}

	// The bounds of grants hold, and what they end does not come back.
	s = f.session(t, other)
	var codes []userstore.Code
	for n := range userstore.MaxGrantsPerClient + 1 {
		code := f.beginning(s, c)
		at := f.now.Add(time.Duration(n) * time.Second)
		code.Begins.Grant.CreatedAt, code.Begins.Grant.RotatedAt = at, at
		must(t, f.SaveCode(ctx, code, nil, time.Time{}))
		codes = append(codes, code)
	}
	_, err = f.GrantByID(ctx, codes[0].Begins.Grant.ID)
	is(t, err, userstore.ErrNotFound)
	is(t, f.RedeemCode(ctx, f.goingOn(codes[0])), userstore.ErrConflict)
	_, err = f.GrantByID(ctx, codes[0].Begins.Grant.ID)
	is(t, err, userstore.ErrNotFound)
	list, err := f.ListGrants(ctx, other.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "grants", len(list), userstore.MaxGrantsPerClient)
}

// noGrant checks that neither the code nor its grant is stored.
func (f *fixture) noGrant(t *testing.T, code userstore.Code) {
	t.Helper()
	_, err := f.CodeByHash(t.Context(), code.Hash)
	is(t, err, userstore.ErrNotFound)
	_, err = f.GrantByID(t.Context(), code.Begins.Grant.ID)
	is(t, err, userstore.ErrNotFound)
}

// begunCodesStay: a code with which a grant began is known for an hour longer, used or not: until
// then its request begins no second grant.
func begunCodesStay(t *testing.T, f *fixture) {
	ctx := t.Context()
	code := f.beginning(f.session(t, f.user(t)), f.client(t, nil))
	must(t, f.SaveCode(ctx, code, nil, time.Time{}))
	for _, at := range []time.Duration{time.Minute, time.Minute + time.Hour - time.Microsecond} {
		_, err := f.RemoveExpiredCodes(ctx, f.now.Add(at), 100)
		must(t, err)
		_, err = f.CodeByHash(ctx, code.Hash)
		must(t, err)
	}
	_, err := f.RemoveExpiredCodes(ctx, f.now.Add(time.Minute+time.Hour), 100)
	must(t, err)
	_, err = f.CodeByHash(ctx, code.Hash)
	is(t, err, userstore.ErrNotFound)
}

// raceBegin: of one request that is answered many times at once one grant begins; and of many
// redemptions one goes on with it. Meanwhile the user's other grants come and go.
func raceBegin(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, c := f.user(t), f.client(t, nil)
	s := f.session(t, u)
	for n := range 4 {
		code := f.beginning(s, c)
		consent := &userstore.Consent{Allowed: []userstore.Allowance{{Scopes: code.Scopes}}}
		together(16, func(i int) {
			each := code
			begins := *code.Begins
			begins.Grant.SessionID = fmt.Sprint(id(), i)
			each.Begins = &begins
			if i%2 == 0 {
				isAsync(t, f.SaveCode(ctx, each, consent, time.Time{}), nil)
			} else {
				isAsync(t, f.SaveCode(ctx, each, nil, time.Time{}), nil)
			}
		})
		list, err := f.ListGrants(ctx, u.ID, f.now, time.Time{})
		must(t, err)
		equal(t, "grants", len(list), n+1)
		view, err := f.GrantByID(ctx, code.Begins.Grant.ID)
		must(t, err)
		code.Begins.Grant.SessionID = view.Grant.SessionID
		var mu sync.Mutex
		won := 0
		together(16, func(i int) {
			r := f.goingOn(code)
			r.Now = f.now.Add(time.Duration(i) * time.Microsecond)
			if err := f.RedeemCode(context.WithoutCancel(ctx), r); err != nil {
				isAsync(t, err, userstore.ErrConflict)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			won++
		})
		equal(t, "winners", won, 1)
		f.live(t, userstore.Grant{ID: view.Grant.ID, ClientID: c.ID, Generation: 1, UserID: u.ID, SessionID: view.Grant.SessionID})
	}
}
