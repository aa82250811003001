package terminal

import (
	"io"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/signet-id/signet/internal/printable"
)

// Table writes aligned columns in parts. A column is as wide as its widest cell so far, so that only
// one part is kept in memory, however many rows there are. Cells are made printable first: a user's
// name must not move the cursor.
type Table struct {
	Out io.Writer
	// Most is how many columns of the terminal a row may take: the widest cells are cut until it fits.
	// 0: nothing is cut.
	Most  int
	Whole []int // columns of the table that are not cut

	widths []int
}

// Width is the usual width of a terminal.
const Width = 80

// least is the width below which a column is not cut: shorter texts cannot be distinguished.
const least = 8

// fit cuts the widest columns, the last of equals first, until a row has room.
func (t *Table) fit() {
	for t.Most > 0 {
		row, widest := -2, -1
		for j, w := range t.widths {
			row += w + 2
			if !slices.Contains(t.Whole, j) && (widest < 0 || w >= t.widths[widest]) {
				widest = j
			}
		}
		if row <= t.Most || widest < 0 || t.widths[widest] <= least {
			return
		}
		t.widths[widest]--
	}
}

// Write writes rows, the header among them.
func (t *Table) Write(rows [][]string) error {
	shown := make([][]string, len(rows))
	for i, cells := range rows {
		shown[i] = make([]string, len(cells))
		for j, cell := range cells {
			shown[i][j] = printable.Text(cell)
			if j == len(t.widths) {
				t.widths = append(t.widths, 0)
			}
			t.widths[j] = max(t.widths[j], WidthOf(shown[i][j]))
		}
	}
	if t.fit(); t.Most > 0 {
		for _, cells := range shown {
			for j := range cells {
				cells[j] = Cut(cells[j], t.widths[j])
			}
		}
	}
	var text strings.Builder
	for _, cells := range shown {
		var line strings.Builder
		for j, cell := range cells {
			line.WriteString(cell + strings.Repeat(" ", max(0, t.widths[j]-WidthOf(cell))+2))
		}
		text.WriteString(strings.TrimRight(line.String(), " "))
		text.WriteByte('\n')
	}
	_, err := io.WriteString(t.Out, text.String())
	return err
}

// WidthOf returns how many columns of a terminal text takes.
func WidthOf(text string) (columns int) {
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

// Cut returns as much of text as fits into n columns.
func Cut(text string, n int) string {
	if WidthOf(text) <= n {
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
