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
	allow := func(
		s userstore.BrowserSession, c userstore.Client, at time.Time, allowed ...userstore.Allowance,
	) userstore.Code {
		t.Helper()
		code := f.newCode(s, c)
		code.CreatedAt, code.ExpiresAt = at, at.Add(time.Minute)
		must(t, f.SaveCode(ctx, code, &userstore.Consent{Allowed: allowed}, time.Time{}))
		return code
	}
	at := func(resource string, scopes ...string) userstore.Allowance {
		return userstore.Allowance{Resource: resource, Scopes: scopes}
	}
	const one, two = "https://one.test/?a&b", "https://two.test"
	_, err := f.ConsentOf(ctx, u.ID, a.ID)
	is(t, err, userstore.ErrNotFound)
	allow(s, a, f.now, at(one, "write"), at("", "openid", `e"mail`))
	want := userstore.Consent{UserID: u.ID, ClientID: a.ID, Allowed: []userstore.Allowance{at("", "openid", `e"mail`),
		at(one, "write")}, CreatedAt: stored(f.now), UpdatedAt: stored(f.now)}
	got, err := f.ConsentOf(ctx, u.ID, a.ID)
	must(t, err)
	equal(t, "consent", got, want)

	// A later consent adds scopes, at its own resource and no other.
	later := f.now.Add(time.Hour)
	code := allow(s, a, later, at(two, "read"), at("", "profile", "openid"), at(two, "read", "list"))
	want.Allowed, want.UpdatedAt = []userstore.Allowance{at("", "openid", `e"mail`, "profile"), at(one, "write"),
		at(two, "read", "list")}, stored(later)
	got, err = f.ConsentOf(ctx, u.ID, a.ID)
	must(t, err)
	equal(t, "merged", got, want)
	// the form is sent twice
	must(t, f.SaveCode(ctx, code, &userstore.Consent{Allowed: []userstore.Allowance{at("", "openid")}}, time.Time{}))
	got, err = f.ConsentOf(ctx, u.ID, a.ID)
	must(t, err)
	equal(t, "merged with less", got, want)

	// When the code cannot be saved no consent is stored, at none of the resources.
	void := f.newCode(theirs, a)
	void.UserID = u.ID
	is(t, f.SaveCode(ctx, void, &userstore.Consent{Allowed: []userstore.Allowance{at("", "phone"),
		at("https://three.test", "x")}}, time.Time{}), userstore.ErrConflict)
	stolen := f.newCode(theirs, a)
	stolen.Hash = code.Hash
	is(t, f.SaveCode(ctx, stolen, &userstore.Consent{Allowed: []userstore.Allowance{at("", "phone")}}, time.Time{}),
		userstore.ErrConflict)
	_, err = f.ConsentOf(ctx, other.ID, a.ID)
	is(t, err, userstore.ErrNotFound)

	allow(s, b, later)
	allow(theirs, a, f.now, at("", "openid"))
	list, err := f.ListConsents(ctx, u.ID)
	must(t, err)
	equal(t, "list, newest first", list, []userstore.Consent{{UserID: u.ID, ClientID: b.ID,
		Allowed: []userstore.Allowance{{}}, CreatedAt: stored(later), UpdatedAt: stored(later)}, want})

	// Disabling and enabling a client keeps the consents.
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
	asked := f.code(t, s, a) // a code without a consent, of this client and user
	unused := f.consented(t, s, a)
	elsewhere, others := f.redeemed(t, f.consented(t, s, b)), f.redeemed(t, f.consented(t, theirs, a))
	for _, test := range []struct{ user, client string }{{u.ID, id()}, {id(), a.ID},
		{u.ID, userstore.FirstPartyClientID}, {"", ""}, {u.ID, "a\x00"}, {"\xff", a.ID}} {
		is(t, f.RevokeConsent(ctx, test.user, test.client, f.now), userstore.ErrNotFound)
	}
	g, offline = f.live(t, g), f.live(t, offline)

	must(t,
		f.SaveCode(ctx, f.newCode(s, a),
			&userstore.Consent{Allowed: []userstore.Allowance{{Resource: "https://one.test"},
				{Resource: "https://two.test"}}}, time.Time{}))
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
	_, err = f.CodeByHash(ctx, used.Hash) // a replay is still recognized
	must(t, err)
	f.live(t, elsewhere)
	f.live(t, others)
	f.sessionExists(t, s, true)
	is(t, f.RevokeConsent(ctx, u.ID, a.ID, later), userstore.ErrNotFound)

	// Without a consent of the user, the client's grants do not end.
	direct := f.grant(t, u)
	is(t, f.RevokeConsent(ctx, u.ID, userstore.FirstPartyClientID, f.now), userstore.ErrNotFound)
	f.live(t, direct)
}
