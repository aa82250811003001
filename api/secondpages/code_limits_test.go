package secondpages_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// P-06: ten wrong codes in a stolen session of a browser end its proofs by code, at the pages and with the
// tokens that it gets for apps. The owner logs in elsewhere.
func TestP06AStolenSessionOfABrowserDoesNotBlockTheCodesOfTheOwner(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u := s.SignUp("alice")
		b := s.SignedIn(u)
		app, codes := s.WithApp(u)
		prove := func(fields map[string]string) *apitest.Page {
			p := b.Open("/login/second?next=account%2Fpassword")
			if link := p.Link("/login/second?by=recovery"); fields["recovery_code"] != "" && link != "" {
				p = b.Open(link)
			}
			return p.Submit("second-submit", fields)
		}
		for range 6 {
			s.Advance(5 * time.Minute)
			prove(map[string]string{"code": app.Wrong()}).WantPage(403, "second-code-problem")
		}
		for range 4 {
			s.Advance(5 * time.Minute)
			tokens := s.TokensOf(c, b.Open(authorizePath(c, set("scope", "openid profile"))))
			s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/prove", Token: tokens.Access,
				Body: apitest.Fields{"code": app.Wrong()}}).Want(401, "invalid_code")
		}
		s.Advance(time.Hour)
		s.Unchanged(func() {
			for _, code := range []string{app.Wrong(), app.Shown(0)} {
				if p := prove(map[string]string{"code": code}); p.Status != 403 || !strings.Contains(p.Text(), "recovery code") {
					t.Errorf("%d %s", p.Status, p.Text())
				}
			}
		})
		tokens := s.TokensOf(c, b.Open(authorizePath(c, set("scope", "openid profile"))))
		s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/prove", Token: tokens.Access,
			Body: apitest.Fields{"code": app.Shown(0)}}).Want(403, "codes_blocked")

		own := s.Browser()
		own.SignIn("/account", u).Submit("second-submit", map[string]string{"code": app.Code()}).WantPage(200, "to-security")
		prove(map[string]string{"recovery_code": codes[0]}).WantPage(200, "password-submit")
	}, apitest.WithoutMail)
}
