package userfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/signet-id/signet/userstore"
)

// Reader reads accounts one by one, each with its line number. io.EOF ends. A *LineError is about
// one account: the next call continues with the account after it.
type Reader interface {
	Next() (line int, a Account, err error)
}

// LineError says what is wrong with a line, without repeating the line.
type LineError struct{ Reason string }

func (e *LineError) Error() string { return e.Reason }

// Open reads a file of the given format, or of the format that it recognises: JSON lines begin with
// a brace. unknown holds the numbers of the columns that are ignored, because an account has no
// such member.
//
// No error and no LineError repeats the contents of the file, not even the name of an unknown
// column: in a file without a header, that name is a user's password hash.
func Open(in io.Reader, format Format) (_ Reader, unknown []int, err error) {
	r := bufio.NewReaderSize(in, headSize)
	if bom, err := r.Peek(3); err == nil && string(bom) == "\ufeff" {
		_, _ = r.Discard(3) // cannot fail after Peek
	}
	head, err := r.Peek(headSize)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	if err := checkText(head); err != nil {
		return nil, nil, err
	}
	if format == "" {
		format = CSV
		if bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")) {
			format = JSONLines
		}
	}
	if format == JSONLines {
		return &jsonUsers{in: r}, nil, nil
	}
	return openCSV(r, firstLine(head))
}

// jsonUsers reads JSON lines. It skips empty lines.
type jsonUsers struct {
	in   *bufio.Reader
	line int
}

// maxUserLine is the longest line in bytes, far above the longest account.
const maxUserLine = 256 << 10

func (j *jsonUsers) Next() (int, Account, error) {
	for {
		line, err := j.read()
		if err != nil && len(line) == 0 {
			return j.line, Account{}, err
		}
		j.line++
		if len(line) > maxUserLine {
			return j.line, Account{}, &LineError{fmt.Sprintf("it is longer than %d bytes", maxUserLine)}
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		a, err := parseRecord(line)
		if err != nil {
			return j.line, Account{}, &LineError{err.Error()}
		}
		for i := range a.LeftOut {
			a.LeftOut[i].Line = j.line
		}
		return j.line, a, nil
	}
}

// read returns a line with its end. Of a line that is too long it returns only one byte too many.
func (j *jsonUsers) read() (line []byte, err error) {
	for {
		part, err := j.in.ReadSlice('\n')
		if room := maxUserLine + 1 - len(line); room > 0 {
			line = append(line, part[:min(len(part), room)]...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if err == io.EOF && len(line) > 0 {
				err = nil
			}
			return line, err
		}
	}
}

// csvUsers reads CSV (RFC 4180) with a header.
type csvUsers struct {
	in        *csv.Reader
	columns   []*column // nil: ignored
	names     []string
	ownExport bool // written by `users export`: its cells are guarded

	devices *devices // nil: the file has none
	ahead   *csvRow  // was read, and belongs to the next account
}

// csvRow is a row, or why there is none.
type csvRow struct {
	line  int
	cells []string
	err   error
}

// openCSV reads the header. first is the first line as it stands in the file.
func openCSV(r io.Reader, first []byte) (_ Reader, unknown []int, err error) {
	c := &csvUsers{in: csv.NewReader(r)}
	if len(first) == 0 {
		return c, nil, nil // no accounts at all
	}
	header, err := parseHeader(first)
	if err != nil {
		return nil, nil, err
	}
	if whole, err := c.in.Read(); err != nil || len(whole) != len(header) {
		return nil, nil, errNoHeader
	}
	if c.devices, err = findDevices(header); err != nil {
		return nil, nil, err
	}
	for n, name := range header {
		i := slices.IndexFunc(columns, func(k column) bool { return name != "" && (name == k.name || name == k.django) })
		if c.devices != nil && isOfDevice(header, n) {
			i = -1
		}
		if i < 0 {
			c.columns, c.names = append(c.columns, nil), append(c.names, "")
			if c.devices == nil || !isDeviceColumn(name) {
				unknown = append(unknown, n+1)
			}
			continue
		}
		if slices.Contains(c.columns, &columns[i]) {
			return nil, nil, fmt.Errorf("the column %s is there twice; leave one out", name)
		}
		c.columns, c.names = append(c.columns, &columns[i]), append(c.names, name)
		c.ownExport = c.ownExport || name == "sub"
	}
	return c, unknown, nil
}

// Next returns the next account. A user with several devices has a row for each, one after the
// other.
func (c *csvUsers) Next() (int, Account, error) {
	row := c.row()
	if row.err != nil {
		return row.line, Account{}, row.err
	}
	u, err := c.user(row.cells)
	if err != nil {
		return row.line, Account{}, err
	}
	a := Account{User: u}
	if c.devices == nil {
		return row.line, a, nil
	}
	c.devices.read(row.line, &a, row.cells)
	for {
		next := c.row()
		if next.err != nil || !c.sameUser(row.cells, next.cells) {
			c.ahead = &next
			break
		}
		c.devices.read(next.line, &a, next.cells)
	}
	a.finish(row.line)
	return row.line, a, nil
}

// sameUser reports whether two rows differ in their devices only.
func (c *csvUsers) sameUser(a, b []string) bool {
	for i, k := range c.columns {
		if k != nil && a[i] != b[i] {
			return false
		}
	}
	return true
}

// row returns the next row.
func (c *csvUsers) row() csvRow {
	if c.ahead != nil {
		row := *c.ahead
		c.ahead = nil
		return row
	}
	cells, err := c.in.Read()
	var bad *csv.ParseError
	switch {
	case errors.As(err, &bad) && errors.Is(err, csv.ErrFieldCount):
		return csvRow{line: bad.StartLine, err: &LineError{fmt.Sprintf("it has %d cells and the header %d", len(cells), len(c.columns))}}
	case errors.As(err, &bad) && bad.Line > bad.StartLine:
		return csvRow{line: bad.StartLine, err: &LineError{fmt.Sprintf("its quotation marks do not match; it was read up to line %d", bad.Line)}}
	case errors.As(err, &bad):
		return csvRow{line: bad.StartLine, err: &LineError{"its quotation marks do not match"}}
	case err != nil:
		return csvRow{err: err}
	}
	line, _ := c.in.FieldPos(0)
	if c.ownExport {
		for i := range cells {
			cells[i] = unguardFormula(cells[i])
		}
	}
	return csvRow{line: line, cells: cells}
}

// user reads the account in a row. The error is a *LineError.
func (c *csvUsers) user(cells []string) (userstore.User, error) {
	u := userstore.User{IsActive: true}
	for i, cell := range cells {
		if cell == "" || cell == `\N` || c.columns[i] == nil {
			continue
		}
		if err := c.columns[i].set(&u, cell); err != nil {
			return userstore.User{}, &LineError{c.names[i] + ": " + err.Error()}
		}
	}
	u.Claims = u.Claims.WithoutComposedName()
	// Django allows a username that is the user's own address; here the address itself logs in.
	if !c.ownExport && u.Username != "" {
		name, ok := userstore.EmailKey(u.Username)
		if key, same := userstore.EmailKey(u.Email); ok && same && name == key {
			u.Username = ""
		}
	}
	return u, nil
}
