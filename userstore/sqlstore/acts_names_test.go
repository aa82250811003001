package sqlstore

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// eachFunction calls see with every function of the package but those of tests, and with what tells
// where in the source something is.
func eachFunction(t *testing.T, see func(fn *ast.FuncDecl, at func(ast.Node) token.Position)) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				see(fn, func(n ast.Node) token.Position { return set.Position(n.Pos()) })
			}
		}
	}
}

// receiver returns the name of the type that fn is a method of; empty: of none.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	of := fn.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	return of.(*ast.Ident).Name
}

// Calls are counted and traced under the name that a method gives itself: its own.
func TestMethodsGiveTheirOwnNames(t *testing.T) {
	given := 0
	eachFunction(t, func(fn *ast.FuncDecl, at func(ast.Node) token.Position) {
		ast.Inspect(fn, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			as, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || as.Sel.Name != "as" {
				return true
			}
			given++
			name, ok := call.Args[0].(*ast.BasicLit)
			if !ok || receiver(fn) != "DB" || !fn.Name.IsExported() || name.Value != strconv.Quote(fn.Name.Name) {
				t.Errorf("%s: %s does not give its own name", at(n), fn.Name)
			}
			return true
		})
	})
	if given < 100 {
		t.Errorf("%d names were found", given)
	}
}

// Whoever has a named runs statements under its name, which the compiler sees to. There is no other
// way to make one than as, and no other way to the engine.
func TestNothingRunsWithoutAName(t *testing.T) {
	eachFunction(t, func(fn *ast.FuncDecl, at func(ast.Node) token.Position) {
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if of, ok := n.Type.(*ast.Ident); ok && of.Name == "named" && fn.Name.Name != "as" {
					t.Errorf("%s: %s makes a named without as", at(n), fn.Name)
				}
			case *ast.CallExpr:
				called, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if called.Sel.Name == "retrying" { // its argument runs under its name
					return false
				}
				of, ok := called.X.(*ast.SelectorExpr)
				if r := receiver(fn); r != "" && r != "DB" || !ok || of.Sel.Name != "engine" {
					return true // methods of named, and engines that stand before another one
				}
				switch run := called.Sel.Name; run {
				case "read", "write", "batch", "transact":
					t.Errorf("%s: %s runs statements under no name, by engine.%s", at(n), fn.Name, run)
				}
			}
			return true
		})
	})
}

// Every operation asks for its method's act.
func TestAKnownNameTakesNoMemory(t *testing.T) {
	db := &DB{}
	first := db.as("UserByID").act
	if n := testing.AllocsPerRun(100, func() {
		if db.as("UserByID").act != first || db.as("ClientByID").act == first {
			t.Error("an act of another method")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
