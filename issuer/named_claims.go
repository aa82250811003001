package issuer

import (
	"slices"

	"github.com/signet-id/signet/userstore"
)

// claimScope returns the scope of a claim that a client requested by name for a place (OIDC Core
// section 5.5); empty: the client may not have the claim there. The client has to be registered for
// the scope, and the user is asked about it. A custom claim whose scope belongs to a resource is
// given with that scope only: nobody allows access to a resource by allowing a claim.
func (i *Issuer) claimScope(client *userstore.Client, in, claim string) string {
	if scope := scopeOf(claim); scope != "" {
		if registeredFor(client, scope) {
			return scope
		}
		return ""
	}
	for _, c := range i.Claims {
		if i.isNamed(c, client, in, claim) {
			return c.Scope
		}
	}
	return ""
}

// isNamed reports whether c is the custom claim that client requested for a place.
func (i *Issuer) isNamed(c CustomClaim, client *userstore.Client, in, claim string) bool {
	return c.Name == claim && slices.Contains(c.In, in) && i.isOfUser(c.Scope) && registeredFor(client, c.Scope)
}

// isOfUser reports whether scope stands for claims about the user.
func (i *Issuer) isOfUser(scope string) bool {
	return i.aboutUser(scope) && scope != userstore.ScopeOpenID && scope != userstore.ScopeOffline
}

// claimPlaces are the places for which a client can request claims by name.
var claimPlaces = []string{InIDToken, InUserinfo}

// namedScopes returns the scopes of the claims that client requested by name and gets.
func (i *Issuer) namedScopes(requested claimsRequest, client userstore.Client) (scopes []string) {
	for _, in := range claimPlaces {
		for claim := range requested.of(in) {
			scopes = append(scopes, i.claimScope(&client, in, claim))
		}
	}
	return scopes
}

// allowedClaims returns what of a request goes into the grant: the claims that client may have now,
// so that the user was asked about them. A client that is registered for more later has to ask
// again. What the request wants of the login, such as sub and acr, has been checked by then.
func (i *Issuer) allowedClaims(requested claimsRequest, client userstore.Client) (allowed claimsRequest) {
	keep := func(in string) map[string]*requestedClaim {
		out := map[string]*requestedClaim{}
		for claim, w := range requested.of(in) {
			if i.claimScope(&client, in, claim) != "" {
				out[claim] = w
			}
		}
		return out
	}
	return claimsRequest{Userinfo: keep(InUserinfo), IDToken: keep(InIDToken)}
}

// requestedClaims adds the claims of a grant that its client requested by name for a place, as far
// as the client may still have them. Claims that the user does not have are left out, essential or
// not.
func (i *Issuer) requestedClaims(in string, g *userstore.Grant, u *userstore.User, roles []string,
	client *userstore.Client, out map[string]any,
) {
	for claim := range claimsRequestOf(g.Claims).of(in) {
		if i.claimScope(client, in, claim) == "" {
			continue
		}
		v := userClaim(*u, claim)
		for _, c := range i.Claims {
			if v == nil && i.isNamed(c, client, in, claim) {
				v = c.of(*u, roles)
			}
		}
		if v != nil {
			out[claim] = v
		}
	}
}
