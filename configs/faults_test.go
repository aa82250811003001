package configs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faultsOf loads a configuration and returns its faults, and the text that people read.
func faultsOf(t *testing.T, file string, env ...string) (*Error, string) {
	t.Helper()
	_, _, err := Load(Input{File: write(t, file), Env: env})
	var faults *Error
	if !errors.As(err, &faults) {
		t.Fatalf("accepted: %v", err)
	}
	return faults, err.Error()
}

func TestEveryFaultInsideOneKey(t *testing.T) {
	for _, row := range []struct {
		name, file string
		want       []string // as many faults, each with this part
	}{
		{"resources", `
resources:
  - {uri: /api, scopes: ["a b", "ok", "ok"], access_token_alg: ES256, access_token_lifetime: 48h}
  - {uri: "https://a.example"}
  - {uri: "https://a.example", access_token_lifetime: 100ms}
  - {uri: "https://a.example/"}
`, []string{"member 1: uri", `member 1: scopes: "a b"`, "member 1: scopes: names ok twice", "member 1: access_token_alg ES256",
			"member 1: access_token_lifetime 48h is too long", "member 3: access_token_lifetime 100ms is too short",
			"names https://a.example twice", "are one resource"}},
		{"redirect schemes",
			"oauth: {redirect_schemes: [javascript, \"https:\", Cursor, \"my app\", \"cursor://\", \"\", urn, vscode, \"vscode:\"]}\n",
			[]string{`"javascript"`, `"https"`, `"Cursor"`, `"my app"`, `"cursor://"`, `""`, `"urn"`, "names vscode twice"}},
		{"algorithms", "keys: {algorithms: [HS256, none, RS256, RS256]}\n",
			[]string{`"HS256"`, `"none"`, "names RS256 twice"}},
		{"origins", "http: {cors_origins: [\"*\", \"https://a.example/\", \"https://B.example\"]}\n",
			[]string{"does not take *", `"https://a.example/"`, `"https://B.example"`}},
		{"proxies", "http: {trusted_proxies: [proxy, 10.1.2.3/8]}\n", []string{`"proxy"`, "10.1.2.3/8"}},
		{"audiences", "tokens: {audience: [\"a b\", \"\", c, c]}\n", []string{`"a b"`, `""`, "names c twice"}},
		{"a list with members of two wrong types", "tokens: {audience: [1, true]}\n",
			[]string{"member 1 is a number, not a text; put it in quotes; member 2 is true or false"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			faults, text := faultsOf(t, row.file)
			if len(faults.Faults) != len(row.want) {
				t.Errorf("%d faults, not %d: %s", len(faults.Faults), len(row.want), text)
			}
			for _, part := range row.want {
				if !strings.Contains(text, part) {
					t.Errorf("%q is not in: %s", part, text)
				}
			}
		})
	}
}

// One start reports all faults: if a value cannot be used, the rules that only need it use its
// default.
func TestAFaultHidesNoOther(t *testing.T) {
	for _, row := range []struct {
		name, file string
		want       []string
	}{
		{"an unreadable clock_skew and a timeline that cannot hold", "clock_skew: 60\nkeys: {propagation: 5m}\n",
			[]string{"clock_skew (", "60 has no unit", "keys.propagation (", "is too short",
				"found with the default of clock_skew"}},
		{"a clock_skew out of its range and a timeline that cannot hold", "clock_skew: 0s\nkeys: {propagation: 5m}\n",
			[]string{"clock_skew (", "give a duration between 1s and 5m", "keys.propagation ("}},
		{"an unknown algorithm and a timeline that cannot hold", "keys: {algorithms: [HS256], propagation: 5m}\n",
			[]string{"keys.algorithms (", "keys.propagation ("}},
		{"a refresh.absolute without a unit and an idle time too long for the default",
			"refresh: {absolute: 700, idle: 9000h}\n",
			[]string{"refresh.absolute (", "refresh.idle (", "found with the default of refresh.absolute"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			faults, text := faultsOf(t, row.file)
			if len(faults.Faults) != 2 {
				t.Errorf("%d faults: %s", len(faults.Faults), text)
			}
			for _, part := range row.want {
				if !strings.Contains(text, part) {
					t.Errorf("%q is not in: %s", part, text)
				}
			}
		})
	}
	t.Run("but names are not guessed at", func(t *testing.T) {
		faults, text := faultsOf(t,
			"keys: {algorithms: 5}\ntokens: {access_alg: ES256}\nresources: [{uri: \"https://a.example\", access_token_alg: ES256}]\n")
		if len(faults.Faults) != 1 || !strings.Contains(text, "keys.algorithms") {
			t.Error(text)
		}
	})
}

