package docs

import (
	"strings"
	"testing"
)

// The clients of mcp.md are installed with the versions that the test runs them with.
func TestTheClientsOfMCPHaveTheVersionsThatAreRun(t *testing.T) {
	page := read(t, "mcp.md")
	node := find(t, page, `npm install @modelcontextprotocol/client@([\d.]+)`)
	if !strings.Contains(read(t, "../internal/interop/node/package.json"), `"@modelcontextprotocol/client": "`+node+`"`) {
		t.Errorf("internal/interop/node runs another version than %s", node)
	}
	python := find(t, page, `pip install mcp==([\d.]+)`)
	if !strings.Contains(read(t, "../internal/interop/python/requirements.txt"), "\nmcp=="+python+" ") {
		t.Errorf("internal/interop/python runs another version than %s", python)
	}
}
