package issuer

import (
	"strings"
	"testing"
)

// RFC 8628 section 6.1: what people type of a code counts, not how they type it.
func TestReadUserCode(t *testing.T) {
	for typed, want := range map[string]string{
		"BCDF-GHJK-LMNP":           "BCDFGHJKLMNP",
		"bcdfghjklmnp":             "BCDFGHJKLMNP",
		" bcdf ghjk\tlmnp\n":       "BCDFGHJKLMNP",
		"BCDF\u2013GHJK\u2011LMNP": "BCDFGHJKLMNP", // hyphens that a phone makes of others
		"B-C-D-F-G-H-J-K-L-M-N-P":  "BCDFGHJKLMNP",
		"":                         "",
		"BCDF-GHJK-LMN":            "",
		"BCDF-GHJK-LMNPQ":          "",
		"BCDF-GHJK-LMNA":           "", // no vowel
		"BCDF-GHJK-LMN0":           "",
		"BCDF_GHJK_LMNP":           "",
		"BCDFGHJKLMN\u0440":        "",
		"BCDFGHJKLMN\xff":          "",
		"BCDFGHJK\u017f":           "", // whose upper case is an S
		strings.Repeat(" ", 200) + "BCDFGHJKLMNP": "",
	} {
		code, ok := ReadUserCode(typed)
		if ok != (want != "") || ok && code != want {
			t.Errorf("%q is read as %q, %v", typed, code, ok)
		}
	}
}

// Each symbol is as likely as any other, and a shown code is read as itself.
func TestNewUserCode(t *testing.T) {
	const codes = 4000
	seen := map[rune]int{}
	for range codes {
		code := newUserCode()
		shown := SpacedUserCode(code)
		if read, ok := ReadUserCode(shown); !ok || read != code || len(shown) != 14 {
			t.Fatalf("%q is shown as %q", code, shown)
		}
		for _, symbol := range code {
			seen[symbol]++
		}
	}
	// 2,400 times on average, with a standard deviation below 48: ten of them are never passed.
	for _, symbol := range userCodeSymbols {
		if n := seen[symbol]; n < 1920 || n > 2880 {
			t.Errorf("%c %d times of %d", symbol, n, codes*userCodeLength)
		}
	}
}
