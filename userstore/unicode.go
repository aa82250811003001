package userstore

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// caseless is the form in which two names are the same name: Unicode's compatibility
// caseless match (definition D146), which knows neither case, width nor ligatures.
// Full folding and not strings.ToLower: the latter turns the Turkish İ into a plain i,
// so that whoever owns alİce@… would be taken for alice@….
func caseless(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	fold := cases.Fold() // keeps state: one a call
	s = norm.NFKC.String(fold.String(norm.NFD.String(s)))
	return norm.NFKC.String(fold.String(s))
}

// Folded is a part of a canonical name, as the keys of users hold it: to find them by.
func Folded(part string) string { return caseless(part) }

// identifier is the character repertoire of names: PRECIS' IdentifierClass (RFC 8264
// section 4.2), which holds letters, digits and marks that have one look and one
// form, and neither invisible, private, obsolete nor unassigned characters. It is
// used to check only; caseless has mapped before.
var identifier = precis.NewIdentifier()

// rightToLeft adds the Bidi Rule of RFC 5893, so that a username looks the same in
// whichever direction the text around it runs.
var rightToLeft = precis.NewIdentifier(precis.BidiRule)

// belongs tells whether s holds only what profile allows, and is in its normal form.
func allowedBy(profile *precis.Profile, s string) bool {
	out, err := profile.String(s)
	return err == nil && out == s
}

// invisible finds a character in a name that a reader would not see or not expect:
// spaces, controls, zero-width and direction marks, private use. The joiners U+200C and
// U+200D are left to the contextual rules of PRECIS and IDNA, since Persian and Indic names need them.
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
