package sqlstore

import (
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"
)

// Lists that list writes, and any other JSON lists of strings, are read as encoding/json reads
// them.
func FuzzListsAreReadAsJSON(f *testing.F) {
	for _, s := range []string{`[]`, `["a"]`, `["a","b"]`, `["a,b"]`, `["a\",\"b"]`, `["\\"]`, `[""]`, `["",""]`,
		`["a", "b"]`, `["a",null]`,
		`["a"b"]`, `["a",1,"b"]`, `["]`, `["a"],["b"]`, `null`, ``, "[\"\u2028\"]", `["a","b"`, `["\u00e9"]`,
		"[\"\x00\"]", "[\"\n\"]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // no engine can store it
		}
		got, err := unlist(s)
		var want []string
		wantErr := json.Unmarshal([]byte(s), &want)
		if wantErr == nil && !slices.Equal(got, want) {
			t.Errorf("%q is read as %q, by JSON as %q", s, got, want)
		}
		if wantErr == nil && err != nil {
			t.Errorf("%q: %v", s, err)
		}
		again, err := unlist(list([]string{s, "x"}))
		var back []string
		if json.Unmarshal([]byte(list([]string{s, "x"})), &back) != nil || err != nil || !slices.Equal(again, back) {
			t.Errorf("%q comes back as %q, %v", s, again, err)
		}
	})
}
