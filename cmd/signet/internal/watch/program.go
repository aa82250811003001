package watch

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// Main builds the program, puts it on PATH as signet, and runs the tests of a package beside
// cmd/signet, four at a time unless the command line says otherwise. It returns the exit code.
func Main(tests interface{ Run() int }) int {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "signet-program-")
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
	return M{Tests: tests}.Run()
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
	args = append(args, "github.com/signet-id/signet/cmd/signet")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
