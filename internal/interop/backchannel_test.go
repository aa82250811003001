//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/signet-id/signet/internal/testport"
)

// An app of express-openid-connect ends its sessions when it is told to. The app and the issuer stand
// behind proxies with certificates of one authority, which the operator trusts by outbound.ca_file.
func TestAppsAreToldOfLogouts(t *testing.T) {
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			listen := testport.Address(t)
			_, port, err := net.SplitHostPort(listen)
			if err != nil {
				t.Fatal(err)
			}
			app := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: listen}))
			t.Cleanup(app.Close)
			at, err := url.Parse(app.URL)
			if err != nil {
				t.Fatal(err)
			}
			ca := filepath.Join(t.TempDir(), "ca.pem")
			text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: app.Certificate().Raw})
			if err := os.WriteFile(ca, text, 0o600); err != nil {
				t.Fatal(err)
			}
			s, proxy := startBehind(t, httptest.NewTLSServer, store,
				fmt.Sprintf("outbound: {ca_file: %q, allow_hosts: [%q]}\n", ca, at.Host))
			client := s.register(t, "shop", app.URL+"/callback", "--post-logout-redirect-uri", app.URL,
				"--backchannel-logout-uri", app.URL+"/backchannel-logout", "--backchannel-logout-session-required")
			users := map[string]user{}
			for _, name := range []string{"ada", "bob"} {
				u := user{Email: name + "@example.com", Password: "correct horse battery staple"}
				body, _ := json.Marshal(map[string]string{"email": u.Email, "password": u.Password})
				resp, err := proxy.Client().Post(s.issuer+"/v1/signup", "application/json", bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				s.read(t, resp, http.StatusCreated, nil)
				users[name] = u
			}
			cmd := exec.Command("node", "node/backchannel.js")
			cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+ca)
			took := stepsOf(t, cmd, map[string]any{
				"issuer": s.issuer, "app": app.URL, "port": port, "client": client, "users": users,
				"signet": binaries.signet, "config": s.config,
			})
			if want := []string{
				"logout of the browser at the hosted page", "logout by the app", "the operator ends all sessions",
				"the operator sets another password", "the operator disables the user", "nobody else is logged out",
			}; !slices.Equal(took, want) {
				t.Errorf("it took the steps %q, not %q", took, want)
			}
		})
	}
}
