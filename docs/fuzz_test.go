package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fuzzTarget = regexp.MustCompile(`(?ms)^func (Fuzz\w+)\((\w+) \*testing\.F\) \{.*?^\}`)
	seeds      = regexp.MustCompile(`\.Add\(|\bseed\(`)
)

// Every fuzz target has seeds: without them it starts from nothing, and `go test` runs no input.
func TestEveryFuzzTargetHasSeeds(t *testing.T) {
	targets := 0
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() && e.Name() == "node_modules" {
			return fs.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(path, "_test.go") || path == filepath.Join("..", "docs", "fuzz_test.go") {
			return nil
		}
		for _, m := range fuzzTarget.FindAllStringSubmatch(read(t, path), -1) {
			targets++
			stored, _ := os.ReadDir(filepath.Join(filepath.Dir(path), "testdata", "fuzz", m[1]))
			if !seeds.MatchString(m[0]) && len(stored) == 0 {
				t.Errorf("%s: %s has no seeds", path, m[1])
			}
		}
		return nil
	})
	if err != nil || targets < 15 {
		t.Errorf("only %d fuzz targets were found: %v", targets, err)
	}
}
