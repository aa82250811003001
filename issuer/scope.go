package issuer

import (
	"slices"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// ScopeAdmin opens the admin API: for a user with role admin, through a
// first-party client, and nobody else.
const (
	ScopeAdmin = "admin"
	RoleAdmin  = "admin"
)

const (
	scopeOpenID  = "openid"
	scopeOffline = "offline_access"
	defaultScope = "profile email" // of a login that names none (RFC 6749 section 3.3)
)

// userScopes speak of the user and of the grant (OIDC Core sections 5.4 and 11),
// not of a resource: they may be asked for together with any.
var userScopes = []string{scopeOpenID, "profile", "email", "address", "phone", scopeOffline}

// Bounds of what a stranger may make us compare.
const (
	maxScopeBytes = 4096
	maxListed     = 24 // scopes that a refusal lists
)

// parseScope splits a scope parameter (RFC 6749 section 3.3), without
// duplicates and in the order given.
func parseScope(scope string) ([]string, error) {
	if len(scope) > maxScopeBytes {
		return nil, refuse(InvalidScope, "The scope is too long.")
	}
	var out []string
	for s := range strings.SplitSeq(scope, " ") {
		switch {
		case s == "" || slices.Contains(out, s):
		case !isScopeToken(s):
			return nil, refuse(InvalidScope, "The scope holds a character that no scope has: send names separated by spaces.")
		default:
			out = append(out, s)
		}
	}
	return out, nil
}

// isScopeToken tells whether s is a scope-token: %x21 / %x23-5B / %x5D-7E.
func isScopeToken(s string) bool {
	for n := range len(s) {
		if c := s[n]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// grantable lists the scopes that client may ask for at targets (none: the
// default audience, and whatever of it is registered). A resource that lists
// scopes takes only those; one that lists none takes every scope that a resource
// or the client is registered with. Whether the user may have admin is mayAdmin's
// affair.
func (i *Issuer) grantable(client userstore.Client, targets []Resource) []string {
	candidates := slices.Clone(userScopes)
	if client.FirstParty {
		candidates = append(candidates, ScopeAdmin)
	}
	for _, t := range targets {
		if len(t.Scopes) > 0 {
			candidates = append(candidates, t.Scopes...)
			continue
		}
		for _, r := range i.Resources {
			candidates = append(candidates, r.Scopes...)
		}
		candidates = append(candidates, client.Scopes...)
	}
	if len(targets) == 0 {
		candidates = append(candidates, client.Scopes...)
	}
	var out []string
	for _, s := range candidates {
		switch {
		case slices.Contains(out, s) || !isScopeToken(s):
		case s == ScopeAdmin && !client.FirstParty:
		case !holds(client, s):
		default:
			out = append(out, s)
		}
	}
	return out
}

// checkScope refuses a scope that client may not ask for at targets. An unknown
// scope is refused rather than dropped (RFC 6749 section 3.3 allows both): a
// misspelt one would otherwise show only when a resource server says no.
func (i *Issuer) checkScope(asked []string, client userstore.Client, targets []Resource) error {
	allowed := i.grantable(client, targets)
	for _, s := range asked {
		if !slices.Contains(allowed, s) {
			list := slices.DeleteFunc(allowed, func(s string) bool { return s == ScopeAdmin })
			more := ""
			if len(list) > maxListed {
				list, more = list[:maxListed], " and more"
			}
			if len(list) == 0 {
				return refuse(InvalidScope, "This client may ask for no scope here.")
			}
			return refuse(InvalidScope, "This client may ask here for "+strings.Join(list, ", ")+more+"; the request names something else.")
		}
	}
	return nil
}

// mayAdmin tells whether a user with roles may hold scope admin through client.
func mayAdmin(client userstore.Client, roles []string) bool {
	return client.FirstParty && slices.Contains(roles, RoleAdmin)
}

var errNotAdmin = refuse(InvalidScope, "The scope admin is only for users with the role admin: leave it out.")

// narrow is the scope of an access token that a refresh asks for: each one was
// granted (RFC 6749 section 6) and still may be held.
func narrow(asked []string, view userstore.GrantView, targets []Resource) error {
	for _, s := range asked {
		switch {
		case !slices.Contains(view.Grant.Scopes, s):
			return refuse(InvalidScope, "The grant does not hold every scope asked for: ask for fewer, or sign in again.")
		case !holds(view.Client, s):
			return refuse(InvalidScope, "The client is no longer registered for every scope asked for: ask for fewer.")
		case s == ScopeAdmin && !mayAdmin(view.Client, view.User.Roles):
			return errNotAdmin
		case !takes(targets, s):
			return refuse(InvalidScope, "The resource takes no such scope: ask for fewer, or for another resource.")
		}
	}
	return nil
}

// holds tells whether client is registered for scope; one that lists none is for any. An operator who takes a
// scope away from a client means the grants that there are as well.
func holds(client userstore.Client, scope string) bool {
	return len(client.Scopes) == 0 || slices.Contains(client.Scopes, scope)
}

// effective is what of the granted scopes an access token for targets carries
// when the request names none: those that the client is still registered for, admin only while it may be
// held, and a resource's scopes only where the resource is named.
func effective(granted []string, client userstore.Client, roles []string, targets []Resource) []string {
	out := make([]string, 0, len(granted))
	for _, s := range granted {
		if holds(client, s) && (s != ScopeAdmin || mayAdmin(client, roles)) && takes(targets, s) {
			out = append(out, s)
		}
	}
	return out
}

// takes tells whether one of targets takes scope; no targets are the default
// audience, for which the login has already judged.
func takes(targets []Resource, scope string) bool {
	if len(targets) == 0 || slices.Contains(userScopes, scope) {
		return true
	}
	for _, t := range targets {
		if len(t.Scopes) == 0 || slices.Contains(t.Scopes, scope) {
			return true
		}
	}
	return false
}
