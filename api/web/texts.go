package web

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"github.com/signet-id/signet/internal/languages"
)

// Locale is the tag of a language that the pages speak: en, pt-BR.
type Locale string

// Wishes are what is known of the language that a person wants.
type Wishes struct {
	UILocales []string // of the app's request
	Chosen    string   // at the foot of a page
	Accept    string   // Accept-Language of the browser
}

// Choose picks the language: the app's, else the person's, else the browser's, else the first of the options.
func (p *Pages) Choose(w Wishes) Locale {
	if l := p.languages.Wanted(w.UILocales); l != nil {
		return Locale(l.Tag)
	}
	if chosen := Locale(w.Chosen); p.Speaks(chosen) {
		return chosen
	}
	return Locale(p.languages.Choose(w.Accept).Tag)
}

// Speaks tells whether the pages have a language, by its very tag.
func (p *Pages) Speaks(l Locale) bool { return p.languages.Of(string(l)) != nil }

// say fills the text with values given as name, value, name, value; each is cleaned, escaped and isolated, so that it can
// change neither the sentence around it nor its direction.
func say(l *languages.Language, name string, values ...string) (template.HTML, error) {
	text := l.Text("pages." + name)
	if text == "" {
		return "", fmt.Errorf("there is no text %q", name)
	}
	pairs := make([]string, 0, len(values))
	for n := 0; n+1 < len(values); n += 2 {
		pairs = append(pairs, "{"+values[n]+"}", "<bdi>"+template.HTMLEscapeString(values[n+1])+"</bdi>")
	}
	// One pass, so that a value which looks like a placeholder stays what it is.
	out := strings.NewReplacer(pairs...).Replace(template.HTMLEscapeString(text))
	return template.HTML(out), nil
}

// trouble is what an error page says of a code: what happened, and what to do. Texts are fixed; a code that has none is
// said as any other.
func trouble(l *languages.Language, code string) (heading, advice string) {
	if heading = l.Text("errors." + code + ".heading"); heading != "" {
		return heading, l.Text("errors." + code + ".advice")
	}
	return l.Text("errors.other.heading"), l.Text("errors.other.advice")
}

// complaint is the sentence for a problem with a field ("": the form as a whole): the field's own; else, for a new
// value, that of the value; else the code's.
func complaint(l *languages.Language, field string, p Problem) string {
	for _, name := range []string{field + "." + p.Code, strings.TrimPrefix(field, "new_") + "." + p.Code, p.Code} {
		if text := l.Text("problems." + name); text != "" {
			return strings.ReplaceAll(text, "{minutes}", strconv.Itoa(max(1, (p.Seconds+59)/60)))
		}
	}
	return l.Text("problems.other")
}
