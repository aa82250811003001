package docs

import (
	"regexp"
	"strings"
	"testing"
)

// Building Signet, or importing one of its packages, downloads no linter.
func TestLintersAreAModuleOfTheirOwn(t *testing.T) {
	tools := read(t, "../internal/tools/go.mod")
	for _, tool := range []string{"golangci-lint", "govulncheck", "benchstat"} {
		if !regexp.MustCompile(`(?m)^\t\S+/` + tool + `$`).MatchString(tools) {
			t.Errorf("internal/tools/go.mod pins no %s", tool)
		}
		if !strings.Contains(read(t, "../Makefile"), "-modfile=internal/tools/go.mod "+tool) {
			t.Errorf("the Makefile does not run the pinned %s", tool)
		}
		if strings.Contains(read(t, "../go.mod"), tool) {
			t.Errorf("go.mod names %s", tool)
		}
	}
	if of, want := find(t, tools, `^go (\S+)$`), find(t, read(t, "../go.mod"), `^go (\S+)$`); of != want {
		t.Errorf("the tools are built with Go %s, and the code with %s", of, want)
	}
}

// The program that makes bills of materials has a module of its own, so that it does not choose the
// versions of what the linters are built of.
func TestTheBillOfMaterialsIsMadeByAPinnedTool(t *testing.T) {
	tool := read(t, "../internal/tools/sbom.mod")
	if !regexp.MustCompile(`(?m)^tool \S+/cyclonedx-gomod$`).MatchString(tool) ||
		!regexp.MustCompile(`(?m)cyclonedx-gomod v\d+\.\d+\.\d+`).MatchString(tool) {
		t.Error("internal/tools/sbom.mod pins no cyclonedx-gomod")
	}
	if !strings.Contains(read(t, "../internal/release/sbom.go"), `"-modfile=internal/tools/sbom.mod", "cyclonedx-gomod"`) {
		t.Error("a release is made with another tool")
	}
	if of, want := find(t, tool, `^go (\S+)$`), find(t, read(t, "../go.mod"), `^go (\S+)$`); of != want {
		t.Errorf("the tool is built with Go %s, and the code with %s", of, want)
	}
}

// CI runs the commands that README.md lists.
func TestCIRunsWhatTheREADMENames(t *testing.T) {
	run := read(t, "../.ci/run")
	for _, m := range regexp.MustCompile(`(?m)^make (\w+) +#`).FindAllStringSubmatch(read(t, "../README.md"), -1) {
		if !regexp.MustCompile(`(?m)^make .*\b` + m[1] + `\b`).MatchString(run) {
			t.Errorf(".ci/run does not run make %s", m[1])
		}
	}
	if !strings.Contains(run, "need-cc") {
		t.Error(".ci/run does not insist on the race detector")
	}
}
