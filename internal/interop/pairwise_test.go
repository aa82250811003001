//go:build interop

package interop

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// openid-client holds userinfo and refreshed ID tokens to the sub of the first ID token. The clients
// are made by the operator's command, which fetches the document of a sector.
func TestOpenIDClientKnowsPeopleByPairwiseSubs(t *testing.T) {
	const redirect, other = "https://one.example/callback", "https://other.example/callback"
	sector := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode([]string{redirect, other})
	}))
	t.Cleanup(sector.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sector.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("outbound: {allow_hosts: [%q], ca_file: %q}\n", strings.TrimPrefix(sector.URL, "https://"), ca)
	steps := []string{
		"discovery says pairwise",
		"userinfo has the sub of the ID token",
		"a refreshed ID token has it, too",
		"introspection says it",
		"an app at the same host knows the same person",
		"an app at another host does not",
		"apps of one sector_identifier_uri know the same person",
		"the ID token is a hint",
	}
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, config)
			g := scriptInput{Issuer: s.issuer, Clients: map[string]registered{}, User: user{Email: "ada@example.com",
				Password: "correct horse battery staple"}}
			body, _ := json.Marshal(map[string]string{"email": g.User.Email, "password": g.User.Password})
			s.post(t, "/v1/signup", http.StatusCreated, string(body), nil)
			refresh := []string{"--subject-type", "pairwise", "--grant-type", "authorization_code", "--grant-type", "refresh_token"}
			g.Clients["one"] = s.register(t, "one", "https://shop.example/one", refresh...)
			g.Clients["two"] = s.register(t, "two", "https://shop.example/two", refresh...)
			g.Clients["far"] = s.register(t, "far", "https://far.example/callback", refresh...)
			of := append(slices.Clone(refresh), "--sector-identifier-uri", sector.URL+"/sector.json")
			g.Clients["joined"] = s.register(t, "joined", redirect, of...)
			g.Clients["member"] = s.register(t, "member", other, of...)
			if took := stepsOf(t, node("pairwise.js")(t), g); !slices.Equal(took, steps) {
				t.Errorf("it took the steps %q, not %q", took, steps)
			}
		})
	}
}
