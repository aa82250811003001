package userstore

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// Limits of claims, in characters.
const (
	maxText  = 200  // a name, a city
	maxLines = 1000 // a postal address in lines
	maxURL   = 2000
	maxWord  = 64 // a locale, a time zone, a role
)

// validate adds every fault of the claims to fs, under the claim's wire name. An empty claim is
// absent.
func (c Claims) validate(fs *Faults) {
	for _, x := range []struct {
		field, value string
		check        func(string) Fault
	}{
		{"name", c.Name, text},
		{"given_name", c.GivenName, text},
		{"family_name", c.FamilyName, text},
		{"middle_name", c.MiddleName, text},
		{"nickname", c.Nickname, text},
		{"profile", c.Profile, webPage},
		{"picture", c.Picture, webPage},
		{"website", c.Website, webPage},
		{"gender", c.Gender, text},
		{"birthdate", c.Birthdate, birthdate},
		{"zoneinfo", c.Zoneinfo, zoneinfo},
		{"locale", c.Locale, locale},
		{"phone_number", c.PhoneNumber, phoneNumber},
	} {
		if x.value != "" {
			fs.Add(x.field, x.check(x.value))
		}
	}
	if c.Address == nil {
		return
	}
	for _, x := range []struct {
		field, value string
		check        func(string) Fault
	}{
		{"address.formatted", c.Address.Formatted, lines},
		{"address.street_address", c.Address.StreetAddress, lines},
		{"address.locality", c.Address.Locality, text},
		{"address.region", c.Address.Region, text},
		{"address.postal_code", c.Address.PostalCode, text},
		{"address.country", c.Address.Country, text},
	} {
		if x.value != "" {
			fs.Add(x.field, x.check(x.value))
		}
	}
}

// text checks one line that people read. Markup in it is ordinary text; every page that shows it
// escapes it.
func text(s string) Fault { return checkLine(s, maxText, "") }

// lines checks text that may hold line breaks of either kind (OIDC Core section 5.1.1).
func lines(s string) Fault { return checkLine(s, maxLines, "\r\n") }

func checkLine(s string, most int, controls string) Fault {
	switch {
	case len(s) > most*utf8.UTFMax || utf8.RuneCountInString(s) > most:
		return Fault{CodeTooLong, fmt.Sprintf("This is too long; %d characters are the most.", most)}
	case !utf8.ValidString(s):
		return Fault{CodeInvalid, "This is not valid UTF-8."}
	}
	for _, r := range s {
		switch {
		case strings.ContainsRune(controls, r):
		case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp), reordering(r):
			return Fault{CodeInvalid, "This holds a control character; remove it."}
		}
	}
	return Fault{}
}

// reordering reports whether r reorders the text after it. With such a character a name could
// disguise the sentence that shows it.
func reordering(r rune) bool {
	return '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}

// webPage checks an absolute http(s) URL. Other schemes, above all javascript:, become scripts in
// the first page that links them.
func webPage(s string) Fault {
	if f := checkLine(s, maxURL, ""); f != (Fault{}) {
		return f
	}
	bad := Fault{CodeInvalid, "This is not a web address; write it like https://example.com/me."}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("\"<>\\^`{|}", r) }) {
		return bad // RFC 3986 does not allow these, and browsers read them differently
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return bad
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return bad
		}
	}
	return Fault{}
}

var birthdateForm = regexp.MustCompile(`^[0-9]{4}(-[0-9]{2}-[0-9]{2})?$`)

// birthdate checks YYYY-MM-DD, 0000-MM-DD when the year is left out, or YYYY (OIDC Core section
// 5.1).
func birthdate(s string) Fault {
	bad := Fault{CodeInvalid, "A birthdate is written 1984-02-29, 0000-02-29 without the year, or 1984."}
	if !birthdateForm.MatchString(s) || s == "0000" {
		return bad
	}
	if len(s) == len("2006") {
		return Fault{}
	}
	if _, err := time.Parse(time.DateOnly, s); err != nil { // 0000 is a leap year: February 29 passes
		return bad
	}
	return Fault{}
}

var zoneForm = regexp.MustCompile(`^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$`)

// zoneinfo checks only the form of a time zone: which zones exist depends on the host's tables.
func zoneinfo(s string) Fault {
	if len(s) > maxWord || !zoneForm.MatchString(s) {
		return Fault{CodeInvalid, "A time zone is written as in the tz database, like Europe/Paris."}
	}
	return Fault{}
}

// locale checks a BCP 47 tag of known parts. (OIDC Core says to expect en_US from other parties,
// not to write it.)
func locale(s string) Fault {
	if len(s) <= maxWord && !strings.Contains(s, "_") {
		if _, err := language.Parse(s); err == nil {
			return Fault{}
		}
	}
	return Fault{CodeInvalid, "A locale is a BCP 47 language tag, like en-US."}
}

var phoneForm = regexp.MustCompile(`^\+[0-9]([ ().-]*[0-9])*(;ext=[0-9]{1,10})?$`)

// phoneNumber checks an E.164 number with the punctuation that people use, and an extension as in
// RFC 3966: the two forms that OIDC Core section 5.1 recommends.
func phoneNumber(s string) Fault {
	bad := Fault{CodeInvalid, "A phone number begins with + and the country, like +1 (425) 555-1212."}
	if len(s) > maxWord || !phoneForm.MatchString(s) {
		return bad
	}
	number, _, _ := strings.Cut(s, ";")
	digits := 0
	for _, r := range number {
		if '0' <= r && r <= '9' {
			digits++
		}
	}
	if digits < 7 || digits > 15 { // E.164 section 6.2.1
		return bad
	}
	return Fault{}
}

var roleForm = regexp.MustCompile(`^[a-z][a-z0-9._:-]*$`)

const maxRoles = 64

// validRoles checks names of roles. They become values in tokens and words on command lines.
func validRoles(roles []string) Fault {
	if len(roles) > maxRoles {
		return Fault{CodeTooLong, fmt.Sprintf("An account has at most %d roles.", maxRoles)}
	}
	for _, r := range roles {
		if len(r) > maxWord || !roleForm.MatchString(r) {
			return Fault{CodeInvalid, "A role is a lower-case letter, then letters, digits and . _ : -, 64 at most."}
		}
	}
	return Fault{}
}
