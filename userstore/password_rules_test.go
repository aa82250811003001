package userstore

import (
	"strings"
	"testing"
)

func TestChosen(t *testing.T) {
	alice := User{Email: "Alice@Bücher.example", EmailKey: "alice@xn--bcher-kva.example", Username: "Alice-in-Wonderland",
		UsernameKey: "alice-in-wonderland"}
	for name, c := range map[string]struct{ password, code string }{
		"nothing":                        {"", CodeRequired},
		"14 characters":                  {"abcdefghijklmn", CodeTooShort},
		"15 lower-case letters":          {"jqkwmzrtpxyvbnh", ""},
		"15 characters of three bytes":   {"東京特許許可局長今日急遽休暇許", ""},
		"14 characters of three bytes":   {strings.Repeat("語", 14), CodeTooShort},
		"14 spaces and a letter":         {"              x", ""},
		"one ligature of 18 letters":     {"\ufdfa", CodeTooShort},
		"8 letters with accents apart":   {strings.Repeat("e\u0301", 8), CodeTooShort},
		"15 emoji":                       {"😀🐎🔋📎🎈😀🐎🔋📎🎈🚲🍋🌊🎻🧭", ""},
		"1024 bytes":                     {strings.Repeat("long ago ", 113) + "in Rome", ""},
		"1025 bytes":                     {strings.Repeat("a", 1025), CodeTooLong},
		"a mebibyte":                     {strings.Repeat("a", 1<<20), CodeTooLong},
		"invalid UTF-8":                  {"correct horse \xff battery", CodeInvalid},
		"U+0000":                         {"correct horse \x00 battery", CodeInvalid},
		"a newline at the end":           {"correct horse battery\n", CodeInvalid},
		"a tab":                          {"correct\thorse battery", CodeInvalid},
		"a character not yet in Unicode": {"correct horse \u0378 battery", CodeInvalid},
		"the address":                    {"Alice@Bücher.example", CodeOwnName},
		"the address in capitals":        {"ALICE@BÜCHER.EXAMPLE", CodeOwnName},
		"the canonical address":          {"alice@xn--bcher-kva.example", CodeOwnName},
		"the username":                   {"Alice-in-Wonderland", CodeOwnName},
		"the username, full-width":       {"ａlice-in-wonderland", CodeOwnName},
		"the username and a mark":        {"Alice-in-Wonderland!", CodeOwnName},
		"more than the username":         {"Alice-in-Wonderland and out", ""},
	} {
		if f := checkNew(c.password, 15, alice, ""); f.Code != c.code || (f.Code == "") != (f.Message == "") {
			t.Errorf("%s: %q %q, want %q", name, f.Code, f.Message, c.code)
		}
	}
	if f := checkNew("short but allowed", 15, User{}, ""); f != (Fault{}) {
		t.Errorf("an account without names: %v", f)
	}
}
