package bymail_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// P-14: a copy of the database from which somebody also has the password of an account with a second
// factor, while a browser is trusted and logged in. Nothing in it is the cookie of the session or of
// the trusted browser.
func TestP14ADumpOpensNoTrustedBrowser(t *testing.T) {
	sqltest.EachURL(t, func(t *testing.T, at string) {
		o := apitest.Options{DB: apitest.Open(t, at)}
		unlimitedLogins(&o)
		apitest.Configured(func(r *apitest.Replica) { r.Issuer.TrustedBrowser = 720 * time.Hour })(&o)
		s := apitest.New(t, o)
		alice := s.SignUp("alice")
		app, _ := s.WithApp(alice)
		owner := s.Browser()
		owner.SignIn("/login", alice).WantPage(200, "second-code").
			Submit("second-submit", map[string]string{"code": app.Code(), "trust": "yes"}).WantPage(200, "to-profile")
		names := map[string]string{} // of the cookies, by what they are
		for name := range owner.Cookies {
			for _, what := range []string{"session", "trusted"} {
				if strings.Contains(name, "signet-"+what+"-") {
					names[what] = name
				}
			}
		}
		dump := string(sqltest.Dump(t, at))
		trusted, err := s.DB.ListTrustedBrowsers(t.Context(), alice.ID, s.Clock.Now())
		if err != nil || len(trusted) != 1 || !strings.Contains(dump, trusted[0].ID) || len(names) != 2 {
			t.Fatalf("the copy does not show the trusted browser, or the search is blind: %v %v %v", trusted, names, err)
		}
		// open logs in with a cookie that somebody made up, and with the password.
		open := func(what, value string) (in bool) {
			thief := s.Browser()
			thief.Cookies[names[what]] = value
			if what == "session" {
				return !thief.Open("/account").Has("login-submit")
			}
			return !thief.SignIn("/login", alice).Has("second-code")
		}
		for what, name := range names {
			cookie := owner.Cookies[name]
			if raw, err := base64.RawURLEncoding.DecodeString(cookie); strings.Contains(dump, cookie) ||
				err == nil && (strings.Contains(dump, hex.EncodeToString(raw)) || strings.Contains(dump, string(raw))) {
				t.Errorf("P-14 the copy holds the cookie of the %s", what)
			}
			if !open(what, cookie) {
				t.Fatalf("the cookie itself opens no %s: the test is blind", what)
			}
		}
		tried := 0
		for text := range candidates(dump) {
			if len(text) != 32 {
				continue // hashes and secrets of cookies are as long
			}
			tried++
			for _, value := range []string{base64.RawURLEncoding.EncodeToString([]byte(text)), hex.EncodeToString([]byte(text))} {
				if value == owner.Cookies[names["session"]] || value == owner.Cookies[names["trusted"]] {
					t.Errorf("P-14 the copy holds a cookie: %x", text)
				}
			}
		}
		if tried < 2 {
			t.Fatalf("only %d texts of the copy are as long as a cookie", tried)
		}
		hashed := trusted[0].Hash[:]
		s.Unchanged(func() {
			for _, value := range []string{trusted[0].ID, base64.RawURLEncoding.EncodeToString(hashed),
				hex.EncodeToString(hashed), base64.StdEncoding.EncodeToString(hashed)} {
				if open("trusted", value) || open("session", value) {
					t.Errorf("P-14 %q is taken for a cookie", value)
				}
			}
		})
	})
}
