//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"

	"github.com/signet-id/signet/internal/testport"
)

// docs/resource-servers/compatibility.md says how long libraries keep keys. This test shows that each of
// them takes a key of which it did not know, beside one of a type that it does not know. With
// `make measure-caches` it measures how long each takes a key that was revoked.
func TestLibrariesReadAFreshKey(t *testing.T) {
	for _, c := range []struct{ name, program, script string }{
		{"jose", "node", "node/caches.js"},
		{"express-oauth2-jwt-bearer", "node", "node/caches.js"},
		{"express-jwt with jwks-rsa", "node", "node/caches.js"},
		{"fast-jwt with get-jwks", "node", "node/caches.js"},
		{"PyJWT", "python/.venv/bin/python", "python/caches.py"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &mint{audience: "https://api.example.com"}
			issuer := httptest.NewServer(m.before(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "public, max-age=300") // as Signet's
				fmt.Fprintln(w, `{"keys":[]}`)
			})))
			t.Cleanup(issuer.Close)
			m.issuer = issuer.URL
			r := &trial{page: c.name, mint: m, rs: newMintKey(t, "RS256"), fresh: newMintKey(t, "RS256"),
				prepublished: newMintKey(t, "RS256"), es: newMintKey(t, "ES256"), ed: newMintKey(t, "EdDSA")}
			m.publish(t, r.published()...)

			address := testport.Address(t)
			_, port, _ := net.SplitHostPort(address)
			cmd := exec.Command(c.program, c.script, c.name, m.issuer, port)
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				cmd.Process.Kill()
				cmd.Wait()
				if t.Failed() {
					t.Log(said.String())
				}
			})
			r.ask = func(t *testing.T, token string) (int, string) {
				t.Helper()
				return askAt(t, "http://"+address+"/orders", token)
			}
			eventually(t, "the API listens", func() bool {
				conn, err := net.Dial("tcp", address)
				if err == nil {
					conn.Close()
				}
				return err == nil
			})
			for name, key := range map[string]mintKey{"the first key": r.rs, "one that was published in advance": r.prepublished} {
				if status, _ := r.ask(t, key.sign(t, key.header(nil), m.accessToken())); status != lets {
					t.Errorf("a token of %s was answered %d", name, status)
				}
			}
			r.learn(t)
		})
	}
}

// askAt sends a GET request with a token, or with none.
func askAt(t *testing.T, address, token string) (status int, challenge string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	return answer.StatusCode, answer.Header.Get("WWW-Authenticate")
}
