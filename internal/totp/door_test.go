package totp_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The libraries for codes and for QR codes have one door.
func TestTheDoor(t *testing.T) {
	out, err := exec.Command("go", "list", "-f",
		`{{.ImportPath}} {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}}`,
		"github.com/signet-id/signet/...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	doors := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		for _, library := range []string{"github.com/pquerna/otp", "rsc.io/qr"} {
			if strings.Contains(imports+" ", library+" ") || strings.Contains(imports, library+"/") {
				doors[library] += name
			}
		}
	}
	for library, name := range doors {
		if name != "github.com/signet-id/signet/internal/totp" {
			t.Errorf("%s is imported by %s", library, name)
		}
	}
	if len(doors) != 2 {
		t.Errorf("the doors are %v", doors)
	}
}
