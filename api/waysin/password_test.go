package waysin_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/userfile"
)

// byPassword are the ways of somebody who has the password, and at some of them more.
var byPassword = []way{
	{name: "POST /v1/login", try: func(p *person) string { return asked(p.login()) }},
	{name: "POST /v1/login, of another first-party client", try: func(p *person) string {
		return asked(p.login(apitest.Fields{"client_id": "phone"}))
	}},
	{name: "POST /v1/login, with the scope admin", admin: true, try: func(p *person) string {
		return asked(p.login(apitest.Fields{"scope": "profile admin"}))
	}},
	{name: "POST /v1/login, and then a code of the app", try: func(p *person) string {
		return p.secondByJSON("totp", func() string {
			if p.app == nil {
				return "000000"
			}
			return p.app.Code()
		})
	}},
	{name: "POST /v1/login, and then a recovery code", try: func(p *person) string {
		return p.secondByJSON("recovery-code", func() string { return p.recovery[0] })
	}},
	{name: "POST /v1/login, and then a passkey", try: func(p *person) string {
		a := p.login()
		if a.Code() != "second_factor_required" {
			return asked(a)
		}
		return p.passkeyByJSON("/v1/login/passkey", apitest.Fields{"login": handle(a)}, p.key)
	}},
	{name: "POST /v1/login, and then a code of the app, with the scope admin", admin: true, try: func(p *person) string {
		a := p.login(apitest.Fields{"scope": "profile admin"})
		if a.Code() != "second_factor_required" || p.app == nil {
			return asked(a)
		}
		return asked(p.post("/v1/login/totp", apitest.Fields{"login": handle(a), "code": p.app.Code()}))
	}},
	{name: "POST /v1/login, and then the setup, without the mailbox", try: func(p *person) string {
		a := p.login()
		if a.Status < 300 {
			return asked(a)
		}
		return asked(p.post("/v1/login/setup/totp", apitest.Fields{"login": handle(a)}))
	}},
	{name: "POST /v1/login, and then the setup of an app, with the mailbox", try: func(p *person) string {
		return p.setUpByJSON("totp", func(b begunSetup) *apitest.Response {
			app := p.s.NewApp(p.s.Secret(b.Secret))
			return p.post("/v1/login/setup/totp/confirm", apitest.Fields{"login": b.Login, "code": app.Code()})
		})
	}},
	{name: "POST /v1/login, and then the setup of a passkey, with the mailbox", try: func(p *person) string {
		return p.setUpByJSON("passkeys/options", func(b begunSetup) *apitest.Response {
			return p.post("/v1/login/setup/passkeys", apitest.Fields{
				"login": b.Login, "response": p.s.NewPasskey().Create(b.Options), "name": "a key"})
		})
	}},
	{name: "POST /v1/passkey/login, by a passkey of the account", try: func(p *person) string {
		if p.key == nil {
			return "has none"
		}
		return p.passkeyByJSON("/v1/passkey/login", apitest.Fields{}, p.key)
	}},
	{name: "POST /v1/passkey/login, by a passkey of somebody else", try: func(p *person) string {
		return p.passkeyByJSON("/v1/passkey/login", apitest.Fields{}, nil)
	}},

	{name: "login page", try: func(p *person) string { return p.signIn(p.s.Browser(), "/login") }},
	{name: "login page, for an app of the issuer's own", try: func(p *person) string {
		return p.signIn(p.s.Browser(), authorizePath(p.first))
	}},
	{name: "login page, for a public client of a third party", try: func(p *person) string {
		return p.signIn(p.s.Browser(), authorizePath(p.third))
	}},
	{name: "login page, for an app of a metadata document", try: func(p *person) string {
		return p.signIn(p.s.Browser(), authorizePath(p.other))
	}},
	{name: "login page, for an app that asks for the scope admin", admin: true, try: func(p *person) string {
		return p.signIn(p.s.Browser(), authorizePath(p.first, apitest.Param("scope", "openid admin")))
	}},
	{name: "login page, for an app that asks for acr_values=2", try: func(p *person) string {
		return p.signIn(p.s.Browser(), authorizePath(p.first, apitest.Param("acr_values", "2")))
	}},
	{name: "login page, in a browser that was logged in before", before: func(p *person) { hadSession(p); leave(p.session) },
		try: func(p *person) string { return p.signIn(p.session, "/login") }},
	{name: "login page, and then the second step", try: func(p *person) string {
		b := p.s.Browser()
		return p.shown(b, p.second(b, b.SignIn(authorizePath(p.first), p.User), nil))
	}},
	{name: "login page, and then a recovery code", try: func(p *person) string {
		b := p.s.Browser()
		page := b.SignIn(authorizePath(p.first), p.User)
		if to := page.Link("/login/second?by=recovery"); to != "" {
			page = page.Open(to).Submit("second-submit", map[string]string{"recovery_code": p.recovery[0]})
		}
		return p.shown(b, page)
	}},
	{name: "login page, and then the setup of an app, with the mailbox", try: func(p *person) string {
		return p.setUpAtPage(authorizePath(p.first), "setup-totp", p.scanApp)
	}},
	{name: "login page, and then the setup of a passkey, with the mailbox", try: func(p *person) string {
		return p.setUpAtPage(authorizePath(p.first), "setup-passkey", func(b *apitest.Browser, page *apitest.Page) *apitest.Page {
			var fresh struct {
				Handle  string
				Options json.RawMessage
			}
			b.Send(fetching(page, "passkey-create", "/login/setup/options")).Want(200, "").JSON(&fresh)
			return page.Submit("passkey-create", map[string]string{
				"passkey": fresh.Handle, "response": string(p.s.NewPasskey().Create(fresh.Options)), "name": "a key"})
		})
	}},
	{name: "login page, where the address has to be proved first, with the mailbox", try: func(p *person) string {
		defer p.unproved(userstore.VerificationRequired)()
		b := p.s.Browser()
		page := b.SignIn(authorizePath(p.first), p.User)
		if page.Has("verify-submit") {
			page = page.Submit("verify-submit", map[string]string{"code": p.s.MailOf(outbox.VerifyEmail).Code})
		}
		return p.shown(b, page)
	}},
	{name: "login page, by a passkey of the account", try: func(p *person) string {
		if p.key == nil {
			return "has none"
		}
		return p.signInByPasskey()
	}},
	{name: "login page, by a passkey of somebody else", try: func(p *person) string {
		p.key = nil
		return p.signInByPasskey()
	}},
	{name: "login page, in a trusted browser", try: func(p *person) string { return p.inTrusted() }},
	{name: "login page, in a trusted browser, for an app that asks for acr_values=2", try: func(p *person) string {
		return p.inTrusted("acr_values", "2")
	}},
	{name: "login page, in a trusted browser, for an app that asks for prompt=login", try: func(p *person) string {
		return p.inTrusted("prompt", "login")
	}},
	{name: "login page, in a trusted browser, for an app that asks for max_age", try: func(p *person) string {
		return p.inTrusted("max_age", "600")
	}},
	{name: "login page, in a trusted browser, for an app that asks for the scope admin", admin: true,
		try: func(p *person) string { return p.inTrusted("scope", "openid admin") }},

	{name: "POST /v1/login, by a password that an admin set", try: func(p *person) string {
		p.Password = p.newPassword()
		p.asRoot("POST", "/v1/admin/users/"+p.ID+"/password", apitest.Fields{"new_password": p.Password}).Want(204, "")
		return asked(p.login())
	}},
	{name: "POST /v1/login, by a password of signet users set-password", try: func(p *person) string {
		p.Password = p.newPassword()
		if err := p.s.Replicas[0].Accounts.SetPassword(p.s.T.Context(), p.ID, p.Password); err != nil {
			p.s.T.Fatal(err)
		}
		return asked(p.login())
	}},
	{name: "POST /v1/login, of an account that signet users import made", try: func(p *person) string {
		p.importAccount()
		return asked(p.login())
	}},
	{name: "POST /v1/email/verify, with the password, and then POST /v1/login", try: func(p *person) string {
		defer p.unproved(userstore.VerificationRequired)()
		p.post("/v1/email/verification", apitest.Fields{"email": p.Email}).Want(202, "")
		p.post("/v1/email/verify", apitest.Fields{"token": p.s.MailOf(outbox.VerifyEmail).Token(), "password": p.Password}).
			Want(204, "")
		return asked(p.login())
	}},
	{name: "sign-up page, and a new account", try: func(p *person) string {
		if p.kind != "none" {
			return "—"
		}
		b := p.s.Browser()
		return p.shown(b, p.signUpAt(b, "anew-"+p.Email))
	}},
	{name: "sign-up page, and a new account whose address has to be proved", try: func(p *person) string {
		if p.kind != "none" {
			return "—"
		}
		accounts := p.s.Replicas[0].Accounts
		accounts.Verification = userstore.VerificationRequired
		defer func() { accounts.Verification = userstore.VerificationOff }()
		b := p.s.Browser()
		page := p.signUpAt(b, "later-"+p.Email).WantPage(200, "verify-submit")
		return p.shown(b, page.Submit("verify-submit", map[string]string{"code": p.s.MailOf(outbox.VerifyEmail).Code}))
	}},
	{name: "sign-up page, with the account's own address", try: func(p *person) string {
		page := p.signUpAt(p.s.Browser(), p.Email)
		if page.Status == 409 {
			return "refused: taken"
		}
		return p.shown(nil, page)
	}},
}

