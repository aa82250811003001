//go:build interop

package pages

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/signet-id/signet/api/web"
)

// further are states that differ from those of other pages in a sentence or two: empty lists, errors
// of one field, and what was done.
var further = []shown{
	{"error-start", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		start := app(o)
		start.StartURI = "https://photos.example/login?iss=https%3A%2F%2Fid.example"
		return p.Error(web.ErrorPage{Common: c, Code: "request_finished", RequestID: "3yK9dQ", Start: start, SignIn: true})
	}},
	{"signed-out-not-registered", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.SignedOut(web.SignedOutPage{Common: c, NotBack: "not_registered"})
	}},
	{"signed-out-not-proved", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.SignedOut(web.SignedOutPage{Common: c, NotBack: "not_proved"})
	}},
	{"logout-nobody", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Logout(web.LogoutPage{Common: c})
	}},
	{"login-switched-off", "problems", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: app(o), Signup: true, Forgot: true, Name: "ada@example.com",
			Problems: []web.Problem{{Code: "account_disabled"}}})
	}},
	{"login-form-open-too-long", "problems", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Signup: true, Forgot: true, Name: "ada@example.com",
			Problems: []web.Problem{{Code: "csrf"}}})
	}},
	{"signup-taken", "email", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Signup(web.SignupPage{Common: c, Client: app(o), MinLength: 15,
			Values:   map[string]string{"email": "ada@example.com"},
			Problems: []web.Problem{{Field: "email", Code: "taken"}}})
	}},
	{"verify-done-signed-in", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		c.Request = ""
		return p.Done(web.DonePage{Common: c, Done: "verify", SignedIn: true})
	}},
	{"account-without-mail", "", account(web.AccountHome, func(d *web.AccountPage) {
		d.Verified, d.Values = true, map[string]string{"email": strings.Repeat("a", 64) + "@example.com"}
	})},
	{"account-profile-saved", "done", account(web.AccountProfile, func(d *web.AccountPage) { d.Done = web.DoneSaved })},
	{"account-address-unproved", "current_password", account(web.AccountAddress, func(d *web.AccountPage) {
		d.ByMail, d.Problems = true, []web.Problem{{Field: "current_password", Code: "required"}}
	})},
	{"account-password-wrong", "problems", account(web.AccountPassword, func(d *web.AccountPage) {
		d.Problems = []web.Problem{
			{Field: "current_password", Code: "wrong_password"}, {Field: "new_password", Code: "own_name"},
		}
	})},
	{"account-password-changed", "done", account(web.AccountPassword, func(d *web.AccountPage) {
		d.Done = web.DonePassword
	})},
	{"account-sessions-only-this", "done", account(web.AccountSessions, func(d *web.AccountPage) {
		d.Done = web.DoneOthers
		d.Sessions = []web.AccountSession{{ID: "one", Current: true, SignedIn: noon, LastUse: noon}}
	})},
	{"account-sessions-ended", "done", account(web.AccountSessions, func(d *web.AccountPage) {
		d.Done = web.DoneEnded
		d.Sessions = []web.AccountSession{{ID: "one", Current: true, SignedIn: noon, LastUse: noon}}
	})},
	{"account-apps-none", "done", account(web.AccountApps, func(d *web.AccountPage) { d.Done = web.DoneRemoved })},
	{"account-activity-none", "", account(web.AccountActivity, nil)},
	{"account-data-wrong", "current_password", account(web.AccountData, func(d *web.AccountPage) {
		d.Problems = []web.Problem{{Field: "current_password", Code: "wrong_password"}}
	})},
	{"account-data-too-often", "problems", account(web.AccountData, func(d *web.AccountPage) {
		d.Problems = []web.Problem{{Code: "rate_limited", Seconds: 700}}
	})},
	{"account-delete-last-admin", "problems", account(web.AccountDelete, func(d *web.AccountPage) {
		d.Problems = []web.Problem{{Code: "last_admin"}}
	})},
}

// errorPages has a page for each error with a text of its own, and for one without.
func errorPages() (pages []shown) {
	raw, err := os.ReadFile("../../languages/en.json")
	if err != nil {
		panic(err)
	}
	var file struct{ Errors map[string]string }
	if err := json.Unmarshal(raw, &file); err != nil {
		panic(err)
	}
	for name := range file.Errors {
		if code, ok := strings.CutSuffix(name, ".heading"); ok {
			pages = append(pages, shown{"error-" + code, "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
				return p.Error(web.ErrorPage{Common: c, Code: code, RequestID: "01J9ZC3M8E7Q"})
			}})
		}
	}
	return pages
}
