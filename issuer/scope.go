package issuer

import (
	"slices"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// defaultScope is that of a login that names none (RFC 6749 section 3.3).
const defaultScope = "profile email"

// userScopes concern the user and the grant (OIDC Core sections 5.4 and 11), not a resource: they
// may be requested together with any resource.
var userScopes = []string{userstore.ScopeOpenID, "profile", "email", "address", "phone", userstore.ScopeOffline}

// ClaimScopes returns the scopes of the operator's custom claims. They concern the user, as
// userScopes do. A scope that a resource is registered with stays that resource's.
func (i *Issuer) ClaimScopes() []string {
	var out []string
	for _, c := range i.Claims {
		if i.isClaimScope(c.Scope) && !slices.Contains(out, c.Scope) {
			out = append(out, c.Scope)
		}
	}
	return out
}

// UserScopes returns the scopes that concern the user and the grant: those that a client gets by
// registering itself.
func (i *Issuer) UserScopes() []string { return append(slices.Clone(userScopes), i.ClaimScopes()...) }

// SelfMadeScopes returns the scopes of the resources that every client may ask for which came by
// itself.
func (i *Issuer) SelfMadeScopes() []string {
	var out []string
	for _, r := range i.Resources {
		for _, s := range r.Scopes {
			if r.SelfMade && i.belongsTo(s, r) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

func (i *Issuer) isClaimScope(scope string) bool {
	return scope != "" && scope != userstore.ScopeAdmin && !slices.Contains(userScopes, scope) &&
		slices.ContainsFunc(i.Claims, func(c CustomClaim) bool { return c.Scope == scope }) &&
		!slices.ContainsFunc(i.Resources, func(r Resource) bool { return slices.Contains(r.Scopes, scope) })
}

// aboutUser reports whether scope concerns the user and the grant, not a resource.
func (i *Issuer) aboutUser(scope string) bool {
	return slices.Contains(userScopes, scope) || i.isClaimScope(scope)
}

// Bounds on the input of strangers.
const (
	maxScopeBytes = 4096
	maxListed     = 24 // scopes that a refusal lists
)

// parseScope splits a scope parameter (RFC 6749 section 3.3) in its order, without duplicates.
func parseScope(scope string) ([]string, error) {
	if len(scope) > maxScopeBytes {
		return nil, refuse(InvalidScope, "The scope is too long.")
	}
	var out []string
	for s := range strings.SplitSeq(scope, " ") {
		switch {
		case s == "" || slices.Contains(out, s):
		case !userstore.IsScopeToken(s):
			return nil, refuse(InvalidScope, "The scope holds a character that no scope has: send names separated by spaces.")
		default:
			out = append(out, s)
		}
	}
	return out, nil
}

// grantable returns the scopes that client may request on a user's behalf at targets (none: the
// default audience, and its registered resources). Whether the user may have admin is for mayAdmin
// to say.
func (i *Issuer) grantable(client userstore.Client, targets []Resource) []string {
	candidates := i.UserScopes()
	if client.FirstParty {
		candidates = append(candidates, userstore.ScopeAdmin)
	}
	return i.allowedScopes(client, targets, append(candidates, i.resourceScopes(client, targets)...))
}

// ownScopes returns the scopes that client may request on its own behalf at targets.
func (i *Issuer) ownScopes(client userstore.Client, targets []Resource) []string {
	return slices.DeleteFunc(i.allowedScopes(client, targets, i.resourceScopes(client, targets)),
		func(s string) bool { return isUserScope(s) })
}

// defaultScopes returns the scopes of a request that names targets and no scope (RFC 6749 section
// 3.3): those that the targets list, as far as client may have them. At a target that lists none
// they are the client's own: a scope of another resource is not granted unless it is requested.
func (i *Issuer) defaultScopes(client userstore.Client, targets []Resource) []string {
	var candidates []string
	for _, t := range targets {
		if len(t.Scopes) == 0 {
			candidates = append(candidates, client.Scopes...)
		}
		candidates = append(candidates, t.Scopes...)
	}
	return slices.DeleteFunc(i.allowedScopes(client, targets, candidates),
		func(s string) bool { return s == userstore.ScopeAdmin || i.aboutUser(s) })
}

// resourceScopes returns the scopes of targets, for any client. A resource that lists scopes
// accepts only those. A resource that lists none accepts every scope that a resource or the client
// is registered with.
func (i *Issuer) resourceScopes(client userstore.Client, targets []Resource) (candidates []string) {
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
	return candidates
}

// allowedScopes returns the candidates that client may be given at targets.
func (i *Issuer) allowedScopes(client userstore.Client, targets []Resource, candidates []string) (out []string) {
	for _, s := range candidates {
		switch {
		case slices.Contains(out, s) || !userstore.IsScopeToken(s):
		case s == userstore.ScopeAdmin && !client.FirstParty:
		case !i.mayHold(&client, targets, s):
		default:
			out = append(out, s)
		}
	}
	return out
}

// checkScope refuses a scope that is not allowed, where an unknown scope is refused rather than
// dropped (RFC 6749 section 3.3 allows both): otherwise a misspelt scope would show only when a
// resource server refuses the token.
func checkScope(asked, allowed []string) error {
	for _, s := range asked {
		if !slices.Contains(allowed, s) {
			return scopeNotAllowed(allowed)
		}
	}
	return nil
}

// knownScope drops the scopes that are not allowed: OIDC Core section 3.1.2.1 has unknown scopes
// ignored at the authorization endpoint, and apps name scopes that only other providers have. The
// token response lists the granted scopes. If the request named scopes, at least one must remain.
func knownScope(asked, allowed []string) ([]string, error) {
	known := slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return !slices.Contains(allowed, s) })
	if len(known) == 0 && len(asked) > 0 {
		return nil, scopeNotAllowed(allowed)
	}
	return known, nil
}

// exactScope returns the scopes, each of which has to be allowed.
func exactScope(asked, allowed []string) ([]string, error) { return asked, checkScope(asked, allowed) }

// scopeNotAllowed returns the refusal that lists what is allowed.
func scopeNotAllowed(allowed []string) error {
	list := slices.DeleteFunc(slices.Clone(allowed), func(s string) bool { return s == userstore.ScopeAdmin })
	more := ""
	if len(list) > maxListed {
		list, more = list[:maxListed], " and more"
	}
	if len(list) == 0 {
		return refuse(InvalidScope, "This client may ask for no scope here.")
	}
	return refuse(InvalidScope,
		"This client may ask here for "+strings.Join(list, ", ")+more+"; the request names something else.")
}

// mayAdmin reports whether a user with roles may hold scope admin through client.
func mayAdmin(client *userstore.Client, roles []string) bool {
	return client.FirstParty && slices.Contains(roles, userstore.RoleAdmin)
}

var errNotAdmin = refuse(InvalidScope, "The scope admin is only for users with the role admin: leave it out.")

// narrow returns the scopes of an access token that a refresh requests: those that were granted
// (RFC 6749 section 6) and may still be held. Other scopes are ignored, as at the authorization
// endpoint: an app whose unknown scope was dropped there names it again here.
func (i *Issuer) narrow(asked []string, view userstore.GrantView, targets []Resource) ([]string, error) {
	held := i.effective(&view.Grant, &view.Client, view.User.Roles, targets)
	out := slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return !slices.Contains(held, s) })
	if len(out) == 0 {
		return nil, errNoneGranted
	}
	return out, nil
}

