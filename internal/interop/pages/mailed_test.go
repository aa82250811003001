//go:build interop

package pages

import (
	"strings"

	"github.com/signet-id/signet/api/web"
)

// mailed are the pages that ask for a message, and those that its link and its code lead to.
var mailed = []shown{
	{"login-forgot", "email", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: app(o), Signup: true, Forgot: true})
	}},
	{"login-forgot-wrong", "password", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Signup: true, Forgot: true, Name: "ada@example.com",
			Problems: []web.Problem{{Code: "invalid_credentials"}}})
	}},
	{"forgot", "email", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Forgot(web.AskPage{Common: c})
	}},
	{"forgot-wrong", "email", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Forgot(web.AskPage{Common: c, Email: strings.Repeat("ada", 80) + "@example",
			Problems: []web.Problem{{Field: "email", Code: "invalid"}}})
	}},
	{"forgot-too-often", "problems", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Forgot(web.AskPage{Common: c, Email: "ada@example.com",
			Problems: []web.Problem{{Code: "rate_limited", Seconds: 700}}})
	}},
	{"reset", "new_password", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, MinLength: 15})
	}},
	{"reset-wrong", "new_password", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, MinLength: 15,
			Problems: []web.Problem{{Field: "new_password", Code: "breached"}}})
	}},
	{"reset-code", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, AskCode: true, MinLength: 15})
	}},
	{"reset-code-wrong", "code", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, AskCode: true, Code: "12345678", MinLength: 15,
			Problems: []web.Problem{{Field: "code", Code: "one_time_token_invalid"}}})
	}},
	{"reset-code-and-password-wrong", "problems", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, AskCode: true, MinLength: 15,
			Problems: []web.Problem{{Field: "code", Code: "required"}, {Field: "new_password", Code: "too_short"}}})
	}},
	{"reset-second", "second-code", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, AskCode: true, MinLength: 15, Code: "12345678",
			Second:   &web.SecondStep{By: "totp", Others: []string{"passkey", "recovery_code"}},
			Problems: []web.Problem{{Field: "app_code", Code: "invalid_code"}}})
	}},
	{"reset-second-passkey", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, MinLength: 15,
			Second: &web.SecondStep{By: "passkey", Others: []string{"recovery_code"}}})
	}},
	{"invite", "new_password", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, First: true, MinLength: 15})
	}},
	{"invite-wrong", "new_password", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, First: true, MinLength: 15,
			Problems: []web.Problem{{Field: "new_password", Code: "too_common"}}})
	}},
	{"reset-done", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Done(web.DonePage{Common: c, Done: "reset"})
	}},
	{"verify-ask", "email", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.AskVerification(web.AskPage{Common: c})
	}},
	{"verify-ask-wrong", "email", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.AskVerification(web.AskPage{Common: c, Email: "ada@example",
			Problems: []web.Problem{{Field: "email", Code: "invalid"}}})
	}},
	{"verify", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c})
	}},
	{"verify-code", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, AskCode: true})
	}},
	{"verify-code-wrong", "code", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, AskCode: true, Code: "12345678",
			Problems: []web.Problem{{Field: "code", Code: "one_time_token_invalid"}}})
	}},
	{"verify-signed-up", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, AskCode: true, Why: "signed_up"})
	}},
	{"verify-login", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, AskCode: true, Why: "login"})
	}},
	{"verify-elsewhere", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, NewPassword: true, Why: "elsewhere", MinLength: 15})
	}},
	{"verify-new-password", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, NewPassword: true, MinLength: 15})
	}},
	{"verify-new-password-wrong", "new_password", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, AskCode: true, Code: "12345678", NewPassword: true, MinLength: 15,
			Problems: []web.Problem{{Field: "new_password", Code: "too_short"}}})
	}},
	{"verify-second", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, NewPassword: true, MinLength: 15,
			Second: &web.SecondStep{By: "totp", Others: []string{"passkey", "recovery_code"}}})
	}},
	{"verify-done", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Done(web.DonePage{Common: c, Done: "verify"})
	}},
	{"change", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Change(web.ChangePage{Common: c, User: "ada@example.com"})
	}},
	{"change-code", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Change(web.ChangePage{Common: c, User: "ada@example.com", AskCode: true})
	}},
	{"change-code-wrong", "code", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Change(web.ChangePage{Common: c, User: "ada@example.com", AskCode: true, Code: "12345678",
			Problems: []web.Problem{{Field: "code", Code: "one_time_token_invalid"}}})
	}},
	{"change-sign-in", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Change(web.ChangePage{Common: c})
	}},
	{"undo", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Undo(web.UndoPage{Common: c, MinLength: 15})
	}},
	{"undo-wrong", "new_password", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Undo(web.UndoPage{Common: c, MinLength: 15,
			Problems: []web.Problem{{Field: "new_password", Code: "too_short"}}})
	}},
	{"factor-undo", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Undo(web.UndoPage{Common: c, Factor: true, MinLength: 15})
	}},
	{"factor-undo-second", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Undo(web.UndoPage{Common: c, Factor: true, MinLength: 15,
			Second: &web.SecondStep{By: "recovery_code", Others: []string{"totp"}}})
	}},
	{"undo-done", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Done(web.DonePage{Common: c, Done: "undo"})
	}},
	{"account-address-by-mail", "done", account(web.AccountAddress, func(d *web.AccountPage) {
		d.ByMail, d.Done = true, web.DoneAddress
	})},
	{"account-address-withdrawn", "done", account(web.AccountAddress, func(d *web.AccountPage) {
		d.ByMail, d.Done = true, web.DoneWithdrawn
	})},
	{"error-link", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "one_time_token_invalid", RequestID: "01J9ZC3M8E7Q",
			AskAgain: "forgot"})
	}},
}
