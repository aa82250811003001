package configs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/jose"
)

// Marks and newlines that editors, shells and orchestrators put around a value are not part of it.
func TestMarksAndNewlines(t *testing.T) {
	kek := jose.NewKEK()
	address := "postgres://u:p@db.example/x"
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, in := range map[string]Input{
		"a BOM in the files of secrets": {Env: []string{"SIGNET_KEYS_ENCRYPTION_KEY_FILE=" + file("kek", "\ufeff"+kek+"\r\n"),
			"SIGNET_DATABASE_URL_FILE=" + file("url", "\ufeff"+address+"\n")}},
		"newlines in the environment": {
			Env: []string{"SIGNET_KEYS_ENCRYPTION_KEY=" + kek + "\n", "SIGNET_DATABASE_URL=" + address + "\r\n"}},
		"a BOM in the environment": {
			Env: []string{"SIGNET_KEYS_ENCRYPTION_KEY=\ufeff" + kek, "SIGNET_DATABASE_URL=\ufeff" + address + "\n\n"}},
		"block texts in the file": {
			File: file("a.yaml", "\ufeffkeys:\n  encryption_key: |\n    "+kek+"\ndatabase_url: |\n  "+address+"\n")},
	} {
		c, _, err := Load(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.Keys.EncryptionKey.Reveal() != kek || c.DatabaseURL.Reveal() != address {
			t.Errorf("%s: %q %q", name, c.Keys.EncryptionKey.Reveal(), c.DatabaseURL.Reveal())
		}
	}
	c, _, err := Load(Input{Env: []string{"SIGNET_ISSUER=https://login.example.com\n",
		"SIGNET_TOKENS_ACCESS_LIFETIME=5m\r\n", "SIGNET_ACCOUNTS_SIGNUP=false\n"}})
	if err != nil || c.Issuer != "https://login.example.com" || c.Accounts.Signup {
		t.Errorf("%+v, %v", c.Issuer, err)
	}
	for name, env := range map[string]string{
		"nothing but a newline":   "SIGNET_KEYS_ENCRYPTION_KEY=\n",
		"nothing but a BOM":       "SIGNET_KEYS_ENCRYPTION_KEY_FILE=" + file("empty", "\ufeff\n"),
		"a key in UTF-16":         "SIGNET_KEYS_ENCRYPTION_KEY_FILE=" + file("wide", "\xff\xfea\x00"),
		"a newline inside":        "SIGNET_KEYS_ENCRYPTION_KEY=" + kek[:10] + "\n" + kek[10:],
		"a newline in front":      "SIGNET_ISSUER=\nhttps://login.example.com",
		"a leading zero":          "SIGNET_PASSWORDS_MIN_LENGTH=017",
		"a leading zero and sign": "SIGNET_PASSWORDS_HASH_SLOTS=+02",
	} {
		if _, _, err := Load(Input{Env: []string{env}}); err == nil {
			t.Errorf("%s was taken", name)
		} else if strings.Contains(err.Error(), kek) {
			t.Errorf("%s: the error repeats the key", name)
		}
	}
}

func TestSocketAsHostOfTheDatabase(t *testing.T) {
	kek := "SIGNET_KEYS_ENCRYPTION_KEY=" + jose.NewKEK()
	for _, address := range []string{"postgres://u@%2Fsocket%2Fdir/db",
		"postgresql://u:hunter2@%2fsocket:5433/db?sslmode=disable", "postgres://%2Fsocket/db"} {
		c, _, err := Load(Input{Env: []string{kek, "SIGNET_DATABASE_URL=" + address}})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if shown := redactURL(c.DatabaseURL.Reveal()); !strings.Contains(shown, "host=%2Fsocket") ||
			strings.Contains(shown, "hunter2") {
			t.Errorf("%s is shown as %s", address, shown)
		}
	}
	for _, address := range []string{"postgres://u:pa/ss@%2Fsocket/db", "postgres://u@%2Fso%zz/db"} {
		if _, _, err := Load(Input{Env: []string{kek, "SIGNET_DATABASE_URL=" + address}}); err == nil {
			t.Errorf("%s was taken", address)
		}
	}
}

// The project's own files tell people to export variables with our prefix. Each of them is used or
// ignored; none of them stops a command that runs in the same shell.
func TestVariablesThatTheDocumentsExport(t *testing.T) {
	names := map[string]bool{"SIGNET_VERSION": true}
	variable := regexp.MustCompile(`SIGNET_[A-Z][A-Z_]*[A-Z]`)
	for _, pattern := range []string{"../compose.yaml", "../Dockerfile", "../Makefile", "../README.md",
		"../docs/*.md", "*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range variable.FindAllString(string(text), -1) {
				names[name] = true
			}
		}
	}
	if !names["SIGNET_UID"] || !names["SIGNET_DATABASE_URL"] {
		t.Fatal("the documents name no variables any more; this test looks in the wrong place")
	}
	for name := range names {
		_, _, err := Load(Input{Env: []string{name + "=1000"}})
		if err != nil && strings.Contains(err.Error(), name+" (environment)") {
			t.Errorf("%s stops every command: %v", name, err)
		}
	}
}

func TestYAMLThatWouldBeReadAsSomethingElse(t *testing.T) {
	for name, row := range map[string]struct{ file, want string }{
		"a second document after dots":    {"listen: \":1\"\n...\nlisten: \":2\"\n", "more than one YAML document"},
		"a second document after both":    {"listen: \":1\"\n...\n---\nlisten: \":2\"\n", "more than one YAML document"},
		"text behind the end":             {"listen: \":1\"\n... \nnothing\n", "more than one YAML document"},
		"an empty document, then another": {"---\n---\nlisten: \":2\"\n", "more than one YAML document"},
		"octal":                           {"passwords: {min_length: 017}\n", "passwords.min_length"},
		"octal with a dotted key":         {"passwords.min_length: 017\n", "passwords.min_length"},
		"no octal at all":                 {"passwords: {min_length: 09}\n", "begins with a zero"},
		"a sign":                          {"passwords: {min_length: +017}\n", "begins with a zero"},
		"underscores":                     {"passwords: {min_length: 0_17}\n", "begins with a zero"},
		"in a list of sections": {
			"claims: [{name: a, value: [1, {b: 007}], in: [access_token], scope: s}]\n", "claims"},
	} {
		if _, text := faultsOf(t, row.file); !strings.Contains(text, row.want) {
			t.Errorf("%s: %s", name, text)
		}
	}
	for _, file := range []string{"listen: \":1\"\n...\n",
		"---\nlisten: \":1\"\n...\n# the end\n", "%YAML 1.1\n---\nlisten: \":1\"\n",
		"throttle: {signups_per_network: 0}\n", "pages: {service_name: \"017\"}\n", "# ---\nlisten: \":1\" # ...\n"} {
		if _, _, err := Load(Input{File: write(t, file)}); err != nil && strings.Contains(err.Error(), "YAML") {
			t.Errorf("%q: %v", file, err)
		}
	}
}
