// Package printable makes text that strangers wrote safe to show. A name, a user agent or a word of
// a file may hold characters that a terminal obeys (ANSI sequences, their one-byte forms of C1,
// carriage returns), that forge a line of their own, or that reverse the order of the letters
// around them.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s with each such character replaced by U+FFFD, for people.
func Text(s string) string {
	return strings.Map(func(r rune) rune {
		if obeyed(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// JSON returns a document with each such character of its strings escaped; a program reads the same
// values as before. encoding/json has already escaped the first 32 characters in strings; the ones
// that are left are white space between the members.
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

// obeyed reports whether a terminal or a text renderer acts on r instead of showing it. It is false
// for the invisible format characters that scripts need: the joiners of Persian, of Indic scripts
// and of emoji, and number signs.
func obeyed(r rune) bool {
	switch {
	case r < 0x7f:
		return r < ' '
	case r == '\u200c' || r == '\u200d':
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}
