package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Package internal/interop makes whole releases and compares their bytes. Here are the parts.

func TestAnArchiveDependsOnItsContentAlone(t *testing.T) {
	at := time.Date(2026, 11, 26, 18, 46, 18, 0, time.UTC)
	members := []member{{"signet", 0o755, []byte("program")}, {"LICENSE", 0o644, []byte("terms")}, {"configs/a.yaml", 0o644, nil}}
	dir := t.TempDir()
	var made [][]byte
	for i, list := range [][]member{members, {members[2], members[0], members[1]}} {
		file := filepath.Join(dir, string(rune('a'+i)))
		if err := writeArchive(file, "signet-v1", at.In(time.FixedZone("", 3600*i)), list); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, text)
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("the order of the members, or the zone, changes the bytes")
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(made[0]))
	if err != nil || unzipped.Name != "" || !unzipped.ModTime.IsZero() || unzipped.OS != 255 {
		t.Fatalf("%v: %+v", err, unzipped.Header)
	}
	var names []string
	for archive := tar.NewReader(unzipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(at) {
			t.Errorf("%+v", h)
		}
	}
	if want := []string{"signet-v1/LICENSE", "signet-v1/configs/a.yaml", "signet-v1/signet"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestWhichFilesHoldTerms(t *testing.T) {
	for name, want := range map[string]bool{
		"LICENSE": true, "LICENSE.txt": true, "license.md": true, "LICENCE": true, "LICENSE-3RD-PARTY.md": true, "LICENSE-GO": true,
		"COPYING": true, "NOTICE": true, "PATENTS": true, "SQLITE-LICENSE": true, "Apache-LICENSE": true,
		"README.md": false, "licensee.txt": false, "noticeboard": false, "unlicensed": false,
	} {
		if got := licenceFile.MatchString(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"NOTICE", "LICENSE", "license.go", "main.go"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := termsIn(dir)
	if err != nil || len(found) != 2 || found[0].name != "LICENSE" || string(found[1].text) != "NOTICE" {
		t.Errorf("%v %v", found, err)
	}
}

func TestPlatforms(t *testing.T) {
	if got, err := parseTarget("linux/arm64"); err != nil || got != (target{"linux", "arm64"}) {
		t.Errorf("%v %v", got, err)
	}
	for _, wrong := range []string{"", "linux", "linux/", "/amd64", "linux/arm/7"} {
		if _, err := parseTarget(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestTheSerialNumberIsAUUIDOfTheBinary(t *testing.T) {
	a, b := serial([]byte("a")), serial([]byte("b"))
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(a) || a == b || a != serial([]byte("a")) {
		t.Errorf("%s %s", a, b)
	}
}

// gitIn returns a function that runs git in a repository.
func gitIn(t *testing.T, repository string) func(args ...string) {
	author := []string{"-c", "user.name=A", "-c", "user.email=a@example.com", "-C", repository}
	return func(args ...string) {
		t.Helper()
		if out, err := exec.Command("git", slices.Concat(author, args)...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
}

// A release is made of a commit: what is not in one, or a folder with other files, is refused.
func TestWhatIsRefused(t *testing.T) {
	repository := t.TempDir()
	git := gitIn(t, repository)
	write := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(repository, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(platforms []string, out, want string) {
		t.Helper()
		if err := release(t.Context(), repository, out, platforms, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("not refused with %q: %v", want, err)
		}
	}
	git("init", "--quiet")
	write("a")
	git("add", "a")
	git("commit", "--quiet", "-m", "a")
	out := filepath.Join(t.TempDir(), "dist")
	refused([]string{"linux"}, out, "a platform is written linux/amd64")
	write("b")
	refused([]string{"linux/amd64"}, out, "these changes are not committed (1):\n?? b")
	git("add", "b")
	git("commit", "--quiet", "-m", "b")
	write("../kept-outside")
	refused([]string{"linux/amd64"}, filepath.Dir(repository), "has files in it; remove it first")
}
