//go:build interop

package interop

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A stranger adds the verifier's modules to a module of their own, from the repository and its tags as
// the Go command fetches them, and builds. The `replace` of a module here does not count there.
func TestAStrangerGetsTheModules(t *testing.T) {
	t.Parallel()
	r := newReleases(t)
	s := stranger{t, t.TempDir(), append(os.Environ(),
		"GOMODCACHE="+filepath.Join(t.TempDir(), "cache"), "GOFLAGS=-modcacherw", "GOWORK=off", "GOSUMDB=off",
		// What this machine has is not fetched again; the modules of the release come from the repository.
		"GOPROXY=file://"+goEnv(t, "GOMODCACHE")+"/cache/download,"+goEnv(t, "GOPROXY"),
		"GOPRIVATE=github.com/signet-id", "GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=url."+r.repository+".insteadOf", "GIT_CONFIG_VALUE_0=https://github.com/signet-id/signet",
	)}
	s.write("main.go", `package main

import (
	"log"

	"google.golang.org/grpc"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/grpcauth"
)

func main() {
	v, err := verifier.New(verifier.Config{Issuer: "https://id.example.com", Audience: []string{"https://api.example.com"}})
	if err != nil {
		log.Fatal(err)
	}
	auth, err := grpcauth.New(v, grpcauth.Config{})
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(auth.Unary()), grpc.StreamInterceptor(auth.Stream()))
	if err := auth.Covers(server); err != nil {
		log.Fatal(err)
	}
}
`)
	s.write("main_test.go", `package main

import (
	"testing"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

func Test(t *testing.T) {
	issuer := issuertest.New(t)
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), issuer.Token(nil)); err != nil {
		t.Error(err)
	}
}
`)
	s.run("mod", "init", "example.com/stranger")
	s.run("get", "github.com/signet-id/signet/verifier/grpcauth@"+releaseTag)
	s.run("mod", "tidy")
	if got := s.run("list", "-m", "github.com/signet-id/signet"); got != "github.com/signet-id/signet "+releaseTag+"\n" {
		t.Errorf("the module brings %s", got)
	}
	s.run("run", ".")
	s.run("test", ".")
}

// stranger is somebody with a folder and the Go command.
type stranger struct {
	t   *testing.T
	dir string
	env []string
}

func (s stranger) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s stranger) run(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.Output()
	if err != nil {
		said := ""
		if e := (*exec.ExitError)(nil); errors.As(err, &e) {
			said = string(e.Stderr)
		}
		s.t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, said)
	}
	return string(out)
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(succeed(t, ".", "go", "env", name))
}
