package pages_test

import (
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// Cookies know neither ports nor, under __Host-, paths: issuers that share a host share a browser's
// cookies, and must not end each other's sessions.
func TestIssuersOnOneHostKeepTheirSessionsApart(t *testing.T) {
	for _, urls := range [][]string{
		{"https://id.test", "https://id.test/staging", "https://id.test:8443"},
		{"http://localhost:8080", "http://localhost:8081", "http://localhost:8080/p"},
	} {
		jar := map[string]string{}
		var browsers []*apitest.Browser
		for _, url := range urls {
			s := apitest.New(t, apitest.Options{IssuerURL: url})
			b := s.Browser()
			b.Cookies = jar
			b.SignIn("/login", s.SignUp("alice")).WantPage(200, "")
			browsers = append(browsers, b)
		}
		for n, b := range browsers {
			if b.Open("/logout"); !b.Open("/logout").Has("logout-confirm") {
				t.Errorf("%s: a login at another issuer ended the session", urls[n])
			}
		}
		// A logout ends the one session.
		browsers[1].Open("/logout").Submit("logout-confirm", nil)
		for n, b := range browsers {
			if got := b.Open("/logout").Has("logout-confirm"); got != (n != 1) {
				t.Errorf("%s: logged in %v, after a logout at %s", urls[n], got, urls[1])
			}
		}
	}
}

// The cookies of before are taken for nobody's.
func TestCookiesWithoutTheIssuerStandForNobody(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	b := s.SignedIn(s.SignUp("alice"))
	old := s.Browser()
	old.Cookies["__Host-signet-session"] = b.Cookies[sessionName]
	old.Cookies["__Host-signet-browser"] = b.Cookies[browserName]
	old.Open("/login").WantPage(200, "login-submit")
}