// O-03: a secret in the wrong place is refused there. It is neither shown nor used as the name of a
// file.
func TestMisplacedSecrets(t *testing.T) {
	const password = "hunter2hunter2"
	kek, url := write(t, someKEK+"\n"), write(t, "u:"+password+"@h/d\n")
	for _, row := range []struct {
		name string
		env  []string
		want string
	}{
		{"the key-encryption key's file as the database's", []string{"SIGNET_DATABASE_URL_FILE=" + kek},
			"database_url_file (SIGNET_DATABASE_URL_FILE): " + kek + " does not hold a postgres:// URL"},
		{"a URL without its scheme in a file", []string{"SIGNET_DATABASE_URL_FILE=" + url},
			"does not hold a postgres:// URL"},
		{"the key-encryption key's file as the migrations' database's", []string{"SIGNET_DATABASE_URL=postgres://h/d",
			"SIGNET_KEYS_ENCRYPTION_KEY=" + otherKEK, "SIGNET_DATABASE_MIGRATE_URL_FILE=" + kek}, "database_migrate_url_file ("},
		{"the key-encryption key as the database", []string{"SIGNET_DATABASE_URL=" + someKEK},
			"is a key-encryption key and no database"},
		{"the key-encryption key and a newline as the database", []string{"SIGNET_DATABASE_URL=" + someKEK + "\n"},
			"is a key-encryption key and no database"},
		{"a URL without its scheme", []string{"SIGNET_DATABASE_URL=u:" + password + "@h/d"},
			"write postgres://user:password@host/database"},
		{"a URL with half a scheme", []string{"SIGNET_DATABASE_URL=//u:" + password + "@h/d"},
			"write postgres://user:password@host/database"},
		{"a slash in the password", []string{"SIGNET_DATABASE_URL=postgres://u:1@" + password + "/x@h/d"}, "percent-encode"},
		{"a hash in the password", []string{"SIGNET_DATABASE_URL=postgres://u:1#" + password + "@h/d"}, "percent-encode"},
		{"a question mark in the password", []string{"SIGNET_DATABASE_URL=postgres://u:1?" + password + "@h/d"},
			"percent-encode"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, text := faultsOf(t, "", row.env...)
			if !strings.Contains(text, row.want) {
				t.Errorf("%q is not in: %s", row.want, text)
			}
			for _, secret := range []string{someKEK, password} {
				if strings.Contains(text, secret) {
					t.Errorf("it shows the secret: %s", text)
				}
			}
			if strings.Contains(text, "2 faults") && !strings.Contains(row.want, "percent") {
				t.Errorf("faults that follow from the first: %s", text)
			}
		})
	}
	for _, text := range []string{someKEK, "u:" + password + "@h/d"} {
		c := Default()
		c.DatabaseURL = Secret(text)
		for _, s := range c.Settings() {
			if strings.Contains(fmt.Sprint(s.Value, s.Text), text) {
				t.Errorf("%s shows %q", s.Key, s.Text)
			}
		}
	}
	for _, path := range []string{"odd?mode=memory&cache=shared", "./u:p@h/d", "data/a:b@c.db", "signet@host.db"} {
		if reason := badDatabase(path); reason != "" {
			t.Errorf("S-09 the path %q is refused: %s", path, reason)
		}
	}
}

func TestFilesThatAreNone(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, path, want string }{
		{"a device that never ends", "/dev/zero", "larger than 1 MiB"},
		{"a folder", t.TempDir(), "it is a folder"},
		{"a file below a file", "/dev/null/x", "a file is where a folder should be"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for how, in := range map[string]Input{
				"--config": {File: row.path},
				"…_file":   {File: write(t, ""), Env: []string{"SIGNET_KEYS_ENCRYPTION_KEY_FILE=" + row.path}},
			} {
				if _, _, err := Load(in); err == nil || !strings.Contains(err.Error(), row.want) {
					t.Errorf("%s: %v", how, err)
				}
			}
		})
	}
	t.Run("a pipe is read when its writer comes", func(t *testing.T) {
		go func() {
			time.Sleep(20 * time.Millisecond)
			_ = os.WriteFile(pipe, []byte(someKEK+"\n"), 0o600)
		}()
		c, warnings, err := Load(Input{File: write(t, ""), Env: []string{"SIGNET_KEYS_ENCRYPTION_KEY_FILE=" + pipe}})
		if err != nil || c.Keys.EncryptionKey != someKEK || len(warnings) > 0 {
			t.Errorf("%v %v", warnings, err)
		}
	})
}

func TestYAMLErrorsAreOneLine(t *testing.T) {
	_, text := faultsOf(t, "listen: \":1\"\nlisten: \":2\"\n")
	if strings.ContainsAny(text, "\n") || strings.Contains(text, "  ") ||
		!strings.Contains(text, `line 2: mapping key "listen" already defined at line 1`) {
		t.Errorf("%q", text)
	}
}
