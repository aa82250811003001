package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func consents(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	s, theirs := f.session(t, u), f.session(t, other)
	a, b := f.client(t, nil), f.client(t, nil)
	allow := func(s userstore.BrowserSession, c userstore.Client, at time.Time, scopes, resources []string) userstore.Code {
		t.Helper()
		code := f.newCode(s, c)
		code.CreatedAt, code.ExpiresAt = at, at.Add(time.Minute)
		must(t, f.SaveCode(ctx, code, &userstore.Consent{Scopes: scopes, Resources: resources}, time.Time{}))
		return code
	}
	_, err := f.ConsentOf(ctx, u.ID, a.ID)
	is(t, err, userstore.ErrNotFound)
	allow(s, a, f.now, []string{"openid", `e"mail`}, []string{"https://api.test/?a&b"})
	want := userstore.Consent{UserID: u.ID, ClientID: a.ID, Scopes: []string{"openid", `e"mail`}, Resources: []string{"https://api.test/?a&b"}, CreatedAt: stored(f.now), UpdatedAt: stored(f.now)}
	got, err := f.ConsentOf(ctx, u.ID, a.ID)
	must(t, err)
	equal(t, "consent", got, want)

	// What comes later is added.
	later := f.now.Add(time.Hour)
	code := allow(s, a, later, []string{"profile", "openid"}, []string{"https://b.test", "https://api.test/?a&b"})
	want.Scopes, want.Resources, want.UpdatedAt = append(want.Scopes, "profile"), append(want.Resources, "https://b.test"), stored(later)
	got, err = f.ConsentOf(ctx, u.ID, a.ID)
	must(t, err)
	equal(t, "merged", got, want)
	must(t, f.SaveCode(ctx, code, &userstore.Consent{Scopes: []string{"openid"}}, time.Time{})) // the form, sent twice
	got, err = f.ConsentOf(ctx, u.ID, a.ID)
	must(t, err)
	equal(t, "merged with less", got, want)

	allow(s, b, later, nil, nil)
	allow(theirs, a, f.now, []string{"openid"}, nil)
	list, err := f.ListConsents(ctx, u.ID)
	must(t, err)
	equal(t, "list, newest first", list, []userstore.Consent{{UserID: u.ID, ClientID: b.ID, CreatedAt: stored(later), UpdatedAt: stored(later)}, want})

	// Disabling and enabling a client leaves what was allowed.
	must(t, f.SetClientActive(ctx, a.ID, false, f.now))
	must(t, f.SetClientActive(ctx, a.ID, true, f.now))
	remembered := f.newCode(s, a)
	remembered.ByConsent = true
	must(t, f.SaveCode(ctx, remembered, nil, time.Time{}))
	f.redeemed(t, remembered)

	must(t, f.DeleteClient(ctx, b.ID))
	_, err = f.ConsentOf(ctx, u.ID, b.ID)
	is(t, err, userstore.ErrNotFound)
	must(t, f.CreateClient(ctx, b))
	_, err = f.ConsentOf(ctx, u.ID, b.ID)
	is(t, err, userstore.ErrNotFound)
	must(t, f.DeleteUser(ctx, u.ID))
	_, err = f.ConsentOf(ctx, u.ID, a.ID)
	is(t, err, userstore.ErrNotFound)
	_, err = f.ConsentOf(ctx, other.ID, a.ID)
	must(t, err)
	for _, unknown := range []string{"", id(), "a\x00", "%"} {
		list, err := f.ListConsents(ctx, unknown)
		must(t, err)
		equal(t, "of nobody", len(list), 0)
		_, err = f.ConsentOf(ctx, unknown, a.ID)
		is(t, err, userstore.ErrNotFound)
		_, err = f.ConsentOf(ctx, other.ID, unknown)
		is(t, err, userstore.ErrNotFound)
	}
}

func revokeConsent(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	s, theirs := f.session(t, u), f.session(t, other)
	a, b := f.client(t, nil), f.client(t, nil)
	g := f.redeemed(t, f.consented(t, s, a))
	used := f.consented(t, s, a)
	offline := f.redeemed(t, used)
	asked := f.code(t, s, a) // without a consent, but of this client and user
	unused := f.consented(t, s, a)
	elsewhere, others := f.redeemed(t, f.consented(t, s, b)), f.redeemed(t, f.consented(t, theirs, a))
	for _, test := range []struct{ user, client string }{{u.ID, id()}, {id(), a.ID}, {u.ID, userstore.FirstPartyClientID}, {"", ""}, {u.ID, "a\x00"}, {"\xff", a.ID}} {
		is(t, f.RevokeConsent(ctx, test.user, test.client, f.now), userstore.ErrNotFound)
	}
	g, offline = f.live(t, g), f.live(t, offline)

	later := f.now.Add(time.Hour)
	must(t, f.RevokeConsent(ctx, u.ID, a.ID, later))
	_, err := f.ConsentOf(ctx, u.ID, a.ID)
	is(t, err, userstore.ErrNotFound)
	f.dead(t, g)
	f.dead(t, offline)
	f.void(t, unused)
	f.void(t, asked)
	v, err := f.GrantByID(ctx, g.ID)
	must(t, err)
	equal(t, "revoked at", v.Grant.RevokedAt, stored(later))
	_, err = f.CodeByHash(ctx, used.Hash) // a replay is still known as one
	must(t, err)
	f.live(t, elsewhere)
	f.live(t, others)
	f.inBrowser(t, s, true)
	is(t, f.RevokeConsent(ctx, u.ID, a.ID, later), userstore.ErrNotFound)

	// Without a consent of theirs a client's grants are nothing that this ends.
	direct := f.grant(t, u)
	is(t, f.RevokeConsent(ctx, u.ID, userstore.FirstPartyClientID, f.now), userstore.ErrNotFound)
	f.live(t, direct)
}
