package web

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths of what others wrote, in characters. More is cut, with a mark.
const (
	maxName = 100 // a client's name is no longer
	maxHost = 60
	maxUser = 254 // an email address is no longer
	maxLine = 120 // a scope, a resource, a request id
)

// maxService is the longest name of the service itself.
const maxService = 64

// clean makes what others wrote fit to stand in our sentences: one line, of characters that can be seen. What
// turns the direction of a text, joins or hides characters is dropped, and of the marks on one character all
// but three, so that a name neither imitates another invisibly nor climbs out of its line. Joiners that change
// how a word of Persian, of an Indic script or an emoji is written stay (joiners.go).
func clean(s string, most int) string {
	in := []rune(strings.ToValidUTF8(s, ""))
	var out []rune
	length, marks, space := 0, 0, false
	for i, r := range in {
		if unicode.IsSpace(r) {
			space = length > 0
			continue
		}
		if unseen(r) {
			if !space && needed(out, r, in[i+1:]) {
				out = append(out, r)
			}
			continue
		}
		if unicode.Is(unicode.M, r) {
			if marks++; marks > 3 || length == 0 {
				continue
			}
		} else {
			marks = 0
		}
		if length >= most {
			out = append(out, '…')
			break
		}
		if space {
			out = append(out, ' ')
			space = false
		}
		out = append(out, r)
		length++
	}
	return string(out)
}

// unseen tells whether r shows nothing of its own.
func unseen(r rune) bool {
	switch {
	case r == utf8.RuneError, r == '\u034f', r == '\u115f', r == '\u1160', r == '\u2800', r == '\u3164', r == '\uffa0': // joiner, fillers, blank pattern
		return true
	case r >= '\ufe00' && r <= '\ufe0f', r >= 0xe0000 && r <= 0xe0fff, r == '\u17b4', r == '\u17b5': // variation selectors, tags, inherent vowels
		return true
	}
	return !unicode.IsPrint(r) // Cc, Cf (bidi controls, zero width), Co, Cs, unassigned
}

// cleanHost keeps the end of a long host: the part that says whose it is.
func cleanHost(s string) string {
	s = clean(s, 1<<10)
	if r := []rune(s); len(r) > maxHost {
		s = "…" + string(r[len(r)-maxHost:])
	}
	return s
}

// ownPath is s when it is a path of ours, below base. Empty: left out.
func ownPath(base, s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > 2048 || u.Scheme != "" || u.Host != "" || u.Opaque != "" ||
		!strings.HasPrefix(u.Path, base+"/") || strings.HasPrefix(s, "//") || strings.Contains(s, `\`) {
		return ""
	}
	return u.String()
}

// webLink is u when people may be sent there: https, and nothing that looks like another host. Empty: left out.
func webLink(s string) string {
	if len(s) > 2048 {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return ""
	}
	return u.String()
}
