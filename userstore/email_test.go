package userstore

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestU10EmailsOfOneAccount(t *testing.T) {
	for _, same := range [][]string{
		{"alice@x.test", "Alice@X.test", "ALICE@x.TEST", " alice@x.test ", "ａｌｉｃｅ@x.test", "alice＠x.test", "alice@ｘ．test",
			"alice@x。test"},
		{"o'brien+tag@example.com", "O'Brien+TAG@EXAMPLE.com"},
		{"kelvin@x.test", "\u212aelvin@x.test"}, // K, which is K in every normal form
		{"info@bücher.example", "info@BÜCHER.example", "info@xn--bcher-kva.example", "info@XN--BCHER-KVA.example",
			"info@bu\u0308cher.example"},
		{"info@straße.test", "info@xn--strae-oqa.test"},
		{"josé@x.test", "jose\u0301@x.test", "JOSÉ@x.test"},
		{"σίσυφος@x.test", "ΣΊΣΥΦΟΣ@x.test", "σίσυφοσ@x.test"},
		{"почта@пример.рф", "ПОЧТА@xn--e1afmkfd.xn--p1ai"},
	} {
		want, ok := EmailKey(same[0])
		if !ok {
			t.Errorf("U-10 %q was refused", same[0])
		}
		for _, s := range same[1:] {
			if got, ok := EmailKey(s); !ok || got != want {
				t.Errorf("U-10 %q has key %q (%v), want %q", s, got, ok, want)
			}
		}
	}
}

func TestU10LookalikesKeepApart(t *testing.T) {
	alice, _ := EmailKey("alice@x.test")
	for name, s := range map[string]string{
		"a Cyrillic а":               "\u0430lice@x.test",
		"a Turkish İ":                "al\u0130ce@x.test",
		"a dotless ı":                "al\u0131ce@x.test",
		"a Greek ι":                  "al\u03b9ce@x.test",
		"a Latin alpha":              "\u0251lice@x.test",
		"a Cyrillic х in the domain": "alice@\u0445.test",
		"a tag":                      "alice+1@x.test",
		"a dot":                      "a.lice@x.test",
		"a combining dot":            "alic\u0323e@x.test",
		"another domain":             "alice@xx.test",
	} {
		key, ok := EmailKey(s)
		if ok && key == alice {
			t.Errorf("U-10 %s merges into alice", name)
		}
		if !ok {
			t.Errorf("U-10 %s was refused, which is safe but no longer what is documented", name)
		}
	}
	sharp, _ := EmailKey("a@straße.test")
	if ss, _ := EmailKey("a@strasse.test"); sharp == ss {
		t.Error("two domains share a key")
	}
}

func TestEmailRefused(t *testing.T) {
	for name, c := range map[string]struct{ email, code string }{
		"nothing":                               {"", CodeRequired},
		"spaces":                                {"   ", CodeInvalid},
		"no @":                                  {"alice.x.test", CodeInvalid},
		"two @":                                 {"a@b@x.test", CodeInvalid},
		"a hidden second @":                     {"a\ufe6bb@x.test", CodeInvalid},
		"nothing before it":                     {"@x.test", CodeInvalid},
		"nothing after it":                      {"alice@", CodeInvalid},
		"U-10 a zero-width space":               {"ali\u200bce@x.test", CodeInvalid},
		"U-10 a zero-width space in the domain": {"alice@x\u200b.test", CodeInvalid},
		"a soft hyphen in the domain":           {"alice@x\u00ad.test", CodeInvalid},
		"a joiner without context":              {"ali\u200dce@x.test", CodeInvalid},
		"a word joiner":                         {"ali\u2060ce@x.test", CodeInvalid},
		"a byte order mark":                     {"\ufeffalice@x.test", CodeInvalid},
		"a right-to-left override":              {"al\u202eice@x.test", CodeInvalid},
		"a tag character":                       {"alice\U000e0061@x.test", CodeInvalid},
		"a Hangul filler, a letter that is not seen": {"ali\u3164ce@x.test", CodeInvalid},
		"a variation selector":                       {"alice\ufe0f@x.test", CodeInvalid},
		"a combining grapheme joiner":                {"ali\u034fce@x.test", CodeInvalid},
		"a private-use character":                    {"alice\ue000@x.test", CodeInvalid},
		"an unassigned character":                    {"alice\u0378@x.test", CodeInvalid},
		"the replacement character":                  {"alice\ufffd@x.test", CodeInvalid},
		"U-10 a trailing dot":                        {"alice@x.test.", CodeInvalid},
		"a wide trailing dot":                        {"alice@x.test。", CodeInvalid},
		"a space within":                             {"ali ce@x.test", CodeInvalid},
		"a no-break space in front":                  {"\u00a0alice@x.test", CodeInvalid},
		"a newline behind":                           {"alice@x.test\n", CodeInvalid},
		"a header behind":                            {"alice@x.test\r\nBcc: b@y.test", CodeInvalid},
		"U-39 U+0000":                                {"alice\x00@x.test", CodeInvalid},
		"U-39 invalid UTF-8":                         {"alice\xff@x.test", CodeInvalid},
		"a quoted local part":                        {`"alice"@x.test`, CodeInvalid},
		"a comment":                                  {"alice(home)@x.test", CodeInvalid},
		"a display name":                             {"Alice <alice@x.test>", CodeInvalid},
		"two addresses":                              {"alice@x.test,bob@x.test", CodeInvalid},
		"a leading dot":                              {".alice@x.test", CodeInvalid},
		"a trailing dot before the @":                {"alice.@x.test", CodeInvalid},
		"two dots":                                   {"a..lice@x.test", CodeInvalid},
		"an ellipsis that normalises to three":       {"a…lice@x.test", CodeInvalid},
		"an address literal":                         {"alice@[127.0.0.1]", CodeInvalid},
		"a bare IPv4 address":                        {"alice@127.0.0.1", CodeInvalid},
		"a wide IPv4 address":                        {"alice@１２７.０.０.１", CodeInvalid},
		"a bare host":                                {"alice@intranet", CodeInvalid},
		"an underscore in the domain":                {"alice@x_y.test", CodeInvalid},
		"a hyphen in front of a label":               {"alice@-x.test", CodeInvalid},
		"an empty label":                             {"alice@x..test", CodeInvalid},
		"a port":                                     {"alice@x.test:25", CodeInvalid},
		"a path":                                     {"alice@x.test/y", CodeInvalid},
		"a fraction that normalises to a path":       {"alice@x℀.test", CodeInvalid},
		"punycode that hides ASCII":                  {"alice@xn--x-.test", CodeInvalid},
		"punycode of nothing":                        {"alice@xn--.test", CodeInvalid},
		"punycode that is none":                      {"alice@xn--\u00fc.test", CodeInvalid},
		"punycode of capitals":                       {"alice@xn--BCHER-KVA-9.test", CodeInvalid},
		"65 bytes before the @":                      {strings.Repeat("a", 65) + "@x.test", CodeTooLong},
		"a label of 64":                              {"alice@" + strings.Repeat("a", 64) + ".test", CodeInvalid},
		"255 bytes": {
			strings.Repeat("a", 60) + "@" + strings.Repeat(strings.Repeat("b", 46)+".", 4) + "testsx", CodeTooLong},
		"a ligature that expands past the limit": {strings.Repeat("\ufb03", 22) + "@x.test", CodeTooLong},
		"a mebibyte":                             {strings.Repeat("a", 1<<20), CodeTooLong},
	} {
		_, key, f := canonicalEmail(c.email)
		if f.Code != c.code || f.Message == "" || key != "" {
			t.Errorf("%s: code %q and key %q, want code %q", name, f.Code, key, c.code)
		}
	}
}

