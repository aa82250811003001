package registration

import (
	"slices"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// tidyResponses fills in grant types and response types that the caller left out: each follows from
// the other, and code is the default (RFC 7591 section 2).
func tidyResponses(c *userstore.Client, old userstore.Client) {
	for n, t := range c.ResponseTypes {
		if known, ok := userstore.ResponseType(t); ok && known != t {
			c.ResponseTypes = slices.Clone(c.ResponseTypes)
			c.ResponseTypes[n] = known
		}
	}
	// A first-party client without a redirect URI only uses the account API, which needs no grant
	// type.
	if len(c.GrantTypes) == 0 && (!c.FirstParty || len(c.RedirectURIs) > 0) {
		for _, t := range c.ResponseTypes {
			for _, g := range userstore.GrantsOfResponse(t) {
				if !slices.Contains(c.GrantTypes, g) {
					c.GrantTypes = append(c.GrantTypes, g)
				}
			}
		}
		if len(c.GrantTypes) == 0 {
			c.GrantTypes = []string{userstore.GrantAuthorizationCode}
		}
	}
	code := c.Allows(userstore.GrantAuthorizationCode)
	follows := slices.Equal(c.ResponseTypes, old.ResponseTypes) && code != old.Allows(userstore.GrantAuthorizationCode)
	if follows || len(c.ResponseTypes) == 0 {
		c.ResponseTypes = nil
		if code {
			c.ResponseTypes = []string{userstore.ResponseTypeCode}
		}
	}
}

// grantTypes returns the grant types that c may be registered for. implicit is among them if a
// response type needs it: one that is on, that the client had, or that it lists, which is for
// checkResponses to say something about.
func (r *Registry) grantTypes(old userstore.Client, c *userstore.Client) []string {
	out := []string{userstore.GrantAuthorizationCode, userstore.GrantRefreshToken, userstore.GrantClientCredentials, userstore.GrantDeviceCode}
	needs := func(t string) bool { return slices.Contains(userstore.GrantsOfResponse(t), userstore.GrantImplicit) }
	if slices.ContainsFunc(slices.Concat(r.ResponseTypes, old.ResponseTypes, c.ResponseTypes), needs) {
		out = append(out, userstore.GrantImplicit)
	}
	return out
}

// checkResponseType checks one response type of a client that was old.
func (r *Registry) checkResponseType(old userstore.Client, t string) userstore.Fault {
	known, ok := userstore.ResponseType(t)
	on := known == userstore.ResponseTypeCode || slices.Contains(r.ResponseTypes, known)
	switch {
	case !ok:
		return oneOf(t, userstore.ResponseTypes...)
	case !on && !slices.Contains(old.ResponseTypes, known):
		return invalid("This response type is off: see oauth.response_types in the configuration.")
	}
	return userstore.Fault{}
}

// answersAccessToken reports whether a response of this type has an access token.
func answersAccessToken(responseType string) bool {
	return slices.Contains(strings.Split(responseType, " "), "token")
}

// checkResponses checks that response types and grant types fit together. A type that is off is
// refused unless the client had it.
func (r *Registry) checkResponses(old userstore.Client, c *userstore.Client, fs *userstore.Faults) {
	if c.DPoPBoundAccessTokens && slices.ContainsFunc(c.ResponseTypes, answersAccessToken) {
		fs.Add("dpop_bound_access_tokens", invalid("No access token from the authorization endpoint is bound to a key: leave out the response types with token."))
	}
	addList(fs, "response_types", c.ResponseTypes, func(t string) userstore.Fault { return r.checkResponseType(old, t) })
	needed := map[string]bool{}
	for _, t := range c.ResponseTypes {
		for _, g := range userstore.GrantsOfResponse(t) {
			needed[g] = true
			if !c.Allows(g) {
				fs.Add("response_types", invalid("The response type "+t+" needs the grant type "+g+"."))
			}
		}
	}
	implicit := c.Allows(userstore.GrantImplicit) && slices.Contains(r.grantTypes(old, c), userstore.GrantImplicit)
	if implicit && !needed[userstore.GrantImplicit] {
		fs.Add("response_types", invalid("The grant type implicit needs a response type with id_token, or with code and token."))
	}
	if implicit && len(c.RedirectURIs) == 0 {
		fs.Add("redirect_uris", required("The grant type implicit needs a redirect URI at least."))
	}
}
