package main

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/signet-id/signet/cmd/signet/internal/watch"
)

// TestMain runs four tests at a time, unless the command line says otherwise: most of them wait for a
// process that starts, for a notice or for a deadline. If the test binary is called signet, it is the
// program: so the tests here and those of the package scripts start it.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	testscript.Main(watch.M{Tests: m}, map[string]func(){"signet": func() { os.Exit(mainExit(watch.Stderr())) }})
}

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
