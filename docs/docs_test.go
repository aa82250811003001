// Package docs has the documents. Its tests check that the files and headings to which the
// documents refer exist. Package internal/interop, which needs more than Go, runs the documents'
// commands.
package docs

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func documents(t *testing.T) []string {
	t.Helper()
	paths := []string{"../README.md", "../CHANGELOG.md", "../CONTRIBUTING.md", "../SECURITY.md"}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) < 8 {
		t.Fatalf("found only %q: %v", paths, err)
	}
	return paths
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	link       = regexp.MustCompile(`\]\(([^)]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	codeBlock  = regexp.MustCompile("(?s)```.*?```")
	inlineCode = regexp.MustCompile("`[^`]*`")
	notAnchor  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	checked := 0
	for _, from := range documents(t) {
		prose := inlineCode.ReplaceAllString(codeBlock.ReplaceAllString(read(t, from), ""), "")
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			if strings.HasPrefix(m[1], "https://") {
				continue
			}
			checked++
			path, anchor, hasAnchor := strings.Cut(m[1], "#")
			target := from
			if path != "" {
				target = filepath.Join(filepath.Dir(from), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", from, m[1], err)
			} else if hasAnchor && !anchors(read(t, target))[anchor] {
				t.Errorf("%s links to %s, which has no such heading", from, m[1])
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d links were found; are they still written as the test reads them?", checked)
	}
}

// anchors returns the ids that a forge gives to headings.
func anchors(markdown string) map[string]bool {
	ids := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(markdown, ""), -1) {
		id := notAnchor.ReplaceAllString(strings.ToLower(m[1]), "")
		ids[strings.ReplaceAll(id, " ", "-")] = true
	}
	return ids
}

// A path of the repository in inline code must exist, too.
func TestFilesNamedInProseExist(t *testing.T) {
	top, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	ours := make(map[string]bool)
	for _, e := range top {
		ours[e.Name()] = true
	}
	checked := 0
	for _, from := range documents(t) {
		for _, code := range inlineCode.FindAllString(codeBlock.ReplaceAllString(read(t, from), ""), -1) {
			path := strings.Trim(code, "`")
			first, rest, isPath := strings.Cut(path, "/")
			if !isPath || rest == "" || !ours[first] || strings.ContainsAny(path, " *{") {
				continue
			}
			checked++
			if _, err := os.Stat(filepath.Join("..", path)); err != nil {
				t.Errorf("%s names %s: %v", from, path, err)
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d paths were found; are they still written as the test reads them?", checked)
	}
}

func TestEveryErrorCodeOfTheAPIIsExplained(t *testing.T) {
	var openapi struct {
		Components struct {
			Examples map[string]any `json:"examples"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(read(t, "../api/openapi.json")), &openapi); err != nil {
		t.Fatal(err)
	}
	codes := openapi.Components.Examples
	if len(codes) < 20 {
		t.Fatalf("openapi.json has only %d codes", len(codes))
	}
	table := read(t, "client-apps.md")
	_, table, _ = strings.Cut(table, "| code | status |")
	table, _, _ = strings.Cut(table, "\n\n")
	for code := range codes {
		if !strings.Contains(table, "`"+code+"`") {
			t.Errorf("client-apps.md does not explain %s", code)
		}
	}
	for _, row := range strings.Split(table, "\n")[2:] {
		for _, code := range inlineCode.FindAllString(strings.Split(row, "|")[1], -1) {
			if _, ok := codes[strings.Trim(code, "`")]; !ok {
				t.Errorf("client-apps.md explains %s, which openapi.json does not have", code)
			}
		}
	}
}

// Each page about a resource server is found from the entry page, has its row in compatibility.md, says how long a
// revoked key is taken, and is run by a test.
func TestPagesOfResourceServersAreListedAndRun(t *testing.T) {
	pages, err := filepath.Glob("resource-servers/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("found only %q: %v", pages, err)
	}
	entry, compatibility := read(t, "resource-servers.md"), read(t, "resource-servers/compatibility.md")
	run := read(t, "../internal/interop/documents_test.go") + read(t, "../internal/interop/more_test.go")
	for _, page := range pages {
		name := filepath.Base(page)
		if !strings.Contains(entry, "]("+page+")") {
			t.Errorf("resource-servers.md does not list %s", page)
		}
		if name == "compatibility.md" {
			continue
		}
		if !regexp.MustCompile(`(?m)^\| \[[^|]*\]\(` + regexp.QuoteMeta(name) + `\) \| (taken|refused) `).MatchString(compatibility) {
			t.Errorf("compatibility.md has no row for %s", name)
		}
		if !strings.Contains(strings.ToLower(read(t, page)), "a revoked key") {
			t.Errorf("%s does not say how long a revoked key is taken", page)
		}
		if !strings.Contains(run, `{"docs/`+page+`", `) {
			t.Errorf("no test runs %s", page)
		}
	}
}
