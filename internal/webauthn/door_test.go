package webauthn_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The WebAuthn library has one door, and the authenticator of tests is in no binary.
func TestTheDoor(t *testing.T) {
	list := func(args ...string) string {
		out, err := exec.Command("go", append([]string{"list"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		return string(out)
	}
	const door = "github.com/signet-id/signet/internal/webauthn"
	doors := 0
	for line := range strings.Lines(list("-f",
		`{{.ImportPath}} {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}}`,
		"github.com/signet-id/signet/...")) {
		name, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(imports, "github.com/go-webauthn/") {
			doors++
			if name != door {
				t.Errorf("%s imports the WebAuthn library", name)
			}
		}
	}
	if doors != 1 {
		t.Errorf("%d packages import the WebAuthn library", doors)
	}
	for _, program := range []string{door, "github.com/signet-id/signet/cmd/signet"} {
		if strings.Contains(list("-deps", program), "virtualwebauthn") {
			t.Errorf("%s holds the authenticator of tests", program)
		}
	}
	// The package is pure.
	for _, pkg := range strings.Fields(list("-f", `{{join .Imports " "}}`, door)) {
		switch pkg {
		case "net/http", "crypto/rand", "os", "log/slog", "database/sql", "github.com/signet-id/signet/userstore":
			t.Errorf("the package imports %s", pkg)
		}
	}
}
