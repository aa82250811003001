package userstore

import "time"

// FirstPartyClientID is the client that the first migration makes: public,
// first-party, allowed to refresh. /v1/login uses it unless told otherwise.
const FirstPartyClientID = "signet"

// Client is a registered client (RFC 7591 names).
type Client struct {
	ID         string
	Name       string
	Public     bool     // token_endpoint_auth_method "none"
	FirstParty bool     // only an operator can mark a client so
	GrantTypes []string // refresh_token, …
	Scopes     []string // what it may ask for; empty: every scope (admin only if first-party)
	Resources  []string // resource indicators it may name (RFC 8707); empty: none but the default audience
	IDTokenAlg string   // id_token_signed_response_alg; empty: RS256

	DisabledAt time.Time // zero: enabled
	CreatedAt  time.Time
}

// Allows tells whether the client is registered for a grant type.
func (c Client) Allows(grantType string) bool {
	for _, g := range c.GrantTypes {
		if g == grantType {
			return true
		}
	}
	return false
}
