package scripts_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/signet-id/signet/cmd/signet/internal/watch"
)

// TestMain builds the program, puts it on PATH, and runs four scripts at a time, unless the command
// line says otherwise: they often wait for a process.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		if err := flag.Set("test.parallel", "4"); err != nil {
			panic(err)
		}
		dir, err := os.MkdirTemp("", "signet-scripts-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := build(filepath.Join(dir, "signet")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
		return watch.M{Tests: m}.Run()
	}())
}

// build builds the test binary of cmd/signet, which is the program when it is called signet, and leaves
// a copy of its standard error for the search. The flags are those of this binary: so the race detector
// watches the program, too, and only the linking is not in the build cache.
func build(binary string) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fmt.Errorf("this binary does not say how it was built")
	}
	args := []string{"test", "-c", "-o", binary}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "-") {
			args = append(args, s.Key+"="+s.Value)
		}
	}
	args = append(args, "..")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

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