func TestEmailAccepted(t *testing.T) {
	for typed, want := range map[string]struct{ display, key string }{
		"Alice@X.test":               {"Alice@X.test", "alice@x.test"},
		"  Alice@X.test ":            {"Alice@X.test", "alice@x.test"},
		"root@localhost":             {"root@localhost", "root@localhost"},
		"!#$%&'*+-/=?^_`{|}~@x.test": {"!#$%&'*+-/=?^_`{|}~@x.test", "!#$%&'*+-/=?^_`{|}~@x.test"},
		"Info@Bücher.example":        {"Info@Bücher.example", "info@xn--bcher-kva.example"},
		"Ａlice@x.test":               {"Alice@x.test", "alice@x.test"},
		"1@2.test":                   {"1@2.test", "1@2.test"},
		"我買@屋企.香港":                   {"我買@屋企.香港", "我買@xn--hoqu73a.xn--j6w193g"},
		"دعم@مثال.إختبار":            {"دعم@مثال.إختبار", "دعم@xn--mgbh0fb.xn--kgbechtv"},
		strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("b", 45)+".", 4) + "tests": {
			strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("b", 45)+".", 4) + "tests",
			strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("b", 45)+".", 4) + "tests"}, // 254
	} {
		display, key, f := canonicalEmail(typed)
		if f != (Fault{}) || display != want.display || key != want.key {
			t.Errorf("%q: shown %q, key %q, %v; want %q, %q", typed, display, key, f, want.display, want.key)
		}
	}
}

func FuzzEmail(f *testing.F) {
	for _, s := range []string{"Alice@X.test", "ａｌｉｃｅ＠x。test", "info@xn--bcher-kva.example",
		"a\u0130@straße.test", "σς@x.test",
		"\u0345@x.test", "a@xn--x-.test", "ﬃ@x.test", "a\u200cb@x.test", "@", "a@\u200d.test", "ᾳ@x.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		display, key, fa := canonicalEmail(typed)
		if fa != (Fault{}) {
			if key != "" || display != "" || fa.Message == "" {
				t.Errorf("%q was refused with %q, %q, %q", typed, display, key, fa.Message)
			}
			return
		}
		if len(key) > maxEmail || len(display) > maxEmail || !utf8.ValidString(key) ||
			strings.Count(key, "@") != 1 || invisible(strings.NewReplacer("\u200c", "", "\u200d", "").Replace(key)) {
			t.Errorf("%q has the key %q", typed, key)
		}
		for _, form := range []string{key, display} {
			if k, ok := EmailKey(form); !ok || k != key {
				t.Errorf("%q has the key %q, but of %q it is %q (%v)", typed, key, form, k, ok)
			}
		}
		if d, _, _ := canonicalEmail(display); d != display {
			t.Errorf("%q is shown as %q, then as %q", typed, display, d)
		}
	})
}
