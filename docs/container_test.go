package docs

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/jose"
)

// Package internal/interop runs the images as far as that is possible without a container engine.
// This file checks the rest.

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)` + pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no line is like %s", pattern)
	}
	return m[1]
}

func TestDockerfile(t *testing.T) {
	text := strings.ReplaceAll(read(t, "../Dockerfile"), "\\\n", " ")

	version := find(t, read(t, "../go.mod"), `^go (\d+\.\d+)\.\d+$`)
	if image := find(t, text, `^ARG GO_IMAGE=(\S+)$`); !strings.HasPrefix(image, "golang:"+version+".") {
		t.Errorf("the builder %s is not a pinned Go %s, which go.mod asks for", image, version)
	}
	var stages []string
	for _, m := range regexp.MustCompile(`(?m)^FROM (.+)$`).FindAllStringSubmatch(text, -1) {
		stages = append(stages, m[1])
	}
	// Nobody who names no target gets another image than the empty one with the static binary of Go
	// alone.
	if want := []string{"${GO_IMAGE} AS source", "source AS build", "source AS build-openssl",
		"scratch AS empty", "empty AS openssl", "empty"}; !slices.Equal(stages, want) {
		t.Errorf("stages: %q", stages)
	}
	if user := find(t, text, `^USER (\S+)$`); !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("USER %s: an orchestrator can only tell a number from root", user)
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY --from=(\S+)`).FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(stages, func(s string) bool { return strings.HasSuffix(s, " AS "+m[1]) }) {
			t.Errorf("COPY --from=%s: there is no such stage", m[1])
		}
	}
	for target, from := range map[string]string{"empty AS openssl": "build-openssl", "empty": "build"} {
		if !strings.Contains(text, "\nFROM "+target+"\nCOPY --from="+from+" /out/signet /usr/local/bin/signet\n") {
			t.Errorf("the stage %q does not have the binary of %s", target, from)
		}
	}
	var env []string
	for _, m := range regexp.MustCompile(`SIGNET_[A-Z_]+=\S+`).FindAllString(find(t, text, `^ENV (.*)$`), -1) {
		env = append(env, m)
		if strings.Contains(m, "PASSWORD") || strings.Contains(m, "_KEY") {
			t.Errorf("%s: no secret belongs in an image", m)
		}
	}
	config, warnings, err := configs.Load(configs.Input{Env: env})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("the image's environment: %v %q", err, warnings)
	}
	// The repository is not sent to the builder, so everything that `signet version` says is told.
	for _, pattern := range []string{`^RUN (CGO_ENABLED=0 go build .*)$`, `^RUN (CGO_ENABLED=1 go build .*)$`} {
		build := find(t, text, pattern)
		for arg, variable := range map[string]string{"VERSION": "version", "COMMIT": "commit", "COMMIT_TIME": "commitTime"} {
			if strings.Count(text, "\nARG "+arg+"\n") != 2 || !strings.Contains(build, "-X main."+variable+"=${"+arg+"}") ||
				!strings.Contains(read(t, "deployment.md"), "--build-arg "+arg+"=") {
				t.Errorf("%s does not reach `signet version` by %s", arg, pattern)
			}
		}
	}
	if volume := find(t, text, `^VOLUME (\S+)$`); config.DataDir != volume {
		t.Errorf("data goes to %s, the volume is %s", config.DataDir, volume)
	}
	if port := find(t, text, `^EXPOSE (\d+)$`); !strings.HasSuffix(config.Listen, ":"+port) ||
		!strings.HasSuffix(config.Issuer, ":"+port) {
		t.Errorf("listens on %s as %s, exposes %s", config.Listen, config.Issuer, port)
	}
}

// The files that the build reads must reach the builder, and secrets must not.
func TestDockerignoreSendsTheSourceAndNothingElse(t *testing.T) {
	sent := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^!(\S+)$`).FindAllStringSubmatch(read(t, "../.dockerignore"), -1) {
		sent[m[1]] = true
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		source := e.Name() == "go.mod" || e.Name() == "go.sum"
		if e.IsDir() {
			found, _ := filepath.Glob(filepath.Join("..", e.Name(), "*.go"))
			deeper, _ := filepath.Glob(filepath.Join("..", e.Name(), "*", "*.go"))
			source = (len(found) > 0 || len(deeper) > 0) && e.Name() != "docs"
		}
		if source != sent[e.Name()] {
			t.Errorf("%s: is source %t, is sent to the builder %t", e.Name(), source, sent[e.Name()])
		}
	}
}

func TestCompose(t *testing.T) {
	text := read(t, "../compose.yaml")
	for _, m := range regexp.MustCompile(`(?m)^ +image: (\S+)$`).FindAllStringSubmatch(text, -1) {
		if !regexp.MustCompile(`^[a-z]+:\d`).MatchString(m[1]) {
			t.Errorf("image %s is not pinned to a version", m[1])
		}
	}
	ports := regexp.MustCompile(`(?m)^ +- "(.*:\d+)"$`).FindAllStringSubmatch(text, -1)
	if len(ports) == 0 {
		t.Error("no port is published")
	}
	for _, m := range ports {
		if !strings.HasPrefix(m[1], "127.0.0.1:") {
			t.Errorf("port %s is published beyond this machine", m[1])
		}
	}
	if strings.Count(text, "healthcheck:") != 2 || !strings.Contains(text, "condition: service_healthy") {
		t.Error("both services need a health check, and signet waits for the database's")
	}

	dir := t.TempDir()
	kek := jose.NewKEK()
	for name, content := range map[string]string{"database_url": "postgres://signet:x@postgres:5432/signet",
		"encryption_key": kek} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var env []string
	for _, m := range regexp.MustCompile(`(?m)^ +(SIGNET_[A-Z_]+): "?([^"\n]*)"?$`).FindAllStringSubmatch(text, -1) {
		value := regexp.MustCompile(`\$\{\w+:-([^}]*)\}`).ReplaceAllString(m[2], "$1")
		env = append(env, m[1]+"="+strings.ReplaceAll(value, "/run/secrets", dir))
	}
	config, warnings, err := configs.Load(configs.Input{Env: env})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("the service's environment %q: %v %q", env, err, warnings)
	}
	if !config.IsPostgres() || config.Keys.EncryptionKey.Reveal() != kek {
		t.Error("database and key-encryption key do not come from the secrets")
	}
}

// Package internal/interop runs the commands of deployment.md. It cannot run those that need root, a cluster or a
// container engine, and no others are left to the reader.
func TestDeploymentSaysWhichCommandsNoTestRuns(t *testing.T) {
	seen := map[string]int{}
	block := regexp.MustCompile("(?ms)^```([a-z][^\n]*)\n(.*?)^```$")
	for _, m := range block.FindAllStringSubmatch(read(t, "deployment.md"), -1) {
		seen[m[1]]++
		if m[1] == "console" && !regexp.MustCompile(`(?m)^(systemctl|kubectl|docker|go test) `).MatchString(m[2]) {
			t.Errorf("no test runs this, though one could:\n%s", m[2])
		}
	}
	want := map[string]int{"console": seen["console"], "sh download": 1, "sh rebuild": 1, "sh certificate": 1}
	if !maps.Equal(seen, want) {
		t.Errorf("the page has the blocks %v, want %v", seen, want)
	}
}
