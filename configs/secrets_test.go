package configs

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretFilesThatOthersCanReach(t *testing.T) {
	path := write(t, someKEK+"\n")
	load := func(path string) []string {
		t.Helper()
		c, warnings, err := Load(Input{File: write(t, ""), Env: []string{"SIGNET_KEYS_ENCRYPTION_KEY_FILE=" + path}})
		if err != nil || c.Keys.EncryptionKey.Reveal() != someKEK {
			t.Fatalf("not accepted: %v", err)
		}
		return warnings
	}
	if w := load(path); len(w) != 0 {
		t.Errorf("a private file needs no warning: %v", w)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if w := load(path); len(w) != 1 || !strings.Contains(w[0], "chmod 600 "+path) {
		t.Errorf("O-01 readable by others: %v", w)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if w := load(link); len(w) != 1 || !strings.Contains(w[0], "symbolic link") {
		t.Errorf("O-01 symlink: %v", w)
	}
	file := write(t, "keys:\n  encryption_key: "+someKEK+"\n")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, w, err := Load(Input{File: file}); err != nil || len(w) != 1 ||
		!strings.Contains(w[0], "it holds keys.encryption_key") {
		t.Errorf("O-01 secret in an open file: %v %v", w, err)
	}
}

func TestSecretsDoNotPrintThemselves(t *testing.T) {
	c, _, err := Load(Input{File: write(t, ""), Env: []string{
		"SIGNET_DATABASE_URL=postgres://u:hunter2hunter2@h/d?sslmode=require&password=hunter2hunter2&sslpassword=hunter2hunter2",
		"SIGNET_KEYS_ENCRYPTION_KEY=" + someKEK,
	}})
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "key", c.Keys.EncryptionKey, "config", c)
	for how, text := range map[string]string{
		"%v": fmt.Sprintf("%v", c), "%+v": fmt.Sprintf("%+v", c), "%#v": fmt.Sprintf("%#v", c),
		"%s": fmt.Sprintf("%s", c.Keys.EncryptionKey), "%q": fmt.Sprintf("%q", c.Keys.EncryptionKey),
		"JSON": string(asJSON), "slog": logged.String(),
		"settings": fmt.Sprint(c.Settings()),
	} {
		for _, secret := range []string{"hunter2hunter2", someKEK} {
			if strings.Contains(text, secret) {
				t.Errorf("O-04 %s holds a secret: %s", how, text)
			}
		}
	}
	if got := show("database_url", c.DatabaseURL); got != "postgres://u@h/d?sslmode=require" {
		t.Errorf("the rest of the URL should still be seen: %s", got)
	}
}
