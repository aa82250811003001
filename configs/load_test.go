package configs

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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
	if c.Listen != "127.0.0.1:8080" || c.IssuerURL("") != "http://localhost:8080" || c.Database() != "data/signet.db" || c.IsPostgres() {
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
		"listen": ":80", "issuer": "https://id.example.com/p", "data_dir": "/tmp/d",
		"database_url_file": database, "database_migrate_url_file": database,
		"keys.encryption_key_file": kek, "keys.encryption_key_previous_file": previous,
		"metrics.listen": "", "log.format": "json", "log.level": "debug",
		"keys.algorithms": "[ES256, PS256]", "keys.rotation": "48h", "keys.propagation": "2h", "keys.jwks_max_age": "60s",
		"clock_skew": "10s", "tokens.audience": "[https://a.example]", "tokens.access_alg": "ES256",
		"tokens.access_lifetime": "1m", "tokens.id_lifetime": "2m", "refresh.absolute": "9h", "refresh.idle": "8h", "refresh.reuse_window": "0s",
		"resources":         `[{"uri": "https://r.example", "scopes": ["a"], "access_token_alg": "PS256", "access_token_lifetime": "1h", "introspection_clients": ["api"]}]`,
		"claims":            `[{"name": "X-Tier", "value": {"Gold": [1, 1.5, true, "x", null]}, "in": ["access_token", "userinfo"], "scope": "tier"}, {"name": "staff", "from": "is_staff", "in": ["id_token"]}]`,
		"sessions.absolute": "100h", "sessions.idle": "90h", "oauth.require_pkce": "public", "oauth.response_types": "[code]", "oauth.redirect_schemes": "[cursor, vscode]",
		"pages.service_name": "Café Ätsch", "pages.languages": "[de, pt-BR]", "pages.stylesheet": "s.css", "pages.logo": "l.png",
		"mail.smtp": "smtp://mail.example.com", "mail.from": "Café <no-reply@example.com>", "mail.reply_to": "help@example.com", "mail.templates": "texts",
		"outbound.allow_hosts": "[keys.internal, \"10.0.0.7:8443\", \"::1\"]", "outbound.ca_file": "ca.pem",
		"accounts.signup": "false", "accounts.json_login": "false", "accounts.email_verification": "off", "passwords.min_length": "8",
		"passwords.breach_check_url": "https://breaches.example/range",
		"passwords.argon2.memory":    "46MiB", "passwords.argon2.time": "1", "passwords.argon2.threads": "2", "passwords.hash_slots": "3",
		"throttle.signups_per_network": "0", "throttle.failures_per_network": "250", "throttle.failures_per_block": "2500", "audit.retention": "0",
		"http.cors_origins": "[https://app.example]", "http.trusted_proxies": "[10.0.0.0/8, \"::1\"]",
		"http.tls_cert": "c.pem", "http.tls_key": "k.pem", "http.drain_notice": "11s",
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
	if fromEnv.Keys.EncryptionKey.Reveal() != someKEK || fromEnv.DatabaseURL.Reveal() != "postgres://a:b@h/d" || !fromEnv.IsPostgres() {
		t.Error("the secrets of the …_file keys did not arrive")
	}
	want := []Resource{{URI: "https://r.example", Scopes: []string{"a"}, AccessAlg: "PS256", AccessLifetime: time.Hour, Introspection: []string{"api"}}}
	if !reflect.DeepEqual(fromEnv.Resources, want) {
		t.Errorf("resources: %+v", fromEnv.Resources)
	}
	claims := []Claim{
		{Name: "X-Tier", Value: map[string]any{"Gold": []any{1, 1.5, true, "x", nil}}, In: []string{"access_token", "userinfo"}, Scope: "tier"},
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
		// This version allows only one value for the response types.
		if values[f.key] != "" && f.key != "oauth.response_types" && reflect.DeepEqual(f.of(&fromEnv).Interface(), f.of(&defaults).Interface()) {
			t.Errorf("%s kept its default", f.key)
		}
	}
}

