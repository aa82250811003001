package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1 // it was tried, and did not succeed
	exitMisused = 2 // it was not tried: the command line makes no sense
)

func main() { os.Exit(mainExit()) }

// mainExit is main for those who need the code: the first SIGINT or SIGTERM asks
// the command to end, the second one ends the process.
func mainExit() int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		<-signals
		os.Exit(exitFailed)
	}()
	return run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
}

// run is the whole program: what it is given is all that it reads of the world,
// but for the clock and the files that the configuration names.
func run(ctx context.Context, args, env []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{env: env, in: in, out: out, err: errOut, now: time.Now}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)

	err := root.ExecuteContext(ctx)
	var failed *failure
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &failed):
		if failed.cause != nil {
			fmt.Fprintln(errOut, "signet: "+sentence(failed.cause))
		}
		return exitFailed
	default:
		fmt.Fprintf(errOut, "signet: %s\nRun `signet --help`, or --help after a command, to see what there is.\n", sentence(err))
		return exitMisused
	}
}

// failure is an error of a command that ran. Whatever else comes out of cobra is
// a misuse. Without a cause the command has said everything already.
type failure struct{ cause error }

func (f *failure) Error() string {
	if f.cause == nil {
		return "failed"
	}
	return f.cause.Error()
}

func (f *failure) Unwrap() error { return f.cause }

// misuse is an error of a command that was asked for something it cannot be asked.
type misuse struct{ text string }

func (m *misuse) Error() string { return m.text }

func misusef(format string, args ...any) error { return &misuse{fmt.Sprintf(format, args...)} }

// sentence is the text of an error on its own: it ends like a sentence.
func sentence(err error) string {
	text := strings.TrimSpace(err.Error())
	if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") && !strings.HasSuffix(text, "`") && !strings.Contains(text, "\n") {
		text += "."
	}
	return text
}
