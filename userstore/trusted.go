package userstore

import (
	"context"

	"github.com/signet-id/signet/internal/audit"
)

// TrustedBrowsers returns the browsers in which a login of the user needs no second factor, newest
// first.
func (a *Accounts) TrustedBrowsers(ctx context.Context, userID string) ([]TrustedBrowser, error) {
	return a.Store.ListTrustedBrowsers(ctx, userID, a.now())
}

// EndTrust ends the trust in one browser of the user, or in all of them if id is empty. ErrNotFound.
func (a *Accounts) EndTrust(ctx context.Context, userID, id string) error {
	e := audit.New(ctx, a.now(), audit.BrowserTrustEnded, audit.User(userID))
	return audit.Stored(ctx, a.Log, a.Store.EndTrust(ctx, userID, id, e), e)
}
