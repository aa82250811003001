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
