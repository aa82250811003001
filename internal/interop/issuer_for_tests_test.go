//go:build interop

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A test in Python has `signet serve --test` as its issuer, and nothing is left when it ends.
func TestATestInAnotherLanguageHasAnIssuer(t *testing.T) {
	temporary := t.TempDir()
	cmd := exec.Command("python/.venv/bin/python", "python/test_issuer.py", binaries.signet)
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v after %s\n%s", err, out, &said)
	}
	want := []string{"mint", "EdDSA", "audience", "none", "HS256", "clock", "rotate", "revoke", "control", "end"}
	if got := strings.Fields(string(out)); !slices.Equal(got, want) {
		t.Errorf("it went through %q, not %q", got, want)
	}
	if left, err := filepath.Glob(filepath.Join(temporary, "signet-*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left behind", err, left)
	}
}
