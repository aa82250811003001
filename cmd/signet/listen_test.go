package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/cmd/signet/internal/testcert"
	"github.com/signet-id/signet/cmd/signet/internal/watch"
)

// The server loads a renewed certificate while it runs, as soon as both files belong together.
func TestCertificateRenewal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testcert.Write(t, dir, "first")
	c := defaultConfig(t)
	c.HTTP.TLSCert, c.HTTP.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	logged := &watch.Buffer{}
	p := newPublicServer(http.NotFoundHandler(), textLog(logged))
	p.tlsCheck = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if err := p.useTLS(ctx, &running, c, textLog(logged)); err != nil {
		t.Fatal(err)
	}
	defer running.Wait()
	defer cancel()
	serves := func() string {
		cert, err := p.http.TLSConfig.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return cert.Leaf.Subject.CommonName
	}
	if got := serves(); got != "first" {
		t.Fatal(got)
	}
	if err := os.WriteFile(c.HTTP.TLSKey, []byte("half of a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the misfit is told", func() bool { return strings.Contains(logged.String(), "the old one stays") })
	if got := serves(); got != "first" {
		t.Errorf("a certificate without its key is used: %s", got)
	}
	testcert.Write(t, dir, "second")
	eventually(t, "the new one is served", func() bool { return serves() == "second" })
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited too long until %s", what)
}

func TestWhatIsReachedFromThisMachineAlone(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:0": true, "127.9.9.9:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true, "localhost:80": true,
		"0.0.0.0:80": false, "[::]:80": false, ":80": false, "192.0.2.1:80": false, "127.example.com:80": false,
		"localhost.example.com:80": false, "127.0.0.1": false, "": false,
	} {
		if got := onThisMachine(address); got != want {
			t.Errorf("%q: %t", address, got)
		}
	}
}
