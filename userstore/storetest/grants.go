package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func grantRoundTrip(t *testing.T, f *fixture) {
	u := f.user(t)
	u.Roles = []string{"admin", "support"}
	must(t, f.UpdateUser(t.Context(), u))
	c := f.client(t, func(c *userstore.Client) {
		c.Resources, c.IDTokenAlg, c.Scopes, c.IDTokenClaims = []string{"https://api.test"}, "EdDSA",
			[]string{"openid", "email"}, true
		c.Kind = userstore.KindRegistered
	})
	g := userstore.Grant{ID: grantID(), SessionID: id(), UserID: u.ID, ClientID: c.ID,
		Scopes: []string{"openid", "email"}, Resources: []string{"https://api.test"},
		AuthTime: f.now.Add(-time.Minute), AMR: []string{"pwd", "otp"}, ACR: "urn:x", Nonce: `n"'\`,
		BrowserSession: id(), Claims: `{"userinfo":{"email":null}}`, Generation: 1, RotatedAt: f.now,
		CreatedAt: f.now, ExpiresAt: f.now.Add(time.Hour), UserAgent: "curl/8", Address: "2001:db8::1"}
	must(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash}))
	want := g
	want.AuthTime, want.RotatedAt, want.CreatedAt, want.ExpiresAt = stored(g.AuthTime), stored(g.RotatedAt),
		stored(g.CreatedAt), stored(g.ExpiresAt)

	user, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	user.PasswordHash = ""
	client, err := f.ClientByID(t.Context(), c.ID)
	must(t, err)
	for _, read := range []func() (userstore.GrantView, error){
		func() (userstore.GrantView, error) { return f.GrantByID(t.Context(), g.ID) },
		func() (userstore.GrantView, error) { return f.GrantBySession(t.Context(), g.SessionID) },
	} {
		v, err := read()
		must(t, err)
		equal(t, "grant", v.Grant, want)
		equal(t, "user", v.User, user)
		equal(t, "client", v.Client, client)
	}
	list, err := f.ListGrants(t.Context(), u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "list", list, []userstore.Grant{want})

	a := userstore.Advance{ID: g.ID, Generation: 1, ClientID: c.ID, Now: f.now.Add(time.Minute)}
	v, err := f.AdvanceGrant(t.Context(), a)
	must(t, err)
	want.Generation, want.RotatedAt = 2, stored(a.Now)
	part := want // that tokens need
	part.Nonce, part.LateGeneration, part.LateCount, part.CreatedAt = "", 0, 0, time.Time{}
	part.BrowserSession, part.JKT, part.UserAgent, part.Address = "", "", "", ""
	equal(t, "after a refresh", v.Grant, part)
	equal(t, "its user", v.User, userstore.User{ID: u.ID, Roles: u.Roles})
	equal(t, "its client", v.Client, userstore.Client{ID: c.ID, FirstParty: true, IDTokenAlg: "EdDSA", IDTokenClaims: true, Resources: c.Resources, Scopes: c.Scopes,
		Kind: userstore.KindRegistered})
	v, err = f.GrantByID(t.Context(), g.ID)
	must(t, err)
	equal(t, "read again", v.Grant, want)

	_, err = f.GrantByID(t.Context(), grantID())
	is(t, err, userstore.ErrNotFound)
	for _, unknown := range []string{"", id(), "a\x00"} {
		_, err = f.GrantBySession(t.Context(), unknown)
		is(t, err, userstore.ErrNotFound)
	}

	// Texts from the network that are only displayed never fail the login.
	odd := f.grant(t, u, func(g *userstore.Grant) {
		g.UserAgent, g.Address = "M\x00ozilla\xff", string(make([]byte, 1<<20))
	})
	v, err = f.GrantByID(t.Context(), odd.ID)
	must(t, err)
	equal(t, "user agent", v.Grant.UserAgent, "Mozilla")
}

func advanceGrant(t *testing.T, f *fixture) {
	u, off := f.user(t), f.user(t)
	third := f.client(t, func(c *userstore.Client) { c.FirstParty = false })
	confidential := f.client(t, func(c *userstore.Client) { c.AuthMethod = userstore.AuthBasic })
	g := f.grant(t, u)
	ofThird := f.grant(t, u, func(g *userstore.Grant) { g.ClientID = third.ID })
	ofConfidential := f.grant(t, u, func(g *userstore.Grant) { g.ClientID = confidential.ID })
	revoked, offGrant := f.grant(t, u), f.grant(t, off)
	must(t, f.RevokeGrant(t.Context(), revoked.ID, f.now))
	must(t, f.SetActive(t.Context(), off.ID, false, f.now))

	for name, a := range map[string]userstore.Advance{
		"a generation that was":          {Generation: 0},
		"a generation that is not yet":   {Generation: 2},
		"unknown grant":                  {ID: grantID()},
		"another client's":               {ClientID: third.ID},
		"at its absolute limit":          {Now: g.ExpiresAt},
		"after its absolute limit":       {Now: g.ExpiresAt.Add(time.Second)},
		"rotated at its idle limit":      {IdleSince: g.RotatedAt},
		"rotated before its idle limit":  {IdleSince: g.RotatedAt.Add(time.Second)},
		"revoked":                        {ID: revoked.ID},
		"of a disabled user":             {ID: offGrant.ID},
		"of a client not first-party":    {ID: ofThird.ID, ClientID: third.ID},
		"of a confidential client":       {ID: ofConfidential.ID, ClientID: confidential.ID},
		"client id with a NUL":           {ClientID: "signet\x00"},
		"client id in other case":        {ClientID: "Signet"},
		"client id with a space":         {ClientID: "signet "},
		"an id that differs in one bit":  {ID: func() userstore.GrantID { i := g.ID; i[15] ^= 1; return i }()},
		"the zero id":                    {ID: userstore.GrantID{}, ClientID: third.ID},
		"generation of another grant":    {ID: ofThird.ID},
		"a negative generation":          {Generation: -1},
		"the largest generation":         {Generation: 1<<63 - 1},
		"long after":                     {Now: f.now.Add(100 * 365 * 24 * time.Hour)},
		"an idle limit far ahead of now": {IdleSince: f.now.Add(100 * 365 * 24 * time.Hour)},
	} {
		full := f.advance(g)
		if a.ID != (userstore.GrantID{}) {
			full.ID = a.ID
		}
		if a.Generation != 0 || name == "a generation that was" {
			full.Generation = a.Generation
		}
		if a.ClientID != "" {
			full.ClientID = a.ClientID
		}
		if !a.Now.IsZero() {
			full.Now = a.Now
		}
		if !a.IdleSince.IsZero() {
			full.IdleSince = a.IdleSince
		}
		if v, err := f.AdvanceGrant(t.Context(), full); err == nil {
			t.Fatalf("%s: refreshed to %+v", name, v)
		} else {
			is(t, err, userstore.ErrConflict)
		}
	}
	for _, untouched := range []userstore.Grant{g, ofThird, ofConfidential} {
		v, err := f.GrantByID(t.Context(), untouched.ID)
		must(t, err)
		if v.Grant.Generation != 1 || v.Grant.RotatedAt != stored(g.RotatedAt) || !v.Grant.RevokedAt.IsZero() {
			t.Errorf("a refused refresh changed %+v", v.Grant)
		}
	}

	// Without FirstParty any client's grant is refreshed, if the grant is that client's.
	for _, g := range []userstore.Grant{g, ofThird, ofConfidential} {
		a := f.advance(g)
		a.FirstParty = false
		v, err := f.AdvanceGrant(t.Context(), a)
		must(t, err)
		equal(t, "generation", v.Grant.Generation, int64(2))
		equal(t, "first-party", v.Client.FirstParty, g.ClientID != third.ID)
	}
	a := f.advance(g)
	a.Generation, a.Now, a.IdleSince = 2, stored(g.ExpiresAt).Add(-time.Microsecond),
		stored(f.now.Add(time.Minute)).Add(-time.Microsecond)
	_, err := f.AdvanceGrant(t.Context(), a) // one microsecond inside either limit
	must(t, err)
}

func answerLate(t *testing.T, f *fixture) {
	g := f.grant(t, f.user(t))
	late := func(generation, most int64) error { return f.AnswerLate(t.Context(), g.ID, generation, most) }
	state := func(wantLate, wantCount int64) {
		t.Helper()
		v, err := f.GrantByID(t.Context(), g.ID)
		must(t, err)
		equal(t, "late generation and count", [2]int64{v.Grant.LateGeneration, v.Grant.LateCount},
			[2]int64{wantLate, wantCount})
	}
	g = f.live(t, g) // 2
	is(t, late(1, 5), userstore.ErrConflict)
	is(t, late(3, 5), userstore.ErrConflict)
	state(0, 0)
	for i := range int64(5) {
		must(t, late(2, 5))
		state(2, i+1)
	}
	is(t, late(2, 5), userstore.ErrConflict)
	state(2, 5)
	g = f.live(t, g)                         // 3, and 2 was answered late
	is(t, late(3, 5), userstore.ErrConflict) // a replay: late twice in a row
	state(2, 5)
	g = f.live(t, g)    // 4
	must(t, late(4, 5)) // counted anew
	state(4, 1)
	is(t, late(4, 1), userstore.ErrConflict)
	is(t, late(4, 0), userstore.ErrConflict)
	is(t, f.AnswerLate(t.Context(), grantID(), 1, 5), userstore.ErrConflict)
	must(t, f.RevokeGrant(t.Context(), g.ID, f.now))
	is(t, late(4, 5), userstore.ErrConflict)
	state(4, 1)
}

func revoke(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	a, b, c, d := f.grant(t, u), f.grant(t, u), f.grant(t, u), f.grant(t, u)
	theirs := f.grant(t, other)

	must(t, f.RevokeGrant(t.Context(), a.ID, f.now))
	must(t, f.RevokeGrant(t.Context(), a.ID, f.now.Add(time.Hour)))
	v, err := f.GrantByID(t.Context(), a.ID)
	must(t, err)
	equal(t, "revoked at, the first time", v.Grant.RevokedAt, stored(f.now))
	f.dead(t, a)
	must(t, f.RevokeGrant(t.Context(), grantID(), f.now))

	// U-22: only its own user can revoke a session; another user's session is refused like a
	// missing one.
	for _, sid := range []string{theirs.SessionID, a.SessionID, id(), "", "a\x00", "%"} {
		is(t, f.RevokeSession(t.Context(), u.ID, sid, f.now), userstore.ErrNotFound)
	}
	is(t, f.RevokeSession(t.Context(), u.ID, b.SessionID, b.ExpiresAt), userstore.ErrNotFound)
	must(t, f.RevokeSession(t.Context(), u.ID, b.SessionID, f.now))
	is(t, f.RevokeSession(t.Context(), u.ID, b.SessionID, f.now), userstore.ErrNotFound)
	f.dead(t, b)

	n, err := f.RevokeUserGrants(t.Context(), u.ID, c.SessionID, f.now)
	must(t, err)
	equal(t, "revoked", n, 1)
	f.dead(t, d)
	c = f.live(t, c)
	n, err = f.RevokeUserGrants(t.Context(), u.ID, "", f.now)
	must(t, err)
	equal(t, "revoked", n, 1)
	f.dead(t, c)
	n, err = f.RevokeUserGrants(t.Context(), u.ID, "", f.now)
	must(t, err)
	equal(t, "revoked", n, 0)
	n, err = f.RevokeUserGrants(t.Context(), id(), "", f.now)
	must(t, err)
	equal(t, "revoked", n, 0)
	f.live(t, theirs)
	f.live(t, f.grant(t, u)) // the user may log in again
}

func listGrants(t *testing.T, f *fixture) {
	u := f.user(t)
	at := func(minutes int) func(*userstore.Grant) {
		return func(g *userstore.Grant) {
			g.CreatedAt = f.now.Add(time.Duration(minutes) * time.Minute)
			g.RotatedAt = g.CreatedAt
		}
	}
	old, mid, young := f.grant(t, u, at(1)), f.grant(t, u, at(2)), f.grant(t, u, at(3))
	gone := f.grant(t, u, at(4))
	short := f.grant(t, u, at(5), func(g *userstore.Grant) { g.ExpiresAt = f.now.Add(10 * time.Minute) })
	f.grant(t, f.user(t), at(6)) // another user's
	must(t, f.RevokeGrant(t.Context(), gone.ID, f.now))

	for _, test := range []struct {
		name      string
		now       time.Time
		idleSince time.Time
		want      []string
	}{
		{"all live ones", f.now, time.Time{}, []string{short.SessionID, young.SessionID, mid.SessionID, old.SessionID}},
		{"not the expired", f.now.Add(10 * time.Minute), time.Time{},
			[]string{young.SessionID, mid.SessionID, old.SessionID}},
		{"not the idle", f.now.Add(10 * time.Minute), mid.RotatedAt, []string{young.SessionID}},
		{"none when all are", f.now.Add(1000 * time.Hour), time.Time{}, nil},
	} {
		list, err := f.ListGrants(t.Context(), u.ID, test.now, test.idleSince)
		must(t, err)
		var got []string
		for _, g := range list {
			got = append(got, g.SessionID)
		}
		equal(t, test.name, got, test.want)
	}
	for _, unknown := range []string{"", id(), "a\x00"} {
		list, err := f.ListGrants(t.Context(), unknown, f.now, time.Time{})
		must(t, err)
		equal(t, "of nobody", len(list), 0)
	}
}

func removeExpired(t *testing.T, f *fixture) {
	u := f.user(t)
	for i := range 10 {
		f.grant(t, u, func(g *userstore.Grant) { g.ExpiresAt = f.now.Add(time.Duration(i) * time.Second) })
	}
	kept := f.grant(t, u)
	revoked := f.grant(t, u)
	must(t, f.RevokeGrant(t.Context(), revoked.ID, f.now))
	now := f.now.Add(6 * time.Second) // 0 … 6 are over
	for _, want := range []int{3, 3, 1, 0} {
		n, err := f.RemoveExpired(t.Context(), now, 3)
		must(t, err)
		equal(t, "removed", n, want)
	}
	n, err := f.RemoveExpired(t.Context(), now.Add(time.Hour), 1000)
	must(t, err)
	equal(t, "removed", n, 3)
	// A revoked grant is kept until its absolute limit: a replay must still be recognized.
	v, err := f.GrantByID(t.Context(), revoked.ID)
	must(t, err)
	equal(t, "revoked at", v.Grant.RevokedAt, stored(f.now))
	f.live(t, kept)
}
