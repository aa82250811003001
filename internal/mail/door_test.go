package mail_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The mail library has one door, and the mail server of tests is in no binary.
func TestTheDoor(t *testing.T) {
	list := func(args ...string) string {
		out, err := exec.Command("go", append([]string{"list"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		return string(out)
	}
	doors := 0
	for line := range strings.Lines(list("-f",
		`{{.ImportPath}} {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}}`,
		"github.com/signet-id/signet/...")) {
		name, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(imports, "github.com/wneessen/go-mail") {
			doors++
			if name != "github.com/signet-id/signet/internal/mail" {
				t.Errorf("%s imports the mail library", name)
			}
		}
	}
	if doors != 1 {
		t.Errorf("%d packages import the mail library", doors)
	}
	if deps := list("-deps", "github.com/signet-id/signet/cmd/signet"); strings.Contains(deps, "emersion") ||
		!strings.Contains(deps, "wneessen") {
		t.Error("the mail server of tests is in the binary, or mail is not")
	}
}
