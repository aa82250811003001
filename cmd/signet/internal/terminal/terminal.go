// Package terminal writes for a person at a terminal, and asks that person: tables that fit, a bar
// that shows how far a long command is, a password, a question. It knows nothing of what a command
// does.
package terminal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrNone is returned if a password is to be asked for and the input is no terminal.
var ErrNone = errors.New("there is no terminal")

// Is reports whether a reader or writer is a terminal.
func Is(stream any) bool {
	_, ok := descriptor(stream)
	return ok
}

func descriptor(stream any) (fd int, ok bool) {
	f, isFile := stream.(*os.File)
	if !isFile {
		return 0, false
	}
	return int(f.Fd()), term.IsTerminal(int(f.Fd()))
}

// AskPassword asks for a password twice on the terminal in, without showing it. The prompts go to
// out.
func AskPassword(in io.Reader, out io.Writer) (string, error) {
	fd, ok := descriptor(in)
	if !ok {
		return "", ErrNone
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(out, prompt)
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(out)
		return string(text), err
	}
	// A signal while the echo is off would leave the echo off.
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	defer func() { _ = term.Restore(fd, before) }()
	first, err := ask("Password: ")
	if err != nil {
		return "", err
	}
	second, err := ask("The same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ; nothing was done")
	}
	return first, nil
}

// Confirm asks a question on out and reports whether the answer on in is the word yes.
func Confirm(in io.Reader, out io.Writer, question string) (bool, error) {
	fmt.Fprint(out, question+" Type yes: ")
	answer, err := bufio.NewReader(io.LimitReader(in, 64)).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, err
	}
	return strings.TrimSpace(answer) == "yes", nil
}
