// Package watch searches what processes print in tests (O-03). Every process that a test starts, server
// or command, logs at level debug and leaves a copy of its standard error in one folder. When all tests
// of a package have run, the folder is searched for the secrets that they planted and for texts that
// look like a secret. Any find fails the run.
package watch

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// folderVariable names the folder. It is not a key of the configuration.
const folderVariable = "TEST_STDERR_COPIES"

// raceVariable holds options of the race detector. By default every process that the detector
// watches sleeps for one second before it exits with code 0, and the tests start hundreds of
// commands. Without that sleep the detector still reports every race that it has seen, and the
// process still exits with code 66. A value that is set for the run has precedence.
const raceVariable = "GORACE"

// Env returns what the environment of a process needs, as NAME=value.
func Env() []string {
	return []string{folderVariable + "=" + os.Getenv(folderVariable), raceVariable + "=" + os.Getenv(raceVariable)}
}

// Stderr returns what a process writes its standard error to: the copy in the folder, and os.Stderr.
func Stderr() io.Writer {
	if dir := os.Getenv(folderVariable); dir != "" {
		if f, err := os.CreateTemp(dir, "stderr-"); err == nil {
			return io.MultiWriter(f, os.Stderr)
		}
	}
	return os.Stderr
}

// Copies returns the copies that the processes of this run have left until now.
func Copies() ([]string, error) { return filepath.Glob(filepath.Join(os.Getenv(folderVariable), "*")) }

// planted holds the secrets of all tests of this run.
var (
	plantedMu sync.Mutex
	planted   = map[string]bool{
		"a long enough passphrase": true, "another long passphrase": true, "correct horse battery staple": true,
	}
)

// Plant adds a secret that no process may print.
func Plant(secret string) {
	plantedMu.Lock()
	defer plantedMu.Unlock()
	planted[secret] = true
}

// looksSecret matches texts that no log line may hold, even if no test planted them.
var looksSecret = map[string]*regexp.Regexp{
	"a token":                      regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.`),
	"what stands in Authorization": regexp.MustCompile(`(?i)\b(bearer|basic) +[A-Za-z0-9+/_.=-]{12,}`),
	"the hash of a password":       regexp.MustCompile(`\$argon2id?\$|\$2[aby]\$\d|pbkdf2_sha256\$\d|\$scrypt\$`),
	"a private key":                regexp.MustCompile(`PRIVATE KEY-----|"d":"`),
	"the password of a database":   regexp.MustCompile(`postgres(ql)?://[^/\s:@"]*:[^*@\s"]+@`),
}

// M runs the tests of a package, and then the search.
type M struct{ Tests interface{ Run() int } }

func (m M) Run() int {
	dir, err := os.MkdirTemp("", "signet-stderr-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Setenv(folderVariable, dir)
	os.Setenv(raceVariable, "atexit_sleep_ms=0 "+os.Getenv(raceVariable))
	code := m.Tests.Run()
	found, err := search(planted)
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

// search returns the places of secrets in the copies.
func search(planted map[string]bool) (found []string, err error) {
	files, err := Copies()
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
