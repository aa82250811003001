//go:build interop

package interop

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/mail/mailtest"
)

// metadataHost is the https host of the clients' metadata documents, on this machine.
type metadataHost struct {
	config string // of an issuer that fetches them
	origin string

	mu    sync.Mutex
	texts map[string][]byte // by path
}

func serveMetadata(t *testing.T) *metadataHost {
	t.Helper()
	certificate, public, err := mailtest.SelfSigned([]string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, public, 0o600); err != nil {
		t.Fatal(err)
	}
	d := &metadataHost{
		config: fmt.Sprintf("outbound: {allow_hosts: [localhost], ca_file: %q}\n", ca),
		texts:  map[string][]byte{},
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		text, ok := d.texts[r.URL.Path]
		d.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(text)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	d.origin = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return d
}

// publish puts the document of a client there. It names a program's redirect URI without the port,
// as programs do that take any free one.
func (d *metadataHost) publish(t *testing.T, c *mcpClient) {
	t.Helper()
	at := "/" + path.Base(c.SDK) + "/client.json"
	c.Metadata = d.origin + at
	text, err := json.Marshal(map[string]any{
		"client_id": c.Metadata, "client_name": "Agent", "client_uri": d.origin,
		"redirect_uris": []string{"http://localhost/callback", c.RedirectURI},
		"grant_types":   []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
		"token_endpoint_auth_method": "none",
	})
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.texts[at] = text
}
