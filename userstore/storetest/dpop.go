package storetest

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func proofID() userstore.DPoPProofID { return sha256.Sum256([]byte(id())) }

func dpopProofs(t *testing.T, f *fixture) {
	ctx := t.Context()
	a, b := proofID(), proofID()
	until := f.now.Add(3 * time.Minute)
	must(t, f.UseDPoPProof(ctx, a, f.now, until))
	is(t, f.UseDPoPProof(ctx, a, f.now, until), userstore.ErrExists)
	is(t, f.UseDPoPProof(ctx, a, stored(until).Add(-time.Microsecond), until.Add(time.Hour)), userstore.ErrExists)
	must(t, f.UseDPoPProof(ctx, b, f.now, until))
	// A use that is over does not count; the later one then does.
	must(t, f.UseDPoPProof(ctx, a, until, until.Add(time.Minute)))
	is(t, f.UseDPoPProof(ctx, a, until, until.Add(time.Minute)), userstore.ErrExists)
}

func raceProofs(t *testing.T, f *fixture) {
	for range 10 {
		proof := proofID()
		equal(t, "uses of one proof", winners(t, 8, userstore.ErrExists, func(int) error {
			return f.UseDPoPProof(t.Context(), proof, f.now, f.now.Add(time.Minute))
		}), 1)
	}
}

// advanceBound: the refresh token of a public client is bound to the key of the first refresh that
// proves one, and of a confidential client to none.
func advanceBound(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	confidential := f.client(t, func(c *userstore.Client) { c.AuthMethod = userstore.AuthBasic })
	refresh := func(g *userstore.Grant, key string, want error) {
		t.Helper()
		a := f.advance(*g)
		a.JKT, a.FirstParty = key, false
		v, err := f.AdvanceGrant(ctx, a)
		if is(t, err, want); err != nil {
			return
		}
		g.Generation = v.Grant.Generation
		stored, err := f.GrantByID(ctx, g.ID)
		must(t, err)
		g.JKT = stored.Grant.JKT
	}
	public := f.grant(t, u)
	refresh(&public, "", nil)
	equal(t, "the key of a grant without one", public.JKT, "")
	refresh(&public, "a", nil)
	equal(t, "the key of a grant that got one", public.JKT, "a")
	refresh(&public, "b", userstore.ErrConflict)
	refresh(&public, "", userstore.ErrConflict)
	refresh(&public, "a", nil)

	bound := f.grant(t, u, func(g *userstore.Grant) { g.JKT = "a" })
	refresh(&bound, "", userstore.ErrConflict)
	refresh(&bound, "a", nil)

	other := f.grant(t, u, func(g *userstore.Grant) { g.ClientID = confidential.ID })
	for _, key := range []string{"a", "b", ""} {
		refresh(&other, key, nil)
		equal(t, "the key of a confidential client's grant", other.JKT, "")
	}
}

// boundCodes: a code keeps its dpop_jkt, and a grant its key, whether it begins with the code or before.
func boundCodes(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, c := f.user(t), f.client(t, nil)
	s := f.session(t, u)
	code := f.code(t, s, c, func(c *userstore.Code) { c.JKT = "a" })
	v, err := f.CodeByHash(ctx, code.Hash)
	must(t, err)
	equal(t, "the key of a code", v.Code.JKT, "a")
	begun := f.beginning(s, c)
	must(t, f.SaveCode(ctx, begun, nil, time.Time{}))
	for _, r := range []userstore.Redeem{f.redeem(code), f.goingOn(begun)} {
		r.Grant.JKT = "k"
		must(t, f.RedeemCode(ctx, r))
		v, err := f.GrantByID(ctx, r.Grant.ID)
		must(t, err)
		equal(t, "the key of a grant", v.Grant.JKT, "k")
	}
}
