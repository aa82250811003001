package web_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/signet-id/signet/api/web"
)

func newPages(t testing.TB, o web.Options) *web.Pages {
	t.Helper()
	p, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sample is a page in one state; s goes wherever others may write something, beside what is usual
// there.
type sample struct {
	name string
	make func(p *web.Pages, c web.Common, s string) (web.Page, error)
}

func client(s string) *web.Client {
	return &web.Client{
		Name: "Photos" + s, Host: "photos.example" + s, Logo: "/id/client-logo?client_id=photos&v=1" + query(s),
		PolicyURI: "https://photos.example/privacy" + query(s), TOSURI: "https://photos.example/terms" + query(s),
		ClientURI: "https://photos.example/" + query(s),
	}
}

// selfMade is an app whose client_id is an address.
func selfMade(s string) *web.Client {
	return &web.Client{Name: "Editor" + s, Host: "localhost:33418" + s, IDHost: "editor.example" + s, SelfMade: true}
}

// logoutFrames are addresses of three apps, two of which are at one origin; no policy can name the last.
var logoutFrames = []string{"https://photos.example/out?x=1&iss=https%3A%2F%2Fid.test&sid=s", "https://photos.example/other",
	"https://Mail.example:8443/out", "https://[::1]/out"}

var samples = []sample{
	{"login", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: client(s), Name: s, Signup: true, Forgot: true,
			Stay: &web.Stay{Idle: 24 * time.Hour, Longest: 720 * time.Hour}})
	}},
	{"login-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Name: "ada" + s, Problems: []web.Problem{
			{Code: "invalid_credentials"}, {Code: s}, {Field: s, Code: s}, {Field: "password", Code: "required"}}})
	}},
	{"login-passkey", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: client(s), Name: s, Signup: true, Forgot: true, Passkey: true,
			Stay: &web.Stay{Idle: 24 * time.Hour, Longest: 720 * time.Hour}})
	}},
	{"login-over-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: client(s), Name: "ada" + s, Passkey: true,
			Problems: []web.Problem{{Code: "login_expired"}}})
	}},
	{"second-app", second("totp", nil)},
	{"second-app-wrong", second("totp", func(d *web.SecondPage) {
		d.Trusted = true
		d.Problems = []web.Problem{{Field: "code", Code: "invalid_code"}}
	})},
	{"second-wait-wrong", second("totp", func(d *web.SecondPage) {
		d.Problems = []web.Problem{{Code: "rate_limited", Seconds: 240}}
	})},
	{"second-blocked-wrong", second("recovery_code", func(d *web.SecondPage) {
		d.Problems = []web.Problem{{Code: "codes_blocked"}}
	})},
	{"second-recovery-wrong", second("recovery_code", func(d *web.SecondPage) {
		d.Problems = []web.Problem{{Field: "recovery_code", Code: "invalid_code"}}
	})},
	{"second-passkey", second("passkey", nil)},
	{"second-passkey-wrong", second("passkey", func(d *web.SecondPage) {
		d.Problems = []web.Problem{{Code: "passkey_refused"}}
	})},
	{"second-none", second("", func(d *web.SecondPage) { d.Others = nil })},
	{"second-again", second("totp", func(d *web.SecondPage) { d.Login, d.Trust = "", 0 })},
	{"second-account", second("passkey", func(d *web.SecondPage) {
		d.Request, d.Client, d.Login, d.Trust, d.Next, d.Onward = "", nil, "", 0, "account/password", false
	})},
	{"codes", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.FewCodes(web.CodesPage{Common: c, Left: 2})
	}},
	{"codes-account", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		c.Request, c.Onward = "", false
		return p.FewCodes(web.CodesPage{Common: c, Left: 0, Next: "account/password"})
	}},
	{"login-again", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: client(s), Name: "ada" + s, Signup: true, Reauthenticate: true})
	}},
	{"login-continue", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: client(s), Signup: true,
			Continue: &web.Continue{User: "ada@example.com" + s, CSRF: "own"}})
	}},
	{"signup-continue", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Signup(web.SignupPage{Common: c, Client: client(s), MinLength: 15,
			Continue: &web.Continue{User: "ada@example.com" + s, CSRF: "own"}})
	}},
	{"signup", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Signup(web.SignupPage{Common: c, Client: client(s), MinLength: 15})
	}},
	{"signup-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Signup(web.SignupPage{Common: c, MinLength: 15,
			Values: map[string]string{"email": "ada" + s, "username": s, "given_name": s, "family_name": s, s: s},
			Problems: []web.Problem{{Field: "email", Code: "taken"}, {Field: "password", Code: "too_short"},
				{Field: "username", Code: "invalid"}}})
	}},
	{"consent", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Consent(web.ConsentPage{Common: c, Client: *client(s), User: "ada@example.com" + s,
			Scopes: []string{"openid", "profile", "email", "address", "phone", "offline_access", "admin", "other", "groups" + s,
				"photos:read" + s}, Claims: []string{"groups" + s}, Resources: []string{"https://api.photos.example" + s}})
	}},
	{"consent-selfmade", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Consent(web.ConsentPage{Common: c, Client: *selfMade(s), User: "ada@example.com" + s,
			Scopes: []string{"tools:read" + s, "offline_access"}, Resources: []string{"https://mcp.example.com/mcp" + s}})
	}},
	{"login-selfmade", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Login(web.LoginPage{Common: c, Client: selfMade(s), Signup: true})
	}},
	{"consent-device", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Consent(web.ConsentPage{Common: c, Client: web.Client{Name: "Photos TV" + s}, User: "ada@example.com" + s,
			Scopes: []string{"openid", "photos:read" + s}, Resources: []string{"https://api.photos.example" + s},
			Device: &web.DeviceRequest{Code: "BCDF-GHJK-LMNP", Address: "192.0.2.7" + s, UserAgent: "curl/8.5.0 (Linux)" + s,
				Asked: noon, Now: noon.Add(150 * time.Second), Ends: noon.Add(10 * time.Minute)}})
	}},
	{"device", devicePage(nil)},
	{"device-complete", devicePage(func(d *web.DevicePage, _ string) { d.Code, d.Complete = "BCDF-GHJK-LMNP", true })},
	{"device-wrong", devicePage(func(d *web.DevicePage, s string) {
		d.Code, d.Complete, d.Problems = "bcdf"+s, true, []web.Problem{{Field: "user_code", Code: "invalid"}}
	})},
	{"device-wait-wrong", devicePage(func(d *web.DevicePage, _ string) {
		d.Code, d.Problems = "bcdf", []web.Problem{{Code: "rate_limited", Seconds: 700}}
	})},
	{"device-allowed", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.DeviceDone(web.DeviceDonePage{Common: c, Allowed: true})
	}},
	{"device-denied", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.DeviceDone(web.DeviceDonePage{Common: c})
	}},
	{"logout", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Logout(web.LogoutPage{Common: c, User: "ada@example.com" + s})
	}},
	{"signed-out", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.SignedOut(web.SignedOutPage{Common: c, Client: client(s)})
	}},
	{"signed-out-not-back", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.SignedOut(web.SignedOutPage{Common: c, NotBack: "not_registered"})
	}},
	{"signed-out-frames", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.SignedOut(web.SignedOutPage{Common: c, Frames: logoutFrames})
	}},
	{"signed-out-onward", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.SignedOut(web.SignedOutPage{Common: c, Frames: logoutFrames, Client: client(s),
			To: "https://photos.example/bye?x=1&state=a+%22%3E%3Cb"})
	}},
	{"signed-in", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.SignedIn(web.SignedInPage{Common: c, User: "ada@example.com" + s})
	}},
	{"account", account(web.AccountHome, func(d *web.AccountPage, _ string) { d.ByMail = true })},
	{"account-profile-wrong", account(web.AccountProfile, func(d *web.AccountPage, s string) {
		d.Problems = []web.Problem{{Field: "birthdate", Code: "invalid"}, {Field: s, Code: s}}
	})},
	{"account-address",
		account(web.AccountAddress, func(d *web.AccountPage, _ string) { d.ByMail, d.Done = true, web.DoneAddress })},
	{"account-address-wrong", account(web.AccountAddress, func(d *web.AccountPage, s string) {
		d.Problems = []web.Problem{{Field: "email", Code: "taken"}, {Field: "current_password", Code: "wrong_password"}}
	})},
	{"account-password", account(web.AccountPassword, nil)},
	{"account-password-kept",
		account(web.AccountPassword, func(d *web.AccountPage, _ string) { d.Done = web.DoneNewKept })},
	{"account-sessions", account(web.AccountSessions, func(d *web.AccountPage, s string) {
		d.Sessions = []web.AccountSession{
			{ID: "one", Current: true, UserAgent: firefox + s, Address: "192.0.2.1" + s, SignedIn: noon, LastUse: noon},
			{ID: "two", App: "Photos" + s, UserAgent: s, Address: s, SignedIn: noon, LastUse: noon.Add(time.Hour)},
		}
	})},
	{"account-apps", account(web.AccountApps, func(d *web.AccountPage, s string) {
		d.Apps = []web.AccountApp{{ClientID: "photos", Name: "Photos" + s, StartURI: "https://photos.example/login?iss=x",
			Scopes: []string{"openid", "email", "photos:read" + s, "groups" + s},
			Claims: []string{"groups" + s}, Resources: []string{"https://api.photos.example" + s}, Since: noon},
			{ClientID: "https://editor.example/app.json", Name: "Editor" + s, Host: "editor.example" + s, Since: noon}}
	})},
	{"account-apps-none", account(web.AccountApps, nil)},
	{"account-activity", account(web.AccountActivity, func(d *web.AccountPage, s string) {
		d.More = true
		d.Events = []web.AccountEvent{
			{Name: "login_succeeded", At: noon, Address: "192.0.2.1" + s, UserAgent: firefox + s},
			{Name: "user_updated", At: noon, ByAdmin: true, Fields: []string{"email", "roles" + s}},
			{Name: "consent_granted", At: noon, App: "Photos" + s},
			{Name: "new_thing" + s, At: noon},
		}
	})},
	{"account-activity-none", account(web.AccountActivity, nil)},
	{"account-data", account(web.AccountData, nil)},
	{"account-delete", account(web.AccountDelete, nil)},
	{"account-delete-wrong",
		account(web.AccountDelete, func(d *web.AccountPage, _ string) { d.Problems = []web.Problem{{Code: "last_admin"}} })},
	{"account-deleted", account(web.AccountDeleted, nil)},
	{"account-security", account(web.AccountSecurity, someFactors)},
	{"account-security-none", account(web.AccountSecurity, func(d *web.AccountPage, _ string) {
		d.Factors = &web.AccountFactors{Needed: true, Refused: "email_not_verified", NoPasskeys: true, NoTrust: true}
	})},
	{"account-security-off", account(web.AccountSecurity, func(d *web.AccountPage, _ string) {
		d.Factors = &web.AccountFactors{Refused: "factors_off", On: true}
	})},
	{"account-authenticator", account(web.AccountAuthenticator, someFactors)},
	{"account-authenticator-none", account(web.AccountAuthenticator, func(d *web.AccountPage, s string) {
		d.Factors = &web.AccountFactors{}
	})},
	{"account-authenticator-mail", account(web.AccountAuthenticator, func(d *web.AccountPage, s string) {
		d.Factors = &web.AccountFactors{Stage: web.StageMail, Proof: "proof" + s}
	})},
	{"account-authenticator-scan-wrong", account(web.AccountAuthenticator, func(d *web.AccountPage, s string) {
		d.Factors = &web.AccountFactors{
			Stage: web.StageReady, Proof: "proof" + s, Secret: "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ", URI: scanned,
		}
		d.Problems = []web.Problem{{Field: "code", Code: "invalid_code"}}
	})},
	{"account-passkeys", account(web.AccountPasskeys, func(d *web.AccountPage, s string) {
		someFactors(d, s)
		d.Done = web.DonePasskey
	})},
	{"account-passkeys-add-wrong", account(web.AccountPasskeys, func(d *web.AccountPage, s string) {
		d.Factors = &web.AccountFactors{Stage: web.StageReady, Proof: "proof" + s}
		d.Values["name"] = "Ada" + s
		d.Problems = []web.Problem{{Code: "passkey_refused"}}
	})},
	{"account-passkeys-none", account(web.AccountPasskeys, func(d *web.AccountPage, s string) {
		d.Factors = &web.AccountFactors{}
	})},
	{"account-codes", account(web.AccountCodes, someFactors)},
	{"account-codes-none", account(web.AccountCodes, func(d *web.AccountPage, s string) {
		d.Factors = &web.AccountFactors{On: true}
	})},
	{"account-codes-new", account(web.AccountCodes, func(d *web.AccountPage, s string) {
		d.Done = web.DoneApp
		d.Factors = &web.AccountFactors{On: true, Codes: 10, Download: "sealed" + s, NewCodes: newCodes()}
	})},
	{"account-trusted", account(web.AccountTrusted, someFactors)},
	{"account-trusted-none", account(web.AccountTrusted, func(d *web.AccountPage, s string) {
		d.Factors = &web.AccountFactors{On: true}
		d.Done = web.DoneUntrusted
	})},
	{"account-address-second", account(web.AccountAddress, func(d *web.AccountPage, _ string) { d.SecondFactor = true })},
	{"account-delete-second", account(web.AccountDelete, func(d *web.AccountPage, _ string) { d.SecondFactor = true })},
	{"setup", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Client: client(s), Login: "login" + s})
	}},
	{"setup-mail", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Login: "login" + s, Mail: "mail" + s, By: "passkey",
			Factors: web.AccountFactors{Stage: web.StageMail}})
	}},
	{"setup-scan-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Client: client(s), Login: "login" + s, By: "totp",
			Factors:  web.AccountFactors{Stage: web.StageReady, Secret: "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ", URI: scanned},
			Problems: []web.Problem{{Field: "code", Code: "invalid_code"}}})
	}},
	{"setup-passkey-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Login: "login" + s, By: "passkey", Name: "Ada" + s,
			Factors: web.AccountFactors{Stage: web.StageReady}, Problems: []web.Problem{{Code: "passkey_refused"}}})
	}},
	{"setup-unverified", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Login: "login" + s,
			Factors: web.AccountFactors{Refused: "email_not_verified", NoPasskeys: true}})
	}},
	{"setup-codes", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Finished: true, DownloadCSRF: "own" + s,
			Factors: web.AccountFactors{NewCodes: newCodes(), Download: "sealed" + s}})
	}},
	{"setup-codes-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Finished: true, Factors: web.AccountFactors{NewCodes: newCodes()},
			Problems: []web.Problem{{Code: "temporarily_unavailable"}}})
	}},
	{"forgot", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Forgot(web.AskPage{Common: c, Email: s})
	}},
	{"forgot-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Forgot(web.AskPage{Common: c, Email: "ada" + s, Problems: []web.Problem{{Field: "email", Code: "invalid"}}})
	}},
	{"reset", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, MinLength: 15})
	}},
	{"reset-first", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, First: true, MinLength: 15})
	}},
	{"reset-code", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, AskCode: true, MinLength: 15, Code: s})
	}},
	{"reset-code-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, AskCode: true, Code: "1234" + s, MinLength: 15,
			Problems: []web.Problem{{Field: "code", Code: "one_time_token_invalid"},
				{Field: "new_password", Code: "too_short"}}})
	}},
	{"reset-second-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, AskCode: true, MinLength: 15, Code: "12345678" + s,
			Second:   &web.SecondStep{By: "totp", Others: []string{"passkey", "recovery_code"}},
			Problems: []web.Problem{{Field: "app_code", Code: "invalid_code"}}})
	}},
	{"reset-second-passkey", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Reset(web.ResetPage{Common: c, MinLength: 15,
			Second: &web.SecondStep{By: "passkey", Others: []string{"recovery_code"}}})
	}},
	{"verify-ask", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.AskVerification(web.AskPage{Common: c, Email: s})
	}},
	{"verify", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c})
	}},
	{"verify-code", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, AskCode: true, Code: s})
	}},
	{"verify-signed-up", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, AskCode: true, Why: "signed_up", Code: s})
	}},
	{"verify-login", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, AskCode: true, Why: "login", Code: s})
	}},
	{"verify-elsewhere", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, NewPassword: true, Why: "elsewhere", MinLength: 15})
	}},
	{"verify-new-password", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, NewPassword: true, MinLength: 15})
	}},
	{"verify-second-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, NewPassword: true, AskCode: true, MinLength: 15, Code: "12345678" + s,
			Second:   &web.SecondStep{By: "totp", Others: []string{"passkey", "recovery_code"}},
			Problems: []web.Problem{{Field: "app_code", Code: "invalid_code"}}})
	}},
	{"verify-second-passkey", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Verify(web.VerifyPage{Common: c, NewPassword: true, MinLength: 15,
			Second: &web.SecondStep{By: "passkey", Others: []string{"recovery_code"}}})
	}},
	{"done-reset", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Done(web.DonePage{Common: c, Done: "reset"})
	}},
	{"done-verify", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Done(web.DonePage{Common: c, Done: "verify"})
	}},
	{"done-undo", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Done(web.DonePage{Common: c, Done: "undo"})
	}},
	{"change", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Change(web.ChangePage{Common: c, User: "ada@example.com" + s})
	}},
	{"change-code", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Change(web.ChangePage{Common: c, User: "ada@example.com" + s, AskCode: true, Code: s})
	}},
	{"change-code-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Change(web.ChangePage{Common: c, User: "ada@example.com" + s, AskCode: true, Code: "1234" + s,
			Problems: []web.Problem{{Field: "code", Code: "one_time_token_invalid"}}})
	}},
	{"change-sign-in", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Change(web.ChangePage{Common: c})
	}},
	{"factor-undo", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Undo(web.UndoPage{Common: c, Factor: true, MinLength: 15})
	}},
	{"factor-undo-second", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Undo(web.UndoPage{Common: c, Factor: true, MinLength: 15,
			Second: &web.SecondStep{By: "recovery_code", Others: []string{"totp"}}})
	}},
	{"undo-second-none", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Undo(web.UndoPage{Common: c, MinLength: 15, Second: &web.SecondStep{}})
	}},
	{"done-factor-undo", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Done(web.DonePage{Common: c, Done: "factor-undo"})
	}},
	{"undo", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Undo(web.UndoPage{Common: c, MinLength: 15})
	}},
	{"undo-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Undo(web.UndoPage{Common: c, MinLength: 15,
			Problems: []web.Problem{{Field: "new_password", Code: "too_short"}}})
	}},
	{"error", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "other_browser" + s, RequestID: "req-1" + s})
	}},
	{"error-link", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "one_time_token_invalid", RequestID: "req-1" + s, AskAgain: "forgot"})
	}},
	{"consent-wrong", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Consent(web.ConsentPage{Common: c, Client: *client(s), User: "ada@example.com" + s,
			Scopes:   []string{"openid"},
			Problems: []web.Problem{{Code: "request_expired"}, {Code: s}}})
	}},
	{"error-lost", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "request_missing", RequestID: "req-1" + s, SignIn: true})
	}},
	{"error-back", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "request_expired", RequestID: "req-1" + s, Back: client(s)})
	}},
	{"error-start", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		app := client(s)
		app.StartURI = "https://photos.example/login?iss=https%3A%2F%2Fid.example"
		return p.Error(web.ErrorPage{Common: c, Code: "request_finished", RequestID: "req-1" + s, Start: app, SignIn: true})
	}},
	{"error-cookies", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "cookies_off", RequestID: "req-1" + s, TryAgain: "login"})
	}},
	{"error-document", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.Error(web.ErrorPage{Common: c, Code: "client_document", RequestID: "req-1" + s, Fault: "redirect_uris" + s})
	}},
	{"form-post", func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		return p.FormPost(web.FormPostPage{Common: c, Action: "https://photos.example/callback?a=1&b=2" + query(s),
			Parameters: [][2]string{{"code", "c" + s}, {"state", s}, {"iss", "https://id.example"}}})
	}},
}