func (p *person) secondByJSON(path string, code func() string) string {
	p.s.T.Helper()
	a := p.login()
	if a.Code() != "second_factor_required" {
		return asked(a)
	}
	return asked(p.post("/v1/login/"+path, apitest.Fields{"login": handle(a), "code": code()}))
}

// passkeyByJSON signs in by a passkey; by one that nobody knows where it is nil.
func (p *person) passkeyByJSON(path string, body apitest.Fields, key *apitest.Passkey) string {
	p.s.T.Helper()
	a := p.post(path+"/options", body)
	if a.Status != 200 {
		return asked(a)
	}
	var begun struct {
		Login   string
		Options json.RawMessage
	}
	a.JSON(&begun)
	if key == nil {
		key = p.s.NewPasskey()
	}
	if begun.Login == "" { // it goes on with the one that it has
		begun.Login, _ = body["login"].(string)
	}
	return asked(p.post(path, apitest.Fields{"login": begun.Login, "response": key.Get(begun.Options)}))
}

// begunSetup is a setup that was begun.
type begunSetup struct {
	Login   string
	Secret  string          // of an app
	Options json.RawMessage // of a passkey
}

func (p *person) setUpByJSON(path string, finish func(begunSetup) *apitest.Response) string {
	p.s.T.Helper()
	a := p.login()
	if a.Code() != "second_factor_setup_required" {
		return asked(a)
	}
	login := handle(a)
	var code struct{ Handle string }
	p.post("/v1/login/setup/code", apitest.Fields{"login": login}).Want(202, "").JSON(&code)
	var begun begunSetup
	p.post("/v1/login/setup/"+path, apitest.Fields{
		"login": login, "handle": code.Handle, "mail_code": p.s.MailOf(outbox.FactorCode).Code}).Want(200, "").JSON(&begun)
	return asked(finish(begun))
}

