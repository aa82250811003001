//go:build interop

package interop

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Every algorithm is on, and the service plain may ask about all tokens for the resource.
const signedAnswers = `
keys: {algorithms: [RS256, EdDSA, ES256, PS256]}
resources:
- {uri: https://orders.example, scopes: [orders:read], introspection_clients: [plain]}
`

// Signed answers of userinfo and introspection (OIDC Core section 5.3.2, RFC 9701), read by
// openid-client and jose.
func TestSignedAnswers(t *testing.T) {
	want := []string{"discovery lists the algorithms"}
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		want = append(want, "userinfo signed with "+alg, "introspection signed with "+alg, alg+" is not taken for another")
	}
	want = append(want, "a service that is registered for none asks by Accept",
		"jose verifies an answer, which is no access token")
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, signedAnswers)
			g := scriptInput{Issuer: s.issuer, Resource: resource, Clients: map[string]registered{
				"plain": s.register(t, "plain", "https://plain.test/callback"),
			}, User: user{Email: "signed@example.com", Password: "correct horse battery staple"}}
			for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
				g.Clients[alg] = s.register(t, alg, "https://"+strings.ToLower(alg)+".test/callback", "--resource", resource,
					"--userinfo-alg", alg, "--introspection-alg", alg)
			}
			body, err := json.Marshal(map[string]string{"email": g.User.Email, "password": g.User.Password, "given_name": "Ada"})
			if err != nil {
				t.Fatal(err)
			}
			s.post(t, "/v1/signup", http.StatusCreated, string(body), nil)
			if took := stepsOf(t, node("signed.js")(t), g); !slices.Equal(took, want) {
				t.Errorf("took the steps %q, not %q", took, want)
			}
		})
	}
}
