package userfile

import (
	"bufio"
	"encoding/csv"
	"io"

	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/userstore"
)

// Writer writes accounts one by one. Call Flush at the end.
type Writer struct {
	out   *bufio.Writer
	csv   *csv.Writer // nil: JSON lines
	cells []string

	// ForTerminal replaces the characters that a terminal would obey and CSV cannot escape.
	ForTerminal bool
}

// NewWriter returns a writer of JSON lines, or of CSV with a header.
func NewWriter(out io.Writer, format Format) *Writer {
	w := &Writer{out: bufio.NewWriterSize(out, 64<<10)}
	if format != CSV {
		return w
	}
	w.csv = csv.NewWriter(w.out)
	for _, k := range columns {
		if k.name != "" {
			w.cells = append(w.cells, k.name)
		}
	}
	_ = w.csv.Write(w.cells) // Flush returns the error
	return w
}

// Write writes one account.
func (w *Writer) Write(u userstore.User) error {
	if w.csv == nil {
		line, err := encodeRecord(u)
		if err == nil {
			_, err = w.out.Write(line)
		}
		return err
	}
	w.cells = w.cells[:0]
	for _, k := range columns {
		if k.name != "" {
			w.cells = append(w.cells, guardFormula(k.get(&u)))
			if i := len(w.cells) - 1; w.ForTerminal {
				w.cells[i] = printable.Text(w.cells[i])
			}
		}
	}
	return w.csv.Write(w.cells)
}

// Flush writes the buffered rest, and returns the first error of writing.
func (w *Writer) Flush() error {
	if w.csv != nil {
		w.csv.Flush()
		if err := w.csv.Error(); err != nil {
			return err
		}
	}
	return w.out.Flush()
}
