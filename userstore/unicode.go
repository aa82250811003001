package userstore

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// caseless returns the form in which names are compared: Unicode's compatibility caseless match
// (definition D146), which ignores case, width and ligatures. It uses full folding and not
// strings.ToLower, which turns the Turkish İ into a plain i, so that the owner of alİce@… would be
// taken for alice@….
func caseless(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	fold := cases.Fold() // keeps state: a new one for each call
	s = norm.NFKC.String(fold.String(norm.NFD.String(s)))
	return norm.NFKC.String(fold.String(s))
}

// Folded returns a part of a canonical name in the form of the users' keys, for searches.
func Folded(part string) string { return caseless(part) }

// identifier is the character repertoire of names: PRECIS' IdentifierClass (RFC 8264 section 4.2).
// It contains letters, digits and marks that have one look and one form, but no invisible, private,
// obsolete or unassigned characters. It only checks; caseless has mapped the name before.
var identifier = precis.NewIdentifier()

// rightToLeft adds the Bidi Rule of RFC 5893, so that a username looks the same in text of either
// direction.
var rightToLeft = precis.NewIdentifier(precis.BidiRule)

// allowedBy reports whether s holds only characters that profile allows, and is in its normal form.
func allowedBy(profile *precis.Profile, s string) bool {
	out, err := profile.String(s)
	return err == nil && out == s
}

// invisible reports whether a name holds a character that a reader would not see or not expect:
// spaces, controls, zero-width and direction marks, private use. The joiners U+200C and U+200D are
// left to the contextual rules of PRECIS and IDNA, because Persian and Indic names need them.
func invisible(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		switch r {
		case '\u200c', '\u200d':
			return false
		}
		return unicode.IsSpace(r) || unicode.In(r, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co)
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
