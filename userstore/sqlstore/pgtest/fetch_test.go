//go:build unix

package pgtest

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// repository is a Maven repository on this machine. Its archive holds two scripts with the names of
// the programs.
type repository struct {
	*httptest.Server
	archives atomic.Int64 // how many requests for an archive there were
	missing  atomic.Bool
	name     atomic.Value // of the archive that was requested last; string
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	programs, err := os.ReadFile("testdata/programs.txz")
	if err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	w, err := z.Create("postgres.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(programs); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	r := &repository{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		name := strings.TrimSuffix(filepath.Base(req.URL.Path), ".sha256")
		switch {
		case r.missing.Load():
			http.NotFound(w, req)
		case strings.HasSuffix(req.URL.Path, ".sha256"):
			sum := sha256.Sum256(jar.Bytes())
			_, _ = w.Write([]byte(hex.EncodeToString(sum[:])))
		default:
			r.archives.Add(1)
			r.name.Store(strings.TrimSuffix(name, ".jar") + ".txz")
			_, _ = w.Write(jar.Bytes())
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// pinEveryName pins the fixture under every pinned name, because the name depends on the machine.
func pinEveryName(t *testing.T) map[string]string {
	t.Helper()
	programs, err := os.ReadFile("testdata/programs.txz")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(programs)
	sums := make(map[string]string)
	for name := range pinned {
		sums[name] = hex.EncodeToString(sum[:])
	}
	return sums
}

func cacheEntries(t *testing.T, cache string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestProgramsAreFetchedOnceByHoweverMany(t *testing.T) {
	r, cache := newRepository(t), t.TempDir()
	var said syncWriter
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			bin, err := fetcher{cache: cache, repository: r.URL + "/", pinned: pinEveryName(t), log: &said}.programs()
			if err != nil {
				t.Error(err)
				return
			}
			if v := version(filepath.Join(bin, "postgres")); v != 18 || !executable(filepath.Join(bin, "initdb")) {
				t.Errorf("%s has version %d", bin, v)
			}
		})
	}
	all.Wait()
	if n := r.archives.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	if text := said.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, r.URL) ||
		!strings.Contains(text, pinnedVersion) || !strings.Contains(text, cache) {
		t.Errorf("said %q", text)
	}
	names := cacheEntries(t, cache)
	if len(names) != 1 {
		t.Fatalf("left in the cache: %q", names)
	}
	// The server runs as another user when the tests run as root.
	for path, want := range map[string]os.FileMode{"bin": 0o755, "bin/initdb": 0o755, "share": 0o755,
		"share/postgres.bki": 0o644} {
		info, err := os.Stat(filepath.Join(cache, names[0], path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if to, err := os.Readlink(filepath.Join(cache, names[0], "lib/libpq.so.5")); err != nil || to != "libpq.so.5.18" {
		t.Errorf("the link leads to %q: %v", to, err)
	}
}

func TestAnArchiveThatIsNotThePinnedOneIsNeverUnpacked(t *testing.T) {
	r, cache := newRepository(t), t.TempDir()
	f := fetcher{cache: cache, repository: r.URL, pinned: pinned, log: &syncWriter{}}
	for range 2 {
		if _, err := f.programs(); err == nil || !strings.Contains(err.Error(), "is not the archive that is pinned") {
			t.Fatalf("got %v", err)
		}
		if names := cacheEntries(t, cache); len(names) != 0 {
			t.Fatalf("left in the cache: %q", names)
		}
	}
	f.pinned = map[string]string{}
	if _, err := f.programs(); err == nil {
		t.Error("an archive without a pinned sum was taken")
	}
	f.pinned = pinEveryName(t)
	if _, err := f.programs(); err != nil {
		t.Errorf("after the repository was mended: %v", err)
	}
}

func TestAFetchThatWasCutOffGoesOn(t *testing.T) {
	r, cache := newRepository(t), t.TempDir()
	f := fetcher{cache: cache, repository: r.URL, pinned: pinEveryName(t), log: &syncWriter{}}
	if _, err := f.programs(); err != nil {
		t.Fatal(err)
	}
	folder, name := cacheEntries(t, cache)[0], r.name.Load().(string)
	programs, err := os.ReadFile("testdata/programs.txz")
	if err != nil {
		t.Fatal(err)
	}
	// The state that a process leaves when it is killed while it unpacks.
	for _, err := range []error{
		os.RemoveAll(filepath.Join(cache, folder, "bin")),
		os.MkdirAll(filepath.Join(cache, "unpack-1/tree/bin"), 0o755),
		os.WriteFile(filepath.Join(cache, name), programs, 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.programs(); err != nil {
		t.Fatal(err)
	}
	if n := r.archives.Load(); n != 1 {
		t.Errorf("the archive was there, and was fetched again: %d", n)
	}
	if names := cacheEntries(t, cache); len(names) != 1 || names[0] != folder {
		t.Errorf("left in the cache: %q", names)
	}
}

func TestARepositoryThatDoesNotAnswerIsNamed(t *testing.T) {
	r, cache := newRepository(t), t.TempDir()
	r.missing.Store(true)
	withPassword := strings.Replace(r.URL, "http://", "http://ada:hunter2@", 1)
	for name, address := range map[string]string{"has no such file": withPassword,
		"is not there": "http://ada:hunter2@127.0.0.1:1/maven2", "is no address": "http://ada:hunter2@%zz"} {
		var said syncWriter
		_, err := fetcher{cache: cache, repository: address, pinned: pinEveryName(t), log: &said}.programs()
		if err == nil || !strings.Contains(err.Error(), repositoryVariable) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(err.Error()+said.String(), "hunter2") {
			t.Errorf("%s: the password is in %q, or in %q", name, err, said.String())
		}
		if names := cacheEntries(t, cache); len(names) != 0 {
			t.Errorf("%s: left in the cache: %q", name, names)
		}
	}
}

func TestEveryPlatformThatPeopleDevelopOnHasAPinnedArchive(t *testing.T) {
	for _, platform := range []string{"linux-amd64", "linux-arm64v8", "linux-amd64-alpine", "darwin-amd64",
		"darwin-arm64v8"} {
		if sum := pinned["embedded-postgres-binaries-"+platform+"-"+pinnedVersion+".txz"]; len(sum) != 64 {
			t.Errorf("%s: %q", platform, sum)
		}
	}
}

// The shipped programs do not import what only tests use, and fetch nothing.
func TestTheLibraryThatFetchesIsNotInTheBinary(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "../../../cmd/signet", "../../../verifier/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 100 {
		t.Fatalf("only %d packages", len(deps))
	}
	for _, dep := range deps {
		for _, of := range []string{"embedded-postgres", "lib/pq", "xi2/xz", "signet/userstore/sqlstore/pgtest",
			"signet/internal/testport"} {
			if strings.Contains(dep, of) {
				t.Errorf("cmd/signet or the verifier imports %s", dep)
			}
		}
	}
}

type syncWriter struct {
	mu sync.Mutex
	b  strings.Builder
}

func (w *syncWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *syncWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}