var errNoneGranted = refuse(InvalidScope,
	"The grant holds none of the scopes asked for, or not any more: ask for others, or sign in again.")

// registeredFor reports whether client is registered for scope; a client that lists no scopes is
// registered for any. An operator who takes a scope away from a client takes it from existing
// grants as well.
func registeredFor(client *userstore.Client, scope string) bool {
	return len(client.Scopes) == 0 || slices.Contains(client.Scopes, scope)
}

// mayHold reports whether client is registered for scope, or scope belongs to one of targets that
// is open to client.
//
// Neither what a client that came by itself registered nor what it asked for before limits it at a
// resource that is open to it: an MCP client registers with the scopes of its first request, and
// asks for more when the resource server wants more.
func (i *Issuer) mayHold(client *userstore.Client, targets []Resource, scope string) bool {
	return registeredFor(client, scope) ||
		slices.ContainsFunc(targets, func(r Resource) bool { return r.openTo(client) && i.belongsTo(scope, r) })
}

// holdsAdmin reports whether a grant of a user with roles may carry scope admin now.
func (i *Issuer) holdsAdmin(g *userstore.Grant, client *userstore.Client, roles []string) bool {
	return mayAdmin(client, roles) && (!i.adminNeedsTwo() || g.ACR == userstore.TwoFactors)
}

// effective returns the scopes of g that an access token for targets carries if the request
// names none: those that the client is still registered for, admin only while the user may hold it,
// and a resource's scopes only if the resource is named.
func (i *Issuer) effective(g *userstore.Grant, client *userstore.Client, roles []string, targets []Resource) []string {
	out, about := make([]string, 0, len(g.Scopes)), i.targetsOrDefaults(targets)
	for _, s := range g.Scopes {
		if i.mayHold(client, about, s) && (s != userstore.ScopeAdmin || i.holdsAdmin(g, client, roles)) && i.accepts(targets, s) {
			out = append(out, s)
		}
	}
	return out
}

// accepts reports whether one of targets accepts scope. No targets mean the default audience, whose
// scopes the login has already checked.
func (i *Issuer) accepts(targets []Resource, scope string) bool {
	if len(targets) == 0 || i.aboutUser(scope) {
		return true
	}
	for _, t := range targets {
		if len(t.Scopes) == 0 || slices.Contains(t.Scopes, scope) {
			return true
		}
	}
	return false
}
