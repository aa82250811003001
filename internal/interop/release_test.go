//go:build interop

package interop

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"debug/macho"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	releaseTag  = "v0.9.8" // of a major version that the module path allows, or Go does not take it
	releaseTime = "2026-11-26T18:46:18Z"

	releasePlatforms = "linux/amd64,darwin/arm64" // of four: each takes a minute to build
)

// Two people release one commit, in other folders, with another umask, zone and settings of Go:
// they get the same bytes, and so does a stranger by the commands of docs/deployment.md. What is in the
// archives is what that page says.
func TestAReleaseIsReproducible(t *testing.T) {
	t.Parallel()
	r := newReleases(t)
	first := r.make(t, r.repository, releasePlatforms)
	elsewhere := filepath.Join(t.TempDir(), "a folder with spaces", "clone")
	succeed(t, ".", "git", "clone", "--quiet", r.repository, elsewhere)
	second := r.make(t, elsewhere, "linux/amd64", "TZ=Asia/Tokyo", "GOFLAGS=-buildvcs=false", "LC_ALL=C")
	same(t, first, second)

	succeed(t, first, "sha256sum", "--check", "--strict", "SHA256SUMS")
	var names []string
	for _, platform := range []string{"darwin-arm64", "linux-amd64"} {
		name := "signet-" + releaseTag + "-" + platform
		names = append(names, name+".cdx.json", name+".tar.gz")
		r.inspect(t, filepath.Join(first, name), name)
	}
	if got := list(t, first); !slices.Equal(got, append([]string{"SHA256SUMS"}, names...)) {
		t.Errorf("released: %q", got)
	}
	r.download(t, first)

	if err := os.WriteFile(filepath.Join(r.repository, "scribble"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(r.program, "-out", filepath.Join(t.TempDir(), "dist"))
	cmd.Dir = r.repository
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "not committed (1):\n?? scribble") {
		t.Errorf("a tree with changes is released: %v\n%s", err, out)
	}
}

// releases are made of a repository that has the files of this tree, in one commit with a tag.
type releases struct{ program, repository string }

func newReleases(t *testing.T) releases {
	t.Helper()
	r := releases{program: filepath.Join(t.TempDir(), "release"), repository: filepath.Join(t.TempDir(), "signet")}
	succeed(t, "../..", "go", "build", "-o", r.program, "./internal/release")
	files := succeed(t, "../..", "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.TrimRight(files, "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if errors.Is(err, os.ErrNotExist) {
			continue // it is deleted, and not committed
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(r.repository, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	succeed(t, filepath.Join(r.repository, "verifier/grpcauth"), "go", "mod", "edit",
		"-require=github.com/signet-id/signet@"+releaseTag)
	succeed(t, r.repository, "git", "init", "--quiet")
	succeed(t, r.repository, "git", "add", "--all")
	succeed(t, r.repository, "git", "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet",
		"--date="+releaseTime, "-m", "a release")
	succeed(t, r.repository, "git", "tag", releaseTag)
	succeed(t, r.repository, "git", "tag", "verifier/grpcauth/"+releaseTag)
	return r
}

// make makes a release in a shell with another umask, and returns its folder.
func (r releases) make(t *testing.T, repository, platforms string, env ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "dist")
	cmd := exec.Command("sh", "-c", `umask 077; exec "$0" "$@"`, r.program, "-out", out, "-platforms", platforms)
	if len(env) == 0 {
		cmd = exec.Command(r.program, "-out", out, "-platforms", platforms)
	}
	cmd.Dir, cmd.Env = repository, append(os.Environ(), env...)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, said)
	}
	return out
}

// download does what docs/deployment.md tells a stranger who has downloaded a release into a folder: to
// look at it, and to make it again.
func (r releases) download(t *testing.T, folder string) {
	t.Helper()
	version := strings.TrimSpace(succeed(t, ".", "go", "env", "GOVERSION"))
	script := deploymentBlock(t, "sh download") + deploymentBlock(t, "sh rebuild")
	for _, old := range []string{"v0.1.0", "https://github.com/signet-id/signet", "GOTOOLCHAIN=go1.26.8"} {
		if !strings.Contains(script, old) {
			t.Fatalf("%s does not stand in\n%s", old, script)
		}
	}
	script = strings.NewReplacer("v0.1.0", releaseTag, "https://github.com/signet-id/signet", r.repository,
		"GOTOOLCHAIN=go1.26.8", "GOTOOLCHAIN="+version).Replace(script)
	said := succeed(t, folder, "env", "RELEASE_PLATFORMS="+releasePlatforms, "bash", "-e", "-u", "-c", script)
	for _, want := range []string{"linux-amd64.tar.gz: OK", "signet " + releaseTag, ": " + version} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in what the commands print:\n%s", want, said)
		}
	}
}

// deploymentBlock returns the block of docs/deployment.md that has the info string.
func deploymentBlock(t *testing.T, info string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks(string(page)) {
		if b.info == info {
			return b.text
		}
	}
	t.Fatalf("docs/deployment.md has no block %q", info)
	return ""
}

