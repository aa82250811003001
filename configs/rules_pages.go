package configs

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/languages"
)

func badServiceName(name string) string {
	invisible := func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
	if utf8.RuneCountInString(name) > 64 || strings.Join(strings.Fields(name), " ") != name ||
		strings.ContainsFunc(name, invisible) {
		return "is not one line of at most 64 visible characters; shorten it, or leave out what cannot be seen"
	}
	return ""
}

func badLanguages(c Config) []string {
	if len(c.Pages.Languages) == 0 {
		return []string{"is empty; name at least one of " + strings.Join(languages.Tags(), ", ")}
	}
	return eachOf(c.Pages.Languages, func(tag string) string { return notOneOf(tag, languages.Tags()...) })
}
