package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/signet-id/signet/cmd/signet/internal/testcert"
	"github.com/signet-id/signet/configs"
)

// Certificates and keys that were saved with a byte order mark, and chains that were joined from
// such files, are read completely.
func TestPEMWithMarks(t *testing.T) {
	dir := t.TempDir()
	testcert.Write(t, dir, "localhost")
	chain, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	mark := []byte("\ufeff")
	marked := bytes.Join([][]byte{mark, chain, mark, chain}, nil)
	for name, text := range map[string][]byte{"cert.pem": marked, "key.pem": append(mark, key...)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var c configs.Config
	c.HTTP.TLSCert, c.HTTP.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert, err := loadCertificate(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(cert.Certificate) != 2 {
		t.Errorf("the chain has %d certificates of 2", len(cert.Certificate))
	}
	if err := checkCAs(marked); err != nil {
		t.Error(err)
	}
	if got := bytes.Count(plainPEM(marked), []byte("BEGIN")); got != 2 || bytes.Contains(plainPEM(marked), mark) {
		t.Errorf("%d blocks", got)
	}
}