func TestRefusals(t *testing.T) {
	pg := "SIGNET_DATABASE_URL=postgres://u:hunter2hunter2@h/d"
	for _, row := range []struct {
		name string
		file string
		env  []string
		want []string // parts of the message
	}{
		{"an unknown key in the file, with the one that was meant", "keys:\n  rotatoin: 1h\n", nil, []string{"keys.rotatoin", "did you mean keys.rotation?"}},
		{"an unknown key at the wrong depth", "rotation: 1h\n", nil, []string{"rotation", "did you mean keys.rotation?"}},
		{"an unknown section", "nonsense:\n  a: 1\n", nil, []string{"nonsense", "is not a key"}},
		{"a key in capitals", "Listen: \":1\"\n", nil, []string{"Listen", "did you mean listen?"}},
		{"a value where a section belongs", "keys: 5\n", nil, []string{"keys", "is a section"}},
		{"a section where a value belongs", "listen:\n  a: b\n", nil, []string{"listen", "a section, not a text"}},
		{"a key twice in one section", "listen: a\nlisten: b\n", nil, []string{"already defined"}},
		{"a key as section and with a dot", "keys.rotation: 1h\nkeys:\n  rotation: 2h\n", nil, []string{"given twice"}},
		{"a second document", "listen: \":1\"\n---\nlisten: \":2\"\n", nil, []string{"more than one YAML document"}},
		{"a list for a document", "- a\n", nil, []string{"not a YAML document of keys and values"}},
		{"an unknown variable", "", []string{"SIGNET_LISTENN=:1"}, []string{"SIGNET_LISTENN", "did you mean SIGNET_LISTEN?"}},
		{"a variable with the wrong separator", "", []string{"SIGNET_LOGLEVEL=info"}, []string{"did you mean SIGNET_LOG_LEVEL?"}},
		{"a key of a later version in the file", "status_lists:\n  enabled: true\n", nil, []string{"status_lists", "not in this version"}},
		{"a key of a later version in the environment", "", []string{"SIGNET_OAUTH_REGISTRATION=open"}, []string{"SIGNET_OAUTH_REGISTRATION", "not in this version"}},
		{"a key of a later version in a section of this one", "oauth: {registration: open}\n", nil, []string{"oauth.registration", "not in this version"}},
		{"a response type of a later version", "oauth: {response_types: [code, id_token]}\n", nil, []string{"oauth.response_types", "not in this version; write [code]"}},
		{"no response type", "oauth: {response_types: []}\n", nil, []string{"oauth.response_types", "is empty"}},
		{"PKCE of nobody", "oauth: {require_pkce: none}\n", nil, []string{"oauth.require_pkce", `"none" is not one of all, public`}},
		{"a session that is idle longer than it lives", "sessions: {idle: 800h}\n", nil, []string{"sessions.idle", "longer than sessions.absolute, 720h"}},
		{"a session for ever", "sessions: {absolute: 0s}\n", nil, []string{"sessions.absolute", "too short"}},
		{"a service of two lines", "pages: {service_name: \"a\\nb\"}\n", nil, []string{"pages.service_name", "visible characters"}},
		{"no language", "pages: {languages: []}\n", nil, []string{"pages.languages", "is empty; name at least one of en, ar, de"}},
		{"a language that there is not", "pages: {languages: [en, tlh]}\n", nil, []string{"pages.languages", `"tlh" is not one of en, ar, de`}},
		{"a language by a tag that is not its own", "", []string{"SIGNET_PAGES_LANGUAGES=pt,DE"}, []string{"pages.languages", `"pt" is not one of`, `"DE" is not one of`}},
		{"a language twice", "pages: {languages: [de, en, de]}\n", nil, []string{"pages.languages", "names de twice"}},
		{"an outbound host with a scheme", "outbound: {allow_hosts: [\"https://keys.internal\"]}\n", nil, []string{"outbound.allow_hosts", `"https://keys.internal" is not a host`}},
		{"an outbound wildcard", "outbound: {allow_hosts: [\"*.internal\"]}\n", nil, []string{"outbound.allow_hosts", "without *"}},
		{"an outbound host with no proper port", "outbound: {allow_hosts: [\"keys.internal:0\"]}\n", nil, []string{"outbound.allow_hosts", "no proper port"}},
		{"a number for a duration", "clock_skew: 60\n", nil, []string{"clock_skew", "write a duration such as 60s"}},
		{"days for a duration", "", []string{"SIGNET_KEYS_ROTATION=30d"}, []string{"keys.rotation (SIGNET_KEYS_ROTATION)", "720h"}},
		{"a word for a bool", "accounts:\n  signup: on please\n", nil, []string{"accounts.signup", "neither true nor false"}},
		{"a fraction for a number", "passwords:\n  min_length: 15.5\n", nil, []string{"passwords.min_length", "not a whole number"}},
		{"an empty value in the file", "listen:\n", nil, []string{"listen", "is empty"}},
		{"an empty variable counts as given: bool", "", []string{"SIGNET_ACCOUNTS_SIGNUP="}, []string{"accounts.signup", `"" is neither`}},
		{"an empty variable counts as given: listen", "", []string{"SIGNET_LISTEN="}, []string{"listen", "not an address"}},
		{"an empty database never means the embedded one", "", []string{"SIGNET_DATABASE_URL="}, []string{"database_url", "empty text"}},
		{"an empty name of a secret's file", "", []string{"SIGNET_KEYS_ENCRYPTION_KEY_FILE="}, []string{"keys.encryption_key_file", "empty text"}},
		{"a missing file of a secret", "", []string{"SIGNET_KEYS_ENCRYPTION_KEY_FILE=/nonexistent"}, []string{"keys.encryption_key_file", "no such file"}},
		{"a secret and its file", "keys:\n  encryption_key_file: /nonexistent\n", []string{"SIGNET_KEYS_ENCRYPTION_KEY=" + someKEK}, []string{"keys.encryption_key_file", "given together with keys.encryption_key", "SIGNET_KEYS_ENCRYPTION_KEY"}},
		{"Postgres without a key-encryption key", "", []string{pg}, []string{"keys.encryption_key", "signet keys new-kek"}},
		{"a key-encryption key that is none", "", []string{"SIGNET_KEYS_ENCRYPTION_KEY=swordfish-swordfish"}, []string{"keys.encryption_key", "signet keys new-kek"}},
		{"a previous key without a present one", "", []string{"SIGNET_KEYS_ENCRYPTION_KEY_PREVIOUS=" + someKEK}, []string{"keys.encryption_key_previous", "give both"}},
		{"one key as both", "", []string{"SIGNET_KEYS_ENCRYPTION_KEY=" + someKEK, "SIGNET_KEYS_ENCRYPTION_KEY_PREVIOUS=" + someKEK}, []string{"the same as"}},
		{"a migration URL for SQLite", "", []string{"SIGNET_DATABASE_MIGRATE_URL=postgres://h/d"}, []string{"database_migrate_url"}},
		{"a database of another make", "", []string{"SIGNET_DATABASE_URL=mysql://u:hunter2hunter2@h/d"}, []string{"database_url", "neither postgres://"}},
		{"a database in libpq's form", "", []string{"SIGNET_DATABASE_URL=host=h password=hunter2hunter2"}, []string{"database_url", "key=value form"}},
		{"a database URL that cannot be parsed", "", []string{"SIGNET_DATABASE_URL=postgres://u:hunter2hunter2%zz@h/d"}, []string{"database_url", "percent-encode"}},
		{"no algorithms", "keys:\n  algorithms: []\n", nil, []string{"keys.algorithms", "is empty"}},
		{"an unknown algorithm", "keys:\n  algorithms: [RS256, HS256]\n", nil, []string{"keys.algorithms", `"HS256" is not one of RS256, PS256, ES256, EdDSA`}},
		{"an algorithm twice", "keys:\n  algorithms: [RS256, RS256]\n", nil, []string{"names RS256 twice"}},
		{"an access algorithm that is off", "keys:\n  algorithms: [EdDSA]\n", nil, []string{"tokens.access_alg", "not in keys.algorithms"}},
		{"a resource's algorithm that is off", "resources:\n  - uri: https://r.example\n    access_token_alg: ES256\n", nil, []string{"resources", "access_token_alg ES256 is not in keys.algorithms"}},
		{"a timeline that cannot hold", "keys:\n  propagation: 5m\n", nil, []string{"keys.propagation", "jwks_max_age"}},
		{"a rotation shorter than the propagation", "keys:\n  rotation: 30m\n", nil, []string{"rotation"}},
		{"idle longer than absolute", "refresh:\n  idle: 800h\n", nil, []string{"refresh.idle", "longer than refresh.absolute, 720h"}},
		{"a reuse window as long as idle", "refresh:\n  idle: 1m\n", nil, []string{"refresh.reuse_window"}},
		{"a short password", "passwords:\n  min_length: 7\n", nil, []string{"passwords.min_length", "between 8 and 64"}},
		{"a breach list in clear", "passwords:\n  breach_check_url: http://breaches.example/range\n", nil, []string{"passwords.breach_check_url", "https://breaches.example/range"}},
		{"a breach list with a query", "passwords:\n  breach_check_url: https://breaches.example/?sha1=\n", nil, []string{"passwords.breach_check_url", "query"}},
		{"a breach list that is a word", "passwords:\n  breach_check_url: \"on\"\n", nil, []string{"passwords.breach_check_url", "is not a URL"}},
		{"argon2 below the table", "passwords:\n  argon2:\n    memory: 18MiB\n", nil, []string{"passwords.argon2.memory", "too cheap"}},
		{"argon2 memory without a unit", "passwords:\n  argon2:\n    memory: 19456\n", nil, []string{"passwords.argon2.memory", "unit"}},
		{"an audit log kept for an hour", "audit:\n  retention: 1h\n", nil, []string{"audit.retention", "1h is too short; give a duration between 24h and 175200h, or 0 to keep every entry"}},
		{"an audit log kept for less than no time", "audit:\n  retention: -24h\n", nil, []string{"audit.retention", "too short"}},
		{"TLS by half", "http:\n  tls_cert: c.pem\n", nil, []string{"http.tls_cert", "give both"}},
		{"a wildcard origin", "http:\n  cors_origins: [\"*\"]\n", nil, []string{"http.cors_origins", "does not take *"}},
		{"an origin with a path", "http:\n  cors_origins: [\"https://a.example/\"]\n", nil, []string{"not an origin as browsers send it; write https://a.example"}},
		{"a proxy that is no network", "http:\n  trusted_proxies: [proxy.example]\n", nil, []string{"http.trusted_proxies", "neither an address nor a network"}},
		{"a proxy network with host bits", "http:\n  trusted_proxies: [10.1.2.3/8]\n", nil, []string{"write 10.0.0.0/8"}},
		{"a relative resource", "resources: [{uri: /api}]\n", nil, []string{"member 1", "absolute URI"}},
		{"a resource twice", "resources: [{uri: \"https://a.example\"}, {uri: \"https://a.example\"}]\n", nil, []string{"twice"}},
		{"an unknown key of a resource", "resources: [{uri: \"https://a.example\", scope: x}]\n", nil, []string{"member 1", "scope is not a key of a resource"}},
		{"an introspection client that is none", "resources: [{uri: \"https://a.example\", introspection_clients: [\"a b\"]}]\n", nil, []string{`introspection_clients: "a b" is not a client_id`}},
		{"a resource's key in capitals", "resources: [{URI: \"https://a.example\"}]\n", nil, []string{"member 1: URI is not a key of a resource"}},
		{"a claim without a source", "claims: [{name: tier, in: [id_token]}]\n", nil, []string{"claims", "member 1", "either from or value"}},
		{"a claim that has a meaning already", "claims: [{name: sub, from: email, in: [id_token]}]\n", nil, []string{"member 1", "sub means something of its own"}},
		{"a claim twice", "claims: [{name: tier, value: a, in: [id_token]}, {name: tier, value: b, in: [userinfo]}]\n", nil, []string{"names tier twice"}},
		{"a claim nowhere", "claims: [{name: tier, value: a}]\n", nil, []string{"member 1", "the claim tier is nowhere"}},
		{"a claim that is a date", "claims: [{name: since, value: 2026-01-01, in: [id_token]}]\n", nil, []string{"member 1: value has a date, which tokens cannot hold; put it in quotes"}},
		{"a claim of nothing", "claims: [{name: tier, value: null, in: [id_token]}]\n", nil, []string{"member 1: value is empty"}},
		{"a claim that is a book", "claims: [{name: tier, value: " + strings.Repeat("x", 5000) + ", in: [id_token]}]\n", nil, []string{"larger than 4096 bytes"}},
		{"resources that are not JSON", "", []string{"SIGNET_RESOURCES=https://a.example"}, []string{"resources", "is not JSON"}},
		{"resources with a member twice", "", []string{`SIGNET_RESOURCES=[{"uri":"https://a.example","uri":"https://b.example"}]`}, []string{"uri is given twice"}},
		{"metrics on the public address", "metrics:\n  listen: 127.0.0.1:8080\n", nil, []string{"metrics.listen", "one of their own"}},
		{"all faults at once", "listen: nowhere\nclock_skew: 60\nnonsense: 1\n", []string{"SIGNET_LOG_LEVEL=loud", "SIGNET_X=1"},
			[]string{"5 faults", "listen (", "clock_skew (", "nonsense (", "log.level (SIGNET_LOG_LEVEL)", "SIGNET_X (environment)"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, _, err := Load(Input{File: write(t, row.file), Env: row.env})
			var faults *Error
			if !errors.As(err, &faults) {
				t.Fatalf("accepted: %v", err)
			}
			for _, part := range row.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in: %v", part, err)
				}
			}
			for _, secret := range []string{"hunter2hunter2", "swordfish-swordfish", someKEK} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("O-03: the message holds a secret: %v", err)
				}
			}
			if !strings.Contains(err.Error(), "faults:") && len(faults.Faults) != 1 {
				t.Errorf("one fault was reported %d times: %v", len(faults.Faults), err)
			}
		})
	}
}