const scanned = "otpauth://totp/Acme:ada%40example.com?issuer=Acme&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// someFactors are second factors of several kinds.
func someFactors(d *web.AccountPage, s string) {
	d.Factors = &web.AccountFactors{
		On: true, Codes: 3, App: &web.AccountApplication{Since: noon, LastUse: noon.Add(time.Hour)},
		Passkeys: []web.AccountPasskey{
			{ID: "one", Name: "Phone" + s, Synced: true, Since: noon, LastUse: noon.Add(time.Hour)},
			{ID: "two", Name: s, Since: noon},
		},
		Trusted: []web.AccountBrowser{
			{ID: "one", Current: true, UserAgent: firefox + s, Address: "192.0.2.1" + s, Since: noon, LastUse: noon, Ends: noon},
			{ID: "two", UserAgent: s, Address: s, Since: noon, LastUse: noon, Ends: noon.Add(time.Hour)},
		},
	}
}

func newCodes() []string { return slices.Repeat([]string{"01234-56789-abcde", "fghjk-mnpqr-stvwx"}, 5) }

// account is a page of the account; more says what this page has beside what all have.
func account(k web.AccountKind,
	more func(d *web.AccountPage, s string)) func(*web.Pages, web.Common, string) (web.Page, error) {
	return func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		c.Onward = false
		d := web.AccountPage{
			Common: c, Kind: k, User: "ada@example.com" + s, MinLength: 15,
			Values: map[string]string{"email": "ada@example.com" + s, "username": "ada" + s, "name": "Ada" + s, "zoneinfo": s},
		}
		if more != nil {
			more(&d, s)
		}
		return p.Account(d)
	}
}

