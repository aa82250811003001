package secondpages_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestFewRecoveryCodesAreTold(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u := s.SignUp("alice")
		_, codes := s.WithApp(u)
		for n, code := range codes {
			left := len(codes) - n - 1
			b := s.Browser()
			path := authorizePath(c, set("prompt", "login"))
			if n%2 == 1 {
				path = "/login?next=account%2Fpassword"
			}
			p := first(b, path, u).WantPage(200, "second-code")
			p = b.Open(p.Link("/login/second?by=recovery"))
			p = p.Submit("second-submit", map[string]string{"recovery_code": code})
			if left <= 3 {
				if p.WantPage(200, "codes-continue"); !strings.Contains(p.Text(), fmt.Sprintf("Recovery codes left: %d", left)) {
					t.Errorf("%d left: %s", left, p.Text())
				}
				if n%2 == 0 {
					p = p.Submit("codes-continue", nil)
				} else {
					p = b.Open(p.Link("/account/password"))
				}
			}
			if n%2 == 0 {
				wantCode(t, p)
			} else {
				p.WantPage(200, "password-submit")
			}
		}
		b := s.Browser()
		if p := first(b, "/login", u).WantPage(200, "second-code"); p.Link("/login/second?by=recovery") != "" {
			t.Error("recovery codes are offered, and none is left")
		}
		s.Browser().Open("/login/codes").WantPage(200, "login-submit")
		s.SignedIn(s.SignUp("plain")).Open("/login/codes").WantPage(200, "codes-continue")
	})
}
