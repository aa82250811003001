package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// root is the module that the others are released with.
const root = "github.com/signet-id/signet"

// released are the folders of the modules of this repository that strangers add to their own, each
// under the number of Signet's release.
var released = []string{"verifier/grpcauth"}

// commitVersion is a version that the Go command makes of a commit without a tag.
var commitVersion = regexp.MustCompile(`[-.]\d{14}-[0-9a-f]{12}$`)

// checkModules refuses a release whose modules strangers could not get: a module's `replace` counts
// here alone, so to everybody else it must name this version of Signet, and have a tag of its own.
func checkModules(ctx context.Context, source, version string) error {
	if commitVersion.MatchString(version) {
		return nil // of a commit that is no release
	}
	tags, err := run(ctx, source, nil, "git", "tag", "--points-at", "HEAD")
	if err != nil {
		return err
	}
	for _, folder := range released {
		needed, err := neededVersion(ctx, filepath.Join(source, folder))
		switch tag := folder + "/" + version; {
		case err != nil:
			return err
		case needed != version:
			return fmt.Errorf("%s/go.mod needs %s of Signet, and this is %s; run `go mod edit -require=%s@%s` there, commit "+
				"it, and set the tags on that commit", folder, needed, version, root, version)
		case !slices.Contains(strings.Fields(tags), tag):
			return fmt.Errorf("the commit has the tag %s, but not %s, without which nobody can get that module; run `git tag %s`",
				version, tag, tag)
		}
	}
	return nil
}

// neededVersion returns which version of Signet the module in a folder needs.
func neededVersion(ctx context.Context, folder string) (string, error) {
	text, err := run(ctx, folder, nil, "go", "mod", "edit", "-json")
	if err != nil {
		return "", err
	}
	var module struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal([]byte(text), &module); err != nil {
		return "", err
	}
	for _, r := range module.Require {
		if r.Path == root {
			return r.Version, nil
		}
	}
	return "no version", nil
}
