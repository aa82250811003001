//go:build interop && more

package interop

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Tests of programs that take minutes to build have a build tag of their own: `make interop-more`
// runs them. Their names begin with TestMore.

// The documents of products that are built before they run.
func TestMoreDocumentsAreTrue(t *testing.T) {
	runDocuments(t, []documentOn{
		{"docs/products/oauth2-proxy.md", postgres},
		{"docs/products/spring.md", sqlite},
		{"docs/resource-servers/axum.md", sqlite},
		{"docs/resource-servers/nimbus.md", sqlite},
		{"docs/resource-servers/oauth2-proxy.md", sqlite},
		{"docs/resource-servers/spring.md", sqlite},
	}, buildForeign(t, "oauth2proxy", "github.com/oauth2-proxy/oauth2-proxy/v7", "oauth2-proxy"))
}

// buildForeign builds a command from a module in a folder of this package.
func buildForeign(t *testing.T, module, command, name string) string {
	t.Helper()
	program := filepath.Join(binaries.dir, name)
	if out, err := exec.Command("go", "build", "-C", module, "-o", program, command).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", command, err, out)
	}
	return program
}
