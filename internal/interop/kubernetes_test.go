//go:build interop && more

package interop

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The authenticator of the Kubernetes API server, configured as in docs/resource-servers/kubernetes.md,
// recognises people and their groups by our ID tokens, and refuses every hostile token.
func TestMoreKubernetesKnowsPeopleByTheirIDTokens(t *testing.T) {
	text, err := os.ReadFile("../../docs/resource-servers/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, b := range blocks(string(text)) {
		if _, name, found := strings.Cut(b.info, " file "); found {
			files[name] = b.text
		}
	}
	// Kubernetes fetches no key set again that is still fresh, whatever tokens say. To measure that, the set is as fresh
	// as Signet's is.
	maxAge := "keys: {jwks_max_age: 1s}\n"
	if os.Getenv("INTEROP_CACHES") != "" {
		maxAge = ""
	}
	authenticator := buildForeign(t, "kubernetes", ".", "kubernetes")
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			m := &mint{audience: "kubernetes", more: members{"email": "ada@example.com", "email_verified": true}}
			s, proxy := startBehind(t, func(signet http.Handler) *httptest.Server {
				return httptest.NewTLSServer(m.before(signet))
			}, store, files["signet.yaml"]+maxAge)
			m.issuer = s.issuer
			trial := newTrial(t, "kubernetes.md", m)
			dir := t.TempDir()
			keep := func(name, text string) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}))
			bundle := keep("ca.pem", ca)
			configuration := strings.Replace(files["authentication.yaml"], "url: https://id.example.com",
				"url: "+s.issuer+"\n    certificateAuthority: |\n      "+
					strings.ReplaceAll(strings.TrimSpace(ca), "\n", "\n      "), 1)
			if !strings.Contains(configuration, s.issuer) {
				t.Fatalf("the documented configuration has no issuer to replace:\n%s", configuration)
			}

			ada, eve := user{"ada@example.com", "correct horse battery staple"},
				user{"eve@example.com", "correct horse battery staple"}
			var profile struct {
				Subject string `json:"sub"`
			}
			if err := json.Unmarshal([]byte(s.signet(t, "users", "create", "--json", "--email", ada.Email, "--email-verified",
				"--password-file", keep("password", ada.Password), "--role", "developers", "--role", "admins-of-dev")),
				&profile); err != nil || profile.Subject == "" {
				t.Fatalf("signet users create answered %+v: %v", profile, err)
			}
			s.signet(t, "users", "create", "--email", eve.Email, "--password-file", keep("password", eve.Password))
			client := func(id string, more ...string) {
				s.signet(t, append([]string{"clients", "create", "--client-id", id, "--name", id, "--auth-method", "none",
					"--redirect-uri", "http://127.0.0.1:8000/", "--grant-type", "authorization_code",
					"--grant-type", "refresh_token"}, more...)...)
			}
			client("kubernetes", "--id-token-claims")
			client("other", "--id-token-claims")
			tokensOf := func(who user, client, scope string) (got tokens) {
				t.Helper()
				told, _ := json.Marshal(map[string]any{"issuer": s.issuer, "client_id": client, "scope": scope,
					"redirect_uri": "http://127.0.0.1:8000/", "user": who})
				cmd := exec.Command("python/.venv/bin/python", "python/tokens.py")
				cmd.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+bundle)
				var stderr bytes.Buffer
				cmd.Stdin, cmd.Stderr = bytes.NewReader(told), &stderr
				out, err := cmd.Output()
				if err == nil {
					err = json.Unmarshal(out, &got)
				}
				if err != nil {
					t.Fatalf("log in to %s for %s: %v\n%s", client, scope, err, &stderr)
				}
				return got
			}

			kubernetes := run(t, "Kubernetes", "", authenticator, keep("authentication.yaml", configuration))
			got := tokensOf(ada, "kubernetes", "openid email groups offline_access")
			claims, refusal := kubernetes.ask(t, request{Token: got.ID})
			want := map[string]any{"username": "signet:" + ada.Email, "uid": profile.Subject,
				"groups": []any{"signet:admins-of-dev", "signet:developers"}}
			delete(claims, "extra")
			if refusal != "" || !reflect.DeepEqual(claims, want) {
				t.Errorf("Kubernetes knows %v (%s), want %v", claims, refusal, want)
			}
			if claims, refusal := kubernetes.ask(t,
				request{Token: tokensOf(ada, "kubernetes", "openid email").ID}); refusal != "" || claims["groups"] != nil {
				t.Errorf("without the scope groups, Kubernetes knows %v (%s)", claims, refusal)
			}

			head, signature, _ := strings.Cut(got.ID[strings.IndexByte(got.ID, '.')+1:], ".")
			altered := got.ID[:strings.IndexByte(got.ID, '.')+1] + head + "." +
				map[bool]string{true: "B", false: "A"}[signature[0] == 'A'] + signature[1:]
			silent, unverified := tokensOf(ada, "kubernetes", "openid").ID, tokensOf(eve, "kubernetes", "openid email groups").ID
			s.signet(t, "clients", "update", "kubernetes", "--id-token-alg", "EdDSA")
			for name, token := range map[string]string{
				"an access token":                 got.Access,
				"a refresh token":                 got.Refresh,
				"an ID token for another client":  tokensOf(ada, "other", "openid email groups").ID,
				"an altered signature":            altered,
				"a login that told no address":    silent,
				"an address that is not verified": unverified,
				"EdDSA, which Kubernetes has not": tokensOf(ada, "kubernetes", "openid email groups").ID,
			} {
				if claims, refusal := kubernetes.ask(t, request{Token: token}); refusal == "" {
					t.Errorf("Kubernetes took %s for %v", name, claims)
				} else {
					t.Logf("%s: %s", name, refusal)
				}
			}
			trial.ask = func(t *testing.T, token string) (int, string) {
				t.Helper()
				if _, refusal := kubernetes.ask(t, request{Token: token}); refusal != "" {
					return refuses, ""
				}
				return lets, ""
			}
			trial.run(t)
		})
	}
}
