package userstore

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestUsernamesOfOneAccount(t *testing.T) {
	for _, same := range [][]string{
		{"alice", "Alice", "ALICE", " alice ", "ａｌｉｃｅ"},
		{"josé", "JOSÉ", "jose\u0301"},
		{"straße", "STRASSE", "STRAẞE"},
		{"σίσυφος", "ΣΊΣΥΦΟΣ"},
	} {
		want, ok := UsernameKey(same[0])
		for _, s := range same {
			if got, ok2 := UsernameKey(s); !ok || !ok2 || got != want {
				t.Errorf("%q has key %q (%v), want %q", s, got, ok2, want)
			}
		}
	}
	alice, _ := UsernameKey("alice")
	for _, s := range []string{"\u0430lice", "al\u0130ce", "al\u0131ce", "alice1", "_alice", "alicе"} {
		if key, ok := UsernameKey(s); !ok || key == alice {
			t.Errorf("%q has key %q (%v)", s, key, ok)
		}
	}
}

func TestUsernameRefused(t *testing.T) {
	for name, c := range map[string]struct{ username, code string }{
		"nothing":                     {"", CodeRequired},
		"spaces":                      {"  ", CodeInvalid},
		"an address":                  {"alice@x.test", CodeInvalid},
		"a wide @":                    {"alice＠x", CodeInvalid},
		"a small @":                   {"alice\ufe6bx", CodeInvalid},
		"a space within":              {"al ice", CodeInvalid},
		"an ideographic space within": {"al\u3000ice", CodeInvalid},
		"a zero-width space":          {"al\u200bice", CodeInvalid},
		"a joiner without context":    {"al\u200dice", CodeInvalid},
		"a Hangul filler":             {"al\u3164ice", CodeInvalid},
		"a right-to-left override":    {"\u202ealice", CodeInvalid},
		"both directions":             {"alice\u05d0", CodeInvalid},
		"a control character":         {"al\tice", CodeInvalid},
		"U+0000":                      {"alice\x00", CodeInvalid},
		"invalid UTF-8":               {"alice\xc0\xaf", CodeInvalid},
		"markup":                      {"<b>alice</b>", CodeInvalid},
		"a path":                      {"../admin", CodeInvalid},
		"a flag":                      {"-alice", CodeInvalid},
		"a formula":                   {"+alice", CodeInvalid},
		"a mark in front":             {"\u0301alice", CodeInvalid},
		"an emoji":                    {"alice😀", CodeInvalid},
		"65 characters":               {strings.Repeat("ü", 65), CodeTooLong},
		"a ligature that expands":     {strings.Repeat("ﬃ", 22), CodeTooLong},
		"a mebibyte":                  {strings.Repeat("a", 1<<20), CodeTooLong},
		"an unassigned character":     {"alice\u0378", CodeInvalid},
		"a spacing accent (normalises to a space)": {"a\u00b4b", CodeInvalid},
	} {
		_, key, f := canonicalUsername(c.username)
		if f.Code != c.code || f.Message == "" || key != "" {
			t.Errorf("%s: code %q and key %q, want code %q", name, f.Code, key, c.code)
		}
	}
}

func TestUsernameAccepted(t *testing.T) {
	for typed, want := range map[string]struct{ display, key string }{
		"Bob.Smith-1_x+y":       {"Bob.Smith-1_x+y", "bob.smith-1_x+y"},
		"7":                     {"7", "7"},
		"42":                    {"42", "42"},
		"_":                     {"_", "_"},
		" Ａlice":                {"Alice", "alice"},
		"名無し":                   {"名無し", "名無し"},
		"دعم":                   {"دعم", "دعم"},
		"हिन्दी":                {"हिन्दी", "हिन्दी"},
		strings.Repeat("Ü", 64): {strings.Repeat("Ü", 64), strings.Repeat("ü", 64)},
	} {
		display, key, f := canonicalUsername(typed)
		if f != (Fault{}) || display != want.display || key != want.key {
			t.Errorf("%q: shown %q, key %q, %v; want %q, %q", typed, display, key, f, want.display, want.key)
		}
	}
}

func FuzzUsername(f *testing.F) {
	for _, s := range []string{"Alice", "ａlice", "straße", "İi", "a\u0345", "हिन्दी", "دعم1", "ﬃ", "a@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		display, key, fa := canonicalUsername(typed)
		if fa != (Fault{}) {
			return
		}
		if utf8.RuneCountInString(key) > maxUsername || !utf8.ValidString(key) || strings.ContainsAny(key, "@ \x00") {
			t.Errorf("%q has the key %q", typed, key)
		}
		if _, ok := EmailKey(key); ok {
			t.Errorf("%q can be taken for an email address", typed)
		}
		for _, form := range []string{key, display} {
			if k, ok := UsernameKey(form); !ok || k != key {
				t.Errorf("%q has the key %q, but of %q it is %q (%v)", typed, key, form, k, ok)
			}
		}
	})
}