func TestIssuer(t *testing.T) {
	for _, row := range []struct{ name, issuer, want string }{
		{"O-06 https", "https://id.example.com", ""},
		{"O-06 with a path", "https://id.example.com/tenants/a-1", ""},
		{"O-06 with a port", "https://id.example.com:8443", ""},
		{"O-06 http on localhost", "http://localhost:8080", ""},
		{"O-06 http on a loopback address", "http://127.0.0.1:8080", ""},
		{"O-06 http on IPv6 loopback", "http://[::1]:8080", ""},
		{"O-06 http elsewhere", "http://id.example.com", `write "https://id.example.com"`},
		{"O-06 trailing slash", "https://id.example.com/", `write "https://id.example.com"`},
		{"O-06 trailing slash after a path", "https://id.example.com/p/", `write "https://id.example.com/p"`},
		{"O-06 query", "https://id.example.com?x=1", `write "https://id.example.com"`},
		{"O-06 empty query", "https://id.example.com?", "query or fragment"},
		{"O-06 fragment", "https://id.example.com/p#f", `write "https://id.example.com/p"`},
		{"O-06 upper-case host", "https://ID.example.com/P", `write "https://id.example.com/P"`},
		{"O-06 upper-case scheme", "HTTPS://id.example.com", `write "https://id.example.com"`},
		{"O-06 default port", "https://id.example.com:443/p", `write "https://id.example.com/p"`},
		{"O-06 user name", "https://u:p@id.example.com", "without"},
		{"O-06 no scheme", "id.example.com", "not a URL"},
		{"O-06 another scheme", "ftp://id.example.com", "not a URL"},
		{"O-06 letters beyond ASCII", "https://ü.example.com", "punycode"},
		{"O-06 empty port", "https://id.example.com:", "proper host"},
		{"O-06 port zero", "https://id.example.com:0", "proper port"},
		{"O-06 dot segments", "https://id.example.com/a/../b", "proxies would rewrite"},
		{"O-06 double slash", "https://id.example.com//p", "proxies would rewrite"},
		{"O-06 escapes", "https://id.example.com/%70", "proxies would rewrite"},
		{"O-06 space", "https://id.example.com/a b", "proxies would rewrite"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, _, err := Load(Input{File: write(t, ""), Env: []string{"SIGNET_ISSUER=" + row.issuer}})
			switch {
			case row.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case row.want == "" && c.IssuerURL("127.0.0.1:9") != row.issuer:
				t.Errorf("not byte for byte: %s", c.IssuerURL(""))
			case row.want != "" && err == nil:
				t.Error("accepted")
			case row.want != "" && !strings.Contains(err.Error(), row.want):
				t.Errorf("%q is not in: %v", row.want, err)
			}
		})
	}
	c := Default()
	c.Listen = "127.0.0.1:0"
	if got := c.IssuerURL("127.0.0.1:4711"); got != "http://localhost:4711" {
		t.Errorf("the default issuer follows the port: %s", got)
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
	if _, w, err := Load(Input{File: file}); err != nil || len(w) != 1 || !strings.Contains(w[0], "it holds keys.encryption_key") {
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
		"%s": fmt.Sprintf("%s", c.Keys.EncryptionKey), "%q": fmt.Sprintf("%q", c.Keys.EncryptionKey), "JSON": string(asJSON), "slog": logged.String(),
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
		if isPlanned(f.key) {
			t.Errorf("%s is here, and in the list of what is not", f.key)
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
