package waysin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// person is an account that somebody tries to get into, who has its password, its mailbox, or a
// session, a grant or a token of it.
type person struct {
	apitest.User
	s     *apitest.Server
	kind  string         // of its second factor: none, totp or passkey
	first apitest.Client // of the issuer's own
	third apitest.Client // of somebody else, and public
	other apitest.Client // of a metadata document
	root  *person        // an admin with an authenticator app

	// What the account has for its second factor.
	app      *apitest.App
	key      *apitest.Passkey
	recovery []string
	added    apitest.Mail // the message about it

	// What was got before the account had a second factor. Each way makes what it needs.
	tokens  apitest.Tokens
	session *apitest.Browser
	code    string // of an authorization
	message apitest.Mail
	tab     string // address of a page
	device  string // device code that was allowed
}

// way is one way into an account. The table of its policy says what it asks for.
type way struct {
	name   string
	admin  bool                   // the account has the role admin
	before func(p *person)        // what happens while the account has no second factor; nil: nothing
	try    func(p *person) string // goes the way, and returns what it asked for, or what it gave
}

// section is a group of ways.
type section struct {
	name string
	ways []way
}

func (p *person) post(path string, body apitest.Fields) *apitest.Response {
	p.s.T.Helper()
	return p.s.Do(apitest.Request{Method: "POST", Path: path, Body: body})
}

func (p *person) login(more ...apitest.Fields) *apitest.Response {
	p.s.T.Helper()
	body := apitest.Fields{"email": p.Email, "password": p.Password}
	for _, m := range more {
		for name, value := range m {
			body[name] = value
		}
	}
	return p.post("/v1/login", body)
}

// bear sends a request with the access token of before.
func (p *person) bear(method, path string, body any) *apitest.Response {
	p.s.T.Helper()
	return p.s.Do(apitest.Request{Method: method, Path: path, Token: p.tokens.Access, Body: body})
}

func (p *person) newPassword() string {
	return p.s.Secret(apitest.GoodPassword + " of " + p.Email)
}

// handle is the login that an answer goes on with.
func handle(a *apitest.Response) string {
	var step struct{ Login string }
	a.JSON(&step)
	return step.Login
}

// asked is what an answer of the JSON API asks for, or gives.
func asked(a *apitest.Response) string {
	switch {
	case a.Status == http.StatusNoContent:
		return "done"
	case a.Status < 300:
		var t apitest.Tokens
		a.JSON(&t)
		if t.Access == "" {
			return "done"
		}
		in := fmt.Sprintf("in, acr %v", apitest.Claims(t.Access)["acr"])
		if strings.Contains(" "+t.Scope+" ", " admin ") {
			in += ", scope admin"
		}
		return in
	case a.Code() == "second_factor_setup_required":
		return "asks to set one up"
	case a.Code() != "second_factor_required":
		return "refused: " + a.Code()
	}
	var step struct{ Methods []string }
	a.JSON(&step)
	return "asks for " + strings.Join(step.Methods, ", ")
}

// shown is what a page asks for. Where the browser was sent on with a code, it is what the code gives,
// and in an account that is open it is what an app then gets.
func (p *person) shown(b *apitest.Browser, page *apitest.Page) string {
	p.s.T.Helper()
	if page.Has("consent-approve") {
		page = page.Submit("consent-approve", nil)
	}
	switch {
	case strings.Contains(page.To, "#"):
		got := page.Fragment()
		if got.Get("access_token") == "" {
			return "refused: " + got.Get("error")
		}
		p.s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: got.Get("access_token")}).Want(200, "")
		return fmt.Sprintf("in, acr %v", apitest.Claims(got.Get("access_token"))["acr"])
	case page.To != "" && page.Query().Get("code") != "":
		c := p.first
		if !strings.HasPrefix(page.To, c.RedirectURIs[0]) {
			c = p.third
		}
		if strings.HasPrefix(page.To, p.other.RedirectURIs[0]) {
			c = p.other
		}
		return asked(p.s.Do(p.s.CodeRequest(c, page.Query().Get("code"))))
	case page.To != "":
		return "refused: " + page.Query().Get("error")
	case page.Has("second-passkey"):
		return "asks for passkey"
	case page.Has("second-code"):
		return "asks for totp"
	case page.Has("second-recovery-code"):
		return "asks for recovery_code"
	case page.Has("setup-totp"), page.Has("factor-needed"):
		return "asks to set one up"
	case page.Has("login-submit"):
		return "asks for the password"
	case page.Has("verify-submit"), page.Has("factors-unverified"):
		return "asks for the mailbox"
	case page.Has("to-logout"), page.Has("to-profile"):
		return p.shown(b, b.Open(authorizePath(p.first, apitest.Param("prompt", "none"))))
	}
	return fmt.Sprintf("another page (%d): %.80q", page.Status, page.Text())
}

