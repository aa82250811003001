//go:build interop

package pages

import (
	"github.com/signet-id/signet/api/web"
)

// furtherFactors are states of the pages about second factors that differ from others in a sentence or
// two, or in what is missing.
var furtherFactors = []shown{
	{"account-security-off", "", account(web.AccountSecurity, func(d *web.AccountPage) {
		d.Factors = &web.AccountFactors{Refused: "factors_off", On: true}
	})},
	{"account-passkeys-none", "", account(web.AccountPasskeys, func(d *web.AccountPage) {
		d.Factors = &web.AccountFactors{}
	})},
	{"account-codes-none", "", account(web.AccountCodes, func(d *web.AccountPage) {
		d.Factors = &web.AccountFactors{On: true}
	})},
	{"account-trusted-none", "done", account(web.AccountTrusted, func(d *web.AccountPage) {
		d.Factors = &web.AccountFactors{On: true}
		d.Done = web.DoneUntrusted
	})},
	{"account-delete-second", "", account(web.AccountDelete, func(d *web.AccountPage) { d.SecondFactor = true })},
	{"setup-unverified", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Login: "login",
			Factors: web.AccountFactors{Refused: "email_not_verified", NoPasskeys: true}})
	}},
	{"second-again", "second-code", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Second(web.SecondPage{Common: c, Client: app(o), By: "totp", Others: []string{"passkey", "recovery_code"}})
	}},
	{"second-account", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		c.Onward, c.Request = false, ""
		return p.Second(web.SecondPage{Common: c, By: "passkey", Others: []string{"totp", "recovery_code"},
			Next: "account/password"})
	}},
	{"undo-second-none", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Undo(web.UndoPage{Common: c, MinLength: 15, Second: &web.SecondStep{}})
	}},
	{"done-factor-undo", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Done(web.DonePage{Common: c, Done: "factor-undo"})
	}},
}
