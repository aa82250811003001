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
	exitFailed  = 1 // it was tried, and did not succeed
	exitMisused = 2 // it was not tried: the command line makes no sense
)

// What ended a command, as the cause of its context.
var (
	errInterrupted = errors.New("interrupted")
	errTerminated  = errors.New("terminated")
)

func main() { os.Exit(mainExit(os.Stderr)) }

// mainExit is main for those who need the code: the first SIGINT or SIGTERM asks
// the command to end, the second one ends the process.
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
		<-signals
		os.Exit(exitFailed)
	}()
	return run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, errOut)
}

// run is the whole program: what it is given is all that it reads of the world,
// but for the clock and the files that the configuration names.
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

// stopped says why a command did not end what it had begun. What it was waiting for, such as the
// store, is not to blame.
func stopped(ctx context.Context) string {
	by := ""
	if cause := context.Cause(ctx); cause == errInterrupted {
		by = " by SIGINT"
	} else if cause == errTerminated {
		by = " by SIGTERM"
	}
	return "it was stopped" + by + " before it was done; run it again, and it goes on from there."
}

// output remembers that something of what a command prints was lost: cobra and the
// table writers do not look. The server's first words may get lost; it serves.
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

// sentence is the text of an error on its own: it ends like a sentence.
func sentence(err error) string {
	text := strings.TrimSpace(err.Error())
	if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") && !strings.HasSuffix(text, "`") && !strings.Contains(text, "\n") {
		text += "."
	}
	return text
}
