package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// O-03: every process that a test starts, server or command, logs at level debug and leaves a copy
// of its standard error in one folder. When all tests have run, the folder is searched for the
// secrets that they planted and for texts that look like a secret. Any find fails the run.

// watchVariable names the folder. It is not a key of the configuration.
const watchVariable = "TEST_STDERR_COPIES"

// raceVariable holds options of the race detector. By default every process that the detector
// watches sleeps for one second before it exits with code 0, and the tests start hundreds of
// commands. Without that sleep the detector still reports every race that it has seen, and the
// process still exits with code 66. A value that is set for the run has precedence.
const raceVariable = "GORACE"

// everywhere holds the secrets of all tests of this run.
var everywhere = &plantedSecrets{list: map[string]bool{
	"a long enough passphrase": true, "another long passphrase": true, "correct horse battery staple": true,
}}

type plantedSecrets struct {
	mu   sync.Mutex
	list map[string]bool
}

func (p *plantedSecrets) add(value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list[value] = true
}

// looksSecret matches texts that no log line may hold, even if no test planted them.
var looksSecret = map[string]*regexp.Regexp{
	"a token":                      regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.`),
	"what stands in Authorization": regexp.MustCompile(`(?i)\b(bearer|basic) +[A-Za-z0-9+/_.=-]{12,}`),
	"the hash of a password":       regexp.MustCompile(`\$argon2id?\$|\$2[aby]\$\d|pbkdf2_sha256\$\d|\$scrypt\$`),
	"a private key":                regexp.MustCompile(`PRIVATE KEY-----|"d":"`),
	"the password of a database":   regexp.MustCompile(`postgres(ql)?://[^/\s:@"]*:[^*@\s"]+@`),
}

// watchedMain runs main, and copies standard error.
func watchedMain() {
	errOut := io.Writer(os.Stderr)
	if dir := os.Getenv(watchVariable); dir != "" {
		if f, err := os.CreateTemp(dir, "stderr-"); err == nil {
			errOut = io.MultiWriter(f, os.Stderr)
		}
	}
	os.Exit(mainExit(errOut))
}

// searchedRun runs the tests, and then the search.
type searchedRun struct{ *testing.M }

func (s searchedRun) Run() int {
	dir, err := os.MkdirTemp("", "signet-stderr-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Setenv(watchVariable, dir)
	os.Setenv(raceVariable, "atexit_sleep_ms=0 "+os.Getenv(raceVariable))
	code := s.M.Run()
	found, err := search(dir, everywhere.list)
	for _, f := range found {
		fmt.Fprintln(os.Stderr, "FAIL: O-03:", f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL: O-03:", err)
	}
	if len(found) > 0 || err != nil {
		return 1
	}
	return code
}

// search returns the places of secrets in the files of a folder.
func search(dir string, planted map[string]bool) (found []string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			for secret := range planted {
				if strings.Contains(line, secret) {
					found = append(found, fmt.Sprintf("%q is in: %s", secret, line))
				}
			}
			for what, pattern := range looksSecret {
				if m := pattern.FindString(line); m != "" {
					found = append(found, fmt.Sprintf("%s, %q, is in: %s", what, m, line))
				}
			}
		}
	}
	return found, nil
}

// The search finds each kind of secret, and gets the output of processes.
func TestO03TheSearchFindsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	for i, line := range []string{
		`{"msg":"request","password":"swordfish-swordfish"}`,
		`error="token eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZGEifQ.c2ln is bad"`,
		`header=[Bearer c2VjcmV0LXRva2Vu]`,
		`hash=$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA`,
		`-----BEGIN PRIVATE KEY-----`,
		`cannot reach postgres://signet:swordfish@127.0.0.1:5432/signet`,
	} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("a line\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := search(dir, map[string]bool{"swordfish-swordfish": true})
	if err != nil || len(found) != 6 {
		t.Errorf("%d of 6 found: %q %v", len(found), found, err)
	}

	p := start(t, nil)
	if got := p.status("/v1/profile"); got != 401 {
		t.Fatal(got)
	}
	p.stop(t)
	copies, err := filepath.Glob(filepath.Join(os.Getenv(watchVariable), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range copies {
		if text, _ := os.ReadFile(file); string(text) == p.errOut.String() &&
			strings.Contains(string(text), `"route":"/v1/profile"`) {
			return
		}
	}
	t.Errorf("none of %d copies holds what this server logged", len(copies))
}
