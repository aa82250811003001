package languages

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"

	"github.com/signet-id/signet/internal/strictjson"
)

//go:embed *.json
var files embed.FS

// Original is the language that the other files are translated from.
const Original = "en"

// Language is one language with its texts.
type Language struct {
	Tag  string // BCP 47
	Name string // in the language itself
	RTL  bool   // it is written from right to left

	texts map[string]string
}

// Text is the text of a name such as pages.login.heading; "": there is none. {names} in it stand for values.
func (l *Language) Text(name string) string { return l.texts[name] }

// document is what a file holds.
type document struct {
	Language struct {
		Name      string `json:"name"`
		Direction string `json:"direction"`
		Review    string `json:"review"` // who has looked at the file; for people
	} `json:"language"`
	Pages    map[string]string `json:"pages"`
	Errors   map[string]string `json:"errors"`   // error pages, by code: a heading, and advice
	Problems map[string]string `json:"problems"` // what a form says, by code, or by field and code
	Mail     map[string]string `json:"mail"`     // messages, by kind
}

// Tags lists the languages that there are: English, then the others in alphabetical order of their tags.
func Tags() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // embedded
	}
	tags := []string{Original}
	for _, e := range entries {
		if tag := strings.TrimSuffix(e.Name(), ".json"); tag != Original {
			tags = append(tags, tag)
		}
	}
	return tags
}

// Set is the languages that a service speaks. Make one by Load.
type Set struct {
	list    []*Language     // the first one is spoken to people who want none of them
	bases   []language.Base // of list
	matcher language.Matcher
}

// Load reads the languages of the tags. It fails when a file is not complete, whether or not its language is among them.
func Load(tags []string) (*Set, error) {
	if len(tags) == 0 {
		return nil, errors.New("no language is named")
	}
	all, err := readAll()
	if err != nil {
		return nil, err
	}
	s := &Set{}
	var parsed []language.Tag
	for _, tag := range tags {
		l := all[tag]
		switch {
		case l == nil:
			return nil, fmt.Errorf("there is no language %q; there are %s", tag, strings.Join(Tags(), ", "))
		case slices.Contains(s.list, l):
			return nil, fmt.Errorf("the language %q is named twice", tag)
		}
		t := language.MustParse(tag)
		base, _ := t.Base()
		s.list, s.bases, parsed = append(s.list, l), append(s.bases, base), append(parsed, t)
	}
	s.matcher = language.NewMatcher(parsed)
	return s, nil
}

// Languages are those of the set, in the order in which they were named.
func (s *Set) Languages() []*Language { return slices.Clone(s.list) }

// Of is the language with that very tag; nil: the set has none.
func (s *Set) Of(tag string) *Language {
	for _, l := range s.list {
		if l.Tag == tag {
			return l
		}
	}
	return nil
}

// Default is the language for people who want none that there is.
func (s *Set) Default() *Language { return s.list[0] }

// readAll reads the embedded files by tag. The pages and the messages both need them, and no program
// changes them, so they are read once.
var readAll = sync.OnceValues(func() (map[string]*Language, error) {
	all := map[string]*Language{}
	var problems []error
	for _, tag := range Tags() {
		raw, err := files.ReadFile(tag + ".json")
		if err != nil {
			return nil, err
		}
		l, err := read(tag, raw)
		if err == nil && tag != Original {
			err = l.matches(all[Original])
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("language %s: %w", tag, err))
			if tag == Original {
				break // nothing can be held against it
			}
		}
		all[tag] = l
	}
	return all, errors.Join(problems...)
})

// read parses the file of a language.
func read(tag string, raw []byte) (*Language, error) {
	if t, err := language.Parse(tag); err != nil || t.String() != tag {
		return nil, fmt.Errorf("the file is not named after a language tag such as fr or pt-BR")
	}
	var d document
	if err := strictjson.Unmarshal(raw, &d, strictjson.RefuseUnknown); err != nil {
		return nil, err
	}
	l := &Language{Tag: tag, Name: d.Language.Name, RTL: d.Language.Direction == "rtl", texts: map[string]string{}}
	if l.Name == "" || d.Language.Review == "" || !slices.Contains([]string{"ltr", "rtl"}, d.Language.Direction) {
		return nil, errors.New("language needs name, review, and a direction that is ltr or rtl")
	}
	for section, texts := range map[string]map[string]string{"pages": d.Pages, "errors": d.Errors, "problems": d.Problems, "mail": d.Mail} {
		for name, text := range texts {
			l.texts[section+"."+name] = text
		}
	}
	return l, nil
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}?`)

// Placeholders lists what a text leaves open, such as {client}.
func Placeholders(text string) []string {
	found := placeholder.FindAllString(text, -1)
	slices.Sort(found)
	return found
}

// matches says all that l has too little, too much, or different from the original.
func (l *Language) matches(original *Language) error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(original.texts)) {
		text, ok := l.texts[name]
		switch want := Placeholders(original.texts[name]); {
		case !ok || text == "":
			problems = append(problems, fmt.Errorf("%s is missing", name))
		case !slices.Equal(Placeholders(text), want):
			problems = append(problems, fmt.Errorf("%s has the placeholders %q, en has %q", name, Placeholders(text), want))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.texts)) {
		if _, ok := original.texts[name]; !ok {
			problems = append(problems, fmt.Errorf("%s is not in en", name))
		}
	}
	return errors.Join(problems...)
}
