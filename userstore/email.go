package userstore

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Limits of an address in octets: RFC 5321 sections 4.5.3.1.1 and 4.5.3.1.3 (a path of 256 includes
// two angle brackets).
const (
	maxEmail = 254
	maxLocal = 64
)

// EmailKey returns the canonical form of an email address: two addresses with one key are one
// account. The key ignores case (also before the @: neither mail systems nor people distinguish
// Alice from alice), character width, and whether a domain is written in Unicode or punycode.
// Look-alikes of other scripts keep keys of their own. Idempotent. ok is false if email is no
// address, which no account can have.
func EmailKey(email string) (key string, ok bool) {
	_, key, f := canonicalEmail(email)
	return key, f == Fault{}
}

// canonicalEmail reads an address as RFC 5321 and 6531 write it, without quoted local parts,
// comments and address literals, which no person has and every parser reads otherwise. display is
// what was typed, without surrounding spaces and with compatibility characters (full-width letters,
// ligatures) written plainly: the address that is shown and mailed must be the address that was
// compared.
func canonicalEmail(typed string) (display, key string, f Fault) {
	switch {
	case typed == "":
		return "", "", Fault{CodeRequired, "An email address is needed."}
	case len(typed) > 4*maxEmail: // long before any normalisation
		return "", "", Fault{CodeTooLong, "The email address is too long; 254 bytes are the most."}
	case !utf8.ValidString(typed):
		return "", "", Fault{CodeInvalid, "The email address is not valid UTF-8."}
	}
	s := strings.Trim(typed, " ")
	if invisible(s) {
		return "", "", Fault{CodeInvalid, "The email address holds a space or an invisible character; remove it."}
	}
	s = norm.NFKC.String(s)

	local, domain, found := strings.Cut(s, "@")
	if !found || local == "" || domain == "" || strings.Contains(domain, "@") {
		return "", "", Fault{CodeInvalid, "This is not an email address; write it like name@example.com."}
	}
	localKey := caseless(local)
	if !validLocal(local) || !validLocal(localKey) {
		return "", "", Fault{CodeInvalid, "The part before the @ holds a character that email addresses do not have."}
	}
	domainKey, ok := canonicalDomain(domain)
	if !ok {
		return "", "", Fault{CodeInvalid, "The part after the @ is not a domain name."}
	}
	key = localKey + "@" + domainKey
	if len(s) > maxEmail || len(key) > maxEmail || len(local) > maxLocal || len(localKey) > maxLocal {
		return "", "", Fault{CodeTooLong, "The email address is too long; 254 bytes are the most, 64 before the @."}
	}
	return s, key, Fault{}
}

// validLocal reports whether s is a dot-atom (RFC 5322 section 3.2.3) whose characters beyond ASCII
// (RFC 6531) are those of names.
func validLocal(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c >= utf8.RuneSelf
		if !letter && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", rune(c)) {
			return false
		}
	}
	return isASCII(s) || allowedBy(identifier, s)
}

// domains maps and checks names as RFC 5891 section 5 and UTS #46 do for lookup, without the
// transitional mapping, which would send mail for straße.test to strasse.test.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.VerifyDNSLength(true))

// canonicalDomain returns a domain in lower-case ASCII.
func canonicalDomain(s string) (string, bool) {
	ascii, err := domains.ToASCII(s)
	if err != nil {
		return "", false
	}
	// The displayed name must map back to the same ASCII. This refuses punycode that hides plain
	// ASCII ("xn--x-" for "x") and would give one domain two keys.
	unicode, err := domains.ToUnicode(ascii)
	if err != nil {
		return "", false
	}
	if roundTrip, err := domains.ToASCII(unicode); err != nil || roundTrip != ascii {
		return "", false
	}
	i := strings.LastIndexByte(ascii, '.')
	if i < 0 && ascii != "localhost" { // a bare name is a typing mistake; localhost is for trying out
		return "", false
	}
	last := ascii[i+1:]                         // empty after a final dot, which addresses do not have
	return ascii, last != "" && !isDigits(last) // 192.0.2.1 is an address, not a name
}
