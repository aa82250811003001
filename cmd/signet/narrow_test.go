package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/keys"
)

// onNewStore returns a function that runs commands one after another on a new store.
func onNewStore(t *testing.T) func(stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	env := []string{"SIGNET_DATA_DIR=" + t.TempDir() + "/data"}
	do := func(stdin string, args ...string) (int, string, string) {
		var out, errOut bytes.Buffer
		code := run(t.Context(), args, env, strings.NewReader(stdin), &out, &errOut)
		return code, out.String(), errOut.String()
	}
	if code, _, said := do("", "migrate", "up"); code != exitOK {
		t.Fatal(said)
	}
	return do
}

// A value that a flag cannot have is a misuse, as an unknown flag is. What was read from a file is
// not.
func TestAValueThatCannotBeIsAMisuse(t *testing.T) {
	do := onNewStore(t)
	for line, want := range map[string]int{
		"clients create --name Bad --redirect-uri https://a.example/ --auth-method foo":           exitMisused,
		"clients create --name Bad --redirect-uri https://a.example/ --pkce maybe":                exitMisused,
		"clients create --name Bad --redirect-uri nowhere":                                        exitMisused,
		"clients create --name Bad":                                                               exitMisused,
		"clients create --name Bad --grant-type client_credentials --secret-file -":               exitFailed, // too short
		"clients update signet --name ":                                                           exitMisused,
		"clients show nobody":                                                                     exitFailed,
		"users create --email bad --password-file -":                                              exitMisused,
		"users create --email ada@example.com --username 1/2 --password-file -":                   exitMisused,
		"users create --email ada@example.com --password-file -":                                  exitFailed, // too short
		"users create --email eve@example.com --password-file - --role UPPER! --no-such-flag=yes": exitMisused,
	} {
		code, out, said := do("short", strings.Split(line, " ")...)
		if code != want || out != "" || want == exitMisused && !strings.Contains(said, "`signet help ") {
			t.Errorf("%s: %d, want %d: %s%s", line, code, want, out, said)
		}
	}
}

// Every list for people fits 80 columns of a terminal, which takes two for a Chinese character.
func TestListsFitATerminal(t *testing.T) {
	do := onNewStore(t)
	for _, name := range []string{strings.Repeat("漢", 100), strings.Repeat("W", 100), strings.Repeat("👨‍👩‍👧", 20),
		"می\u200cخواهم"} {
		if code, _, said := do("", "clients", "create", "--name", name,
			"--redirect-uri", "https://"+strings.Repeat("a", 60)+".example/cb"); code != exitOK {
			t.Fatal(said)
		}
	}
	if code, _, said := do("correct horse battery staple", "users", "create",
		"--email", strings.Repeat("a", 60)+"@"+strings.Repeat("b", 60)+".example",
		"--username", strings.Repeat("u", 60), "--password-file", "-"); code != exitOK {
		t.Fatal(said)
	}
	for _, line := range []string{"clients list", "users list", "audit", "config", "migrate status", "mail list"} {
		code, out, said := do("", strings.Fields(line)...)
		if code != exitOK || out == "" {
			t.Errorf("%s: %d %s", line, code, said)
		}
		for row := range strings.Lines(out) {
			if w := terminal.WidthOf(strings.TrimRight(row, "\n")); w > terminal.Width {
				t.Errorf("%s: %d columns: %s", line, w, row)
			}
		}
	}
	code, out, said := do("", "config", "--wide")
	if code != exitOK || strings.Contains(out, "…") {
		t.Errorf("%d %s%s", code, out, said)
	}
}

// The timeline of the keys fits as well.
func TestTheTimelineFitsATerminal(t *testing.T) {
	now := time.Date(2026, 1, 31, 18, 0, 0, 0, time.UTC)
	id := strings.Repeat("k", 43)
	r := keys.Report{Now: now}
	for _, alg := range []string{"RS256", "EdDSA"} {
		r.Keys = append(r.Keys, keys.KeyInfo{KeyID: id, Algorithm: alg, CreatedAt: now, ActivateAt: now})
		r.Events = append(r.Events,
			keys.Event{At: now.AddDate(0, 1, 0), KeyID: id, Algorithm: alg, Text: strings.Repeat("w", 59)})
	}
	var out strings.Builder
	drawTimeline(&out, r, false)
	for row := range strings.Lines(out.String()) {
		if w := terminal.WidthOf(strings.TrimRight(row, "\n")); w > terminal.Width {
			t.Errorf("%d columns: %s", w, row)
		}
	}
}
