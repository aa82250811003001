package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A release whose modules strangers could not get is refused, with what to do about it.
func TestModulesThatNobodyCouldGet(t *testing.T) {
	repository := t.TempDir()
	git := gitIn(t, repository)
	write := func(folder, version string) {
		t.Helper()
		folder = filepath.Join(repository, folder)
		text := "module x\n\nreplace " + root + " => ../..\n\nrequire " + root + " " + version + "\n"
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "go.mod"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(version, want string) {
		t.Helper()
		err := checkModules(t.Context(), repository, version)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", version, err, want)
		}
	}
	git("init", "--quiet")
	for _, folder := range released {
		write(folder, "v0.3.0")
	}
	git("add", "--all")
	git("commit", "--quiet", "-m", "a")
	check("v0.4.0", "go.mod needs v0.3.0 of Signet, and this is v0.4.0; run `go mod edit -require="+root+"@v0.4.0` there")
	check("v0.4.0-rc.1", "go.mod needs v0.3.0")
	check("v0.3.0", "run `git tag verifier/grpcauth/v0.3.0`")
	for _, commit := range []string{"v0.0.0-20261127050000-0123456789ab", "v0.3.1-0.20261127050000-0123456789ab", "v0.4.0-rc.1.0.20261127050000-0123456789ab"} {
		check(commit, "")
	}
	for _, folder := range released {
		git("tag", folder+"/v0.3.0")
	}
	check("v0.3.0", "")
	git("commit", "--quiet", "--allow-empty", "-m", "b")
	check("v0.3.0", "run `git tag verifier/grpcauth/v0.3.0`")
}

// Of the modules in this tree, those that strangers get need a version that can be a tag's. What is
// not released must be named here, so that a new module is thought of.
func TestEveryModuleIsReleasedOrNot(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "ls-files", "*go.mod").Output()
	if err != nil {
		t.Fatal(err)
	}
	for file := range strings.FieldsSeq(string(out)) {
		folder := filepath.Dir(file)
		own := folder == "." || strings.HasPrefix(folder, "internal/") || strings.HasPrefix(folder, "docs/examples/") ||
			folder == "verifier/benchmarks" || folder == "verifier/examples/chi"
		isReleased := strings.Contains(strings.Join(released, " "), folder)
		if own == isReleased && folder != "." {
			t.Errorf("%s: name it in released, or here among those that are not", folder)
		}
		if isReleased {
			needed, err := neededVersion(t.Context(), filepath.Join("../..", folder))
			if err != nil || !strings.HasPrefix(needed, "v") || commitVersion.MatchString(needed) {
				t.Errorf("%s needs %s of Signet, which is no release: %v", folder, needed, err)
			}
		}
	}
}
