package registrations_test

import (
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore/registration"
)

// A client registers itself for the algorithms of its answers as an operator registers it: those that
// sign now. What asks for encryption is refused, not ignored.
func TestAlgorithmsOfAClientThatRegistersItself(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const refused = "invalid_client_metadata"
		for _, member := range registration.EncryptionMembers {
			leavesNothing(s, func() { register(s, shop().With(member, "RSA-OAEP-256"), "").Want(400, refused) })
		}
		alice := s.SignUp("alice")
		for _, member := range []string{"userinfo_signed_response_alg", "introspection_signed_response_alg"} {
			for _, alg := range []any{"ES256", "none", "HS256", "eddsa", 7} {
				leavesNothing(s, func() { register(s, shop().With(member, alg), "").Want(400, refused) })
			}
			c := take(s, register(s, shop().With(member, "EdDSA"), "").Want(201, ""))
			if c.Fields[member] != "EdDSA" {
				t.Errorf("registered %s", c.Fields.Text())
			}
			tokens := s.Redeem(alice, c.Client)
			userinfo := s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
			introspection := s.Do(s.Authenticated(c.Client, "/oauth2/introspect", map[string][]string{"token": {tokens.Access}}))
			for name, signed := range map[string]bool{
				"userinfo_signed_response_alg":      apitest.Header(string(userinfo.Body))["alg"] == "EdDSA",
				"introspection_signed_response_alg": apitest.Header(string(introspection.Want(200, "").Body))["alg"] == "EdDSA",
			} {
				if signed != (name == member) {
					t.Errorf("registered for %s: signed as %s says: %v", member, name, signed)
				}
			}
			manage(s, "PUT", c, shop().With(member, "ES256").With("client_id", c.ID)).Want(400, refused)
		}
	}, mode("open"))
}
