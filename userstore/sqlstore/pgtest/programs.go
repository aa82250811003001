//go:build unix

package pgtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

var errNoPrograms = errors.New("no PostgreSQL server programs were found (looked for initdb and postgres on PATH, " +
	"in /usr/lib/postgresql/*/bin and where pg_config points), and they could not be fetched: install Debian's package \"postgresql\" " +
	"(apt-get install postgresql), or set SIGNET_TEST_POSTGRES_URL to the address of a superuser of a server for tests")

// Programs returns the folder of initdb and postgres: the newest ones of this machine, or else
// pinned ones, which are fetched when this user has none yet.
func Programs() (string, error) {
	if dir := installedPrograms(); dir != "" {
		return dir, nil
	}
	dir, err := fetchedPrograms()
	if err != nil {
		return "", errors.Join(errNoPrograms, err)
	}
	return dir, nil
}

// installedPrograms returns the folder of the newest initdb and postgres of this machine; "" if
// there are none.
func installedPrograms() string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	dirs = append(dirs, filepath.SplitList(os.Getenv("PATH"))...)

	best, bestVersion := "", 0
	for _, dir := range dirs {
		if dir == "" || !executable(filepath.Join(dir, "initdb")) {
			continue
		}
		if v := version(filepath.Join(dir, "postgres")); v > bestVersion {
			best, bestVersion = dir, v
		}
	}
	return best
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// version returns the major version that a postgres program reports, 0 if it reports none.
func version(postgres string) int {
	if !executable(postgres) {
		return 0
	}
	out, err := exec.Command(postgres, "--version").Output() // postgres (PostgreSQL) 15.8 (Debian …)
	if err != nil {
		return 0
	}
	words := strings.Fields(string(out))
	if len(words) < 3 {
		return 0
	}
	digits := strings.IndexFunc(words[2], func(r rune) bool { return r < '0' || r > '9' }) // 15.8, 19beta1
	if digits < 0 {
		digits = len(words[2])
	}
	n, _ := strconv.Atoi(words[2][:digits])
	return n
}
