package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/internal/printable"
)

// pageSize is how many entries of a list a command holds at a time.
const pageSize = 500

// pages reads at most limit entries (0: all), page by page, so that only one page is held in memory.
// read returns at most size entries, those that follow after (nil: the first ones).
func pages[T any](limit int, read func(after *T, size int) ([]T, error), yield func([]T) error) error {
	var after *T
	for left := limit; ; {
		size := pageSize
		if limit > 0 {
			size = min(left, pageSize)
		}
		page, err := read(after, size)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := yield(page); err != nil {
			return err
		}
		after = &page[len(page)-1]
		if left -= len(page); len(page) < size || limit > 0 && left == 0 {
			return nil
		}
	}
}

// table writes aligned columns for people.
func (a *app) table(header []string, rows [][]string) error {
	t := terminal.Table{Out: a.out}
	if header != nil {
		rows = append([][]string{header}, rows...)
	}
	return t.Write(rows)
}

// list begins a table that fits a terminal, unless --wide is given. The columns in whole are never
// cut.
func (a *app) list(whole ...int) terminal.Table {
	if a.wide {
		return terminal.Table{Out: a.out}
	}
	return terminal.Table{Out: a.out, Most: terminal.Width, Whole: whole}
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

// listTable writes the pages of a list as one table, or none if the list is empty.
func listTable[T any](a *app, table terminal.Table, header []string, list func(func([]T) error) error, row func(T) []string, none string) error {
	rows := [][]string{header}
	err := list(func(page []T) error {
		for _, entry := range page {
			rows = append(rows, row(entry))
		}
		err := table.Write(rows)
		rows = rows[:0]
		return err
	})
	if err == nil && len(rows) > 0 { // the header was not written
		_, err = fmt.Fprintln(a.out, none)
	}
	return err
}

// listJSON writes one array in the form of printJSON. If the store fails in the middle, the array
// is left without its end: half a list must not be read as a whole one.
func listJSON[T any](a *app, list func(func([]T) error) error, show func(T) any) error {
	before := "[\n  "
	err := list(func(page []T) error {
		var text bytes.Buffer
		for _, entry := range page {
			text.WriteString(before)
			before = ",\n  "
			var one bytes.Buffer
			e := json.NewEncoder(&one)
			e.SetEscapeHTML(false)
			e.SetIndent("  ", "  ")
			if err := e.Encode(show(entry)); err != nil {
				return err
			}
			text.Write(bytes.TrimRight(one.Bytes(), "\n"))
		}
		_, err := a.out.Write(printable.JSON(text.Bytes()))
		return err
	})
	if err != nil {
		return err
	}
	end := "\n]\n"
	if before == "[\n  " {
		end = "[]\n"
	}
	_, err = io.WriteString(a.out, end)
	return err
}
