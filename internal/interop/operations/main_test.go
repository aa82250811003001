//go:build interop

// Package operations does to running servers what docs/operators.md tells operators to do, while
// clients go on: an upgrade from the version before, beside its replicas; another key-encryption
// key; the move from SQLite to PostgreSQL by a command that is killed again and again.
//
// Every server and every command is a process of the real program. The version before is built from
// the commit that CHANGELOG.md names, out of this repository's history.
package operations

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
)

const root = "../../../" // of the repository

var programs struct {
	dir    string
	signet string // this version
	app    string // a web app on go-oidc and golang.org/x/oauth2: ../goclient
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "signet-operations-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		programs.dir, programs.signet, programs.app = dir, filepath.Join(dir, "signet"), filepath.Join(dir, "app")
		err = errors.Join(build(root, programs.signet, "./cmd/signet"), build("../goclient", programs.app, "."))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func build(folder, to, what string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", to, what)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s in %s: %w\n%s", what, folder, err, out)
	}
	return nil
}

// previous returns the program of v0.1.0, the version before this one.
func previous(t *testing.T) string {
	t.Helper()
	program, err := buildPrevious()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

var buildPrevious = sync.OnceValues(func() (program string, err error) {
	changes, err := os.ReadFile(root + "CHANGELOG.md")
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile("\n## \\[0\\.1\\.0\\][^\n]*\n+Commit `([0-9a-f]{40})`").FindSubmatch(changes)
	if m == nil {
		return "", errors.New("CHANGELOG.md does not name the commit of v0.1.0")
	}
	commit, archive := string(m[1]), filepath.Join(programs.dir, "previous.zip")
	git := func(args ...string) *exec.Cmd { return exec.Command("git", append([]string{"-C", root}, args...)...) }
	if err := git("cat-file", "-e", commit+"^{commit}").Run(); err != nil {
		return "", fmt.Errorf("v0.1.0 is built by git from the commit %s, which is not here (%w): "+
			"fetch the whole history with `git fetch --unshallow`, or clone without --depth", commit, err)
	}
	if out, err := git("archive", "--format=zip", "--output="+archive, commit).CombinedOutput(); err != nil {
		return "", fmt.Errorf("git archive: %w\n%s", err, out)
	}
	files, err := zip.OpenReader(archive)
	if err != nil {
		return "", err
	}
	defer files.Close()
	sources, program := filepath.Join(programs.dir, "previous"), filepath.Join(programs.dir, "signet-previous")
	if err := os.CopyFS(sources, files); err != nil {
		return "", err
	}
	return program, build(sources, program, "./cmd/signet")
})
