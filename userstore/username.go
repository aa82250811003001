package userstore

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxUsername is in characters.
const maxUsername = 64

// UsernameKey is the canonical form of a username, as EmailKey is of an address. It
// never holds an @, so that no username can pass for somebody's email address. Idempotent.
func UsernameKey(username string) (key string, ok bool) {
	_, key, f := canonicalUsername(username)
	return key, f == fault{}
}

// canonicalUsername reads a username: letters and digits of any script, and . _ - +, begun by a
// letter, a digit or an underscore (a leading - would be a flag on a command line,
// a leading + or = a formula in a spreadsheet).
func canonicalUsername(typed string) (display, key string, f fault) {
	switch {
	case typed == "":
		return "", "", fault{CodeRequired, "A username is needed."}
	case len(typed) > 16*maxUsername: // long before any normalisation
		return "", "", fault{CodeTooLong, "The username is too long; 64 characters are the most."}
	case !utf8.ValidString(typed):
		return "", "", fault{CodeInvalid, "The username is not valid UTF-8."}
	}
	s := strings.Trim(typed, " ")
	if invisible(s) {
		return "", "", fault{CodeInvalid, "The username holds a space or an invisible character; remove it."}
	}
	s = norm.NFKC.String(s)
	key = caseless(s)
	switch {
	case strings.Contains(s, "@"):
		return "", "", fault{CodeInvalid, "A username has no @, so that it cannot be taken for an email address."}
	case !validUsername(s) || !validUsername(key):
		return "", "", fault{CodeInvalid, "A username has letters, digits and . _ - + only, and begins with a letter, a digit or _."}
	case utf8.RuneCountInString(s) > maxUsername || utf8.RuneCountInString(key) > maxUsername:
		return "", "", fault{CodeTooLong, "The username is too long; 64 characters are the most."}
	}
	return s, key, fault{}
}

func validUsername(s string) bool {
	for i, r := range s {
		word := r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
		if i == 0 && !word {
			return false
		}
		if !word && !unicode.IsMark(r) && !strings.ContainsRune(".-+\u200c\u200d", r) {
			return false
		}
	}
	return s != "" && belongs(rightToLeft, s)
}
