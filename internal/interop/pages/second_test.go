//go:build interop

package pages

import (
	"time"

	"github.com/signet-id/signet/api/web"
)

// seconds are the pages of a login's second step, and the login page with passkeys.
var seconds = []shown{
	{"login-passkey", "email", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: app(o), Signup: true, Forgot: true, Passkey: true,
			Stay: &web.Stay{Idle: 24 * time.Hour, Longest: 720 * time.Hour}})
	}},
	{"login-over", "problems", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: app(o), Passkey: true, Name: "ada@example.com",
			Problems: []web.Problem{{Code: "login_expired"}}})
	}},
	{"second-app", "second-code", second("totp", []string{"passkey", "recovery_code"})},
	{"second-app-wrong", "second-code", second("totp", []string{"recovery_code"}, web.Problem{Field: "code", Code: "invalid_code"})},
	{"second-app-too-often", "problems", second("totp", []string{"recovery_code"}, web.Problem{Code: "rate_limited", Seconds: 240})},
	{"second-recovery", "second-recovery-code", second("recovery_code", []string{"passkey", "totp"})},
	{"second-recovery-wrong", "second-recovery-code",
		second("recovery_code", []string{"totp"}, web.Problem{Field: "recovery_code", Code: "invalid_code"})},
	{"second-blocked", "problems", second("recovery_code", nil, web.Problem{Code: "codes_blocked"})},
	{"second-passkey", "", second("passkey", []string{"totp", "recovery_code"})},
	{"second-passkey-refused", "problems", second("passkey", []string{"recovery_code"}, web.Problem{Code: "passkey_refused"})},
	{"second-none", "", second("", nil)},
	{"codes", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.FewCodes(web.CodesPage{Common: c, Left: 2})
	}},
	{"codes-account", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		c.Request, c.Onward = "", false
		return p.FewCodes(web.CodesPage{Common: c})
	}},
}

func second(by string, others []string, problems ...web.Problem) func(*web.Pages, web.Common, string) (web.Page, error) {
	return func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Second(web.SecondPage{
			Common: c, Client: app(o), Login: "login", By: by, Others: others, Trust: 720 * time.Hour, Problems: problems,
		})
	}
}
