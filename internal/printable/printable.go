// Package printable makes text that strangers wrote harmless to look at: a name, a user agent or a
// file's word may hold what a terminal obeys (ANSI sequences, their one-byte forms of C1, carriage
// returns), what starts a line that nobody wrote, or what turns the order of the letters around it.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is s with each such character replaced by U+FFFD, for people.
func Text(s string) string {
	return strings.Map(func(r rune) rune {
		if obeyed(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// JSON is a document with each such character of its strings escaped, so that a program reads the
// same as before. encoding/json has escaped the first 32 already; those left are white space
// between the members.
func JSON(document []byte) []byte {
	var out []byte
	done := 0
	for i := 0; i < len(document); {
		r, size := utf8.DecodeRune(document[i:])
		if r >= ' ' && obeyed(r) {
			out = append(out, document[done:i]...)
			if r > 0xffff { // a surrogate pair
				r -= 0x10000
				out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			} else {
				out = fmt.Appendf(out, `\u%04x`, r)
			}
			done = i + size
		}
		i += size
	}
	if done == 0 {
		return document
	}
	return append(out, document[done:]...)
}

// obeyed tells what is not shown but acted upon. Of the invisible format characters those stay that
// writing needs: the joiners of Persian, of Indic scripts and of emoji, and number signs.
func obeyed(r rune) bool {
	switch {
	case r < 0x7f:
		return r < ' '
	case r == '\u200c' || r == '\u200d':
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}
