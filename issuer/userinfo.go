package issuer

import (
	"context"
	"slices"

	"github.com/signet-id/signet/userstore"
)

var errNoOpenID = refuse(InsufficientScope, "The access token does not have the scope openid: sign in again and ask for it.")

// Userinfo returns the claims about the user of an access token with scope openid (OIDC Core
// section 5.3): the claims of its scopes, and those that the client requested by name. A token of
// any client will do, as long as its grant lives. If the client is registered for it, the answer is
// signed (section 5.3.2). Every error is an *Error.
func (i *Issuer) Userinfo(ctx context.Context, p Presented) (Answer, error) {
	live, err := i.present(ctx, p, anyAudience)
	if err != nil {
		return Answer{}, err
	}
	if live.claims.SessionID == "" {
		return Answer{}, errNoUser
	}
	scopes := i.scopesOf(live)
	if !slices.Contains(scopes, userstore.ScopeOpenID) {
		return Answer{}, errNoOpenID
	}
	user, client := live.view.User, live.view.Client
	out := i.customClaims(InUserinfo, &user, user.Roles, scopes)
	i.requestedClaims(InUserinfo, &live.view.Grant, &user, user.Roles, &client, out)
	i.scopedClaims(&user, user.Roles, scopes, out)
	out["sub"] = subjectOf(&live.view.Grant)
	if client.UserinfoAlg == "" {
		return Answer{Claims: out}, nil
	}
	out["iss"], out["aud"], out["iat"] = i.URL, client.ID, i.now().Unix()
	signed, err := i.signAnswer(ctx, client.UserinfoAlg, TypeIDToken, out)
	if err != nil {
		return Answer{}, failed(err)
	}
	return Answer{Claims: out, Signed: signed}, nil
}
