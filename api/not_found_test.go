package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// What browsers send when a person follows a link or types an address.
const browserAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

func TestAPathThatThereIsNotIsAPageForPeopleAndJSONForPrograms(t *testing.T) {
	for _, issuer := range []string{"https://id.test", "https://id.test/p"} {
		s := apitest.New(t, apitest.Options{IssuerURL: issuer})
		prefix := strings.TrimPrefix(issuer, "https://id.test")
		for _, row := range []struct {
			name, method, path, accept string
			page                       bool
		}{
			{"a browser at a mistyped page", "GET", "/lgoin", browserAccept, true},
			{"a browser under the issuer's path", "GET", prefix + "/lgoin", browserAccept, true},
			{"a browser below a page", "GET", "/login/", browserAccept, true},
			{"a browser at an asset of an older version", "GET", "/assets/style.AAAAAAAAAAAAAAAA.css", browserAccept, false},
			{"HTML only", "GET", "/x", "text/html", true},
			{"HTML and JSON alike", "GET", "/x", "application/json, text/html", true},
			{"a browser's script that takes anything", "GET", "/x", "*/*", false},
			{"a program that says nothing", "GET", "/x", "", false},
			{"a program that prefers JSON", "GET", "/x", "text/html;q=0.5, application/json", false},
			{"a program that prefers problem documents", "GET", "/x", "application/problem+json, text/html;q=0.9", false},
			{"HTML refused", "GET", "/x", "text/html;q=0, */*", false},
			{"a weight that is none", "GET", "/x", "text/html;q=2", false},
			{"a header that is none", "GET", "/x", ";;,text/html;q,\xff", false},
			{"a stylesheet", "GET", "/assets/style.AAAAAAAAAAAAAAAA.css", "text/css,*/*;q=0.1", false},
			{"a browser in the account API", "GET", "/v1/nothing", browserAccept, false},
			{"a browser in the protocol", "GET", "/oauth2/nothing", browserAccept, false},
			{"a browser in the protocol under the issuer's path", "GET", prefix + "/oauth2/nothing", browserAccept, false},
			{"a browser among the well-known", "GET", "/.well-known/nothing", browserAccept, false},
			{"a form to nowhere", "POST", "/x", browserAccept, false},
		} {
			t.Run(issuer+" "+row.name, func(t *testing.T) {
				header := http.Header{}
				if row.accept != "" {
					header.Set("Accept", row.accept)
				}
				header.Set("Accept-Language", "fr")
				res := s.With(t).Do(apitest.Request{Method: row.method, Path: row.path, Header: header})
				media, policy := res.Header.Get("Content-Type"), res.Header.Get("Content-Security-Policy")
				if res.Status != 404 || strings.HasPrefix(media, "text/html") != row.page {
					t.Fatalf("%d %s %.200s", res.Status, media, res.Body)
				}
				if !row.page {
					return
				}
				if !strings.Contains(string(res.Body), "Il n’y a rien ici") || res.Header.Get("Content-Language") != "fr" {
					t.Errorf("%s", res.Body)
				}
				if !strings.Contains(policy, "style-src 'self'") || res.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(strings.Join(res.Header["Vary"], ", "), "Accept, Accept-Language") {
					t.Errorf("headers %v", res.Header)
				}
			})
		}
	}
	t.Run("HEAD has no body", func(t *testing.T) {
		s := apitest.New(t, apitest.Options{})
		res := s.Do(apitest.Request{Method: "HEAD", Path: "/nothing", Header: http.Header{"Accept": {browserAccept}}})
		if res.Status != 404 || res.Header.Get("Content-Language") != "en" {
			t.Errorf("%d %v", res.Status, res.Header)
		}
	})
}
