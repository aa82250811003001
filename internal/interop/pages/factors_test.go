//go:build interop

package pages

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/api/web"
)

// factorPages are the pages about second factors.
var factorPages = []shown{
	{"account-security", "", account(web.AccountSecurity, factors)},
	{"account-security-none", "", account(web.AccountSecurity, func(d *web.AccountPage) {
		d.Factors = &web.AccountFactors{Needed: true, Refused: "email_not_verified"}
	})},
	{"account-passkeys", "done", account(web.AccountPasskeys, func(d *web.AccountPage) {
		factors(d)
		d.Done = web.DonePasskey
	})},
	{"account-passkeys-add", "", account(web.AccountPasskeys, func(d *web.AccountPage) {
		d.Factors = &web.AccountFactors{Stage: web.StageReady, Proof: "proof"}
	})},
	{"account-authenticator", "", account(web.AccountAuthenticator, factors)},
	{"account-authenticator-none", "", account(web.AccountAuthenticator, func(d *web.AccountPage) {
		d.Factors = &web.AccountFactors{}
	})},
	{"account-authenticator-mail", "mail_code", account(web.AccountAuthenticator, func(d *web.AccountPage) {
		d.Factors = &web.AccountFactors{Stage: web.StageMail, Proof: "proof"}
		d.Problems = []web.Problem{{Field: "mail_code", Code: "one_time_token_invalid"}}
	})},
	{"account-authenticator-scan", "", account(web.AccountAuthenticator, func(d *web.AccountPage) {
		d.Factors = scanned()
	})},
	{"account-authenticator-scan-wrong", "code", account(web.AccountAuthenticator, func(d *web.AccountPage) {
		d.Factors = scanned()
		d.Problems = []web.Problem{{Field: "code", Code: "invalid_code"}}
	})},
	{"account-codes", "", account(web.AccountCodes, factors)},
	{"account-codes-new", "done", account(web.AccountCodes, func(d *web.AccountPage) {
		d.Done = web.DoneApp
		d.Factors = &web.AccountFactors{On: true, Codes: 10, Download: "sealed", NewCodes: codes()}
	})},
	{"account-trusted", "", account(web.AccountTrusted, factors)},
	{"account-address-second", "", account(web.AccountAddress, func(d *web.AccountPage) { d.SecondFactor = true })},
	{"setup", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Client: app(o), Login: "login"})
	}},
	{"setup-mail", "", func(p *web.Pages, c web.Common, _ string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Login: "login", Mail: "mail", By: "passkey",
			Factors: web.AccountFactors{Stage: web.StageMail}})
	}},
	{"setup-scan", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Client: app(o), Login: "login", By: "totp", Factors: *scanned()})
	}},
	{"setup-passkey", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Login: "login", By: "passkey",
			Factors: web.AccountFactors{Stage: web.StageReady}})
	}},
	{"setup-codes", "", func(p *web.Pages, c web.Common, o string) (web.Page, error) {
		return p.Setup(web.SetupPage{Common: c, Finished: true, DownloadCSRF: "own",
			Factors: web.AccountFactors{NewCodes: codes(), Download: "sealed"}})
	}},
}

func factors(d *web.AccountPage) {
	d.Factors = &web.AccountFactors{
		On: true, Codes: 2, App: &web.AccountApplication{Since: noon, LastUse: noon.Add(time.Hour)},
		Passkeys: []web.AccountPasskey{
			{ID: "one", Name: "Phone", Synced: true, Since: noon, LastUse: noon.Add(time.Hour)},
			{ID: "two", Since: noon},
			{ID: "three", Name: strings.Repeat("Long", 16), Since: noon},
		},
		Trusted: []web.AccountBrowser{
			{ID: "one", Current: true, UserAgent: "(X11; Linux x86_64) Firefox/140.0", Address: "192.0.2.1", Since: noon,
				LastUse: noon, Ends: noon.Add(720 * time.Hour)},
			{ID: "two", UserAgent: "(iPhone) Safari/605.1", Address: "2001:db8:1234:5678:9abc:def0:1234:5678", Since: noon,
				LastUse: noon, Ends: noon.Add(720 * time.Hour)},
		},
	}
}

const scannedURI = "otpauth://totp/Acme:ada%40example.com?algorithm=SHA1&digits=6&issuer=Acme&period=30&" +
	"secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

func scanned() *web.AccountFactors {
	return &web.AccountFactors{
		Stage: web.StageReady, Proof: "proof", Secret: "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ", URI: scannedURI,
	}
}

func codes() (codes []string) {
	for n := range 10 {
		codes = append(codes, fmt.Sprintf("%05d-mmmmm-wwwww", n))
	}
	return slices.Clip(codes)
}
