// Package scripts_test runs the program as its users do, in the scripts in testdata. It has no code, and
// it is a package of its own, beside scripts/users, only so that no package takes too long.
package scripts_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/signet-id/signet/cmd/signet/internal/scripttest"
	"github.com/signet-id/signet/cmd/signet/internal/watch"
)

// TestMain runs four scripts at a time: they often wait for a process.
func TestMain(m *testing.M) { os.Exit(watch.Main(m)) }

func TestScripts(t *testing.T) { scripttest.Run(t, "testdata") }

// O-03: the search gets the output of the commands.
func TestO03CommandsLeaveACopyOfWhatTheyPrint(t *testing.T) {
	cmd := exec.Command("signet", "users", "planted-word-of-the-test")
	cmd.Env = watch.Env()
	said, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "planted-word-of-the-test") {
		t.Fatalf("%v: %s", err, said)
	}
	copies, err := watch.Copies()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range copies {
		if text, _ := os.ReadFile(file); string(text) == string(said) {
			return
		}
	}
	t.Errorf("none of %d copies holds what the command printed", len(copies))
}
