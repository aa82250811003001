package web_test

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"testing"

	"github.com/signet-id/signet/api/web"
)

var update = flag.Bool("update", false, "write the golden files anew")

var assetHash = regexp.MustCompile(`(/assets/[a-z]+)\.[A-Za-z0-9_-]{16}\.`)

func TestEveryPageInEveryLanguageIsAsItWasReviewed(t *testing.T) {
	p := newPages(t, web.Options{Service: "Acme", Base: "/id"})
	for _, s := range samples {
		for _, l := range []web.Locale{"en", "de", "ar"} {
			t.Run(s.name+" "+string(l), func(t *testing.T) {
				page, err := s.make(p, web.Common{Locale: l, Request: "handle", CSRF: "token", Onward: true}, "")
				if err != nil {
					t.Fatal(err)
				}
				got := append([]byte("Content-Security-Policy: "+page.CSP+"\n\n"),
					assetHash.ReplaceAll(page.Body, []byte("$1.HASH."))...)
				golden := "testdata/" + s.name + "." + string(l) + ".html"
				if *update {
					if err := os.WriteFile(golden, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("it differs from %s; look at it, then run go test ./api/web -update\n%s", golden, got)
				}
			})
		}
	}
}
