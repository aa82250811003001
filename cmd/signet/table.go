package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/printable"
)

// table writes aligned columns for people.
func (a *app) table(header []string, rows [][]string) error {
	c := columns{out: a.out}
	if header != nil {
		rows = append([][]string{header}, rows...)
	}
	return c.write(rows)
}

// columns writes a table in parts. A column is as wide as its widest cell so far, so that only one
// part is kept in memory, however many rows there are. Cells are made printable first: a user's
// name must not move the cursor.
type columns struct {
	out    io.Writer
	widths []int
}

func (c *columns) write(rows [][]string) error {
	shown := make([][]string, len(rows))
	for i, cells := range rows {
		shown[i] = make([]string, len(cells))
		for j, cell := range cells {
			shown[i][j] = printable.Text(cell)
			if j == len(c.widths) {
				c.widths = append(c.widths, 0)
			}
			c.widths[j] = max(c.widths[j], utf8.RuneCountInString(shown[i][j]))
		}
	}
	var text strings.Builder
	for _, cells := range shown {
		var line strings.Builder
		for j, cell := range cells {
			fmt.Fprintf(&line, "%-*s  ", c.widths[j], cell)
		}
		text.WriteString(strings.TrimRight(line.String(), " "))
		text.WriteByte('\n')
	}
	_, err := io.WriteString(c.out, text.String())
	return err
}
