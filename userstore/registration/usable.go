package registration

import (
	"slices"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// Usable returns next, which a client says of itself, without what it cannot have here: an editor
// lists the redirect URIs, grant types and response types of all its kinds, of which one may be
// enough (RFC 7591 section 3.2.1 lets the server register a part, and answer which). Where nothing
// would be left of a list, the list stays as it is, so that the rules of every client refuse it
// with their reasons.
//
// Only what the client can do without is left out. How it authenticates, its keys, and a grant that
// asks no user are refused instead: the client would believe in a protection, or a right, that it
// does not have. old is the client before, or the zero one.
func (r *Registry) Usable(old, next userstore.Client) userstore.Client {
	next.ResponseTypes = usable(next.ResponseTypes, func(t string) bool { return r.checkResponseType(old, t) == userstore.Fault{} })
	grants := r.grantTypes(old, &next)
	next.GrantTypes = usable(next.GrantTypes, func(g string) bool { return slices.Contains(grants, g) })
	next.RedirectURIs = usable(next.RedirectURIs, func(uri string) bool {
		return r.checkRedirectURI(next, old.RedirectURIs, uri) == userstore.Fault{}
	})
	next.PostLogoutRedirectURIs = usable(next.PostLogoutRedirectURIs, func(uri string) bool {
		return r.checkRedirectURI(next, old.PostLogoutRedirectURIs, uri) == userstore.Fault{}
	})
	return next
}

// usable returns the members of list that may stay, each once; all of them if none may. A list that
// is too long stays, too: it is refused before its members are looked at.
func usable(list []string, may func(string) bool) (kept []string) {
	if len(list) > maxListed {
		return list
	}
	for _, member := range list {
		if may(member) && !slices.Contains(kept, member) {
			kept = append(kept, member)
		}
	}
	if kept == nil {
		return list
	}
	return kept
}

// checkRedirectURI checks a redirect URI of c. A scheme of one word that is not allowed any more
// stays allowed in the URIs that c had before.
func (r *Registry) checkRedirectURI(c userstore.Client, before []string, uri string) userstore.Fault {
	schemes := r.RedirectSchemes
	if scheme, _, ok := strings.Cut(uri, ":"); ok && slices.Contains(before, uri) {
		schemes = append(slices.Clone(schemes), strings.ToLower(scheme))
	}
	return redirectURI(c, uri, schemes)
}

// ownScopes returns the scopes that c is registered for when it says of itself what it asks for: of
// those that concern users the ones that it names. A client that names none of any use gets all of
// them, as one that names no scope (RFC 7591 section 2).
//
// The scopes of the resources that are open to such a client need no registration, and so are not
// among them. A client that names these may ask for what it cannot know when it registers: MCP
// clients add offline_access to their authorization requests when they are registered for refresh
// tokens and discovery lists the scope. One that names nothing else gets openid.
func (r *Registry) ownScopes(c userstore.Client, fs *userstore.Faults) []string {
	var known []string
	open := false
	for _, s := range c.Scopes {
		switch {
		case !validScope(s):
			fs.Add("scope", invalid("A scope has 1 to 128 visible ASCII characters, without quote and backslash, and scopes are separated by one space."))
			return nil
		case slices.Contains(r.UserScopes, s) && !slices.Contains(known, s):
			known = append(known, s)
		}
		open = open || slices.Contains(r.SelfMadeScopes, s)
	}
	switch {
	case known != nil:
	case open:
		known = []string{userstore.ScopeOpenID}
	case slices.Contains(c.Scopes, userstore.ScopeAdmin):
		fs.Add("scope", notAllowed("None of these scopes can be had by registration."))
		return nil
	default:
		known = slices.Clone(r.UserScopes)
	}
	if open && c.Allows(userstore.GrantRefreshToken) && slices.Contains(r.UserScopes, userstore.ScopeOffline) && !slices.Contains(known, userstore.ScopeOffline) {
		known = append(known, userstore.ScopeOffline)
	}
	return known
}
