package userfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// headSize is how many bytes of a file are checked before its first account is read. A longer first
// line is no header.
const headSize = 64 << 10

var errNoHeader = errors.New("the first line is not a header of CSV; it must name the columns as Django's auth_user or `signet users export` does")

// checkText refuses a file that is not text in UTF-8, or whose line ends the CSV reader does not
// recognise. Such a file would read as one line that names no column, or as columns named like the
// cells of an account.
func checkText(head []byte) error {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return errors.New("the file is UTF-16; save it as UTF-8 and import that")
	}
	line := firstLine(head)
	if bytes.IndexByte(head, 0) >= 0 || !utf8.Valid(line) {
		return errors.New("the file is not text in UTF-8; save it as CSV or JSON lines in UTF-8 and import that")
	}
	if i := bytes.IndexByte(line, '\r'); i >= 0 && len(bytes.TrimSpace(line[i:])) > 0 {
		return errors.New("the lines of the file end with a carriage return alone, as on old Macs; save it with the line ends of Unix or Windows and import that")
	}
	return nil
}

// firstLine returns the first line of head that is not empty, without its end. If the line is
// longer than head, it returns the part in head, cut between two characters.
func firstLine(head []byte) []byte {
	head = bytes.TrimLeft(head, "\r\n")
	if i := bytes.IndexByte(head, '\n'); i >= 0 {
		return bytes.TrimSuffix(head[:i], []byte("\r"))
	}
	for range utf8.UTFMax {
		if r, size := utf8.DecodeLastRune(head); r != utf8.RuneError || size != 1 || len(head) < headSize-utf8.UTFMax {
			break
		}
		head = head[:len(head)-1]
	}
	return bytes.TrimSuffix(head, []byte("\r"))
}

// columnName matches the possible names of unknown columns. A cell with an address or a password
// hash does not match.
//
// The length is counted apart: a repetition of such large classes takes longer to compile than all
// else that a command needs to start.
var columnName = regexp.MustCompile(`^[\pL_][\pL\pN_ ./()-]*$`)

const maxColumnName = 64 // characters

// parseHeader reads the names of the columns, and refuses a line that is no list of names.
func parseHeader(line []byte) ([]string, error) {
	names, err := cells(line, ',')
	if err != nil || !slices.Contains(names, "email") {
		for _, other := range []struct {
			comma rune
			what  string
		}{{';', "semicolons"}, {'\t', "tabs"}, {'|', "vertical bars"}} {
			if names, err := cells(line, other.comma); err == nil && slices.Contains(names, "email") {
				return nil, fmt.Errorf("the columns of the file are separated by %s; save it as CSV with commas and import that", other.what)
			}
		}
	}
	if err != nil {
		return nil, errNoHeader
	}
	if bytes.HasPrefix(line, []byte("[")) {
		return nil, errors.New("the file is neither CSV nor JSON lines; write one JSON object on each line, without a list around them")
	}
	if !slices.Contains(names, "email") {
		return nil, errors.New("there is no column email; the first line must be a header that names the columns as Django's auth_user or `signet users export` does")
	}
	for _, name := range names {
		if name != "" && (!columnName.MatchString(name) || utf8.RuneCountInString(name) > maxColumnName) {
			return nil, errNoHeader
		}
	}
	return names, nil
}

func cells(line []byte, comma rune) ([]string, error) {
	r := csv.NewReader(bytes.NewReader(line))
	r.Comma = comma
	names, err := r.Read()
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names, err
}
