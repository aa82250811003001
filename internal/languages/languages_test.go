package languages

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func load(t *testing.T, tags ...string) *Set {
	t.Helper()
	s, err := Load(tags)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestThereAreTheLanguagesThatTheDocumentsPromise(t *testing.T) {
	want := []string{"en", "ar", "de", "es", "fr", "it", "ja", "nl", "pl", "pt-BR", "zh-Hans"}
	if got := Tags(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	s := load(t, Tags()...)
	for _, l := range s.Languages() {
		if l.RTL != (l.Tag == "ar") {
			t.Errorf("%s: from right to left: %t", l.Tag, l.RTL)
		}
		if s.Of(l.Tag) != l || l.Name == "" {
			t.Errorf("%s is not found by its tag, or has no name", l.Tag)
		}
	}
	if s.Default().Tag != "en" || s.Of("EN") != nil || s.Of("") != nil {
		t.Error("the first one is not the default, or another tag finds one")
	}
}

// What no native reader has looked at says so, in the file itself.
func TestFilesSayWhoHasLookedAtThem(t *testing.T) {
	for _, tag := range Tags() {
		raw, err := files.ReadFile(tag + ".json")
		if err != nil {
			t.Fatal(err)
		}
		unseen := bytes.Contains(raw, []byte(`"review": "No native reader has looked at this file yet."`))
		if looked := tag == "en" || tag == "de"; unseen == looked {
			t.Errorf("%s.json says that no native reader has looked at it: %t", tag, unseen)
		}
	}
}

// Marks that end a sentence, in every script that there is.
const ends = ".。…"

// isolates matches a text whose left-to-right isolates (UAX 9) are in pairs.
var isolates = regexp.MustCompile(`^(?:[^\x{2066}\x{2069}]*\x{2066}[^\x{2066}\x{2069}]+\x{2069})*[^\x{2066}\x{2069}]*$`)

// What is to be typed as it stands is not turned around by the sentence: without an isolate
// 1975-12-31 reads 31-12-1975 in Arabic, and +49 is 49+.
func TestExamplesKeepTheirDirection(t *testing.T) {
	example := regexp.MustCompile(`\+?[0-9]+(?:-[0-9]+)+|\+[0-9]+|[A-Za-z]+/[A-Za-z]+`)
	for _, l := range load(t, Tags()...).Languages() {
		if !l.RTL {
			continue
		}
		for name, text := range l.texts {
			for _, found := range example.FindAllString(text, -1) {
				if !strings.Contains(text, "\u2066"+found+"\u2069") {
					t.Errorf("%s %s: %s is turned around", l.Tag, name, found)
				}
			}
		}
	}
}

func TestTextsAreSound(t *testing.T) {
	s := load(t, Tags()...)
	original := s.Of(Original)
	for _, l := range s.Languages() {
		same := 0
		for name, text := range l.texts {
			en := original.texts[name]
			switch last, _ := utf8.DecodeLastRuneInString(text); {
			case strings.TrimSpace(text) != text, strings.ContainsAny(text, "<>&'\"\t\n"), strings.Contains(text, "  "):
				t.Errorf("%s %s: %q has a space at an end, two in a row, markup, a line break or a straight quote",
					l.Tag, name, text)
			case strings.ContainsRune(ends, rune(en[len(en)-1])) != strings.ContainsRune(ends, last) &&
				!strings.HasSuffix(en, "…"):
				t.Errorf("%s %s is a sentence in one language only: %q, %q", l.Tag, name, en, text)
			}
			isolated := l.RTL && isolates.MatchString(text)
			for _, r := range text {
				if !unicode.IsPrint(r) && r != '\u00a0' && !(isolated && (r == '\u2066' || r == '\u2069')) {
					t.Errorf("%s %s holds %U, which cannot be seen", l.Tag, name, r)
				}
			}
			if text == en {
				same++
			}
		}
		if l != original && same > 8 {
			t.Errorf("%s says %d texts as English does; was a file copied?", l.Tag, same)
		}
	}
}

// A language in which speech is formal or familiar has one way in every text: pages, errors and
// mails. The words are some that only the other way has; in Chinese, other words for an account and
// its address, too.
func TestEachLanguageSpeaksToPeopleInOneWay(t *testing.T) {
	others := map[string]string{
		"de":    "du dich dir dein deine deinen deinem deiner deines",
		"es":    "usted abra elija escriba introduzca inicie pulse",
		"fr":    "tu te toi ton ta tes",
		"it":    "lei acceda apra chieda inserisca prema scelga",
		"nl":    "u uw",
		"pl":    "pan pani pana państwo",
		"pt-BR": "tu teu tua ti vós",
	}
	for _, l := range load(t, Tags()...).Languages() {
		for name, text := range l.texts {
			words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) })
			for _, other := range strings.Fields(others[l.Tag]) {
				if slices.Contains(words, other) && !strings.HasPrefix(name, "pages.unit.") {
					t.Errorf("%s %s: %q is not how the other texts speak: %q", l.Tag, name, other, text)
				}
			}
			for _, other := range []string{"你", "账户", "电子邮件地址"} {
				if l.Tag == "zh-Hans" && strings.Contains(text, other) {
					t.Errorf("%s %s: %q is not how the other texts speak: %q", l.Tag, name, other, text)
				}
			}
		}
	}
}

