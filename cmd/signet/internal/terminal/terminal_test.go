package terminal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]bool{
		"yes\n": true, "yes": true, " yes \r\n": true,
		"": false, "\n": false, "y\n": false, "YES\n": false, "no\nyes\n": false, "yes please\n": false,
		strings.Repeat(" ", 64) + "yes\n": false,
	} {
		var out strings.Builder
		got, err := Confirm(strings.NewReader(answer), &out, "Delete it?")
		if got != want || err != nil || out.String() != "Delete it? Type yes: " {
			t.Errorf("%q: %t, %v, asked %q", answer, got, err, &out)
		}
	}
}

// What is no terminal is never asked for a password: the echo could not be turned off.
func TestNoTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	for name, stream := range map[string]any{"a text": strings.NewReader("secret"), "a file": file, "a pipe": reader,
		"nothing": nil} {
		if Is(stream) {
			t.Errorf("%s is taken for a terminal", name)
		}
	}
	var out strings.Builder
	for _, in := range []*os.File{file, reader} {
		if text, err := AskPassword(in, &out); !errors.Is(err, ErrNone) || text != "" || out.Len() > 0 {
			t.Errorf("%q, %v, asked %q", text, err, &out)
		}
	}
}
