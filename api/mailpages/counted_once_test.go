package mailpages_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

// A wrong code of a message counts once, also beside a second factor: a person who mistypes it has the
// five tries that the page without a second factor gives, and a guesser has no more.
func TestAWrongCodeOfAMessageCountsOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, way := range []string{"totp", "recovery_code"} {
			alice := s.SignUp("of-" + way[:4])
			app, recovery := s.WithApp(alice)
			// ask returns the page that asks for code and second factor, and the right code.
			ask := func() (p *apitest.Page, code string) {
				t.Helper()
				s.Advance(2 * time.Minute)
				p = s.Browser().Open("/forgot").Submit("ask-submit", map[string]string{"email": alice.Email})
				code = s.MailOf(outbox.ResetPassword).Code
				next := map[string]string{"code": code, "new_password": apitest.GoodPassword}
				p = p.WantPage(200, "reset-submit").Submit("reset-submit", next).WantPage(200, "second-code")
				if way == "recovery_code" {
					p = p.Submit("second-recovery", nil).WantPage(200, "second-recovery-code")
				}
				return p, code
			}
			send := func(p *apitest.Page, code, password string) *apitest.Page {
				fields := map[string]string{"code": code, "new_password": password}
				if way == "totp" {
					fields["app_code"] = app.Code()
				} else {
					fields["recovery_code"] = recovery[0]
				}
				return p.Submit("reset-submit", fields)
			}
			again := map[string]string{"totp": "second-code", "recovery_code": "second-recovery-code"}[way]

			p, code := ask()
			for n := range 4 {
				p = send(p, fmt.Sprintf("0000000%d", n), apitest.GoodPassword)
				if p.WantPage(400, "code-problem"); !p.Has(again) || p.Value("by") != way {
					t.Errorf("%s: the page has lost the second step: %s", way, p.Text())
				}
			}
			alice.Password = s.Secret("a planted password that comes by " + way)
			if done := send(p, code, alice.Password); done.Status != 200 || done.Has("reset-submit") || done.Has("problems") {
				t.Errorf("%s: %s", way, done.Text())
			}
			if way == "recovery_code" {
				recovery = recovery[1:]
			}

			p, code = ask()
			for n := range 5 {
				p = send(p, fmt.Sprintf("0000000%d", n), apitest.GoodPassword).WantPage(400, "code-problem")
			}
			s.Unchanged(func() { send(p, code, apitest.GoodPassword).WantPage(400, "code-problem") })
			// The second factor was no part of what was wrong: it is not spent.
			if f := must(s.DB.SecondFactors(t.Context(), alice.ID)); way == "recovery_code" && f.RecoveryCodes != 9 || f.WrongCodes != 0 {
				t.Errorf("%s: %+v", way, f)
			}
		}
	})
}