// second is the page of a second step; more says what this state has otherwise.
func second(by string, more func(d *web.SecondPage)) func(*web.Pages, web.Common, string) (web.Page, error) {
	return func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		d := web.SecondPage{Common: c, Client: client(s), By: by, Trust: 720 * time.Hour}
		if c.Request != "" {
			// Its length decides nothing here.
			if d.Login = "login" + s; web.FitsAddress(c.Request) && !web.FitsAddress(c.Request+d.Login) {
				d.Login = "login"
			}
		}
		for _, other := range []string{"passkey", "totp", "recovery_code", s} {
			if other != by {
				d.Others = append(d.Others, other)
			}
		}
		if more != nil {
			more(&d)
		}
		return p.Second(d)
	}
}

// query is s as the query of a URI, with everything in it that a URI bears unescaped.
func query(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return ""
	}
	return "?" + s[:min(len(s), 1024)]
}

// element is a start tag.
type element struct {
	name  string
	attrs map[string]string
}

// document is a page as a browser reads it.
type document struct {
	elements []element
	text     string // what stands between tags, title and script included
	comments int
}

func parse(t testing.TB, body []byte) document {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var d document
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			e := element{n.Data, make(map[string]string)}
			for _, a := range n.Attr {
				if _, twice := e.attrs[a.Key]; twice {
					t.Errorf("<%s> has %s twice", n.Data, a.Key)
				}
				e.attrs[a.Key] = a.Val
			}
			d.elements = append(d.elements, e)
		case html.TextNode:
			d.text += n.Data
		case html.CommentNode:
			d.comments++
		}
	}
	return d
}

// all are the elements of a name.
func (d document) all(name string) (out []element) {
	for _, e := range d.elements {
		if e.name == name {
			out = append(out, e)
		}
	}
	return out
}

// id is the element with that id.
func (d document) id(id string) (element, bool) {
	for _, e := range d.elements {
		if e.attrs["id"] == id {
			return e, true
		}
	}
	return element{}, false
}

// shape is what a page consists of, without what is written in it.
func (d document) shape() string {
	var out strings.Builder
	for _, e := range d.elements {
		out.WriteString(e.name)
		for _, a := range []string{"id", "class", "name", "type", "role", "rel", "method", "autocomplete", "dir"} {
			if v, ok := e.attrs[a]; ok {
				out.WriteString(" " + a + "=" + v)
			}
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func devicePage(change func(*web.DevicePage, string)) func(p *web.Pages, c web.Common, s string) (web.Page, error) {
	return func(p *web.Pages, c web.Common, s string) (web.Page, error) {
		d := web.DevicePage{Common: c, Address: "https://id.example/device"}
		if change != nil {
			change(&d, s)
		}
		return p.Device(d)
	}
}
