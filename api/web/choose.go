package web

import (
	"golang.org/x/text/language"
)

var matcher = language.NewMatcher([]language.Tag{language.English, language.German})

// Choose picks the language: the first of preferred (BCP 47 tags, most wanted first) that there is, else by an
// Accept-Language header, else en.
func Choose(preferred []string, acceptLanguage string) Locale {
	for n, tag := range preferred {
		if n == maxPreferred {
			break
		}
		if t, err := language.Parse(tag); err == nil {
			if l, ok := spoken(t); ok {
				return l
			}
		}
	}
	if len(acceptLanguage) > maxAccept {
		return English
	}
	// What cannot be read is left out; a header of nothing else asks for nothing.
	tags, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err == nil {
		if l, ok := spoken(tags...); ok {
			return l
		}
	}
	return English
}

// Bounds of what a stranger may make us parse.
const (
	maxPreferred = 16
	maxAccept    = 1024
)

// spoken is the one of ours that a reader of tags understands.
func spoken(tags ...language.Tag) (Locale, bool) {
	_, n, confidence := matcher.Match(tags...)
	if confidence < language.High {
		return English, false
	}
	return locales[n], true
}
