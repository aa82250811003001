//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// registered is a client in the input of a script.
type registered struct {
	ID                    string            `json:"client_id"`
	Secret                string            `json:"client_secret,omitempty"`
	RedirectURI           string            `json:"redirect_uri"`
	PostLogoutRedirectURI string            `json:"post_logout_redirect_uri,omitempty"`
	PrivateKeys           []json.RawMessage `json:"private_keys,omitempty"`
}

// scriptInput is what a script reads from standard input.
type scriptInput struct {
	Issuer   string                `json:"issuer"`
	Resource string                `json:"resource"`
	User     user                  `json:"user"`
	Clients  map[string]registered `json:"clients"`
}

type user struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

const resource = "https://orders.example"

// No server listens at the redirect URIs: the scripts stop before they would go there.
const registry = `
resources:
- {uri: https://orders.example, scopes: [orders:read, orders:write], introspection_clients: [basic, post, jwt]}
`

// Each of these scripts is a relying party, built on a public library, and a person with a browser.
// It goes through its steps in order and prints each. The script itself shows what a step does.
var relyingParties = []struct {
	name    string
	program func(t *testing.T) *exec.Cmd
	steps   []string
}{
	{"openid-client", node("openid-client.js"), []string{
		"discovery",
		"login with a code, PKCE, state and nonce",
		"userinfo",
		"a second login shows no page",
		"prompt=none with a session",
		"prompt=none without one",
		"prompt=login and max_age",
		"a user who says no",
		"refresh",
		"introspection",
		"revocation",
		"the issuer of a response is checked",
		"form_post",
		"a code works once, and its copy ends what came of it",
		"client_secret_post",
		"client_credentials, by secret",
		"private_key_jwt, in every algorithm",
		"a signed request object, in every algorithm",
		"a pushed request",
		"a pushed request object",
		"a public client on any port of loopback",
		"logout by the app",
	}},
	{"oauth4webapi", node("oauth4webapi.js"), []string{
		"discovery, of OpenID Connect and of RFC 8414",
		"login of a confidential client",
		"the signature of an ID token, by the published keys",
		"userinfo",
		"a redirect URI with a query, and client_secret_post",
		"form_post",
		"a response to another request is not taken",
		"errors come back to the app",
		"refresh by a public client",
		"an access token for a resource server, by RFC 9068",
		"private_key_jwt, client_credentials",
		"revocation",
		"logout by the app",
	}},
	{"go-oidc", func(*testing.T) *exec.Cmd { return exec.Command(binaries.goclient) }, []string{
		"discovery",
		"login with a code, PKCE, state and nonce",
		"the access token belongs to the ID token",
		"userinfo",
		"a token that has expired is refreshed by itself",
		"a second login shows no page",
		"client_secret_post, found out by trying",
		"client_credentials",
		"prompt=none without a session",
		"revocation",
		"logout by the app",
	}},
	{"authlib", python("authlib_client.py"), []string{
		"discovery",
		"login with private_key_jwt, whose assertions last an hour",
		"refresh with private_key_jwt",
		"introspection and revocation with private_key_jwt",
		"client_credentials with private_key_jwt",
		"client_secret_basic, which is its default",
		"client_secret_post",
		"its default with a client that is registered for client_secret_post",
		"client_secret_post with a client that is registered for client_secret_basic",
		"a wrong secret is refused in either place",
		"a scope that nobody knows is dropped, at login and when it is repeated at a refresh",
	}},
}

func python(script string) func(*testing.T) *exec.Cmd {
	return func(*testing.T) *exec.Cmd {
		return exec.Command("python/.venv/bin/python", filepath.Join("python", script))
	}
}

func node(script string) func(*testing.T) *exec.Cmd {
	return func(*testing.T) *exec.Cmd { return exec.Command("node", filepath.Join("node", script)) }
}

func TestRelyingPartiesLogPeopleInAndOut(t *testing.T) {
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, registry)
			g := scriptInput{Issuer: s.issuer, Resource: resource, Clients: s.registry(t)}
			for _, p := range relyingParties {
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					g := g
					g.User = user{Email: p.name + "@example.com", Password: "correct horse battery staple"}
					body, _ := json.Marshal(map[string]string{"email": g.User.Email, "password": g.User.Password, "given_name": "Ada"})
					s.post(t, "/v1/signup", http.StatusCreated, string(body), nil)
					if took := stepsOf(t, p.program(t), g); !slices.Equal(took, p.steps) {
						t.Errorf("%s took the steps %q, not %q", p.name, took, p.steps)
					}
				})
			}
		})
	}
}

// stepsOf runs a script with g on its standard input and returns the steps that it took.
func stepsOf(t *testing.T, cmd *exec.Cmd, g any) (steps []string) {
	t.Helper()
	input, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(input, '\n')), &stdout, &stderr
	err = cmd.Run()
	for lines := bufio.NewScanner(&stdout); lines.Scan(); {
		steps = append(steps, lines.Text())
	}
	if err != nil {
		t.Fatalf("%s: %v after the steps %q\n%s", cmd, err, steps, &stderr)
	}
	return steps
}

// registry registers a client of each kind, with the operator's command.
func (s *server) registry(t *testing.T) map[string]registered {
	t.Helper()
	out, err := exec.Command("node", "node/keys.js").Output()
	if err != nil {
		t.Fatalf("node keys.js: %v", err)
	}
	var keys struct {
		Public  json.RawMessage
		Private []json.RawMessage
	}
	if err := json.Unmarshal(out, &keys); err != nil {
		t.Fatal(err)
	}
	jwks := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(jwks, keys.Public, 0o600); err != nil {
		t.Fatal(err)
	}
	machine := []string{"--grant-type", "authorization_code", "--grant-type", "refresh_token",
		"--grant-type", "client_credentials", "--resource", resource}
	all := map[string]registered{
		"basic": s.register(t, "basic", "https://basic.test/callback",
			append(machine, "--auth-method", "client_secret_basic")...),
		"post": s.register(t, "post", "https://post.test/callback",
			append(machine, "--auth-method", "client_secret_post")...),
		"jwt": s.register(t, "jwt", "https://jwt.test/callback",
			append(machine, "--auth-method", "private_key_jwt", "--jwks-file", jwks)...),
		// A registered query stays, and the response's parameters come after it.
		"tenant": s.register(t, "tenant", "https://tenant.test/callback?tenant=one",
			append(machine, "--auth-method", "client_secret_post")...),
		"spa": s.register(t, "spa", "http://127.0.0.1:4000/callback", "--auth-method", "none",
			"--grant-type", "authorization_code", "--grant-type", "refresh_token"),
	}
	jwt := all["jwt"]
	jwt.PrivateKeys = keys.Private
	all["jwt"] = jwt
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if secret := slices.Contains([]string{"basic", "post", "tenant"}, name); secret != (all[name].Secret != "") {
			t.Errorf("client %s: has a secret %t, want %t", name, !secret, secret)
		}
	}
	return all
}

// register runs `signet clients create` beside the running server.
func (s *server) register(t *testing.T, id, redirect string, args ...string) registered {
	t.Helper()
	logout := "https://" + id + ".test/bye"
	args = append([]string{"clients", "create", "--json", "--client-id", id, "--name", id,
		"--redirect-uri", redirect, "--post-logout-redirect-uri", logout}, args...)
	c := registered{RedirectURI: redirect, PostLogoutRedirectURI: logout}
	if err := json.Unmarshal([]byte(s.signet(t, args...)), &c); err != nil || c.ID != id {
		t.Fatalf("signet clients create answered %+v: %v", c, err)
	}
	return c
}
