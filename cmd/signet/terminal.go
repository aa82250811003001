package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/term"
)

// askPassword asks for a password twice on the terminal, without showing it.
func (a *app) askPassword() (string, error) {
	fd, ok := terminal(a.in)
	if !ok {
		return "", misusef("there is no terminal to ask for the password; give --password-file FILE, or --password-file - for standard input")
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(a.err, prompt)
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(a.err)
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

// openFile opens a file that a person named.
func openFile(name string) (*os.File, error) {
	f, err := os.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s; check the path", name)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the file %s may not be read by this user; change its owner or mode", name)
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return nil, fmt.Errorf("the named file cannot be opened: %w", pathError.Err) // the name is not repeated: it may be a secret
	}
	return f, err
}

// confirm asks a question and reports whether the answer is the word yes.
func (a *app) confirm(question string) (bool, error) {
	fmt.Fprint(a.err, question+" Type yes: ")
	answer, err := bufio.NewReader(io.LimitReader(a.in, 64)).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, err
	}
	return strings.TrimSpace(answer) == "yes", nil
}
