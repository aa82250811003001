package userstore

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxUsername is the longest username in characters.
const maxUsername = 64

// UsernameKey returns the canonical form of a username, as EmailKey does of an address. It never
// contains an @, so that no username can pass for an email address. Idempotent.
func UsernameKey(username string) (key string, ok bool) {
	_, key, f := canonicalUsername(username)
	return key, f == Fault{}
}

// canonicalUsername reads a username: letters and digits of any script and . _ - +. The first
// character is a letter, a digit or an underscore: a leading - would be a flag on a command line, a
// leading + or = a formula in a spreadsheet.
func canonicalUsername(typed string) (display, key string, f Fault) {
	switch {
	case typed == "":
		return "", "", Fault{CodeRequired, "A username is needed."}
	case len(typed) > 16*maxUsername: // long before any normalisation
		return "", "", Fault{CodeTooLong, "The username is too long; 64 characters are the most."}
	case !utf8.ValidString(typed):
		return "", "", Fault{CodeInvalid, "The username is not valid UTF-8."}
	}
	s := strings.Trim(typed, " ")
	if invisible(s) {
		return "", "", Fault{CodeInvalid, "The username holds a space or an invisible character; remove it."}
	}
	s = norm.NFKC.String(s)
	key = caseless(s)
	switch {
	case strings.Contains(s, "@"):
		return "", "", Fault{CodeInvalid, "A username has no @, so that it cannot be taken for an email address."}
	case !validUsername(s) || !validUsername(key):
		return "", "", Fault{CodeInvalid, "A username has letters, digits and . _ - + only, and begins with a letter, a digit or _."}
	case utf8.RuneCountInString(s) > maxUsername || utf8.RuneCountInString(key) > maxUsername:
		return "", "", Fault{CodeTooLong, "The username is too long; 64 characters are the most."}
	}
	return s, key, Fault{}
}

// likeSubject reports whether a username, given as its display form and its key, has the shape of a
// subject: an id of ours, 128 bits in base64url, or an id that an import may have kept: a UUID,
// with dashes or without, a ULID, or any other long number, decimal or hexadecimal. Usernames are
// compared without case, so an id in another case counts as well.
func likeSubject(display, key string) bool {
	return subjectShape.MatchString(key) || idLength.MatchString(key) && looksRandom(display)
}

// idLength matches the length of our ids. Some people's names are that long, so the length alone is
// no reason to refuse one.
var idLength = regexp.MustCompile(`^[a-z0-9_-]{22}$`)

// looksRandom reports whether letters and digits are mixed more than in any name. It counts the
// changes between small letter, capital and digit.
func looksRandom(s string) bool {
	kind := func(c byte) int {
		switch {
		case 'a' <= c && c <= 'z':
			return 1
		case 'A' <= c && c <= 'Z':
			return 2
		}
		return 3
	}
	changes, last := 0, 0
	for _, c := range []byte(s) {
		if c == '_' || c == '-' {
			continue
		}
		if k := kind(c); k != last {
			changes, last = changes+1, k
		}
	}
	return changes > 6
}

var subjectShape = regexp.MustCompile(`^(?:` +
	`[a-z0-9_-]{21}[agqw]` + // the last character has two bits of the 128
	`|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}` +
	`|[0-7][0-9a-hjkmnp-tv-z]{25}` +
	`|[0-9a-f]{16,64}` +
	`)$`)

// errLikeSubject: in a log, a command or a token, such a name would be taken for an account's id.
var errLikeSubject = Fault{CodeNotAllowed,
	"This username has the shape of an account's id; choose a name that cannot be taken for one."}

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
	return s != "" && allowedBy(rightToLeft, s)
}
