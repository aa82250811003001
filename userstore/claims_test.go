package userstore

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestClaimsAccepted(t *testing.T) {
	for name, c := range map[string]Claims{
		"nothing": {},
		"all of them": {
			Name: "Jane Q. Doe", GivenName: "Jane", FamilyName: "Doe", MiddleName: "Q.", Nickname: "J",
			Profile: "https://example.com/jane", Picture: "https://example.com/jane.jpg", Website: "http://example.com",
			Gender: "female", Birthdate: "1984-02-29", Zoneinfo: "Europe/Paris", Locale: "en-US",
			PhoneNumber: "+1 (425) 555-1212",
			Address: &Address{Formatted: "1 Main St\r\nSpringfield", StreetAddress: "1 Main St\nFlat 2", Locality: "Springfield",
				Region: "IL", PostalCode: "62701", Country: "USA"},
		},
		"U-39 markup is text":            {Name: `<script>alert(1)</script>`, Nickname: `"><img src=x onerror=alert(1)>`},
		"SQL and templates are text":     {GivenName: `Robert'); DROP TABLE users;--`, FamilyName: `{{7*7}}<%= 1 %>$1$$%_?\`},
		"every script, emoji and joiner": {Name: "ऋषि 李 أحمد می\u200cخواهم 👩\u200d🚀"},
		"200 characters of four bytes":   {Name: strings.Repeat("😀", 200)},
		"an empty address":               {Address: &Address{}},
	} {
		var fs Faults
		if c.validate(&fs); len(fs) != 0 {
			t.Errorf("%s: %v", name, fs)
		}
	}
}

func TestClaimsReportEveryFaultAtOnce(t *testing.T) {
	bad := "x\x00y"
	c := Claims{
		Name: bad, GivenName: bad, FamilyName: bad, MiddleName: bad, Nickname: bad, Profile: bad, Picture: bad, Website: bad,
		Gender: bad, Birthdate: bad, Zoneinfo: bad, Locale: bad, PhoneNumber: bad,
		Address: &Address{Formatted: bad, StreetAddress: bad, Locality: bad, Region: bad, PostalCode: bad, Country: bad},
	}
	var fs Faults
	c.validate(&fs)
	var want []string // the wire names, from the tags: a claim that is added and not checked fails here
	fields := func(v any, prefix string) {
		for i := range reflect.TypeOf(v).NumField() {
			f := reflect.TypeOf(v).Field(i)
			if f.Type.Kind() == reflect.String {
				want = append(want, prefix+strings.Split(f.Tag.Get("json"), ",")[0])
			}
		}
	}
	fields(c, "")
	fields(*c.Address, "address.")
	var got []string
	for _, f := range fs {
		got = append(got, f.Field)
		if f.Code != CodeInvalid || strings.Contains(f.Message, "\x00") || !strings.HasSuffix(f.Message, ".") {
			t.Errorf("%+v", f)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("U-39 Faults of %v, want %v", got, want)
	}
	err := fs.Err()
	if err == nil || !strings.Contains(err.Error(), "address.country: ") || strings.Contains(err.Error(), bad) {
		t.Errorf("said: %v", err)
	}
}

func TestU39Text(t *testing.T) {
	for name, c := range map[string]struct{ value, code string }{
		"U+0000":                   {"a\x00b", CodeInvalid},
		"invalid UTF-8":            {"a\xc3\x28b", CodeInvalid},
		"half a surrogate pair":    {"a\xed\xa0\x80b", CodeInvalid},
		"an escape":                {"a\x1b[31mb", CodeInvalid},
		"a newline in one line":    {"a\nb", CodeInvalid},
		"a tab":                    {"a\tb", CodeInvalid},
		"a C1 control":             {"a\u0085b", CodeInvalid},
		"a line separator":         {"a\u2028b", CodeInvalid},
		"a right-to-left override": {"abc\u202egpj", CodeInvalid},
		"an isolate":               {"a\u2066b", CodeInvalid},
		"201 characters":           {strings.Repeat("ü", 201), CodeTooLong},
		"1 MiB":                    {strings.Repeat("a", 1<<20), CodeTooLong},
		"1 MiB of invalid UTF-8":   {strings.Repeat("\xff", 1<<20), CodeTooLong},
		"200 characters":           {strings.Repeat("ü", 200), ""},
	} {
		if f := text(c.value); f.Code != c.code {
			t.Errorf("U-39 %s: %q, want %q", name, f.Code, c.code)
		}
	}
	for value, code := range map[string]string{
		"1 Main St\r\nSpringfield": "",
		"a\tb":                     CodeInvalid,
		"a\x00b":                   CodeInvalid,
		strings.Repeat("a", 1000):  "",
		strings.Repeat("a", 1001):  CodeTooLong,
	} {
		if f := lines(value); f.Code != code {
			t.Errorf("lines %.20q: %q, want %q", value, f.Code, code)
		}
	}
}

func TestU39WebPage(t *testing.T) {
	for _, s := range []string{"https://example.com", "http://example.com/",
		"HTTPS://EXAMPLE.com:8443/a/b.png?x=1&y=%20#z",
		"https://bücher.example/ä", "http://[2001:db8::1]/", "https://example.com/" + strings.Repeat("a", 1980)} {
		if f := webPage(s); f != (Fault{}) {
			t.Errorf("%.40q: %v", s, f)
		}
	}
	for _, s := range []string{
		"javascript:alert(1)", "JaVaScRiPt:alert(1)", "javascript://example.com/%0aalert(1)", " javascript:alert(1)",
		"java\tscript:alert(1)",
		"data:text/html,<script>alert(1)</script>", "vbscript:x", "file:///etc/passwd", "ftp://example.com/x",
		"mailto:a@x.test",
		"//example.com/x", "/x", "example.com", "https:", "https:/", "https://", "https:///x", "https:example.com",
		"http://:80/",
		"https://user@example.com/", "https://user:secret@example.com/", "https://example.com:0/",
		"https://example.com:65536/", "https://example.com:x/",
		"https:\\\\example.com", "https://example.com\\@evil.test", "https://example.com/a b", "https://example.com/<script>",
		`https://example.com/"x`,
		"https://example.com/\x00", "https://example.com/\r\nX: y", "https://example.com/\u2028", "https://example.com/\xff",
		"https://example.com/%zz",
		"https://example.com/" + strings.Repeat("a", 1981),
	} {
		if f := webPage(s); f == (Fault{}) {
			t.Errorf("U-39 %.60q was accepted", s)
		}
	}
}

func TestForms(t *testing.T) {
	for name, c := range map[string]struct {
		check     func(string) Fault
		good, bad []string
	}{
		"birthdate": {birthdate,
			[]string{"1984", "1984-02-29", "0000-02-29", "0000-12-31", "9999-01-01", "0001-01-01"},
			[]string{"0000", "84", "198", "19844", "1984-2-9", "1985-02-29", "1984-13-01", "1984-00-01", "1984-01-32", "1984-02",
				"1984-02-29T00:00:00Z",
				"29.02.1984", "1984/02/29", "-1984", " 1984", "1984\n", "１９８４"}},
		"zoneinfo": {zoneinfo,
			[]string{"Europe/Paris", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Etc/GMT+5", "UTC",
				"GMT0", "EST5EDT"},
			[]string{"europe/paris", "../../etc/passwd", "/etc/localtime", "Europe/", "Europe//Paris", "Europe/Paris/", "+02:00",
				"Europe/Paris\n", "Europe Paris", "A/B/C/D",
				"Europe/" + strings.Repeat("a", 58)}},
		"locale": {locale,
			[]string{"en", "en-US", "EN-us", "zh-Hant-TW", "sr-Latn-RS", "de-CH-1996", "es-419", "en-US-u-ca-gregory"},
			[]string{"en_US", "english", "e", "en-", "-en", "en--US", "en US", "en-US\n", "qqz-ZZ9", "<en>",
				strings.Repeat("en-", 30)}},
		"phone_number": {phoneNumber,
			[]string{"+14255551212", "+1 (425) 555-1212", "+56 (2) 687 2400", "+1 (604) 555-1234;ext=5678", "+49.30.1234567",
				"+442071838750", "+1234567", "+123456789012345"},
			[]string{"14255551212", "004930123456", "+", "+123456", "+1234567890123456", "+1 425 555 CALL", "+1425555121２",
				"+14255551212;ext=", "+14255551212;isub=1",
				"+1-425-555-1212-", "tel:+14255551212", "+14255551212\n", "+ 14255551212",
				"+1" + strings.Repeat(" ", 60) + "4255551212"}},
	} {
		for _, s := range c.good {
			if f := c.check(s); f != (Fault{}) {
				t.Errorf("%s %q: %v", name, s, f)
			}
		}
		for _, s := range c.bad {
			if f := c.check(s); f.Code != CodeInvalid || f.Message == "" {
				t.Errorf("%s %q: %+v", name, s, f)
			}
		}
	}
}

func TestRoles(t *testing.T) {
	for name, c := range map[string]struct {
		roles []string
		code  string
	}{
		"none":                  {nil, ""},
		"some":                  {[]string{"admin", "billing.read", "team:blue", "a-b_c9", strings.Repeat("a", 64)}, ""},
		"an empty one":          {[]string{"admin", ""}, CodeInvalid},
		"a space":               {[]string{"ad min"}, CodeInvalid},
		"capitals":              {[]string{"Admin"}, CodeInvalid},
		"a flag":                {[]string{"-admin"}, CodeInvalid},
		"a newline":             {[]string{"admin\n"}, CodeInvalid},
		"a Cyrillic look-alike": {[]string{"\u0430dmin"}, CodeInvalid},
		"65 characters":         {[]string{strings.Repeat("a", 65)}, CodeInvalid},
		"65 roles":              {make([]string, 65), CodeTooLong},
	} {
		if f := validRoles(c.roles); f.Code != c.code {
			t.Errorf("%s: %q, want %q", name, f.Code, c.code)
		}
	}
}