// second takes the second step of a page that asks for one.
func (p *person) second(b *apitest.Browser, page *apitest.Page, more map[string]string) *apitest.Page {
	p.s.T.Helper()
	fields := map[string]string{}
	for name, value := range more {
		fields[name] = value
	}
	switch {
	case page.Has("second-code"):
		fields["code"] = p.app.Code()
		return page.Submit("second-submit", fields)
	case page.Has("second-passkey"):
		return p.usePasskey(b, page, "second-passkey", fields)
	}
	return page
}

// usePasskey presses a button as the script of the pages does.
func (p *person) usePasskey(
	b *apitest.Browser, page *apitest.Page, button string, fields map[string]string,
) *apitest.Page {
	p.s.T.Helper()
	var fresh struct {
		Handle  string
		Options json.RawMessage
	}
	b.Send(fetching(page, button, "/login/passkey")).Want(200, "").JSON(&fresh)
	key := p.key
	if key == nil { // one that nobody knows
		key = p.s.NewPasskey()
	}
	fields["passkey"], fields["response"] = fresh.Handle, string(key.Get(fresh.Options))
	return page.Submit(button, fields)
}

// fetching is the request for the options of a passkey.
func fetching(page *apitest.Page, button, path string) apitest.Request {
	q := page.Form(button, nil)
	q.Path, q.Header = path, http.Header{"Accept": {"*/*"}}
	for _, name := range []string{"passkey", "response", "email", "password", "trust", "stay", "name"} {
		q.Form.Del(name)
	}
	return q
}

// leave logs a browser out.
func leave(b *apitest.Browser) {
	b.Server.T.Helper()
	b.Open("/logout").WantPage(200, "logout-confirm").Submit("logout-confirm", nil)
}

// stored is the account as the store has it.
func (p *person) stored() userstore.User {
	p.s.T.Helper()
	u, err := p.s.DB.UserByID(p.s.T.Context(), p.ID)
	if err != nil {
		p.s.T.Fatal(err)
	}
	return u
}

// setUp gives the account its second factor, and keeps the message about it.
func (p *person) setUp() {
	p.s.T.Helper()
	p.s.AddressProved(p.User)
	p.s.Mails()
	switch p.kind {
	case "none":
		return
	case "totp":
		p.addApp()
	case "passkey":
		p.addPasskey()
	}
	for _, code := range p.recovery {
		p.s.Secret(code)
	}
	p.added = p.s.MailOf(outbox.FactorAdded)
}

func (p *person) addApp() {
	p.s.T.Helper()
	accounts, u := p.s.Replicas[0].Accounts, p.stored()
	begun, err := accounts.BeginApp(p.s.T.Context(), u)
	if err != nil {
		p.s.T.Fatal(err)
	}
	p.app = p.s.NewApp(p.s.Secret(begun.Secret))
	codes, err := accounts.ConfirmApp(p.s.T.Context(), u, p.app.Code(), userstore.KeepAll)
	if err != nil {
		p.s.T.Fatal(err)
	}
	p.recovery = append(p.recovery, codes...)
}

func (p *person) addPasskey() {
	p.s.T.Helper()
	accounts, u, challenge := p.s.Replicas[0].Accounts, p.stored(), []byte("a challenge of thirty-two bytes!")
	options, userHandle, err := accounts.PasskeyCreation(p.s.T.Context(), u, challenge, time.Minute)
	if err != nil {
		p.s.T.Fatal(err)
	}
	p.key = p.s.NewPasskey()
	_, codes, err := accounts.AddPasskey(p.s.T.Context(), u, userstore.NewPasskey{
		Challenge: challenge, UserHandle: userHandle, Response: p.key.Create(options), Name: "a key", Keep: userstore.KeepAll,
	})
	if err != nil {
		p.s.T.Fatal(err)
	}
	p.recovery = append(p.recovery, codes...)
}

// Things to have from before.

func hadTokens(p *person) { p.tokens = p.s.Login(p.User) }
func hadAdminTokens(p *person) {
	p.tokens = p.s.Login(p.User, apitest.Fields{"scope": "profile admin"})
}
func hadSession(p *person) { p.session = p.s.SignedIn(p.User) }
