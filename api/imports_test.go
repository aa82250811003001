package api_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/signet-id/signet/"

// inside says which packages of the HTTP API each of them may import. The direction is
// api → admin, account, pages, protocol → bearer, profile → wire → problem; web stands beside
// them.
var inside = map[string][]string{
	"api": {"api/admin", "api/account", "api/pages", "api/protocol", "api/bearer", "api/profile", "api/wire",
		"api/problem", "api/web"},
	"api/admin":    {"api/bearer", "api/profile", "api/wire", "api/problem"},
	"api/account":  {"api/bearer", "api/profile", "api/wire", "api/problem"},
	"api/pages":    {"api/profile", "api/wire", "api/problem", "api/web"},
	"api/protocol": {"api/bearer", "api/wire", "api/problem"},
	"api/bearer":   {"api/wire", "api/problem"},
	"api/profile":  {"api/wire", "api/problem"},
	"api/wire":     {"api/problem"},
	"api/problem":  {},
	"api/web":      {},
}

func TestImportsOfTheAPIRunOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	seen := 0
	ofTests := []string{ // of the whole server
		"api/accountpages", "api/apitest", "api/authorizations", "api/browserstates", "api/budgets", "api/bymail", "api/crashes",
		"api/devicepages", "api/devices", "api/discovery", "api/documents", "api/flows", "api/mailpages", "api/outgoing",
		"api/registered", "api/registrations", "api/secondpages", "api/secondsteps", "api/signups", "api/statuslists", "api/waysin",
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		name := strings.TrimPrefix(words[0], module)
		if slices.Contains(ofTests, name) {
			continue
		}
		allowed, known := inside[name]
		if !known {
			t.Errorf("%s has no line in the table of directions", name)
		}
		seen++
		for _, path := range words[1:] {
			path, ours := strings.CutPrefix(path, module)
			switch {
			case !ours:
			case path == "api" || strings.HasPrefix(path, "api/"):
				if !slices.Contains(allowed, path) {
					t.Errorf("%s imports %s", name, path)
				}
			case strings.HasPrefix(path, "cmd/"), strings.HasPrefix(path, "configs"),
				strings.HasPrefix(path, "userstore/sqlstore"), path == "internal/jose":
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
	if seen != len(inside) {
		t.Errorf("go list names %d packages, the table %d", seen, len(inside))
	}
}
