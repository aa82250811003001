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

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/userstore"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1 // the command ran and failed
	exitMisused = 2 // the command did not run: the command line makes no sense
)

// The signals that end a command, as the cause of its context.
var (
	errInterrupted = errors.New("interrupted")
	errTerminated  = errors.New("terminated")
)

func main() { os.Exit(mainExit(os.Stderr)) }

// sameSignal is how soon after the first signal another one is the same: launchers such as timeout and
// npm send theirs to the process and to its group, and what the command is removing must not stay behind.
const sameSignal = 250 * time.Millisecond

// mainExit runs the program and returns its exit code. The first SIGINT or SIGTERM asks the command
// to end; the second one ends the process.
func mainExit(errOut io.Writer) int {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if s := <-signals; s == os.Interrupt {
			stop(errInterrupted)
		} else {
			stop(errTerminated)
		}
		began := time.Now()
		<-signals
		for time.Since(began) < sameSignal {
			<-signals
		}
		os.Exit(exitFailed)
	}()
	return run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, errOut)
}

// run is the whole program. It reads nothing but its parameters, the clock, the files that the
// configuration names, and the network.
func run(ctx context.Context, args, env []string, in io.Reader, out, errOut io.Writer) int {
	written := &output{Writer: out}
	a := &app{env: env, in: in, out: written, err: errOut, now: time.Now}
	root := a.root()
	root.SetArgs(dashedIDs(root, args))
	root.SetIn(in)
	root.SetOut(written)
	root.SetErr(errOut)

	cmd, err := root.ExecuteContextC(ctx)
	var failed *failure
	switch {
	case written.failed != nil && cmd.Name() != "serve" &&
		(err == nil || errors.Is(err, written.failed) || errors.As(err, &failed) && failed.cause == nil):
		fmt.Fprintf(errOut, "signet: the output is not complete: %s.\n", configs.FileReason(written.failed))
		return exitFailed
	case err == nil:
		return exitOK
	case errors.As(err, &failed):
		switch {
		case failed.cause == nil:
		case ctx.Err() != nil && (errors.Is(failed.cause, context.Canceled) || errors.Is(failed.cause, userstore.ErrUnavailable)):
			fmt.Fprintln(errOut, "signet: "+stopped(ctx))
		default:
			fmt.Fprintln(errOut, "signet: "+sentence(failed.cause))
		}
		return exitFailed
	default:
		fmt.Fprintln(errOut, "signet: "+explainMisuse(cmd, err))
		return exitMisused
	}
}

// stopped returns the text for a command that a signal stopped. The text does not blame the store,
// for which the command may have been waiting.
func stopped(ctx context.Context) string {
	by := ""
	if cause := context.Cause(ctx); errors.Is(cause, errInterrupted) {
		by = " by SIGINT"
	} else if errors.Is(cause, errTerminated) {
		by = " by SIGTERM"
	}
	return "it was stopped" + by + " before it was done; run it again, and it goes on from there."
}

// output remembers an error of writing, because cobra and the table writers ignore it. The command
// then fails, except serve: a server works without its welcome.
type output struct {
	io.Writer
	failed error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil && o.failed == nil {
		o.failed = err
	}
	return n, err
}

// failure is an error of a command that ran. Any other error from cobra is a misuse. Without a
// cause the command has already printed everything.
type failure struct{ cause error }

func (f *failure) Error() string {
	if f.cause == nil {
		return "failed"
	}
	return f.cause.Error()
}

func (f *failure) Unwrap() error { return f.cause }

// sentence returns the text of an error with a full stop at the end, if it needs one.
func sentence(err error) string {
	text := strings.TrimSpace(err.Error())
	if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") && !strings.HasSuffix(text, "`") && !strings.Contains(text, "\n") {
		text += "."
	}
	return text
}
