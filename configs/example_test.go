package configs

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the annotated example again")

const (
	exampleFile  = "signet.example.yaml"
	postgresFile = "signet.postgres.example.yaml"
)

// The annotated example is generated from the comments and defaults of Config, so the two cannot
// differ.
func TestTheExampleSaysWhatConfigSays(t *testing.T) {
	want := writeExample(t)
	if *update {
		if err := os.WriteFile(exampleFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the comments of Config say; run go test ./configs -run Example -update", exampleFile)
	}
}

func TestTheExampleIsTheDefault(t *testing.T) {
	c, warnings, err := Load(Input{File: exampleFile})
	if err != nil || len(warnings) != 0 {
		t.Fatalf("%v %v", warnings, err)
	}
	defaults := Default()
	for _, f := range fields {
		if got, want := f.of(&c).Interface(), f.of(&defaults).Interface(); show(f.key, got) != show(f.key, want) {
			t.Errorf("%s: the example says %v, the default is %v", f.key, got, want)
		}
	}
}

func TestEveryKeyHasACommentInTheExample(t *testing.T) {
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	comments := fieldComments(t)
	for _, f := range fields {
		if comments[f.key] == "" {
			t.Errorf("%s has no comment in Config", f.key)
		}
		last := f.key[strings.LastIndex(f.key, ".")+1:]
		if !strings.Contains(string(text), last+":") {
			t.Errorf("%s is not in %s", f.key, exampleFile)
		}
	}
}

func TestThePostgresExampleLoads(t *testing.T) {
	c, _, err := Load(Input{File: postgresFile, Env: []string{
		"SIGNET_DATABASE_URL=postgres://signet:pw@db.example.com/signet",
		"SIGNET_KEYS_ENCRYPTION_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !c.IsPostgres() || c.Issuer != "https://id.example.com" || c.Listen == Default().Listen || len(c.Resources) != 1 ||
		c.Log.Format != "json" {
		t.Errorf("not what the file says: %+v", c)
	}
}

// writeExample returns the annotated example.
func writeExample(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`# Signet's configuration, every key with its default.
#
# Copy this file to signet.yaml in the server's working folder, or name it with
# --config, and keep only the lines you change. Environment variables win over the
# file (SIGNET_ and the key in capitals with _ for ., such as SIGNET_KEYS_ROTATION)
# and flags win over both. A commented line has no default.
#
# Made from the comments of Config in configs/config*.go; change it there.
`)
	defaults := Default()
	comments := fieldComments(t)
	var open []string
	for _, f := range fields {
		path := strings.Split(f.key, ".")
		sections, name := path[:len(path)-1], path[len(path)-1]
		b.WriteString("\n")
		for i, s := range sections {
			if i >= len(open) || open[i] != s {
				open = append(append([]string(nil), open[:min(i, len(open))]...), s)
				fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", i), s)
			}
		}
		open = open[:len(sections)]
		indent := strings.Repeat("  ", len(sections))
		for line := range strings.SplitSeq(strings.TrimSpace(comments[f.key]), "\n") {
			b.WriteString(strings.TrimRight(indent+"# "+line, " ") + "\n")
		}
		value, mark := f.of(&defaults), ""
		if isSecretKey(f.key) {
			mark = "# "
		}
		text := show(f.key, value.Interface())
		if text == "" {
			text = `""`
		}
		if mark != "" {
			text = "…"
		}
		fmt.Fprintf(&b, "%s%s%s: %s\n", indent, mark, name, text)
	}
	return b.String()
}

// fieldComments returns the comments of Config by key.
func fieldComments(t *testing.T) map[string]string {
	names, err := filepath.Glob("config*.go")
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]*ast.StructType{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					structs[spec.Name.Name] = s
				}
			}
			return true
		})
	}
	comments := map[string]string{}
	var walk func(name, prefix string)
	walk = func(name, prefix string) {
		for _, f := range structs[name].Fields.List {
			if f.Tag == nil {
				continue
			}
			key := prefix + reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("key")
			if inner, ok := f.Type.(*ast.Ident); ok && structs[inner.Name] != nil {
				walk(inner.Name, key+".")
				continue
			}
			comments[key] = f.Doc.Text()
		}
	}
	walk("Config", "")
	return comments
}