// A number stays with its unit, and a French mark with its word, at the end of a line.
func TestLinesBreakBetweenWords(t *testing.T) {
	for _, l := range load(t, Tags()...).Languages() {
		for _, name := range []string{"pages.unit.hours", "pages.unit.days", "problems.rate_limited"} {
			if text := l.Text(name); strings.Contains(text, "} ") {
				t.Errorf("%s %s: a line can break between the number and its unit: %q", l.Tag, name, text)
			}
		}
		if l.Tag != "fr" {
			continue
		}
		for name, text := range l.texts {
			if regexp.MustCompile(` [:;?!»]|« `).MatchString(text) {
				t.Errorf("fr %s: a line can begin with a mark: %q", name, text)
			}
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct {
		tags []string
		want string
	}{
		{nil, "no language"},
		{[]string{"tlh"}, `there is no language "tlh"; there are en, ar, de`},
		{[]string{"EN"}, "there is no language"},
		{[]string{"pt"}, "there is no language"},
		{[]string{"../en"}, "there is no language"},
		{[]string{"de", "en", "de"}, "named twice"},
	} {
		if _, err := Load(c.tags); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.tags, err, c.want)
		}
	}
}

// A translator's slip is named, whatever it is.
func TestAFileThatIsNotCompleteIsRefused(t *testing.T) {
	raw, err := files.ReadFile("en.json")
	if err != nil {
		t.Fatal(err)
	}
	original, err := read("en", raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, tag, before, after, want string
	}{
		{"as it is", "fr", "", "", ""},
		{"a text that is missing", "fr", `"login.heading": "Sign in",`, "", "pages.login.heading is missing"},
		{"a text that is empty", "fr", `"login.heading": "Sign in"`, `"login.heading": ""`, "pages.login.heading is missing"},
		{"a text too many", "fr", `"login.heading"`, `"login.headnig": "x", "login.heading"`,
			"pages.login.headnig is not in en"},
		{"a name twice", "fr", `"login.heading"`, `"login.heading": "x", "login.heading"`, "login.heading"},
		{"a placeholder that was translated", "fr", "to continue to {client}", "pour continuer vers {l’application}",
			"pages.login.client has the placeholders"},
		{"a placeholder that was left out", "fr", "to continue to {client}", "pour continuer",
			"pages.login.client has the placeholders"},
		{"a placeholder twice", "fr", "to continue to {client}", "{client} {client}",
			"pages.login.client has the placeholders"},
		{"a placeholder that is not closed", "fr", "to continue to {client}", "to {client",
			"pages.login.client has the placeholders"},
		{"a number for a text", "fr", `"login.heading": "Sign in"`, `"login.heading": 1`, "login.heading"},
		{"an unknown section", "fr", `"pages": {`, `"page": {}, "pages": {`, "page"},
		{"no direction", "fr", `"direction": "ltr",`, "", "direction"},
		{"a direction that is none", "fr", `"direction": "ltr"`, `"direction": "left"`, "direction"},
		{"no name", "fr", `"name": "English"`, `"name": ""`, "name"},
		{"no word on who has looked at it", "fr", `"review"`, `"reviewed"`, "review"},
		{"a file name that is no tag", "french-file", "", "", "language tag"},
		{"a tag in another case", "pt-br", "", "", "language tag"},
		{"a file that ends in the middle", "fr", "}\n}", "}", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			changed := bytes.Replace(raw, []byte(c.before), []byte(c.after), 1)
			if c.before != "" && bytes.Equal(changed, raw) {
				t.Fatalf("en.json has no %s", c.before)
			}
			l, err := read(c.tag, changed)
			if err == nil {
				err = l.matches(original)
			}
			if refused := c.what != "as it is"; (err != nil) != refused || refused && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	all, german := load(t, Tags()...), load(t, "de", "en")
	for _, c := range []struct {
		what   string
		set    *Set
		wanted []string
		header string
		want   string
	}{
		{"nothing is said", all, nil, "", "en"},
		{"nothing is said to a service that speaks German first", german, nil, "", "de"},
		{"French is asked of a service that has none", german, []string{"fr"}, "fr", "de"},
		{"French, then English, of a service that speaks German first", german, nil, "fr,en;q=0.5", "en"},
		{"the browser speaks German", all, nil, "de-DE,de;q=0.9,en;q=0.8", "de"},
		{"Austrian German", all, nil, "de-AT", "de"},
		{"Latin American Spanish", all, nil, "es-419,es;q=0.9", "es"},
		{"Mexican Spanish", all, nil, "es-MX", "es"},
		{"Brazilian Portuguese", all, nil, "pt-BR", "pt-BR"},
		{"Portuguese of Portugal", all, nil, "pt-PT", "pt-BR"},
		{"Portuguese", all, []string{"pt"}, "", "pt-BR"},
		{"Chinese of the mainland", all, nil, "zh-CN,zh;q=0.9", "zh-Hans"},
		{"simplified Chinese", all, nil, "zh-Hans", "zh-Hans"},
		{"Chinese of Taiwan, which is another script", all, nil, "zh-TW,en;q=0.5", "en"},
		{"Chinese of Taiwan, then French", all, nil, "zh-Hant-TW,fr;q=0.5", "fr"},
		{"Egyptian Arabic", all, nil, "ar-EG", "ar"},
		{"Canadian French", all, nil, "fr-CA", "fr"},
		{"Dutch of Belgium", all, nil, "nl-BE", "nl"},
		{"Japanese", all, nil, "ja-JP", "ja"},
		{"Polish", all, nil, "pl", "pl"},
		{"Italian of Switzerland", all, nil, "it-CH", "it"},
		{"English first", all, nil, "en-GB,de;q=0.9", "en"},
		{"the weights decide, not the order", all, nil, "en;q=0.5,de;q=0.9", "de"},
		{"a weight of zero", all, nil, "de;q=0,fr", "fr"},
		{"Volapük, then German", all, nil, "vo-001,vo;q=0.9,de;q=0.5", "de"},
		{"Volapük only", all, nil, "vo", "en"},
		{"Swiss German, whose readers read German", all, nil, "gsw", "de"},
		{"Luxembourgish, then French", all, nil, "lb,fr;q=0.5", "fr"},
		{"the app asks for German", all, []string{"de"}, "en", "de"},
		{"the app asks for what there is not, then German", all, []string{"vo", "de-CH"}, "en", "de"},
		{"the app asks for what there is not", all, []string{"vo"}, "de", "de"},
		{"the app asks for nonsense", all, []string{"", "\x00", "xx-yy-zz-", strings.Repeat("a", 5000)}, "de", "de"},
		{"nonsense in the header", all, nil, ";;;q=x,,\xff", "en"},
		{"a header of 100 KiB", all, nil, strings.Repeat("de,", 30000), "en"},
		{"a thousand tags before German", all, append(slices.Repeat([]string{"vo"}, 1000), "de"), "", "en"},
		{"anything", all, nil, "*", "en"},
	} {
		t.Run(c.what, func(t *testing.T) {
			got := c.set.Wanted(c.wanted)
			if got == nil {
				got = c.set.Choose(c.header)
			}
			if got.Tag != c.want {
				t.Errorf("%s, want %s", got.Tag, c.want)
			}
		})
	}
}

// The files are written as a JSON formatter writes them, so that a change shows as what it is, and
// in the order of en.json.
func TestFilesAreInOneOrder(t *testing.T) {
	names := func(raw []byte) (list []string) {
		for line := range strings.Lines(string(raw)) {
			if name, _, ok := strings.Cut(strings.TrimSpace(line), `":`); ok {
				list = append(list, name)
			}
		}
		return list
	}
	original, err := files.ReadFile("en.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range Tags() {
		raw, err := files.ReadFile(tag + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var formatted bytes.Buffer
		if err := json.Indent(&formatted, bytes.TrimSpace(raw), "", "  "); err != nil {
			t.Fatal(err)
		}
		if formatted.String()+"\n" != string(raw) {
			t.Errorf("%s.json is not indented by two spaces, one name a line", tag)
		}
		if !slices.Equal(names(raw), names(original)) {
			t.Errorf("%s.json has not the order of en.json", tag)
		}
	}
}
