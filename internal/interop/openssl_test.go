//go:build interop && openssl

package interop

import (
	"os/exec"
	"strings"
	"testing"
)

// make interop-openssl is about the binary with OpenSSL's signatures, and would pass with another
// as well.
func TestTheBinaryHasOpenSSL(t *testing.T) {
	out, err := exec.Command(binaries.signet, "version").Output()
	if err != nil || !strings.Contains(string(out), ", RSA by OpenSSL ") {
		t.Errorf("signet version: %q, %v", out, err)
	}
}
