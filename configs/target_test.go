package configs

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// O-04: no password stands in the arguments of a command.
func TestO04TheTargetOfACommand(t *testing.T) {
	for _, address := range []string{
		"postgres://u@h/d", "postgresql://u@h:5433/d?sslmode=require", "postgres:///d?host=%2Fsocket", "postgres://u@%2Fsocket/d",
		"postgres://u@a:1,b:2/d", "postgres://u@[::1]:5432/d", "postgres://h:5432/d",
	} {
		if got, warnings, err := Target(address, ""); err != nil || got.Reveal() != address || len(warnings) != 0 {
			t.Errorf("%s: %v, %v", address, warnings, err)
		}
	}
	for _, address := range []string{
		"postgres://u:planted-secret@h/d", "postgres://u:planted-secret@%2Fsocket/d", "postgres://u@h/d?password=planted-secret",
		"postgres://u@h/d?sslmode=require&sslpassword=planted-secret", "postgres://u:planted-secret@a:1,b:2/d",
		"postgres://u:planted/secret@h/d", "postgres://u:planted-secret%zz@h/d", "mysql://u:planted-secret@h/d",
		"postgres://u@h/d?Password=planted-secret&x=%zz",
	} {
		if _, _, err := Target(address, ""); !errors.Is(err, ErrPasswordInArgument) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v", address, err)
		}
		// A file may hold it.
		if !strings.HasPrefix(address, "postgres://u:planted-secret@h") && !strings.HasSuffix(address, "?password=planted-secret") {
			continue
		}
		if got, warnings, err := Target("", write(t, address+"\n")); err != nil || got.Reveal() != address || len(warnings) != 0 {
			t.Errorf("in a file: %v, %v", warnings, err)
		}
	}
	for text, want := range map[string]string{
		"":                         "not a postgres:// URL",
		"data/signet.db":           "not a postgres:// URL",
		"host=h user=u":            "not a postgres:// URL",
		"postgres://":              "names no host",
		"postgres://u:p%zz@h/d":    "percent-encode",
		"postgres://u:p/w@h/d#":    "percent-encode",
		"\xff\xfep\x00o\x00":       "UTF-16",
		"mysql://u:planted@h/d":    "not a postgres:// URL",
		"postgres://u:planted@/d":  "names no host",
		"postgres://u:pl#anted@/d": "percent-encode",
	} {
		_, _, err := Target("", write(t, text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%q: %v", text, err)
		}
	}
	path := write(t, "postgres://u:p@h/d")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, warnings, err := Target("", path); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "chmod 600 "+path) {
		t.Errorf("O-01 readable by others: %v, %v", warnings, err)
	}
	if _, _, err := Target("", t.TempDir()+"/none"); err == nil || !strings.Contains(err.Error(), "there is no such file") {
		t.Error(err)
	}
}