func (p *person) signIn(b *apitest.Browser, path string) string {
	p.s.T.Helper()
	return p.shown(b, b.SignIn(path, p.User))
}

func (p *person) signInByPasskey() string {
	p.s.T.Helper()
	b := p.s.Browser()
	page := b.Open(authorizePath(p.first)).WantPage(200, "login-submit")
	page = p.usePasskey(b, page, "login-passkey", map[string]string{})
	if page.Status == 403 {
		return "refused"
	}
	return p.shown(b, page)
}

func (p *person) setUpAtPage(path, button string, finish func(*apitest.Browser, *apitest.Page) *apitest.Page) string {
	p.s.T.Helper()
	b := p.s.Browser()
	page := b.SignIn(path, p.User)
	if !page.Has("setup-totp") {
		return p.shown(b, page)
	}
	page = page.Submit(button, nil).WantPage(200, "mail-submit")
	page = page.Submit("mail-submit", map[string]string{"mail_code": p.s.MailOf(outbox.FactorCode).Code})
	return p.shown(b, finish(b, page).WantPage(200, "recovery-codes").Submit("setup-continue", nil))
}

// scanApp finishes the setup of an authenticator app.
func (p *person) scanApp(_ *apitest.Browser, page *apitest.Page) *apitest.Page {
	p.s.T.Helper()
	secret, _, _ := strings.Cut(after(string(page.Body), `id="totp-secret"`), "<")
	app := p.s.NewApp(p.s.Secret(secret[strings.Index(secret, ">")+1:]))
	return page.Submit("totp-confirm", map[string]string{"code": app.Code()})
}

