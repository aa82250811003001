package languages

import (
	"golang.org/x/text/language"
)

// Bounds of what a stranger may make us parse.
const (
	maxWanted = 16
	maxAccept = 1024
)

// Wanted is the first of BCP 47 tags, most wanted first, that there is; nil: none. A region is served by the same
// language of another region, and a script only by itself: who asks for traditional Chinese is not given simplified.
func (s *Set) Wanted(tags []string) *Language {
	var wanted []language.Tag
	for _, tag := range tags[:min(len(tags), maxWanted)] {
		if t, err := language.Parse(tag); err == nil {
			wanted = append(wanted, t)
		}
	}
	return s.spoken(wanted)
}

// Choose picks a language by an Accept-Language header, else the default.
func (s *Set) Choose(acceptLanguage string) *Language {
	// What cannot be read is left out; a header of nothing else asks for nothing.
	if len(acceptLanguage) <= maxAccept {
		if tags, _, err := language.ParseAcceptLanguage(acceptLanguage); err == nil {
			if l := s.spoken(tags); l != nil {
				return l
			}
		}
	}
	return s.Default()
}

// spoken is the one that a reader of the tags understands; nil: none. A language that was asked for goes before
// one that readers of an earlier tag are expected to understand (German for Luxembourgish).
func (s *Set) spoken(tags []language.Tag) *Language {
	var near *Language
	for _, t := range tags {
		_, n, confidence := s.matcher.Match(t)
		if confidence < language.High {
			continue
		}
		l := s.list[n]
		if asked, _ := t.Base(); asked == s.bases[n] {
			return l
		}
		if near == nil {
			near = l
		}
	}
	return near
}
