package docs

import (
	"strings"
	"testing"
)

// The installation of the prerequisites of make interop is documented once, and .ci/run does the
// same.
func TestTheDocumentedInstallationIsTheOneThatIsRun(t *testing.T) {
	_, rest, found := strings.Cut(read(t, "../README.md"), "```sh debian\n")
	commands, _, closed := strings.Cut(rest, "```")
	if !found || !closed || !strings.Contains(commands, "apt-get install") {
		t.Fatalf("README.md has no commands for Debian: %q", commands)
	}
	var indented []string
	for _, line := range strings.Split(strings.TrimSpace(commands), "\n") {
		indented = append(indented, "  "+line+"\n")
	}
	run := read(t, "../.ci/run")
	if !strings.Contains(run, "; then\n"+strings.Join(indented, "")+"fi\n") {
		t.Errorf(".ci/run does not run exactly\n%s", commands)
	}
	if n := strings.Count(run, "apt-get"); n != len(indented) {
		t.Errorf(".ci/run calls apt-get %d times; the README does %d times", n, len(indented))
	}
	install := strings.TrimSpace(indented[len(indented)-1])
	if !strings.Contains(read(t, "../Makefile"), install) {
		t.Errorf("make interop does not name %q when it is missing", install)
	}
}