// inTrusted trusts a browser, logs out, and logs in there again for an app; pairs are parameters of
// its request.
func (p *person) inTrusted(pairs ...string) string {
	p.s.T.Helper()
	b := p.s.Browser()
	page := b.SignIn("/login", p.User)
	if page = p.second(b, page, map[string]string{"trust": "yes"}); !page.Has("to-profile") {
		return p.shown(b, page)
	}
	leave(b)
	return p.signIn(b, authorizePath(p.first, set(pairs...)))
}

// unproved takes back that the address is proved, under another rule about addresses, until the
// function that it returns is called.
func (p *person) unproved(v userstore.Verification) func() {
	p.s.T.Helper()
	accounts := p.s.Replicas[0].Accounts
	if _, err := accounts.EditByOperator(p.s.T.Context(), p.ID, func(u *userstore.User) error {
		u.EmailVerified = false
		return nil
	}); err != nil {
		p.s.T.Fatal(err)
	}
	accounts.Verification = v
	return func() { accounts.Verification = userstore.VerificationOff }
}

func (p *person) signUpAt(b *apitest.Browser, email string) *apitest.Page {
	p.s.T.Helper()
	return b.Open("/signup").WantPage(200, "signup-submit").
		Submit("signup-submit", map[string]string{"email": email, "password": p.newPassword()})
}

func after(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	return rest
}

// importAccount puts an account as signet users import makes it of Keycloak's export in the place of
// this one. The export has the second factor, too.
func (p *person) importAccount() {
	p.s.T.Helper()
	ctx, accounts := p.s.T.Context(), p.s.Replicas[0].Accounts
	p.Email, p.Password = "imported-"+p.Email, p.newPassword()
	hash, err := accounts.Hasher.Hash(ctx, p.Password)
	if err != nil {
		p.s.T.Fatal(err)
	}
	var credentials []apitest.Fields
	switch p.kind {
	case "totp":
		credentials = []apitest.Fields{{"type": "otp", "secretData": `{"value":"12345678901234567890"}`,
			"credentialData": `{"subType":"totp","digits":6,"counter":0,"period":30,"algorithm":"HmacSHA1"}`}}
	case "passkey":
		credentials = []apitest.Fields{{"type": "webauthn", "secretData": "{}", "credentialData": "{}"}}
	}
	line, err := json.Marshal(apitest.Fields{
		"email": p.Email, "email_verified": true, "password_hash": hash, "is_active": true, "credentials": credentials})
	if err != nil {
		p.s.T.Fatal(err)
	}
	file, _, err := userfile.Open(bytes.NewReader(line), "")
	if err != nil {
		p.s.T.Fatal(err)
	}
	_, account, err := file.Next()
	if err != nil || (len(account.LeftOut) > 0) != (p.kind == "passkey") {
		p.s.T.Fatalf("left out %v: %v", account.LeftOut, err)
	}
	done, err := (&userstore.Importer{Accounts: accounts}).Import(ctx, []userstore.User{account.User},
		map[int]userstore.ImportedFactors{0: account.Factors})
	if err != nil || done[0].Err != nil {
		p.s.T.Fatal(done, err)
	}
	p.ID = done[0].User.ID
}

// asRoot sends a request to the admin API in the name of an admin who has an authenticator app, with a
// proof.
func (p *person) asRoot(method, path string, body any) *apitest.Response {
	p.s.T.Helper()
	t := p.s.LoginByApp(p.root.User, p.root.app, apitest.Fields{"scope": "profile admin"})
	var proof struct{ Proof string }
	p.s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/prove", Token: t.Access,
		Body: apitest.Fields{"code": p.root.app.Code()}}).Want(200, "").JSON(&proof)
	return p.s.Do(apitest.Request{Method: method, Path: path, Token: t.Access, Body: body,
		Header: http.Header{"Signet-Proof": {proof.Proof}}})
}
