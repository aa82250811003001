//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// docs/resource-servers/compatibility.md lists which libraries accept access tokens of which algorithm. This test checks
// the list.
func TestLibrariesTakeWhatTheDocumentSays(t *testing.T) {
	s := start(t, `
resources:
- {uri: https://rs256.example, scopes: [read], access_token_alg: RS256}
- {uri: https://eddsa.example, scopes: [read], access_token_alg: EdDSA}
`)
	client := s.register(t, "service", "https://service.test/callback", "--grant-type", "client_credentials",
		"--grant-type", "authorization_code",
		"--resource", "https://rs256.example", "--resource", "https://eddsa.example")
	type token struct {
		Algorithm string `json:"alg"`
		Audience  string `json:"audience"`
		Token     string `json:"token"`
	}
	told := struct {
		Issuer string  `json:"issuer"`
		Tokens []token `json:"tokens"`
	}{Issuer: s.issuer}
	for _, want := range []token{{Algorithm: "RS256", Audience: "https://rs256.example"},
		{Algorithm: "EdDSA", Audience: "https://eddsa.example"}} {
		r, err := http.NewRequest(http.MethodPost, s.issuer+"/oauth2/token", strings.NewReader(url.Values{
			"grant_type": {"client_credentials"}, "resource": {want.Audience}, "scope": {"read"},
		}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(client.ID, client.Secret)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var got tokens
		s.read(t, answer, http.StatusOK, &got)
		if want.Token = got.Access; algorithm(t, want.Token) != want.Algorithm || header(t, want.Token)["typ"] != "at+jwt" {
			t.Fatalf("the token's header is %v", header(t, want.Token))
		}
		told.Tokens = append(told.Tokens, want)
	}
	in, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}

	taken := map[string]map[string]bool{}
	for _, cmd := range []*exec.Cmd{exec.Command("node", "node/takes.js"),
		exec.Command("python/.venv/bin/python", "python/takes.py")} {
		var stderr bytes.Buffer
		cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, &stderr)
		}
		for line := range strings.Lines(string(out)) {
			var said struct{ Library, Alg, Error string }
			if err := json.Unmarshal([]byte(line), &said); err != nil {
				t.Fatalf("%s: %v: %s", cmd, err, line)
			}
			t.Log(strings.TrimSpace(line))
			if taken[said.Library] == nil {
				taken[said.Library] = map[string]bool{}
			}
			taken[said.Library][said.Alg] = said.Error == ""
		}
	}

	text, err := os.ReadFile("../../docs/resource-servers/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| library | `at+jwt` with RS256 | with EdDSA |\n| --- | --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	if !found {
		t.Fatal("docs/resource-servers/compatibility.md has no table of libraries")
	}
	documented := map[string]map[string]bool{}
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 3 || !slices.Contains([]string{"yes", "no"}, cells[1]) ||
			!slices.Contains([]string{"yes", "no"}, cells[2]) {
			t.Fatalf("docs/resource-servers/compatibility.md has a row %q", line)
		}
		documented[cells[0]] = map[string]bool{"RS256": cells[1] == "yes", "EdDSA": cells[2] == "yes"}
	}
	if !maps.EqualFunc(taken, documented, maps.Equal) {
		t.Errorf("the libraries take\n%v, but docs/resource-servers/compatibility.md says\n%v", taken, documented)
	}
}
