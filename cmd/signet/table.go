package main

import (
	"io"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/width"

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
//
// A list for people fits a terminal of 80 columns: most is 80, and the widest cells are cut until
// the rows fit. With --wide it is 0, and nothing is cut.
type columns struct {
	out    io.Writer
	most   int   // characters of a row; 0: any number
	whole  []int // columns that are not cut
	widths []int
}

// narrow is the usual width of a terminal.
const narrow = 80

// least is the width below which a column is not cut: shorter texts cannot be distinguished.
const least = 8

// list begins a table that fits a terminal, unless --wide is given. The columns in whole are never cut.
func (a *app) list(whole ...int) columns {
	if a.wide {
		return columns{out: a.out}
	}
	return columns{out: a.out, most: narrow, whole: whole}
}

// fit cuts the widest columns, the last of equals first, until a row has room.
func (c *columns) fit() {
	for c.most > 0 {
		row, widest := -2, -1
		for j, w := range c.widths {
			row += w + 2
			if !slices.Contains(c.whole, j) && (widest < 0 || w >= c.widths[widest]) {
				widest = j
			}
		}
		if row <= c.most || widest < 0 || c.widths[widest] <= least {
			return
		}
		c.widths[widest]--
	}
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
			c.widths[j] = max(c.widths[j], widthOf(shown[i][j]))
		}
	}
	if c.fit(); c.most > 0 {
		for _, cells := range shown {
			for j := range cells {
				cells[j] = cut(cells[j], c.widths[j])
			}
		}
	}
	var text strings.Builder
	for _, cells := range shown {
		var line strings.Builder
		for j, cell := range cells {
			line.WriteString(cell + strings.Repeat(" ", max(0, c.widths[j]-widthOf(cell))+2))
		}
		text.WriteString(strings.TrimRight(line.String(), " "))
		text.WriteByte('\n')
	}
	_, err := io.WriteString(c.out, text.String())
	return err
}

// widthOf returns how many columns of a terminal text takes.
func widthOf(text string) (columns int) {
	for _, r := range text {
		columns += columnsOf(r)
	}
	return columns
}

// columnsOf returns how many columns of a terminal r takes: two for characters of East Asia (UAX 11)
// and most emoji, none for marks and joiners.
func columnsOf(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut returns as much of text as fits into n columns.
func cut(text string, n int) string {
	if widthOf(text) <= n {
		return text
	}
	columns := 1 // of the mark
	for i, r := range text {
		if columns += columnsOf(r); columns > n {
			return text[:i] + "…"
		}
	}
	return text
}

// cells begins a row with the cells that every list has.
type cells struct {
	always []string
	wide   bool
}

func (a *app) columnsOf(always ...string) cells { return cells{always, a.wide} }

// and adds the cells that only a wide list has.
func (c cells) and(more ...string) []string {
	if c.wide {
		return append(c.always, more...)
	}
	return c.always
}
