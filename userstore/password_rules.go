package userstore

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/signet-id/signet/userstore/password"
)

// checkTyped checks a password that a caller claims to know. It refuses only what no password can
// be; any other password is right or wrong.
func checkTyped(typed string) Fault {
	switch {
	case typed == "":
		return Fault{CodeRequired, "The password is needed."}
	case len(typed) > password.MaxBytes:
		return Fault{CodeTooLong, "The password is too long; 1024 bytes are the most."}
	case !utf8.ValidString(typed):
		return Fault{CodeInvalid, "The password is not valid UTF-8."}
	}
	return Fault{}
}

// checkNew checks a new password of u. It must be long, and not be guessed first. There is no rule
// of composition: such rules make people predictable (NIST SP 800-63B-4 section 3.1.1.2).
func checkNew(typed string, least int, u User, service string) Fault {
	if f := checkTyped(typed); f != (Fault{}) {
		return f
	}
	canonical := norm.NFKC.String(typed)
	for _, r := range typed {
		// Pages and terminals drop control characters, so one login would work and another would
		// not. A character that this Unicode version does not know may gain another normal form in
		// the next (RFC 8265 section 4.1 refuses both as well).
		if unicode.IsControl(r) || unicode.Is(unicode.Cn, r) {
			return Fault{CodeInvalid, "The password holds a control character or one that is in no Unicode table; use another."}
		}
	}
	// Count both forms: a ligature is one character as typed and up to 18 as hashed; a letter with
	// a separate accent is two as typed and one as hashed.
	if min(utf8.RuneCountInString(typed), utf8.RuneCountInString(canonical)) < least {
		return Fault{CodeTooShort,
			fmt.Sprintf("The password is too short; %d characters are the least. A few words in a row are fine.", least)}
	}
	return guessable(typed, u, service)
}
