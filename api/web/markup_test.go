package web_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/signet-id/signet/api/web"
)

var (
	// voids have no end tag (HTML section 13.1.2).
	voids = []string{"br", "hr", "img", "input", "link", "meta"}
	// blocks end a paragraph that is open (HTML section 13.2.6.4.7).
	blocks = []string{
		"details", "div", "dl", "footer", "form", "h1", "h2", "header", "main", "nav", "ol", "p", "summary", "table", "ul",
	}
)

// A browser repairs what is wrong without a word, and then styles and screen readers find another
// page than the template says. A long request makes forms of the links to other pages.
func TestEveryElementIsClosedWhereItsTemplateClosesIt(t *testing.T) {
	p := newPages(t, web.Options{Base: "/id"})
	for _, s := range samples {
		for name, request := range map[string]string{"no request": "", "short": "handle", "long": strings.Repeat("h", 2000)} {
			t.Run(s.name+" "+name, func(t *testing.T) {
				page, err := s.make(p, web.Common{Request: request, CSRF: "token", Onward: true}, "")
				if err != nil {
					t.Fatal(err)
				}
				if wrong := misplaced(page.Body); wrong != "" {
					t.Errorf("%s in\n%s", wrong, page.Body)
				}
			})
		}
	}
	for _, text := range []string{"<p><form></form></p>", "<p><a><div></div></a></p>", "<form><form></form></form>",
		"<p><b></p></b>", "<p>", "</p>"} {
		if misplaced([]byte(text)) == "" {
			t.Errorf("nothing is wrong with %s", text)
		}
	}
}

// misplaced names the first tag that a browser moves; empty: there is none.
func misplaced(page []byte) string {
	var open []string
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		kind := z.Next()
		token := z.Token()
		switch kind {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) || len(open) > 0 {
				return "the end of the page"
			}
			return ""
		case html.StartTagToken:
			if slices.Contains(blocks, token.Data) && slices.Contains(open, "p") ||
				token.Data == "form" && slices.Contains(open, "form") {
				return token.String()
			}
			if !slices.Contains(voids, token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				return token.String()
			}
			open = open[:len(open)-1]
		}
	}
}
