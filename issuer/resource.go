package issuer

import (
	"slices"
	"time"

	"github.com/signet-id/signet/userstore"
)

// Resource is a registered resource server (RFC 8707).
type Resource struct {
	URI            string
	Scopes         []string      // that may be requested with the resource; empty: any
	AccessAlg      string        // empty: Issuer.AccessAlg
	AccessLifetime time.Duration // zero: Issuer.AccessLifetime
	// IntrospectionClients may ask about every token whose audience holds this resource.
	IntrospectionClients []string
	// SelfMade: every client that came by itself may ask for the resource with its scopes, without
	// being registered for either (mcp.resources). Other clients may if they are registered for it.
	SelfMade bool
}

// openTo reports whether client needs no registration for the resource and its scopes. An operator
// cannot know a client that comes by itself, so what such a client may ask for is decided once for
// all of them, and the user decides about each.
func (r Resource) openTo(client *userstore.Client) bool { return r.SelfMade && client.SelfMade() }

var (
	errTarget      = refuse(InvalidTarget, "This client may not ask for such a resource: name one that is registered for it, or none.")
	errMixedAlgs   = refuse(InvalidTarget, "These resources take differently signed tokens: ask for them one at a time.")
	errTargetGrant = refuse(InvalidTarget, "The grant does not hold this resource: leave it out, or sign in again and name it.")
	errTargetGone  = refuse(InvalidTarget, "The resource of this grant is no longer registered for this client: sign in again.")
)

// resources returns the resources that a request names: each registered, and listed by the client or
// open to it.
// Comparison is exact but for the slash of SameResource: that also refuses fragments and relative
// references (RFC 8707 section 2), which are never registered. The result is spelled as registered.
func (i *Issuer) resources(asked []string, client userstore.Client) ([]Resource, error) {
	var out []Resource
	for _, uri := range asked {
		n := slices.IndexFunc(i.Resources, func(r Resource) bool { return userstore.SameResource(r.URI, uri) })
		_, listed := userstore.Registered(client.Resources, uri)
		switch {
		case n < 0 || !listed && !i.Resources[n].openTo(&client):
			return nil, errTarget
		case slices.ContainsFunc(out, func(r Resource) bool { return r.URI == i.Resources[n].URI }):
			continue
		case len(out) > 0 && i.accessAlg(out[0]) != i.accessAlg(i.Resources[n]):
			return nil, errMixedAlgs
		}
		out = append(out, i.Resources[n])
	}
	return out, nil
}

// implied returns the resource that a request is about which names none, but scopes of one that is
// open to the client. Without it the request could only be refused: the default audience does not
// know these scopes. (RFC 8707 section 2 leaves it to the server what a request without resource is
// about. MCP clients of the time before MCP 2025-06-18 send no resource.) Scopes of several such
// resources imply none of them.
func (i *Issuer) implied(scopes []string, client userstore.Client) []Resource {
	var out []Resource
	for _, r := range i.Resources {
		if r.openTo(&client) && slices.ContainsFunc(scopes, func(s string) bool { return i.belongsTo(s, r) }) {
			out = append(out, r)
		}
	}
	if len(out) != 1 {
		return nil
	}
	return out
}

// belongsTo reports whether r lists scope, and scope is about the resource and not about the user.
func (i *Issuer) belongsTo(scope string, r Resource) bool {
	return scope != userstore.ScopeAdmin && !i.aboutUser(scope) && slices.Contains(r.Scopes, scope)
}

// grantedTargets returns the resources that a refresh names: each one held by the grant, and still
// registered.
func (i *Issuer) grantedTargets(asked []string, view userstore.GrantView) ([]Resource, error) {
	for _, uri := range asked {
		if _, held := userstore.Registered(view.Grant.Resources, uri); !held {
			return nil, errTargetGrant
		}
	}
	return i.resources(asked, view.Client)
}

// remainingTargets returns the resources of a grant that are still registered. A grant for
// resources that are all gone is refused: it must not turn into one for the default audience, which
// the user was never asked about. (Only the row names the resources, so a plain refresh finds this
// out after it rotated. The refused client loses nothing by that: once an operator restores the
// resource, the same refresh token is answered once more.)
func (i *Issuer) remainingTargets(uris []string, client userstore.Client) ([]Resource, error) {
	var out []Resource
	for _, uri := range uris {
		if one, err := i.resources([]string{uri}, client); err == nil && (len(out) == 0 || i.accessAlg(out[0]) == i.accessAlg(one[0])) {
			out = append(out, one...)
		}
	}
	if len(uris) > 0 && len(out) == 0 {
		return nil, errTargetGone
	}
	return out, nil
}

// defaultTargets returns the members of the default audience that are registered resources: their
// scopes, algorithm and lifetime hold for it.
func (i *Issuer) defaultTargets() []Resource { return i.audienceTargets(i.Audience) }

// audienceTargets returns the registered resources that an audience names.
func (i *Issuer) audienceTargets(audience []string) []Resource {
	var out []Resource
	for _, r := range i.Resources {
		if _, named := userstore.Registered(audience, r.URI); named {
			out = append(out, r)
		}
	}
	return out
}

// targetsOrDefaults returns the resources that a request for targets is about: targets, or else
// those of the default audience that are registered. Their scopes may be requested, and their
// algorithm and lifetime hold.
func (i *Issuer) targetsOrDefaults(targets []Resource) []Resource {
	if len(targets) == 0 {
		return i.defaultTargets()
	}
	return targets
}

// audience returns the audience of an access token. With resources it is the resources alone;
// without, it is the default audience, to which a first-party client has the issuer itself added,
// so that its users can manage their account.
func (i *Issuer) audience(named []Resource, client *userstore.Client) []string {
	if len(named) > 0 {
		out := make([]string, len(named))
		for n, r := range named {
			out[n] = r.URI
		}
		return out
	}
	if len(i.Audience) == 0 {
		return []string{i.URL}
	}
	if client.FirstParty && !slices.Contains(i.Audience, i.URL) {
		return append(slices.Clone(i.Audience), i.URL)
	}
	return i.Audience
}

// access returns the algorithm and the lifetime of an access token for targets: the shortest
// lifetime of any of them.
func (i *Issuer) access(targets []Resource) (alg string, lifetime time.Duration) {
	if len(targets) == 0 {
		return i.accessAlg(Resource{}), i.AccessLifetime
	}
	alg, lifetime = i.accessAlg(targets[0]), i.lifetime(targets[0])
	for _, t := range targets[1:] {
		lifetime = min(lifetime, i.lifetime(t))
	}
	return alg, lifetime
}

func (i *Issuer) lifetime(r Resource) time.Duration {
	if r.AccessLifetime != 0 {
		return r.AccessLifetime
	}
	return i.AccessLifetime
}

func (i *Issuer) accessAlg(r Resource) string {
	if r.AccessAlg != "" {
		return r.AccessAlg
	}
	return i.AccessAlg
}
