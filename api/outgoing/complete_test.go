package outgoing_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// Every member of a client's registration that names an address is in one of the two tables.
func TestEveryAddressOfAClientIsInATable(t *testing.T) {
	known := slices.Clone(unrequested)
	for _, r := range requests {
		known = append(known, r.member)
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[userstore.ClientDocument]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if (strings.HasSuffix(name, "_uri") || strings.HasSuffix(name, "_uris")) && !slices.Contains(known, name) {
			t.Errorf("does the server request %s? Then requests needs a row, else unrequested", name)
		}
	}
}

// Whatever cmd/signet gives the guarded client to is in the table of requests.
func TestEveryUseOfTheGuardedClientIsInTheTable(t *testing.T) {
	uses := wired(t, "../../cmd/signet/serve.go", "fetcher")
	for _, r := range requests {
		if !slices.Contains(uses, r.by) {
			t.Errorf("%s is requested by %s, which does not get the guarded client", r.member, r.by)
		}
	}
	for _, use := range uses {
		if !slices.ContainsFunc(requests, func(r request) bool { return r.by == use }) {
			t.Errorf("%s gets the guarded client: requests needs a row for what it requests", use)
		}
	}
}

// wired returns what a variable of a file is given to: the field of a literal, as in
// ClientKeys{Fetch: fetcher.Get}, or a function that takes it.
func wired(t *testing.T, file, variable string) (uses []string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var around []ast.Node
	ast.Inspect(tree, func(n ast.Node) bool {
		if n == nil {
			around = around[:len(around)-1]
			return true
		}
		if id, ok := n.(*ast.Ident); ok && id.Name == variable && !declares(around, id) {
			uses = append(uses, receiver(around))
		}
		around = append(around, n)
		return true
	})
	if len(uses) == 0 {
		t.Fatalf("%s uses no %s", file, variable)
	}
	return uses
}

// declares reports whether id stands on the left of the statement that it is in.
func declares(around []ast.Node, id *ast.Ident) bool {
	statement, ok := around[len(around)-1].(*ast.AssignStmt)
	return ok && slices.Contains(statement.Lhs, ast.Expr(id))
}

// receiver names the innermost literal or call that holds a value.
func receiver(around []ast.Node) string {
	field := ""
	for _, n := range slices.Backward(around) {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && field == "" {
				field = key.Name
			}
		case *ast.CompositeLit:
			return last(n.Type) + "." + field
		case *ast.CallExpr:
			return last(n.Fun)
		}
	}
	return "something else"
}

// last returns the last name of a selector.
func last(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return "something"
}

// otherWays are the files that connect to somewhere by themselves, and why that is no address which
// a stranger chose.
var otherWays = map[string]string{
	"internal/outbound/outbound.go":  "the guarded client",
	"internal/mail/smtp.go":          "the operator's mail server",
	"internal/inspect/issuer.go":     "the key set of this very store, without a connection",
	"userstore/sqlstore/postgres.go": "the operator's database",
	"internal/demo/stream.go":        "the demo's own API, on loopback",
	"cmd/signet/breach.go":           "the operator's list of passwords",
	"cmd/signet/healthcheck.go":      "the server itself",
	"cmd/signet/token_keys.go":       "an issuer that the operator names on the command line",
	"internal/doctor/http.go":        "issuers and resource servers that the operator names on the command line",
	"internal/doctor/issuer.go":      "the client of http.go, and one of a test",
	"internal/doctor/resource.go":    "the same",
}

// connects are the names that lead out of the process.
var connects = map[string][]string{
	"http": {"Client", "DefaultClient", "Get", "Head", "Post", "PostForm", "DefaultTransport", "Transport"},
	"net":  {"Dial", "DialTimeout", "Dialer", "DialTCP", "DialUDP", "DialIP"},
	"tls":  {"Dial", "DialWithDialer", "Dialer"},
	"smtp": {"Dial", "SendMail"},
}

// There is no other way out of the process than the guarded client, apart from those to addresses of
// the operator's choice.
func TestThereIsNoOtherWayOut(t *testing.T) {
	found := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			// Not part of the server: tests, the library of resource servers, tools and examples.
			if slices.Contains([]string{"api/apitest", "internal/chaos", "internal/faultproxy", "internal/interop", "internal/load",
				"internal/tools", "userstore/sqlstore/pgproxy", "verifier", "docs/examples", ".git"}, name) ||
				strings.HasSuffix(name, "test") && name != "" || entry.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go"), strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, text, 0)
		if err != nil {
			return err
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if of, ok := s.X.(*ast.Ident); ok && slices.Contains(connects[of.Name], s.Sel.Name) {
					if found[name] = true; otherWays[name] == "" {
						t.Errorf("%s uses %s.%s: an address that a client registered is requested by internal/outbound alone",
							name, of.Name, s.Sel.Name)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range otherWays {
		if !found[name] {
			t.Errorf("%s connects to nothing: take it off the list", name)
		}
	}
}
