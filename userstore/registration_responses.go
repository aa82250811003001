package userstore

import "slices"

// tidyResponses fills in grant types and response types that the caller left out: each follows from
// the other, and code is the default (RFC 7591 section 2).
func tidyResponses(c *Client, old Client) {
	for n, t := range c.ResponseTypes {
		if known, ok := ResponseType(t); ok && known != t {
			c.ResponseTypes = slices.Clone(c.ResponseTypes)
			c.ResponseTypes[n] = known
		}
	}
	// A first-party client without a redirect URI only uses the account API, which needs no grant
	// type.
	if len(c.GrantTypes) == 0 && (!c.FirstParty || len(c.RedirectURIs) > 0) {
		for _, t := range c.ResponseTypes {
			for _, g := range GrantsOfResponse(t) {
				if !slices.Contains(c.GrantTypes, g) {
					c.GrantTypes = append(c.GrantTypes, g)
				}
			}
		}
		if len(c.GrantTypes) == 0 {
			c.GrantTypes = []string{GrantAuthorizationCode}
		}
	}
	code := c.Allows(GrantAuthorizationCode)
	follows := slices.Equal(c.ResponseTypes, old.ResponseTypes) && code != old.Allows(GrantAuthorizationCode)
	if follows || len(c.ResponseTypes) == 0 {
		c.ResponseTypes = nil
		if code {
			c.ResponseTypes = []string{ResponseTypeCode}
		}
	}
}

// grantTypes returns the grant types that c may be registered for. implicit is among them if a
// response type needs it: one that is on, that the client had, or that it lists, which is for
// checkResponses to say something about.
func (r *Registry) grantTypes(old Client, c *Client) []string {
	out := []string{GrantAuthorizationCode, GrantRefreshToken, GrantClientCredentials, GrantDeviceCode}
	needs := func(t string) bool { return slices.Contains(GrantsOfResponse(t), GrantImplicit) }
	if slices.ContainsFunc(slices.Concat(r.ResponseTypes, old.ResponseTypes, c.ResponseTypes), needs) {
		out = append(out, GrantImplicit)
	}
	return out
}

// checkResponseType checks one response type of a client that was old.
func (r *Registry) checkResponseType(old Client, t string) Fault {
	known, ok := ResponseType(t)
	on := known == ResponseTypeCode || slices.Contains(r.ResponseTypes, known)
	switch {
	case !ok:
		return oneOf(t, ResponseTypes...)
	case !on && !slices.Contains(old.ResponseTypes, known):
		return Fault{CodeInvalid, "This response type is off: see oauth.response_types in the configuration."}
	}
	return Fault{}
}

// checkResponses checks that response types and grant types fit together. A type that is off is
// refused unless the client had it.
func (r *Registry) checkResponses(old Client, c *Client, fs *Faults) {
	addList(fs, "response_types", c.ResponseTypes, func(t string) Fault { return r.checkResponseType(old, t) })
	needed := map[string]bool{}
	for _, t := range c.ResponseTypes {
		for _, g := range GrantsOfResponse(t) {
			needed[g] = true
			if !c.Allows(g) {
				fs.Add("response_types", Fault{CodeInvalid, "The response type " + t + " needs the grant type " + g + "."})
			}
		}
	}
	implicit := c.Allows(GrantImplicit) && slices.Contains(r.grantTypes(old, c), GrantImplicit)
	if implicit && !needed[GrantImplicit] {
		fs.Add("response_types", Fault{CodeInvalid,
			"The grant type implicit needs a response type with id_token, or with code and token."})
	}
	if implicit && len(c.RedirectURIs) == 0 {
		fs.Add("redirect_uris", Fault{CodeRequired, "The grant type implicit needs a redirect URI at least."})
	}
}
