package audit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every name is in the list and explained to operators.
func TestNames(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "audit.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		c, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := c.Type.(*ast.Ident); !ok || kind.Name != "Name" {
			return true
		}
		value, err := strconv.Unquote(c.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if !slices.Contains(Names, Name(value)) {
			t.Errorf("%s is not in Names", value)
		}
		if !strings.Contains(string(text), "`"+value+"`") {
			t.Errorf("docs/operators.md does not explain %s", value)
		}
		return true
	})
	if found < 15 || found != len(Names) {
		t.Errorf("%d constants, and %d in Names", found, len(Names))
	}
}
