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
			{"a program at the root", "GET", "/", "*/*", false},
			{"a browser beside the root", "GET", "//", browserAccept, true},
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
				if !strings.Contains(policy, "style-src 'self'") || res.Header.Get("X-Frame-Options") != "DENY" ||
					!strings.Contains(strings.Join(res.Header["Vary"], ", "), "Accept, Accept-Language") {
					t.Errorf("headers %v", res.Header)
				}
			})
		}
	}
	t.Run("HEAD has no body", func(t *testing.T) {
		s := apitest.New(t, apitest.Options{})
		res := s.Do(apitest.Request{Method: "HEAD", Path: "/x", Header: http.Header{"Accept": {browserAccept}}})
		if res.Status != 404 || res.Header.Get("Content-Language") != "en" {
			t.Errorf("%d %v", res.Status, res.Header)
		}
	})
}

// A person who typed the address of the service sees something.
func TestABrowserAtTheRootIsLedToTheFirstPage(t *testing.T) {
	for _, issuer := range []string{"https://id.test", "https://id.test/p"} {
		s := apitest.New(t, apitest.Options{IssuerURL: issuer})
		prefix := strings.TrimPrefix(issuer, "https://id.test")
		for _, path := range []string{"/", prefix + "/", "/?utm_source=x"} {
			for _, method := range []string{"GET", "HEAD"} {
				res := s.Do(apitest.Request{Method: method, Path: path, Header: http.Header{"Accept": {browserAccept}}})
				if to := res.Header.Get("Location"); res.Status != 303 || to != prefix+"/account" ||
					res.Header.Get("Cache-Control") != "no-store" ||
					!strings.Contains(strings.Join(res.Header["Vary"], ", "), "Accept") {
					t.Errorf("%s %s%s: %d to %q, %v", method, issuer, path, res.Status, to, res.Header)
				}
			}
		}
		if prefix != "" {
			if res := s.Do(apitest.Request{Path: prefix,
				Header: http.Header{"Accept": {browserAccept}}}); res.Header.Get("Location") != prefix+"/account" {
				t.Errorf("%s leads to %q", prefix, res.Header.Get("Location"))
			}
		}
	}
}

func TestTheIconIsFoundWhereBrowsersLookForIt(t *testing.T) {
	s := apitest.New(t, apitest.Options{IssuerURL: "https://id.test/p"})
	for _, path := range []string{"/favicon.ico", "/p/favicon.ico"} {
		res := s.Do(apitest.Request{Path: path, Header: http.Header{"Accept": {"image/avif,image/webp,*/*"}}})
		if res.Status != 200 || res.Header.Get("Content-Type") != "image/svg+xml" ||
			res.Header.Get("Cache-Control") != "public, max-age=86400" || !strings.Contains(string(res.Body), "<svg") {
			t.Errorf("%s: %d %v %.100s", path, res.Status, res.Header, res.Body)
		}
		if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "sandbox") {
			t.Errorf("%s: %s", path, policy)
		}
		if res := s.Do(apitest.Request{Method: "POST", Path: path}); res.Status != 405 {
			t.Errorf("%s: POST %d", path, res.Status)
		}
	}
}
