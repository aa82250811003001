package totp_test

import (
	"maps"
	"os/exec"
	"strings"
	"testing"
)

// The libraries for codes and for QR codes have one door each.
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
	want := map[string]string{
		"github.com/pquerna/otp": "github.com/signet-id/signet/internal/totp",
		"rsc.io/qr":              "github.com/signet-id/signet/internal/qr",
	}
	if !maps.Equal(doors, want) {
		t.Errorf("the doors are %v", doors)
	}
}
