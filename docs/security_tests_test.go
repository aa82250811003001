package docs

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

//go:generate go test . -run TestSecurityTests -update

var update = flag.Bool("update", false, "write docs/security-tests.md anew")

// A test carries an id if the id is in its comment, in a string, or at the beginning of its name:
// TestT01ACodeIsGoodForOnce.
var (
	writtenID = regexp.MustCompile(`\b[AJTDUPRHOSF]-\d\d\b`)
	namedIDs  = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)((?:[AJTDUPRHOSF]\d\d(?:To)?)+)(?:\D|$)`)
	namedID   = regexp.MustCompile(`([AJTDUPRHOSF])(\d\d)(To)?`)
)

// securityCase is a line of security-cases.txt.
type securityCase struct{ id, what, whyNot string }

// TestSecurityTests checks that three things agree: the list of attacks and faults, the tests that
// carry their ids, and the table of both in the documents.
func TestSecurityTests(t *testing.T) {
	var sections []string // headings, and below each its cases
	under := make(map[string][]securityCase)
	known := make(map[string]bool)
	for i, line := range strings.Split(read(t, "security-cases.txt"), "\n") {
		switch heading, isHeading := strings.CutPrefix(line, "## "); {
		case isHeading:
			sections = append(sections, heading)
		case line == "" || strings.HasPrefix(line, "#"):
		default:
			fields := strings.Split(line, " | ")
			if len(fields) < 2 || len(fields) > 3 || writtenID.FindString(fields[0]) != fields[0] || known[fields[0]] ||
				len(sections) == 0 {
				t.Fatalf("security-cases.txt:%d is not `id | what` or `id | what | why not`, or comes twice: %s", i+1, line)
			}
			c := securityCase{id: fields[0], what: fields[1]}
			if len(fields) == 3 {
				c.whyNot = fields[2]
			}
			known[c.id] = true
			last := sections[len(sections)-1]
			under[last] = append(under[last], c)
		}
	}
	carried := carriers(t, known)
	for id, tests := range carried {
		if !known[id] {
			t.Errorf("%s is carried by %s, and security-cases.txt does not say what it is", id, strings.Join(tests, ", "))
		}
	}

	var page strings.Builder
	page.WriteString(securityPreface)
	for _, section := range sections {
		fmt.Fprintf(&page, "\n## %s\n\n| id | what happens | tests |\n| --- | --- | --- |\n", section)
		for _, c := range under[section] {
			tests := strings.Join(carried[c.id], "<br>")
			switch {
			case tests == "" && c.whyNot == "":
				t.Errorf("%s is listed, no test carries it, and security-cases.txt does not say why not", c.id)
			case tests != "" && c.whyNot != "":
				t.Errorf("%s is carried by tests now; take %q out of security-cases.txt", c.id, c.whyNot)
			case tests == "":
				tests = c.whyNot
			}
			fmt.Fprintf(&page, "| %s | %s | %s |\n", c.id, strings.ReplaceAll(c.what, "|", `\|`), tests)
		}
	}
	if *update {
		if err := os.WriteFile("security-tests.md", []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, "security-tests.md") != page.String() {
		t.Error("docs/security-tests.md is not what the tests say; run: go generate ./docs")
	}
}

const securityPreface = `# Attacks and faults that are tested