// same compares the files of the second folder with those of the first.
func same(t *testing.T, first, second string) {
	t.Helper()
	for _, name := range list(t, second) {
		a, err := os.ReadFile(filepath.Join(first, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(second, name))
		if err != nil {
			t.Fatal(err)
		}
		if name != "SHA256SUMS" && !bytes.Equal(a, b) {
			t.Errorf("%s has other bytes elsewhere", name)
		}
	}
}

// inspect looks into an archive: path is without the ending of its name.
func (r releases) inspect(t *testing.T, path, name string) {
	t.Helper()
	members := unpack(t, path+".tar.gz", name)
	want := []string{"CHANGELOG.md", "LICENSE", "README.md",
		"configs/signet.example.yaml", "configs/signet.postgres.example.yaml",
		"configs/systemd/signet.service", "configs/systemd/signet.service.d/postgres.conf",
		"signet", "signet.cdx.json", "third-party-licenses.txt"}
	var got []string
	for member := range members {
		got = append(got, member)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Fatalf("%s has %q, want %q", name, got, want)
	}
	if beside, err := os.ReadFile(path + ".cdx.json"); err != nil || !bytes.Equal(beside, members["signet.cdx.json"]) {
		t.Errorf("%s: the bill of materials beside the archive is another one (%v)", name, err)
	}
	info, err := buildinfo.Read(bytes.NewReader(members["signet"]))
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BomFormat, SpecVersion, SerialNumber string
		Metadata                             struct {
			Timestamp string
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version, Purl string }
	}
	if err := json.Unmarshal(members["signet.cdx.json"], &bom); err != nil {
		t.Fatal(err)
	}
	commit := strings.TrimSpace(succeed(t, r.repository, "git", "show", "-s", "--format=%H", "HEAD"))
	if c := bom.Metadata.Component; bom.BomFormat != "CycloneDX" || c.Name != "github.com/signet-id/signet" || c.Version != releaseTag {
		t.Errorf("%s: the bill of materials is of %+v", name, bom.Metadata)
	}
	listed := map[string]string{}
	for _, c := range bom.Components {
		listed[c.Name] = c.Version
	}
	if len(listed) != len(info.Deps)+1 || listed["std"] != info.GoVersion {
		t.Errorf("%s: %d components, and the binary has %d modules and %s", name, len(listed), len(info.Deps), info.GoVersion)
	}
	for _, d := range info.Deps {
		if listed[d.Path] != d.Version {
			t.Errorf("%s: %s %s stands in the bill of materials as %q", name, d.Path, d.Version, listed[d.Path])
		}
		if !bytes.Contains(members["third-party-licenses.txt"], []byte("\n"+d.Path+" "+d.Version+", ")) {
			t.Errorf("%s: the terms of %s %s are missing", name, d.Path, d.Version)
		}
	}
	for _, work := range []string{"\nGo's standard library, LICENSE\n", "\nGo's standard library, PATENTS\n"} {
		if !bytes.Contains(members["third-party-licenses.txt"], []byte(work)) {
			t.Errorf("%s: no %q", name, work)
		}
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && setting.Value != commit {
			t.Errorf("%s is built of %s, want %s", name, setting.Value, commit)
		}
	}
	if strings.HasSuffix(name, "darwin-arm64") {
		if f, err := macho.NewFile(bytes.NewReader(members["signet"])); err != nil || f.Cpu != macho.CpuArm64 {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	program := filepath.Join(t.TempDir(), "signet")
	if err := os.WriteFile(program, members["signet"], 0o700); err != nil {
		t.Fatal(err)
	}
	var version struct {
		Version, Commit, Go, Platform string
		CommitTime                    string `json:"commit_time"`
		Modified                      bool
	}
	if err := json.Unmarshal([]byte(succeed(t, ".", program, "version", "--json")), &version); err != nil {
		t.Fatal(err)
	}
	at := strings.TrimSpace(succeed(t, r.repository, "sh", "-c", "TZ=UTC git show -s --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd HEAD"))
	if version.Version != releaseTag || version.Commit != commit || version.CommitTime != at || version.Modified ||
		version.Go != info.GoVersion || version.Platform != "linux/amd64" {
		t.Errorf("%s: %+v, want %s of %s", name, version, commit, at)
	}
	if bom.Metadata.Timestamp != at {
		t.Errorf("%s: the bill of materials is of %s, want %s", name, bom.Metadata.Timestamp, at)
	}
}

// unpack returns the members of an archive, whose names begin with the folder.
func unpack(t *testing.T, file, folder string) map[string][]byte {
	t.Helper()
	packed, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	members := map[string][]byte{}
	for archive := tar.NewReader(unzipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return members
		}
		if err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(h.Name, folder+"/")
		if !ok {
			t.Errorf("%s lies outside of the folder", h.Name)
		}
		if mode := map[bool]int64{true: 0o755, false: 0o644}[name == "signet"]; h.Mode != mode {
			t.Errorf("%s has the mode %04o", name, h.Mode)
		}
		if members[name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

func list(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// succeed runs a program that must succeed, and returns its standard output.
func succeed(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &said)
	}
	return string(out)
}
