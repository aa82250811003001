package issuer

import (
	"context"
	"slices"

	"github.com/signet-id/signet/userstore"
)

var (
	errPublicCredentials = refuse(UnauthorizedClient, "A public client cannot prove who it is, so it gets no token in its own name.")
	errUserScope         = refuse(InvalidScope, "There is no user behind this token: leave out openid, profile, email, address, phone, offline_access and admin.")
)

// clientCredentials is a token in the client's own name (RFC 6749 section 4.4). Nothing is written: it
// cannot be refreshed, has no session, and dies of its exp. Without scope it gets those that the client is
// registered for, or, if that is any, those of the resources that the request names.
func (i *Issuer) clientCredentials(_ context.Context, client userstore.Client, r TokenRequest) (Authorization, error) {
	if client.Public() {
		return Authorization{}, errPublicCredentials
	}
	scopes, err := parseScope(r.Scope)
	if err != nil {
		return Authorization{}, err
	}
	targets, err := i.resources(r.Resource, client)
	if err != nil {
		return Authorization{}, err
	}
	reach := i.reach(targets)
	if len(scopes) == 0 {
		switch {
		case len(targets) > 0:
			scopes = i.unnamed(client, targets)
		case len(client.Scopes) > 0:
			scopes = i.own(client, reach)
		}
		return Authorization{Client: client, Scopes: scopes, Targets: targets}, nil
	}
	if slices.ContainsFunc(scopes, ofUser) {
		return Authorization{}, errUserScope
	}
	return Authorization{Client: client, Scopes: scopes, Targets: targets}, checkScope(scopes, i.own(client, reach))
}

// ofUser tells a scope that speaks of a user.
func ofUser(scope string) bool { return scope == ScopeAdmin || slices.Contains(userScopes, scope) }
