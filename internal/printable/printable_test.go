package printable

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

var cases = []struct{ name, in, text, json string }{
	{"plain text", "Ada Lovelace, 19 °C", "Ada Lovelace, 19 °C", `"Ada Lovelace, 19 °C"`},
	{"letters of the world", "Ünïcödé 田中 عمر עדה", "Ünïcödé 田中 عمر עדה", `"Ünïcödé 田中 عمر עדה"`},
	{"joiners that writing needs", "می\u200cخواهم 👩\u200d🚀", "می\u200cخواهم 👩\u200d🚀", "\"می\u200cخواهم 👩\u200d🚀\""},
	{"an ANSI sequence", "\x1b[2Jgone", "\ufffd[2Jgone", `"\u001b[2Jgone"`},
	{"its form of one character", "\u009b2Jgone", "\ufffd2Jgone", `"\u009b2Jgone"`},
	{"its form of one byte", "\x9b2Jgone", "\ufffd2Jgone", `"\ufffd2Jgone"`},
	{"a line that nobody wrote", "x\r\nroot logged in", "x\ufffd\ufffdroot logged in", `"x\r\nroot logged in"`},
	{"Unicode's own line ends", "x\u2028y\u2029z\u0085", "x\ufffdy\ufffdz\ufffd", `"x\u2028y\u2029z\u0085"`},
	{"delete and backspace", "ab\x7f\b", "ab\ufffd\ufffd", `"ab\u007f\b"`},
	{"order turned around", "\u202eevil\u202c \u2066x\u2069 \u200f\u061c", "\ufffdevil\ufffd \ufffdx\ufffd \ufffd\ufffd",
		`"\u202eevil\u202c \u2066x\u2069 \u200f\u061c"`},
	{"what cannot be seen", "a\u200bb\ufeff\u00ad", "a\ufffdb\ufffd\ufffd", `"a\u200bb\ufeff\u00ad"`},
	{"a tag beyond the first plane", "x\U000e0041", "x\ufffd", `"x\udb40\udc41"`},
}

func TestText(t *testing.T) {
	for _, c := range cases {
		if got := Text(c.in); got != c.text {
			t.Errorf("%s: %q, not %q", c.name, got, c.text)
		}
	}
}

func TestJSONReadsAsBefore(t *testing.T) {
	for _, c := range cases {
		plain, err := json.Marshal(c.in)
		if err != nil {
			t.Fatal(err)
		}
		got := JSON(plain)
		if string(got) != c.json {
			t.Errorf("%s: %s, not %s", c.name, got, c.json)
		}
		var before, after string
		if json.Unmarshal(plain, &before) != nil || json.Unmarshal(got, &after) != nil || before != after {
			t.Errorf("%s: %q became %q", c.name, before, after)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, c := range cases {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		plain, _ := json.MarshalIndent(map[string]string{"a": in}, "", "  ")
		var before, after map[string]string
		got := JSON(plain)
		if json.Unmarshal(plain, &before) != nil || json.Unmarshal(got, &after) != nil || before["a"] != after["a"] {
			t.Fatalf("%q became %q", before, after)
		}
		for s := string(got); s != ""; {
			r, n := utf8.DecodeRuneInString(s)
			if r != '\n' && obeyed(r) {
				t.Fatalf("%q is left", r)
			}
			s = s[n:]
		}
	})
}
