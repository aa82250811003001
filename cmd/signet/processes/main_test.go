// Package processes tests the program as a process of its own: signals, listeners, clients that hold
// connections, and a store that goes away.
package processes_test

import (
	"os"
	"strings"
	"testing"

	"github.com/signet-id/signet/cmd/signet/internal/watch"
)

// TestMain runs four tests at a time: most of them wait for a process that starts, for a notice or for
// a deadline.
func TestMain(m *testing.M) { os.Exit(watch.Main(m)) }

// O-03: the search gets the output of processes.
func TestO03ProcessesLeaveACopyOfWhatTheyPrint(t *testing.T) {
	p := start(t, nil)
	if got := p.status("/v1/profile"); got != 401 {
		t.Fatal(got)
	}
	p.stop(t)
	copies, err := watch.Copies()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range copies {
		if text, _ := os.ReadFile(file); string(text) == p.errOut.String() &&
			strings.Contains(string(text), `"route":"/v1/profile"`) {
			return
		}
	}
	t.Errorf("none of %d copies holds what this server logged", len(copies))
}
