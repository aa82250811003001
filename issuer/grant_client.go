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

// clientCredentials authorizes a token on the client's own behalf (RFC 6749 section 4.4). Nothing
// is written: the token cannot be refreshed, has no session, and ends at its exp. Without scope it
// gets the scopes that the client is registered for or, if the client is registered for any, those
// of the resources that the request names.
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
	// A resource that is open to clients which came by themselves waits for a user's consent. Here is
	// no user, so that the operator has to have registered the client for it, as every other client.
	for _, t := range targets {
		if _, listed := userstore.Registered(client.Resources, t.URI); !listed {
			return Authorization{}, errTarget
		}
	}
	reach := i.targetsOrDefaults(targets)
	if len(scopes) == 0 {
		switch {
		case len(targets) > 0:
			scopes = i.defaultScopes(client, targets)
		case len(client.Scopes) > 0:
			scopes = i.ownScopes(client, reach)
		}
		return Authorization{Client: client, Scopes: scopes, Targets: targets}, nil
	}
	if slices.ContainsFunc(scopes, isUserScope) {
		return Authorization{}, errUserScope
	}
	return Authorization{Client: client, Scopes: scopes, Targets: targets}, checkScope(scopes, i.ownScopes(client, reach))
}

// isUserScope reports whether scope concerns a user.
func isUserScope(scope string) bool {
	return scope == userstore.ScopeAdmin || slices.Contains(userScopes, scope)
}
