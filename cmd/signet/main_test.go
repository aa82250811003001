package main

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/signet-id/signet/cmd/signet/internal/watch"
)

// TestMain runs four tests at a time, unless the command line says otherwise. If the test binary is
// called signet, it is the program: the tests of scripts and processes build and start it.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	testscript.Main(watch.M{Tests: m}, map[string]func(){"signet": func() { os.Exit(mainExit(watch.Stderr())) }})
}
