package configs

import (
	"errors"
	"strings"
	"testing"
)

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
