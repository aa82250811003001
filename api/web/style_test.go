package web

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	variable = regexp.MustCompile(`(--signet-[a-z-]+):\s*([^;]+);`)
	used     = regexp.MustCompile(`var\((--signet-[a-z-]+)\)`)
	color    = regexp.MustCompile(`#[0-9a-f]{3,8}\b`)
)

func stylesheet(t *testing.T) (light, dark map[string]string, rules string) {
	t.Helper()
	raw, err := static.ReadFile("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	const media = "@media (prefers-color-scheme: dark) {"
	before, after, ok := strings.Cut(string(raw), media)
	block, rest, closed := strings.Cut(after, "\n}\n")
	if !ok || !closed {
		t.Fatal("the stylesheet has no dark variables where the test looks for them")
	}
	light, dark = map[string]string{}, map[string]string{}
	for _, m := range variable.FindAllStringSubmatch(before, -1) {
		light[m[1]], dark[m[1]] = m[2], m[2]
	}
	for _, m := range variable.FindAllStringSubmatch(block, -1) {
		if _, ok := light[m[1]]; !ok {
			t.Errorf("%s is dark only", m[1])
		}
		dark[m[1]] = m[2]
	}
	for _, colors := range []map[string]string{light, dark} {
		for name, value := range colors {
			if m := used.FindStringSubmatch(value); m != nil {
				colors[name] = colors[m[1]]
			}
		}
	}
	return light, dark, rest
}

// luminance is WCAG's relative luminance of #rrggbb.
func luminance(t *testing.T, c string) float64 {
	t.Helper()
	if len(c) != 7 {
		t.Fatalf("%q is not a colour like #rrggbb", c)
	}
	n, err := strconv.ParseUint(c[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	part := func(v uint64) float64 {
		s := float64(v&0xff) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*part(n>>16) + 0.7152*part(n>>8) + 0.0722*part(n)
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

// WCAG 2.2: 4.5 for text (1.4.3), 3 for what shows where a control is and which has the focus
// (1.4.11).
func TestColorsContrastInLightAndDark(t *testing.T) {
	light, dark, _ := stylesheet(t)
	if c := contrast(t, "#ffffff", "#767676"); math.Abs(c-4.54) > 0.01 {
		t.Fatalf("the test computes %.2f for a pair that has 4.54", c)
	}
	for name, colors := range map[string]map[string]string{"light": light, "dark": dark} {
		for _, c := range []struct {
			front, back string
			least       float64
		}{
			{"text", "card", 4.5}, {"text", "page", 4.5}, {"text", "field", 4.5}, {"text", "line", 4.5},
			{"quiet", "card", 4.5}, {"quiet", "page", 4.5},
			{"link", "card", 4.5},
			{"accent-text", "accent", 4.5}, {"accent-text", "accent-strong", 4.5},
			{"danger", "card", 4.5}, {"danger", "danger-card", 4.5},
			{"mark", "mark-card", 4.5},
			{"field-line", "card", 3}, {"field-line", "field", 3},
			{"accent", "card", 3}, {"accent", "page", 3},
			{"focus", "card", 3}, {"focus", "page", 3}, {"focus", "field", 3},
			{"danger", "field", 3},
		} {
			t.Run(fmt.Sprintf("%s: %s on %s", name, c.front, c.back), func(t *testing.T) {
				if got := contrast(t, colors["--signet-"+c.front], colors["--signet-"+c.back]); got < c.least {
					t.Errorf("%.2f, want %.1f", got, c.least)
				}
			})
		}
	}
}

func TestRulesUseVariablesThatThereAre(t *testing.T) {
	light, dark, rules := stylesheet(t)
	names := map[string]bool{}
	for _, m := range used.FindAllStringSubmatch(rules, -1) {
		names[m[1]] = true
		if _, ok := light[m[1]]; !ok {
			t.Errorf("%s is used, but not set", m[1])
		}
	}
	for name, value := range light {
		if !names[name] {
			t.Errorf("%s is set, but not used", name)
		}
		if color.MatchString(value) && dark[name] == value && name != "--signet-accent-text" {
			t.Errorf("%s is the same in the dark", name)
		}
	}
	if m := color.FindString(rules); m != "" {
		t.Errorf("the colour %s is no variable: no theme can change it, no test has seen it", m)
	}
	if strings.Contains(rules, "url(") || strings.Contains(rules, "@import") {
		t.Error("the stylesheet loads something, which the pages' policies forbid")
	}
}

var class = regexp.MustCompile(`class="([^"{]+)"`)

// docs/pages.md promises variables and classes to operators: all there are, and none that is not.
func TestTheDocumentNamesWhatAThemeMayUse(t *testing.T) {
	raw, err := os.ReadFile("../../docs/pages.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, ok := strings.Cut(string(raw), "## Variables")
	tables, _, closed := strings.Cut(tables, "## Which language")
	if !ok || !closed {
		t.Fatal("docs/pages.md has no tables where the test looks for them")
	}
	promised := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z_-]+)`").FindAllStringSubmatch(tables, -1) {
		promised[m[1]] = true
	}
	exists := map[string]bool{}
	variables, _, _ := stylesheet(t)
	for name := range variables {
		exists[name] = true
	}
	entries, err := files.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		template, err := files.ReadFile("templates/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range class.FindAllStringSubmatch(string(template), -1) {
			for name := range strings.FieldsSeq(m[1]) {
				exists[name] = true
			}
		}
		if name := strings.TrimSuffix(e.Name(), ".html"); name != "layout" {
			exists["page-"+name] = true
		}
	}
	for name := range exists {
		if !promised[name] {
			t.Errorf("docs/pages.md does not name %s", name)
		}
	}
	for name := range promised {
		if !exists[name] {
			t.Errorf("docs/pages.md names %s, which there is not", name)
		}
	}
}
