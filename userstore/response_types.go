package userstore

import (
	"slices"
	"strings"
)

// ResponseTypeCode is the response type of the authorization code flow.
const ResponseTypeCode = "code"

// ResponseTypes are the response types that there are, each in the order of its words that OIDC Core
// section 3 writes. A server answers those of its configuration, and a client those that it is
// registered for.
//
// token alone and none are missing: OAuth 2.1 and RFC 9700 section 2.1.2 have done away with token,
// and none is of no use to a client.
var ResponseTypes = []string{
	ResponseTypeCode, "id_token", "id_token token", "code id_token", "code token", "code id_token token",
}

// ResponseType returns a response type in the spelling of ResponseTypes: its words have no order
// (OAuth 2.0 Multiple Response Type Encoding Practices section 3). ok is false if there is no such
// response type.
func ResponseType(text string) (known string, ok bool) {
	sent := strings.Split(text, " ")
	for _, t := range ResponseTypes {
		words := strings.Split(t, " ")
		missing := func(word string) bool { return !slices.Contains(sent, word) }
		if len(words) == len(sent) && !slices.ContainsFunc(words, missing) {
			return t, true
		}
	}
	return "", false
}

// GrantsOfResponse returns the grant types that a client needs for a response type (OIDC Dynamic
// Client Registration section 2).
func GrantsOfResponse(responseType string) []string {
	words := strings.Split(responseType, " ")
	var out []string
	if slices.Contains(words, "code") {
		out = append(out, GrantAuthorizationCode)
	}
	if slices.Contains(words, "id_token") || slices.Contains(words, "token") {
		out = append(out, GrantImplicit)
	}
	return out
}

// Answers reports whether the client is registered for a response type, in the spelling of
// ResponseTypes. A client that lists none has code, as its grant types say.
func (c Client) Answers(responseType string) bool {
	presumed := responseType == ResponseTypeCode && len(c.ResponseTypes) == 0
	if !presumed && !slices.Contains(c.ResponseTypes, responseType) {
		return false
	}
	return !slices.ContainsFunc(GrantsOfResponse(responseType), func(g string) bool { return !c.Allows(g) })
}

// tidyResponses fills in grant types and response types that the caller left out: each follows from
// the other, and code is the default (RFC 7591 section 2).
func (c *Client) tidyResponses(old Client) {
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
func (r *Registry) checkResponseType(old Client, t string) fault {
	known, ok := ResponseType(t)
	on := known == ResponseTypeCode || slices.Contains(r.ResponseTypes, known)
	switch {
	case !ok:
		return oneOf(t, ResponseTypes...)
	case !on && !slices.Contains(old.ResponseTypes, known):
		return fault{CodeInvalid, "This response type is off: see oauth.response_types in the configuration."}
	}
	return fault{}
}

// checkResponses checks that response types and grant types fit together. A type that is off is
// refused unless the client had it.
func (r *Registry) checkResponses(old Client, c *Client, fs *faults) {
	fs.addList("response_types", c.ResponseTypes, func(t string) fault { return r.checkResponseType(old, t) })
	needed := map[string]bool{}
	for _, t := range c.ResponseTypes {
		for _, g := range GrantsOfResponse(t) {
			needed[g] = true
			if !c.Allows(g) {
				fs.add("response_types", fault{CodeInvalid, "The response type " + t + " needs the grant type " + g + "."})
			}
		}
	}
	implicit := c.Allows(GrantImplicit) && slices.Contains(r.grantTypes(old, c), GrantImplicit)
	if implicit && !needed[GrantImplicit] {
		fs.add("response_types", fault{CodeInvalid,
			"The grant type implicit needs a response type with id_token, or with code and token."})
	}
	if implicit && len(c.RedirectURIs) == 0 {
		fs.add("redirect_uris", fault{CodeRequired, "The grant type implicit needs a redirect URI at least."})
	}
}
