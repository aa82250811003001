package userstore

import (
	"slices"
)

// AlgorithmUse is the use of an algorithm of ours by a client.
type AlgorithmUse struct {
	ClientID  string
	Member    string // of the registration
	Algorithm string
}

// AlgorithmUses returns the algorithms of our keys that c is registered for by name. A member that
// is left to the server is not among them, nor is a member that names an algorithm of the client's
// own keys.
func (c Client) AlgorithmUses() []AlgorithmUse {
	return slices.DeleteFunc([]AlgorithmUse{
		{c.ID, "id_token_signed_response_alg", c.IDTokenAlg},
		{c.ID, "userinfo_signed_response_alg", c.UserinfoAlg},
		{c.ID, "introspection_signed_response_alg", c.IntrospectionAlg},
	}, func(u AlgorithmUse) bool { return u.Algorithm == "" })
}
