package issuer

import (
	"context"

	"github.com/signet-id/signet/userstore"
)

// Standing is what a refresh token's generation means to its grant.
type Standing int

const (
	Current  Standing = iota // the grant rotates
	InWindow                 // the generation before, within the reuse window: answered once more
	Late                     // the generation before, after the window: answered once more, and counted
	Replayed                 // the grant is revoked
	Ahead                    // ahead of the row, which has lost writes: the grant is revoked
)

// MaxLate is how often one generation is answered after the reuse window.
const MaxLate = 5

// Standing compares a generation with the grant's row; see Refresh.
func (i *Issuer) Standing(generation int64, g userstore.Grant) Standing {
	return i.standing(generation, g, i.now().Sub(g.RotatedAt) <= i.ReuseWindow)
}

func (i *Issuer) standing(generation int64, g userstore.Grant, inWindow bool) Standing {
	switch {
	case generation == g.Generation:
		return Current
	case generation > g.Generation:
		return Ahead
	case generation < g.Generation-1:
		return Replayed
	case inWindow:
		return InWindow
	case g.LateGeneration == g.Generation-1, g.LateGeneration == g.Generation && g.LateCount >= MaxLate:
		return Replayed
	}
	return Late
}

// InspectRefresh returns the standing that a first-party Refresh of raw would find now, for
// operators. It changes nothing, but may call Keys.Step as Refresh would. The error is Refresh's,
// without the errors that only a write can find.
func (i *Issuer) InspectRefresh(ctx context.Context, raw string) (Standing, error) {
	now := i.now()
	p, err := i.verifyRefresh(ctx, raw, now)
	if err != nil {
		return 0, err
	}
	f := refresh{Issuer: i, request: RefreshRequest{RefreshToken: raw, FirstParty: true}, presented: p, now: now, anyKey: true}
	view, err := f.checkedGrant(ctx)
	if err != nil {
		return 0, failed(err)
	}
	return i.Standing(p.generation, view.Grant), nil
}
