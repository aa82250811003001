package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licenceFile matches the names of files that hold terms: LICENSE, LICENSE-GO, COPYING.txt, NOTICE,
// PATENTS, SQLITE-LICENSE.
var licenceFile = regexp.MustCompile(`(?i)^([a-z0-9]+[-_.])?(licen[cs]es?|copying|notice|patents)([-_.].*)?$`)

// licences returns the terms of Go and of every module that has code in the binary, as their
// authors wrote them. A module without any is an error: what nobody allows must not be passed on.
func (t target) licences(ctx context.Context, source string) ([]byte, error) {
	folders, err := t.linked(ctx, source)
	if err != nil {
		return nil, err
	}
	goRoot, err := run(ctx, source, t.environment(), "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	folders["Go's standard library"] = []string{strings.TrimSpace(goRoot)}
	var text bytes.Buffer
	text.WriteString("The binary has code of these works. Their terms, as their authors wrote them:\n")
	for _, work := range sortedKeys(folders) {
		n := 0
		for _, folder := range folders[work] {
			found, err := termsIn(folder)
			if err != nil {
				return nil, err
			}
			for _, f := range found {
				fmt.Fprintf(&text, "\n%s\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), work+", "+f.name, strings.Repeat("=", 80),
					bytes.TrimSpace(f.text))
				n++
			}
		}
		if n == 0 {
			return nil, fmt.Errorf("%s has no file with its terms in %s", work, strings.Join(folders[work], ", "))
		}
	}
	return text.Bytes(), nil
}

// linked returns, for each module that the binary has code of ("path version"), the folders in
// which its terms may lie: the module's, then those of the packages that are linked, and what is
// between. A package that was taken over from another work has the terms of that work beside it.
func (t target) linked(ctx context.Context, source string) (map[string][]string, error) {
	listed, err := run(ctx, source, t.environment(), "go", "list", "-deps", "-json=Dir,Module", "./cmd/signet")
	if err != nil {
		return nil, err
	}
	folders := map[string][]string{}
	for decoder := json.NewDecoder(strings.NewReader(listed)); ; {
		var p struct {
			Dir    string
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return folders, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Module == nil || p.Module.Main {
			continue
		}
		work := p.Module.Path + " " + p.Module.Version
		for dir := p.Dir; len(dir) >= len(p.Module.Dir); dir = filepath.Dir(dir) {
			if !slices.Contains(folders[work], dir) {
				folders[work] = append(folders[work], dir)
			}
		}
		slices.Sort(folders[work])
	}
}

// termsIn returns the files with terms that lie in a folder, sorted by name.
func termsIn(folder string) ([]member, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var found []member
	for _, e := range entries {
		if !e.Type().IsRegular() || filepath.Ext(e.Name()) == ".go" || !licenceFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, e.Name())) //nolint:gosec // a name of the folder
		if err != nil {
			return nil, err
		}
		found = append(found, member{name: e.Name(), text: text})
	}
	return found, nil
}

func sortedKeys(m map[string][]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
