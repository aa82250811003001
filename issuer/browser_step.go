package issuer

import (
	"context"
	"slices"

	"github.com/signet-id/signet/userstore"
)

// TrustCounts reports whether a trusted browser may skip the second factor in a login for p. It may
// not where p demands a fresh login, which asks for all factors, or two factors.
func (i *Issuer) TrustCounts(p Pending) bool {
	return !slices.Contains(p.Prompt, promptLogin) && p.MaxAge == nil && i.demanded(p).acr != userstore.TwoFactors
}

// StepUpSession adds a second factor to the session that l.Replaces names, which has to be one of the
// user's. Like each login it gives the cookie a new value. Of l, Device and Replaces are read.
func (i *Issuer) StepUpSession(
	ctx context.Context, userID string, p userstore.FactorProof, l PageLogin,
) (b Browser, secret string, err error) {
	return i.provedSession(ctx, l, func(ctx context.Context) (userstore.Verified, error) {
		return i.Accounts.AuthenticateAgain(ctx, userID, p)
	})
}

// StartSetUpSession is StartBrowserSession for a login that waited until its user had set up a second
// factor. by was proved when it was set up, and h is the handle of the login. Of l, Device, Signup and
// Replaces are read.
func (i *Issuer) StartSetUpSession(
	ctx context.Context, s userstore.SecondLogin, by userstore.ProvedFactor, h userstore.Handle, l PageLogin,
) (b Browser, secret string, err error) {
	return i.provedSession(ctx, l, func(ctx context.Context) (userstore.Verified, error) {
		return i.Accounts.AuthenticateSetUp(ctx, s, by, h)
	})
}
