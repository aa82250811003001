package issuer

import (
	"context"
	"slices"
)

var errNoOpenID = refuse(InsufficientScope, "The access token does not have the scope openid: sign in again and ask for it.")

// Userinfo returns the claims about the user of an access token with scope openid (OIDC Core
// section 5.3): the claims of its scopes, and those that the client requested by name. A token of
// any client will do, as long as its grant lives. Every error is an *Error.
func (i *Issuer) Userinfo(ctx context.Context, raw string) (map[string]any, error) {
	live, err := i.live(ctx, raw, anyAudience)
	if err != nil {
		return nil, err
	}
	if live.claims.SessionID == "" {
		return nil, errNoUser
	}
	scopes := i.scopesOf(live)
	if !slices.Contains(scopes, scopeOpenID) {
		return nil, errNoOpenID
	}
	user, client := live.view.User, live.view.Client
	out := i.customClaims(InUserinfo, user, user.Roles, scopes)
	i.requestedClaims(InUserinfo, live.view.Grant, user, user.Roles, client, out)
	i.scopedClaims(user, user.Roles, scopes, out)
	out["sub"] = subjectOf(live.view.Grant)
	return out, nil
}
