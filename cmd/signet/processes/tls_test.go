package processes_test

import (
	"crypto/tls"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/cmd/signet/internal/testcert"
)

// H-15: with TLS configured, no version before 1.2, no weak cipher and no plain HTTP is accepted.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testcert.Write(t, dir, "first")
	p := start(t, nil, "SIGNET_ISSUER=https://localhost",
		"SIGNET_HTTP_TLS_CERT="+filepath.Join(dir, "cert.pem"), "SIGNET_HTTP_TLS_KEY="+filepath.Join(dir, "key.pem"))
	if got := p.status("/.well-known/jwks.json"); got != http.StatusOK {
		t.Fatalf("answered %d", got)
	}
	address := strings.TrimPrefix(p.base, "https://")
	if _, err := tls.Dial("tcp", address,
		&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("H-15: TLS 1.1 was accepted")
	}
	for _, weak := range tls.InsecureCipherSuites() {
		if conn, err := tls.Dial("tcp", address,
			&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{weak.ID}}); err == nil {
			conn.Close()
			t.Errorf("H-15: %s was accepted", weak.Name)
		}
	}
	plain, err := http.Post("http://"+address+"/v1/login", "application/json",
		strings.NewReader(`{"email":"a@example.com","password":"a long enough passphrase"}`))
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != http.StatusBadRequest || plain.Header.Get("Location") != "" {
		t.Errorf("H-15: plain HTTP is answered %s to %q", plain.Status, plain.Header.Get("Location"))
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	state := conn.ConnectionState()
	conn.Close() // the drain would wait for a handshake that never goes on
	if state.NegotiatedProtocol != "h2" || state.PeerCertificates[0].Subject.CommonName != "first" {
		t.Errorf("%q with %s", state.NegotiatedProtocol, state.PeerCertificates[0].Subject)
	}
	health := exec.Command(p.cmd.Path, "healthcheck")
	health.Env, health.Dir = p.cmd.Env, p.dir
	if out, err := health.CombinedOutput(); err != nil || !strings.Contains(string(out), "ready: https://127.0.0.1") {
		t.Errorf("healthcheck: %v %s", err, out)
	}
	p.signal(t, syscall.SIGTERM)
	if code, _ := p.wait(t, time.Minute); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.errOut)
	}
}