This page is made from [security-cases.txt](security-cases.txt) and from the tests, by ` + "`go generate ./docs`" + `; a test
holds it to both. Each id is an attack, an abuse, a bad input or a fault that somebody has met in a server of this kind,
or that a specification warns of. The tests that carry the id are named with their package; what a shared suite of tests
does is named by the function that does it. Numbers that are missing are not used. Where no test carries an id, the
reason stands in its place.
`

// carriers finds the tests in the whole tree except this file: id → "`package`: test, test", in the
// order of packages.
func carriers(t *testing.T, known map[string]bool) map[string][]string {
	t.Helper()
	found := make(map[string]map[string][]string) // id → package → tests
	note := func(ids []string, path, name string) {
		dir := filepath.ToSlash(filepath.Dir(path))
		for _, id := range ids {
			if found[id] == nil {
				found[id] = make(map[string][]string)
			}
			if !slices.Contains(found[id][dir], name) {
				found[id][dir] = append(found[id][dir], name)
			}
		}
	}
	files := 0
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if name := e.Name(); name == "node_modules" || strings.HasPrefix(name, ".") && name != ".." {
				return fs.SkipDir
			}
			return nil
		}
		path, _ = filepath.Rel("..", path)
		inTests := strings.HasSuffix(path, "_test.go") ||
			strings.HasSuffix(path, ".go") && strings.HasSuffix(filepath.Dir(path), "test")
		script := strings.HasSuffix(path, ".txt") && filepath.Base(filepath.Dir(path)) == "testdata"
		if !inTests && !script || path == filepath.Join("docs", "security_tests_test.go") {
			return nil
		}
		files++
		text := read(t, filepath.Join("..", path))
		if script {
			note(writtenID.FindAllString(text, -1), path, "testdata/"+filepath.Base(path))
			return nil
		}
		return declarations(path, text, func(name, text string) {
			note(append(writtenID.FindAllString(text, -1), idsOfName(name, known)...), path, name)
		})
	})
	if err != nil || files < 100 {
		t.Fatalf("only %d files of tests: %v", files, err)
	}
	sorted := make(map[string][]string)
	for id, packages := range found {
		for _, dir := range slices.Sorted(maps.Keys(packages)) {
			tests := packages[dir]
			slices.Sort(tests)
			sorted[id] = append(sorted[id], fmt.Sprintf("`%s`: %s", dir, strings.Join(tests, ", ")))
		}
	}
	return sorted
}

// declarations calls a function with the name and the text, comments included, of each declaration
// of a file. The text between two declarations belongs to the second one.
func declarations(path, text string, call func(name, text string)) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	from := 0
	for _, d := range file.Decls {
		name := filepath.Base(path)
		switch d := d.(type) {
		case *ast.FuncDecl:
			name = d.Name.Name
		case *ast.GenDecl:
			if spec, ok := d.Specs[0].(*ast.ValueSpec); ok {
				name = spec.Names[0].Name
			}
		}
		to := set.Position(d.End()).Offset
		call(name, text[from:to])
		from = to
	}
	return nil
}

// idsOfName reads TestJ24J25RefusingCosts as J-24 and J-25, and TestA01ToA06Redirects as all known
// ids from.
func idsOfName(name string, known map[string]bool) (ids []string) {
	m := namedIDs.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	from := ""
	for _, part := range namedID.FindAllStringSubmatch(m[1], -1) {
		id := part[1] + "-" + part[2]
		if from != "" {
			for other := range known {
				if other > from && other < id {
					ids = append(ids, other)
				}
			}
			from = ""
		}
		if part[3] != "" {
			from = id
		}
		ids = append(ids, id)
	}
	return ids
}

func TestIDsOfNamesAreRead(t *testing.T) {
	known := map[string]bool{"A-01": true, "A-03": true, "A-04": true, "A-06": true, "A-07": true}
	for name, want := range map[string]string{
		"TestT01ACodeIsGoodForOnce":       "T-01",
		"TestJ24J25RefusingCostsNoMemory": "J-24 J-25",
		"TestA01ToA06RedirectURIs":        "A-01 A-03 A-04 A-06",
		"TestT34AMillionIDs":              "T-34",
		"TestES256SignaturesHaveALength":  "",
		"TestPS256SaltIsAsLong":           "",
		"TestA256GCM":                     "",
		"TestAssertionsByPS256":           "",
		"sealA01":                         "",
	} {
		ids := idsOfName(name, known)
		slices.Sort(ids)
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
