package terminal

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAListFitsATerminal(t *testing.T) {
	long := strings.Repeat("a", 200) + "@example.com"
	for _, row := range []struct {
		name  string
		wide  bool
		whole []int
		cells []string
		want  []string // that stand in it whole
	}{
		{"what fits is as it is", false, nil, []string{"ada@example.com", "ada", "active"},
			[]string{"ada@example.com", "ada", "active"}},
		{"a long address is cut", false, nil, []string{long, "ada", "active"}, []string{"aaaa…", "ada", "active"}},
		{"two long ones are cut alike", false, nil, []string{long, long, "active"}, []string{"active"}},
		{"a time is never cut", false, []int{1}, []string{long, "2026-01-31 18:00:00Z", long, long, long},
			[]string{"2026-01-31 18:00:00Z"}},
		{"characters count, not bytes", false, nil, []string{strings.Repeat("ä", 74), "x"},
			[]string{strings.Repeat("ä", 74)}},
		{"wide", true, nil, []string{long, long}, []string{long + "  " + long}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out bytes.Buffer
			c := Table{Out: &out, Most: Width, Whole: row.whole}
			if row.wide {
				c.Most = 0
			}
			if err := c.Write([][]string{row.cells}); err != nil {
				t.Fatal(err)
			}
			line := strings.TrimSuffix(out.String(), "\n")
			if n := utf8.RuneCountInString(line); !row.wide && n > 80 {
				t.Errorf("%d characters: %s", n, line)
			}
			for _, want := range row.want {
				if !strings.Contains(line, want) {
					t.Errorf("%q has no %q", line, want)
				}
			}
		})
	}
	t.Run("page by page", func(t *testing.T) {
		var out bytes.Buffer
		c := Table{Out: &out, Most: Width, Whole: []int{1}}
		for _, cells := range [][]string{{"EMAIL", "LAST LOGIN", "ROLES"},
			{"ada@example.com", "2026-01-31 18:00:00Z", "admin"}, {long, "never", long}, {"bob@example.com", "never", ""}} {
			if err := c.Write([][]string{cells}); err != nil {
				t.Fatal(err)
			}
		}
		for line := range strings.Lines(out.String()) {
			if utf8.RuneCountInString(line) > 81 {
				t.Errorf("%q", line)
			}
		}
	})
}
