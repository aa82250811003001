package pages_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// A POST of another site comes without cookies, and the browser keeps what its answer sets. So the
// answer must set none: a new browser cookie would take the place of the one that stayed behind,
// and what another tab has begun would be refused as begun in another browser.
func TestAPostOfAnotherSiteReplacesNoCookie(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	c := s.WebClient()
	for _, state := range []string{"short", longStates["letters"]} {
		for _, mark := range []string{"", "1"} { // another site can set the mark of a request that was sent once more
			for _, site := range []string{"cross-site", "same-site"} {
				for _, path := range []string{authorizePath(c, set("state", state, "signet_resent", mark)),
					"/oauth2/logout?state=" + state + "&signet_resent=" + mark} {
					path, query, _ := strings.Cut(path, "?")
					if mark == "" {
						query = strings.Replace(query, "signet_resent=", "other=", 1)
					}
					p := s.Browser().
						Send(apitest.Request{Method: http.MethodPost, Path: path, Body: query, Type: "application/x-www-form-urlencoded",
							Header: http.Header{"Origin": {"https://web.test"}, "Sec-Fetch-Site": {site}}})
					if cookies := p.Header["Set-Cookie"]; len(cookies) > 0 {
						t.Errorf("%s, %d bytes of state, mark %q, %s: sets %q", path, len(state), mark, site, cookies)
					}
					if p.Status != http.StatusSeeOther {
						if action, fields := p.WantPage(200, "").Posted(); action != apitest.IssuerURL+path ||
							len(fields["signet_resent"]) == 0 {
							t.Errorf("%s: not sent once more, but to %s", path, action)
						}
					} else if !strings.HasPrefix(p.Header.Get("Location"), path+"?") {
						t.Errorf("%s: not sent once more, but to %s", path, p.Header.Get("Location"))
					}
				}
			}
		}
	}
}
