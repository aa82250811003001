//go:build interop

package interop

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/testport"
)

// images are what the Dockerfile makes, by the command that builds the binary, with what it says of
// its RSA.
var images = []struct{ name, build, rsa string }{
	{"default", `^RUN (CGO_ENABLED=0 go build .*)$`, `, RSA by Go\n$`},
	{"openssl", `^RUN (CGO_ENABLED=1 go build .*)$`, `, RSA by OpenSSL 3\.[0-9.]+\n$`},
}

// This test needs no container engine: it performs the steps of the Dockerfile, with the
// Dockerfile's own command, environment, user and health check. If the test runs as root, the
// server runs in a root folder that has nothing else; otherwise it runs as the user of the test.
func TestImageRunsWithNothingButTheBinary(t *testing.T) {
	for _, image := range images {
		t.Run(image.name, func(t *testing.T) { imageRuns(t, image.build, image.rsa) })
	}
}

func imageRuns(t *testing.T, commandOfBuild, rsa string) {
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	dockerfile := strings.ReplaceAll(string(text), "\\\n", " ")
	find := func(pattern string) string {
		t.Helper()
		m := regexp.MustCompile(`(?m)` + pattern).FindStringSubmatch(dockerfile)
		if m == nil {
			t.Fatalf("the Dockerfile has no %s", pattern)
		}
		return m[1]
	}

	root := t.TempDir()
	for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { // another user must be able to enter it
			t.Fatal(err)
		}
	}
	binary := filepath.Join(root, find(`^COPY --from=build /out/signet (\S+)`))
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("sh", "-c", strings.ReplaceAll(find(commandOfBuild), "/out/signet", binary))
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	program, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Fatal("the binary is not static: it asks for an interpreter or for libraries")
		}
	}

	uid, err := strconv.Atoi(find(`^USER (\d+):\d+$`))
	if err != nil || uid == 0 {
		t.Fatalf("USER must be a number other than 0: %d, %v", uid, err)
	}
	data := filepath.Join(root, find(`^VOLUME (\S+)$`))
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	listen, inside := testport.Address(t), ""
	var env []string
	for _, m := range regexp.MustCompile(`[A-Z_]+=\S+`).FindAllString(find(`^ENV (.*)$`), -1) {
		name, value, _ := strings.Cut(m, "=")
		switch name {
		case "SIGNET_LISTEN":
			value = listen // in the image it is every address of the container's network
		case "SIGNET_DATA_DIR":
			inside = value
		}
		env = append(env, name+"="+value)
	}
	if filepath.Join(root, inside) != data {
		t.Fatalf("the volume is not the data folder %s", inside)
	}
	env = append(env, "SIGNET_METRICS_LISTEN=")

	command := func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, binary, args...)
		cmd.Env, cmd.Dir = env, data
		if os.Geteuid() == 0 {
			cmd.Path, cmd.Dir = strings.TrimPrefix(binary, root), "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root,
				Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
		} else {
			cmd.Env = append(cmd.Env, "SIGNET_DATA_DIR="+data)
		}
		return cmd
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(data, uid, uid); err != nil {
			t.Fatal(err)
		}
	}

	if said, err := command(t.Context(), "version").Output(); err != nil || !regexp.MustCompile(rsa).Match(said) {
		t.Errorf("signet version: %q, %v; want %s", said, err, rsa)
	}
	var log bytes.Buffer
	server := command(t.Context(), strings.Trim(find(`^CMD \["(\w+)"\]$`), `"`))
	server.Stdout, server.Stderr = &log, &log
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	check := strings.Split(find(`HEALTHCHECK .* CMD \["signet", "([^]]*)"\]`), `", "`)
	eventually(t, "the image's health check passes", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		return command(ctx, check...).Run() == nil
	})
	resp, err := http.Get(fmt.Sprintf("http://%s/.well-known/jwks.json", listen))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the key set: %s", resp.Status)
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, &log)
	}
	if err := command(t.Context(), check...).Run(); err == nil {
		t.Error("the health check passes although nothing runs")
	}
}
