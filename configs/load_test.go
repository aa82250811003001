package configs

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	someKEK  = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	otherKEK = "HxsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQABAgM"
)

// write writes text to a new private file and returns the path.
func write(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValidAndComplete(t *testing.T) {
	t.Chdir(t.TempDir())
	c, warnings, err := Load(Input{})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %v", warnings, err)
	}
	if c.Listen != "127.0.0.1:8080" || c.IssuerURL("") != "http://localhost:8080" || c.Database() != "data/signet.db" ||
		c.IsPostgres() {
		t.Errorf("not the documented defaults: %+v", c)
	}
	for _, f := range fields {
		if c.Source(f.key) != "" {
			t.Errorf("%s claims to be given by %s", f.key, c.Source(f.key))
		}
	}
}

func TestPrecedence(t *testing.T) {
	file := write(t, "listen: 127.0.0.1:1\nkeys:\n  rotation: 100h\n  propagation: 2h\nlog.level: warn\n")
	env := []string{"SIGNET_LISTEN=127.0.0.1:2", "SIGNET_KEYS_ROTATION=200h"}
	c, _, err := Load(Input{File: file, Env: env, Flags: map[string]string{"listen": "127.0.0.1:3"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ key, value, source string }{
		{"listen", "127.0.0.1:3", "--listen"},
		{"keys.rotation", "200h", "SIGNET_KEYS_ROTATION"},
		{"keys.propagation", "2h", file},
		{"log.level", "warn", file},
		{"keys.jwks_max_age", "5m", "default"},
	} {
		i := slices.IndexFunc(c.Settings(), func(s Setting) bool { return s.Key == row.key })
		if s := c.Settings()[i]; s.Text != row.value || s.Source != row.source {
			t.Errorf("%s: got %s from %s, want %s from %s", row.key, s.Text, s.Source, row.value, row.source)
		}
	}
}

func TestTheFileInTheWorkingFolderIsRead(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile(DefaultFile, []byte("clock_skew: 30s\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, _, err := Load(Input{})
	if err != nil || c.ClockSkew != 30*time.Second {
		t.Fatalf("%v %v", c.ClockSkew, err)
	}
	if c, _, err = Load(Input{File: write(t, "")}); err != nil || c.ClockSkew != time.Minute {
		t.Errorf("a file that is named must be the only one: %v %v", c.ClockSkew, err)
	}
}

func TestEveryKeyCanBeGivenByFileAndEnvironment(t *testing.T) {
	kek := write(t, someKEK+"\n")
	previous := write(t, otherKEK)
	database := write(t, "postgres://a:b@h/d\n")
	values := map[string]string{
		"listen":                               ":80",
		"issuer":                               "https://id.example.com/p",
		"data_dir":                             "/tmp/d",
		"database_url_file":                    database,
		"database_migrate_url_file":            database,
		"keys.encryption_key_file":             kek,
		"keys.encryption_key_previous_file":    previous,
		"metrics.listen":                       "",
		"log.format":                           "json",
		"traces.endpoint":                      "https://collector.example.com:4318",
		"traces.one_in":                        "1",
		"traces.from_proxies":                  "true",
		"log.level":                            "debug",
		"keys.algorithms":                      "[ES256, PS256]",
		"keys.rotation":                        "48h",
		"keys.propagation":                     "2h",
		"keys.jwks_max_age":                    "60s",
		"clock_skew":                           "10s",
		"tokens.audience":                      "[https://a.example]",
		"tokens.access_alg":                    "ES256",
		"tokens.access_lifetime":               "1m",
		"tokens.id_lifetime":                   "2m",
		"status_lists.enabled":                 "true",
		"refresh.absolute":                     "9h",
		"refresh.idle":                         "8h",
		"refresh.reuse_window":                 "0s",
		"resources":                            `[{"uri": "https://r.example", "scopes": ["a"], "access_token_alg": "PS256", "access_token_lifetime": "1h", "introspection_clients": ["api"]}]`,
		"mcp.resources":                        `[{"uri": "https://mcp.example", "scopes": ["tools:read"]}]`,
		"mcp.open_registration":                "true",
		"claims":                               `[{"name": "X-Tier", "value": {"Gold": [1, 1.5, true, "x", null]}, "in": ["access_token", "userinfo"], "scope": "tier"}, {"name": "staff", "from": "is_staff", "in": ["id_token"]}]`,
		"sessions.absolute":                    "100h",
		"sessions.idle":                        "90h",
		"sessions.trusted_browser":             "0",
		"oauth.require_pkce":                   "public",
		"oauth.require_pushed":                 "true",
		"oauth.dpop_nonce":                     "true",
		"oauth.response_types":                 "[code, code id_token]",
		"oauth.redirect_schemes":               "[cursor, vscode]",
		"oauth.registration":                   "token",
		"oauth.unused_clients":                 "24h",
		"oauth.client_id_metadata":             "true",
		"oauth.client_id_metadata_hosts.allow": "[app.example.com, .example.org]",
		"oauth.client_id_metadata_hosts.deny":  "[bad.example.org]",
		"oauth.software_statements":            `[{"issuer": "https://vendor.example", "jwks_uri": "https://vendor.example/jwks", "software_ids": ["a"]}]`,
		"pages.service_name":                   "Café Ätsch",
		"pages.languages":                      "[de, pt-BR]",
		"pages.stylesheet":                     "s.css",
		"pages.logo":                           "l.png",
		"mail.smtp":                            "smtp://mail.example.com",
		"mail.from":                            "Café <no-reply@example.com>",
		"mail.reply_to":                        "help@example.com",
		"mail.templates":                       "texts",
		"outbound.allow_hosts":                 "[keys.internal, \"10.0.0.7:8443\", \"::1\"]",
		"outbound.ca_file":                     "ca.pem",
		"accounts.signup":                      "false",
		"accounts.json_login":                  "false",
		"accounts.email_verification":          "off",
		"accounts.notify_new_device":           "true",
		"accounts.second_factor":               "off",
		"passkeys.origins":                     "[https://app.example.com, https://example.de]",
		"passwords.min_length":                 "8",
		"passwords.breach_check_url":           "https://breaches.example/range",
		"passwords.argon2.memory":              "46MiB",
		"passwords.argon2.time":                "1",
		"passwords.argon2.threads":             "2",
		"passwords.hash_slots":                 "3",
		"throttle.signups_per_network":         "0",
		"throttle.registrations_per_network":   "1",
		"throttle.registrations":               "2",
		"throttle.failures_per_network":        "250",
		"throttle.failures_per_block":          "2500",
		"audit.retention":                      "0",
		"http.cors_origins":                    "[https://app.example]",
		"http.trusted_proxies":                 "[10.0.0.0/8, \"::1\"]",
		"http.tls_cert":                        "c.pem",
		"http.tls_key":                         "k.pem",
		"http.drain_notice":                    "11s",
	}
	var env []string
	var file strings.Builder
	for _, f := range fields {
		value, ok := values[f.key]
		if !ok {
			if !isSecretKey(f.key) {
				t.Errorf("%s is not in this test", f.key)
			}
			continue
		}
		text := value
		if _, list := f.of(&Config{}).Interface().([]string); list {
			text = strings.NewReplacer("[", "", "]", "", `"`, "").Replace(value)
		}
		env = append(env, f.env()+"="+text)
		if value == "" || (!strings.HasPrefix(value, "[") && strings.Contains(value, ":")) {
			value = fmt.Sprintf("%q", value)
		}
		fmt.Fprintf(&file, "%s: %s\n", f.key, value)
	}
	t.Chdir(t.TempDir())
	fromEnv, _, err := Load(Input{Env: env})
	if err != nil {
		t.Fatal(err)
	}
	fromFile, _, err := Load(Input{File: write(t, file.String())})
	if err != nil {
		t.Fatal(err)
	}
	fromEnv.sources, fromFile.sources = nil, nil
	if !reflect.DeepEqual(fromEnv, fromFile) {
		t.Errorf("environment and file differ:\n%+v\n%+v", fromEnv, fromFile)
	}
	if fromEnv.Keys.EncryptionKey.Reveal() != someKEK || fromEnv.DatabaseURL.Reveal() != "postgres://a:b@h/d" ||
		!fromEnv.IsPostgres() {
		t.Error("the secrets of the …_file keys did not arrive")
	}
	want := []Resource{{URI: "https://r.example", Scopes: []string{"a"}, AccessAlg: "PS256", AccessLifetime: time.Hour,
		Introspection: []string{"api"}}}
	if !reflect.DeepEqual(fromEnv.Resources, want) {
		t.Errorf("resources: %+v", fromEnv.Resources)
	}
	claims := []Claim{
		{Name: "X-Tier", Value: map[string]any{"Gold": []any{1, 1.5, true, "x", nil}},
			In: []string{"access_token", "userinfo"}, Scope: "tier"},
		{Name: "staff", From: "is_staff", In: []string{"id_token"}},
	}
	if !reflect.DeepEqual(fromEnv.Claims, claims) {
		t.Errorf("claims: %#v", fromEnv.Claims)
	}
	if fromEnv.LongestLifetime() != time.Hour {
		t.Errorf("the longest lifetime is that of a resource, not %s", fromEnv.LongestLifetime())
	}
	defaults := Default()
	for _, f := range fields {
		if values[f.key] != "" &&
			reflect.DeepEqual(f.of(&fromEnv).Interface(), f.of(&defaults).Interface()) {
			t.Errorf("%s kept its default", f.key)
		}
	}
}

func TestVariablesOfKubernetesAreIgnored(t *testing.T) {
	for _, row := range []struct {
		variable string
		ignored  bool
	}{
		{"SIGNET_PORT=tcp://10.0.0.1:8080", true},
		{"SIGNET_PORT_8080_TCP=tcp://10.0.0.1:8080", true},
		{"SIGNET_PORT_8080_TCP_PROTO=tcp", true},
		{"SIGNET_SERVICE_HOST=10.0.0.1", true},
		{"SIGNET_SERVICE_PORT_HTTP=8080", true},
		{"SIGNET_DB_SERVICE_HOST=10.0.0.2", true},
		{"SIGNET_DB_SERVICE_HOST=fd00::2", true},
		{"SIGNET_DB_SERVICE_PORT=5432", true},
		{"SIGNET_DB_SERVICE_PORT_PG=5432", true},
		{"SIGNET_DB_PORT=tcp://10.0.0.2:5432", true},
		{"SIGNET_DB_PORT_5432_TCP=tcp://[fd00::2]:5432", true},
		{"SIGNET_DB_PORT_5432_TCP_PROTO=tcp", true},
		{"SIGNET_DB_PORT_5432_TCP_PORT=5432", true},
		{"SIGNET_DB_PORT_5432_TCP_ADDR=10.0.0.2", true},
		{"SIGNET_DB_SERVICE_HOST=db.example.com", false},
		{"SIGNET_DB_PORT=default", false},
		{"SIGNET_DB_HOST=10.0.0.2", false},
		{"SIGNETX=1", true}, // not ours at all
		{"SIGNET_=1", false},
	} {
		_, _, err := Load(Input{File: write(t, ""), Env: []string{row.variable}})
		if (err == nil) != row.ignored {
			t.Errorf("%s: ignored %v, want %v: %v", row.variable, err == nil, row.ignored, err)
		}
	}
}

func TestNamesOfVariablesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, f := range fields {
		if other := seen[f.env()]; other != "" {
			t.Errorf("%s and %s are both %s", f.key, other, f.env())
		}
		seen[f.env()] = f.key
		if fromKubernetes(f.env(), "10.0.0.1") {
			t.Errorf("%s would be taken for a variable of Kubernetes", f.env())
		}
	}
}

// FuzzFile checks that Load returns a valid configuration or faults for any file, and never panics.
func FuzzFile(f *testing.F) {
	f.Add("listen: \":1\"\n", "SIGNET_RESOURCES=[{\"uri\":\"https://a.example\"}]")
	f.Add("keys: {rotation: 1h}\n", "SIGNET_ISSUER=https://a.example")
	f.Add("? [a]\n: b\n", "SIGNET_PASSWORDS_ARGON2_MEMORY=19MiB")
	f.Add("a: &x [1]\nb: *x\n", "SIGNET_HTTP_TRUSTED_PROXIES=10.0.0.0/8")
	f.Fuzz(func(t *testing.T, file, variable string) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := Load(Input{File: path, Env: []string{variable}})
		if err == nil && c.Validate() != nil {
			t.Errorf("loaded what is not valid: %v", c.Validate())
		}
	})
}
