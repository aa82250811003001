//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/mail/mailtest"
)

// mailServer is aiosmtpd, which demands STARTTLS and a password.
type mailServer struct {
	config string // of a server that sends its messages there

	mu      sync.Mutex
	letters []letter
}

// letter is a message as Python's parser reads it.
type letter struct {
	From, Subject, User, Text, HTML string
	To, Links, Codes, Defects       []string
	TLS                             bool
}

func startMailServer(t *testing.T) *mailServer {
	t.Helper()
	dir := t.TempDir()
	certificate, public, err := mailtest.SelfSigned([]string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, password := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), randomText()
	for name, content := range map[string][]byte{cert: public,
		key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("python/.venv/bin/python", "python/mail_server.py", cert, key)
	cmd.Env = append(os.Environ(), "MAIL_PASSWORD="+password)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	m, read := &mailServer{}, make(chan struct{})
	port := lines.Scan()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-read
		cmd.Wait()
	})
	if !port {
		close(read)
		t.Fatalf("the mail server did not start: %s", &stderr)
	}
	// On localhost, written in this way, no TLS is demanded. Names resolve whatever their case.
	m.config =
		fmt.Sprintf("mail: {smtp: 'smtp://signet@LOCALHOST:%s', password: %s, from: no-reply@example.com}\noutbound: {ca_file: %q}\n",
			lines.Text(), password, cert)
	go func() {
		defer close(read)
		for lines.Scan() {
			var l letter
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				t.Errorf("the mail server says %q: %v", lines.Text(), err)
				continue
			}
			m.mu.Lock()
			m.letters = append(m.letters, l)
			m.mu.Unlock()
		}
	}()
	return m
}

// letter waits for the one letter to an address, and takes it.
func (m *mailServer) letter(t *testing.T, to string) (got letter) {
	t.Helper()
	eventually(t, "a letter to "+to+" has come", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		n := slices.IndexFunc(m.letters, func(l letter) bool { return slices.Equal(l.To, []string{to}) })
		if n < 0 {
			return false
		}
		got = m.letters[n]
		m.letters = slices.Delete(m.letters, n, n+1)
		return true
	})
	if got.From != "no-reply@example.com" || got.User != "signet" || !got.TLS || len(got.Defects) > 0 ||
		!strings.Contains(got.HTML, "<html") {
		t.Errorf("the letter to %s came as %+v", to, got)
	}
	return got
}

// link is the one link of a letter that leads to a page, such as /reset/.
func (l letter) link(t *testing.T, page string) string {
	t.Helper()
	for _, link := range l.Links {
		if u, err := url.Parse(link); err == nil && strings.HasPrefix(u.Path, page) {
			if !strings.Contains(l.HTML, link) {
				t.Errorf("the HTML of the letter does not lead to %s", link)
			}
			return link
		}
	}
	t.Fatalf("no link to %s: %s", page, l.Text)
	return ""
}
