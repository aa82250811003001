//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// dpopInput is what node/dpop.js reads.
type dpopInput struct {
	scriptInput

	Nonces bool `json:"nonces"` // the server asks for them
}

// TestDPoPWithClientsOfOthers: an app with DPoP (RFC 9449) on two public libraries, with nonces and without.
func TestDPoPWithClientsOfOthers(t *testing.T) {
	steps := []string{
		"discovery lists the algorithms of proofs",
		"a public client logs in, and its tokens are bound",
		"userinfo with a proof, and not without",
		"a public client refreshes with its key alone",
		"a code that is bound to a key by dpop_jkt",
		"a pushed request with a proof",
		"a confidential client refreshes with a new key",
		"oauth4webapi, step by step",
	}
	for _, store := range stores {
		for _, nonces := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, nonces %t", store, nonces), func(t *testing.T) {
				t.Parallel()
				s := startOn(t, store, registry+fmt.Sprintf("oauth: {dpop_nonce: %t}\n", nonces))
				g := dpopInput{scriptInput{Issuer: s.issuer, Resource: resource, Clients: s.registry(t)}, nonces}
				g.User = user{Email: "ada@example.com", Password: "correct horse battery staple"}
				body, err := json.Marshal(g.User)
				if err != nil {
					t.Fatal(err)
				}
				s.post(t, "/v1/signup", http.StatusCreated, string(body), nil)
				if took := stepsOf(t, node("dpop.js")(t), g); !slices.Equal(took, steps) {
					t.Errorf("it took the steps %q, not %q", took, steps)
				}
			})
		}
	}
}
