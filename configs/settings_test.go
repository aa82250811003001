package configs

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
)

func TestSettingsAreWhatHolds(t *testing.T) {
	load := func(t *testing.T, file string) map[string]Setting {
		c, _, err := Load(Input{File: write(t, file)})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]Setting{}
		for _, s := range c.Settings() {
			all[s.Key] = s
		}
		return all
	}
	for _, row := range []struct{ name, file, key, json, text, source string }{
		{"the audience that tokens really get", "issuer: https://id.example\n", "tokens.audience", `["https://id.example"]`,
			"[https://id.example]", "derived from issuer"},
		{"the slots that there really are", "", "passwords.hash_slots", "GOMAXPROCS", "GOMAXPROCS",
			"derived from GOMAXPROCS"},
		{"the issuer that follows from the port", "listen: \":81\"\n", "issuer", `"http://localhost:81"`,
			"http://localhost:81", "derived from listen"},
		{"the embedded database", "data_dir: d\n", "database_url", `"d/signet.db"`, "d/signet.db", "derived from data_dir"},
		{"a truth", "", "accounts.signup", "true", "true", "default"},
		{"a number", "", "passwords.min_length", "15", "15", "default"},
		{"a duration", "", "keys.rotation", `"720h"`, "720h", "default"},
		{"a size", "", "passwords.argon2.memory", `"19MiB"`, "19MiB", "default"},
		{"a list", "", "keys.algorithms", `["RS256","EdDSA"]`, "[RS256, EdDSA]", "default"},
		{"an empty list", "", "http.cors_origins", `[]`, "[]", "default"},
		{"resources with what holds for them", "resources: [{uri: \"https://a.example\"}]\n", "resources",
			`[{"uri":"https://a.example","scopes":[],"access_token_alg":"RS256","access_token_lifetime":"10m","introspection_clients":[]}]`,
			"[https://a.example]", ""},
		{"a service whose operator has not named it", "issuer: https://id.example\n", "pages.service_name", `"Signet"`,
			"Signet", "default"},
		{"claims in full for programs, by name for people",
			"claims: [{name: Tier, value: {A: [1]}, in: [id_token]}, {name: staff, from: is_staff, in: [userinfo], scope: profile}]\n",
			"claims",
			`[{"name":"Tier","value":{"A":[1]},"in":["id_token"]},{"name":"staff","from":"is_staff","in":["userinfo"],"scope":"profile"}]`,
			"[Tier, staff]", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := load(t, row.file)[row.key]
			slots, _ := json.Marshal(runtime.GOMAXPROCS(0))
			real := func(text string) string { return strings.ReplaceAll(text, "GOMAXPROCS", string(slots)) }
			if got, err := json.Marshal(s.Value); err != nil || string(got) != real(row.json) || s.Text != real(row.text) {
				t.Errorf("%s, %q, %v", got, s.Text, err)
			}
			if row.source != "" && s.Source != row.source {
				t.Errorf("from %q", s.Source)
			}
		})
	}
}
