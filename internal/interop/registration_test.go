//go:build interop

package interop

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"slices"
	"testing"
)

// registrationConfig lets the holder of an initial access token register clients.
const registrationConfig = `
oauth:
  registration: token
`

var registrationSteps = []string{
	"no registration without an initial access token, or with a wrong one",
	"a refusal names the member, and uses no token",
	"a web app registers itself",
	"a person logs in to it",
	"it reads and replaces its registration",
	"it deletes itself, and nothing of it works any more",
	"an app on a device",
	"private_key_jwt, with the keys in the registration",
	"oauth4webapi registers a client that another library uses",
	"a token has only so many uses",
}

// Two public libraries register clients and log a person in with them. The initial access token has as
// many uses as the script needs, so that a use that a refusal spent would end it too early.
func TestRelyingPartiesRegisterThemselves(t *testing.T) {
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, registrationConfig)
			var token struct {
				Token string `json:"token"`
			}
			made := s.signet(t, "clients", "registration-token", "create", "--uses", "8", "--json")
			if err := json.Unmarshal([]byte(made), &token); err != nil || token.Token == "" {
				t.Fatalf("signet clients registration-token create answered %s: %v", made, err)
			}
			u := user{Email: "registration@example.com", Password: "correct horse battery staple"}
			body, _ := json.Marshal(map[string]string{"email": u.Email, "password": u.Password})
			s.post(t, "/v1/signup", http.StatusCreated, string(body), nil)
			given := struct {
				Issuer string `json:"issuer"`
				Token  string `json:"token"`
				User   user   `json:"user"`
			}{s.issuer, token.Token, u}
			if took := stepsOf(t, exec.Command("node", "node/registration.js"), given); !slices.Equal(took, registrationSteps) {
				t.Errorf("the steps were %q, not %q", took, registrationSteps)
			}
		})
	}
}
