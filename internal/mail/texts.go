package mail

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/strictjson"
)

// The texts of every message, one file for each language. en.json is the original: each other file has the same names
// with the same {placeholders}.
//
//go:embed texts/*.json
var ours embed.FS

const original = "en"

// Texts is what letters say, in every language. Make them by LoadTexts.
type Texts struct {
	list    []*textsOf // the first one is for people who want none of them
	bases   []language.Base
	matcher language.Matcher
}

type textsOf struct {
	tag   string
	rtl   bool
	texts map[string]string
}

// document is what a file of ours holds.
type document struct {
	Language struct {
		Name      string `json:"name"`
		Direction string `json:"direction"`
		Review    string `json:"review"` // who has looked at the file; for people
	} `json:"language"`
	Mail map[string]string `json:"mail"`
}

// LoadTexts reads our texts, and those of an operator that stand in their places; own is nil where there are none. Files
// of own are named as ours, such as de.json, and hold {"mail": {"footer": "…"}} with any of the texts. An error names
// every fault.
func LoadTexts(own fs.FS) (*Texts, error) {
	all := map[string]*textsOf{}
	entries, err := ours.ReadDir("texts")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		tag := strings.TrimSuffix(e.Name(), ".json")
		raw, err := ours.ReadFile("texts/" + e.Name())
		if err != nil {
			return nil, err
		}
		if all[tag], err = readTexts(tag, raw); err != nil {
			return nil, fmt.Errorf("language %s: %w", tag, err)
		}
	}
	var problems []error
	for _, tag := range slices.Sorted(maps.Keys(all)) {
		if err := all[tag].matches(all[original]); err != nil {
			problems = append(problems, fmt.Errorf("language %s: %w", tag, err))
		}
	}
	if own != nil {
		problems = append(problems, replaceTexts(all, own)...)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	t := &Texts{}
	var tags []language.Tag
	for _, tag := range append([]string{original}, slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(tag string) bool { return tag == original })...) {
		parsed := language.MustParse(tag)
		base, _ := parsed.Base()
		t.list, t.bases, tags = append(t.list, all[tag]), append(t.bases, base), append(tags, parsed)
	}
	t.matcher = language.NewMatcher(tags)
	return t, nil
}

func readTexts(tag string, raw []byte) (*textsOf, error) {
	if t, err := language.Parse(tag); err != nil || t.String() != tag {
		return nil, errors.New("the file is not named after a language tag such as fr or pt-BR")
	}
	var d document
	if err := strictjson.Unmarshal(raw, &d, strictjson.RefuseUnknown); err != nil {
		return nil, err
	}
	if d.Language.Name == "" || d.Language.Review == "" || d.Language.Direction != "ltr" && d.Language.Direction != "rtl" {
		return nil, errors.New("language needs name, review, and a direction that is ltr or rtl")
	}
	return &textsOf{tag, d.Language.Direction == "rtl", d.Mail}, nil
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}?`)

func placeholders(text string) []string {
	found := placeholder.FindAllString(text, -1)
	slices.Sort(found)
	return found
}

// matches says all that l has too little, too much, or different from the original.
func (l *textsOf) matches(original *textsOf) error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(original.texts)) {
		text, ok := l.texts[name]
		switch want := placeholders(original.texts[name]); {
		case !ok || text == "":
			problems = append(problems, fmt.Errorf("%s is missing", name))
		case !slices.Equal(placeholders(text), want):
			problems = append(problems, fmt.Errorf("%s has the placeholders %q, %s has %q", name, placeholders(text), original.tag, want))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.texts)) {
		if _, ok := original.texts[name]; !ok {
			problems = append(problems, fmt.Errorf("%s is not in %s", name, original.tag))
		}
	}
	return errors.Join(problems...)
}

const (
	maxTextsFile = 256 << 10
	maxText      = 2000
)

// replaceTexts puts an operator's texts in the place of ours. Such a text may leave placeholders out, but knows no others.
func replaceTexts(all map[string]*textsOf, own fs.FS) (problems []error) {
	entries, err := fs.ReadDir(own, ".")
	if err != nil {
		return []error{fmt.Errorf("the folder cannot be read: %w", plain(err))}
	}
	files := 0
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			continue // of version control, or of a mounted secret
		}
		files++
		wrong := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
		}
		l := all[strings.TrimSuffix(name, ".json")]
		if path.Ext(name) != ".json" || l == nil {
			wrong("it is named after none of our languages; name it %s.json", strings.Join(slices.Sorted(maps.Keys(all)), ".json, "))
			continue
		}
		if info, err := fs.Stat(own, name); err != nil || !info.Mode().IsRegular() || info.Size() > maxTextsFile {
			wrong("it is no file of at most %d bytes", maxTextsFile)
			continue
		}
		raw, err := fs.ReadFile(own, name)
		if err != nil {
			wrong("%w", plain(err))
			continue
		}
		var d struct {
			Mail map[string]string `json:"mail"`
		}
		if err := strictjson.Unmarshal(raw, &d, strictjson.RefuseUnknown); err != nil {
			wrong("%w", err)
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(d.Mail)) {
			text := d.Mail[key]
			before, known := all[original].texts[key]
			if !known {
				wrong("there is no text %s; there are %s", key, strings.Join(slices.Sorted(maps.Keys(all[original].texts)), ", "))
				continue
			}
			for _, p := range placeholders(text) {
				if !slices.Contains(placeholders(before), p) {
					wrong("%s has the placeholder %s; it knows %s", key, p, strings.Join(placeholders(before), ", "))
				}
			}
			if text == "" || utf8.RuneCountInString(text) > maxText || strings.HasSuffix(key, ".subject") && oneLine(text, maxSubject/2) != nil {
				wrong("%s is empty, too long, or a subject of more than one line", key)
			}
			l.texts[key] = text
		}
	}
	if files == 0 && problems == nil {
		problems = append(problems, errors.New("the folder holds no texts; put a file such as en.json into it"))
	}
	return problems
}

// plain is an error without the path, which its reader knows.
func plain(err error) error {
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

// in is the texts for a reader of locale, a BCP 47 tag; as the pages choose.
func (t *Texts) in(locale string) *textsOf {
	if tag, err := language.Parse(locale); err == nil && locale != "" {
		if _, n, confidence := t.matcher.Match(tag); confidence >= language.High {
			return t.list[n]
		}
	}
	return t.list[0]
}

// needs are the texts that a kind of message is made of.
func needs(kind outbox.Kind) []string {
	names := []string{string(kind) + ".subject", string(kind) + ".body"}
	switch kind {
	case outbox.Test:
	case outbox.ResetPassword, outbox.VerifyEmail:
		names = append(names, "open_link", "enter_code", "not_asked")
	case outbox.Invite:
		names = append(names, "open_link")
	default:
		names = append(names, "not_you")
	}
	return append(names, "footer")
}
