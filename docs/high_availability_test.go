package docs

import (
	"strings"
	"testing"
)

// The page installs the Patroni that the tests run.
func TestThePageInstallsTheTestedPatroni(t *testing.T) {
	page := read(t, "high-availability.md")
	for line := range strings.Lines(read(t, "../internal/interop/python/patroni.in")) {
		if pin := "'" + strings.TrimSpace(line) + "'"; strings.Count(page, pin) != 1 {
			t.Errorf("high-availability.md does not install %s once", pin)
		}
	}
}
