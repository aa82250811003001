package waysin_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// byMailbox are the ways of somebody who reads the mail of the account.
var byMailbox = []way{
	{name: "POST /v1/password/reset", try: func(p *person) string {
		return p.outcome(asked(p.reset()))
	}},
	{name: "POST /v1/password/reset, and then the second step", try: func(p *person) string {
		a := p.reset()
		if a.Code() != "second_factor_required" {
			return p.outcome(asked(a))
		}
		body := apitest.Fields{"login": handle(a), "new_password": p.newPassword()}
		if p.app != nil {
			body["code"] = p.app.Code()
		} else {
			var fresh struct{ Options json.RawMessage }
			p.post("/v1/password/reset/passkey/options", apitest.Fields{"login": body["login"]}).Want(200, "").JSON(&fresh)
			body["response"] = p.key.Get(fresh.Options)
		}
		return p.outcome(asked(p.post("/v1/password/reset/second", body)))
	}},
	{name: "reset page", try: func(p *person) string {
		p.post("/v1/password/forgot", apitest.Fields{"email": p.Email}).Want(202, "")
		return p.choose(p.s.MailOf(outbox.ResetPassword), "reset-submit", nil)
	}},
	{name: "reset page, and then the second step", try: func(p *person) string {
		p.post("/v1/password/forgot", apitest.Fields{"email": p.Email}).Want(202, "")
		return p.choose(p.s.MailOf(outbox.ResetPassword), "reset-submit", p.prove)
	}},
	{name: "invitation", try: func(p *person) string { return p.choose(p.invited(), "reset-submit", nil) }},
	{name: "invitation, and then the second step", try: func(p *person) string {
		return p.choose(p.invited(), "reset-submit", p.prove)
	}},
	{name: "POST /v1/email/verify, the first proof of the address, with a new password", try: func(p *person) string {
		defer p.unproved(userstore.VerificationOptional)()
		p.post("/v1/email/verification", apitest.Fields{"email": p.Email}).Want(202, "")
		return p.outcome(asked(p.post("/v1/email/verify", apitest.Fields{
			"token": p.s.MailOf(outbox.VerifyEmail).Token(), "new_password": p.newPassword()})))
	}},
	{name: "page for the proof of an address, the first proof, with a new password", try: func(p *person) string {
		defer p.unproved(userstore.VerificationOptional)()
		p.post("/v1/email/verification", apitest.Fields{"email": p.Email}).Want(202, "")
		b := p.s.Browser()
		page := b.Open(p.s.MailOf(outbox.VerifyEmail).Link).WantPage(200, "verify-submit").
			Submit("verify-submit", nil).WantPage(409, "new_password")
		return p.done(b, page, "verify-submit", map[string]string{"new_password": p.newPassword()})
	}},
	{name: "undo of a change of address that came after the factor", try: func(p *person) string {
		return p.choose(p.moved(), "undo-submit", nil)
	}},
	{name: "undo of a change of address that came after the factor, and then the second step", try: func(p *person) string {
		return p.choose(p.moved(), "undo-submit", p.prove)
	}},
	{name: "undo of a change of address that came before the factor",
		before: func(p *person) { p.message = p.moved() },
		try:    func(p *person) string { return p.choose(p.message, "undo-submit", nil) }},
	{name: "undo of the first second factor", try: func(p *person) string {
		if p.kind == "none" {
			return "no message"
		}
		return p.choose(p.added, "undo-submit", nil)
	}},
	{name: "undo of another second factor", try: func(p *person) string {
		if p.kind == "none" {
			return "—"
		}
		return p.choose(p.addedAnother(), "undo-submit", nil)
	}},
	{name: "undo of another second factor, and then the second step", try: func(p *person) string {
		if p.kind == "none" {
			return "—"
		}
		return p.choose(p.addedAnother(), "undo-submit", p.prove)
	}},
	{name: "undo of the first second factor, a week later", try: func(p *person) string {
		if p.kind == "none" {
			return "no message"
		}
		p.s.Advance(7 * 24 * time.Hour)
		return p.choose(p.added, "undo-submit", nil)
	}},
	{name: "confirmation of a change of address, at the page, not signed in",
		before: func(p *person) { hadSession(p); p.beginChange() },
		try: func(p *person) string {
			b := p.s.Browser()
			page := b.Open(p.message.Link)
			if page.Has("change-submit") {
				return p.done(b, page, "change-submit", nil)
			}
			if page.Link("/login") != "" {
				return "asks for the password"
			}
			return p.shown(b, page)
		}},
}

func (p *person) reset() *apitest.Response {
	p.s.T.Helper()
	p.post("/v1/password/forgot", apitest.Fields{"email": p.Email}).Want(202, "")
	return p.post("/v1/password/reset", apitest.Fields{
		"token": p.s.MailOf(outbox.ResetPassword).Token(), "new_password": p.newPassword()})
}

// outcome adds to what was done how the account is left.
func (p *person) outcome(what string) string {
	p.s.T.Helper()
	if what == "done" && p.kind != "none" && !p.stored().SecondFactor {
		return "done, the factor is removed"
	}
	return what
}

// choose opens the link of a message and chooses a new password. Where that asks for a second factor,
// prove says the fields of one; nil: nothing is proved.
func (p *person) choose(
	m apitest.Mail, button string, prove func(*apitest.Browser, *apitest.Page) (string, map[string]string),
) string {
	p.s.T.Helper()
	b := p.s.Browser()
	page := b.Open(m.Link)
	fields := map[string]string{"new_password": p.newPassword()}
	if asks := p.shown(b, page); strings.HasPrefix(asks, "asks for") {
		if prove == nil {
			if !page.Has(button) {
				button = "second-passkey"
			}
			p.s.Unchanged(func() { b.Send(page.Form(button, fields)) })
			return asks
		}
		press, more := prove(b, page)
		if press != "" {
			button = press
		}
		for name, value := range more {
			fields[name] = value
		}
	}
	return p.done(b, page, button, fields)
}

// done sends the form of a message.
func (p *person) done(b *apitest.Browser, page *apitest.Page, button string, fields map[string]string) string {
	p.s.T.Helper()
	page = page.Submit(button, fields)
	switch {
	case page.Status == 200 && !page.Has(button) && !page.Has("to-profile") && !page.Has("to-logout"):
		return p.outcome("done")
	case page.Status == 400 && !page.Has(button):
		return "refused"
	}
	return p.shown(b, page)
}

// prove returns the button, empty for the form's own, and the fields that prove the second factor at
// the page of a message.
func (p *person) prove(b *apitest.Browser, page *apitest.Page) (button string, fields map[string]string) {
	p.s.T.Helper()
	if page.Has("second-code") {
		return "", map[string]string{"app_code": p.app.Code()}
	}
	form := url.Values{}
	for _, name := range []string{"request", "csrf", "page", "by"} {
		form.Set(name, page.Value(name))
	}
	var fresh struct {
		Handle  string
		Options json.RawMessage
	}
	b.Send(apitest.Request{Method: http.MethodPost, Path: "/message/passkey", Form: form}).Want(200, "").JSON(&fresh)
	return "second-passkey", map[string]string{"passkey": fresh.Handle, "response": string(p.key.Get(fresh.Options))}
}

// invited makes another account, by an invitation, which gets its factor before it is followed, and
// returns the message.
func (p *person) invited() apitest.Mail {
	p.s.T.Helper()
	u, err := p.s.Replicas[0].Accounts.RegisterByOperator(p.s.T.Context(),
		userstore.OperatorUser{NewUser: userstore.NewUser{Email: "invited-" + p.Email}, Invite: true})
	if err != nil {
		p.s.T.Fatal(err)
	}
	m := p.s.MailOf(outbox.Invite)
	p.User = apitest.User{ID: u.ID, Email: u.Email}
	p.allowed(p.setUp)
	return m
}

// allowed calls do while people may set up factors as they like.
func (p *person) allowed(do func()) {
	accounts := p.s.Replicas[0].Accounts
	policy := accounts.SecondFactor
	accounts.SecondFactor = userstore.SecondFactorOptional
	defer func() { accounts.SecondFactor = policy }()
	do()
}

// moved changes the address of the account, and returns the message that undoes it.
func (p *person) moved() (m apitest.Mail) {
	p.s.T.Helper()
	ctx, accounts := p.s.T.Context(), p.s.Replicas[0].Accounts
	p.s.Advance(time.Minute) // after what came before
	begun, err := accounts.BeginEmailChange(ctx, p.ID, "a session", "moved-"+p.Email,
		userstore.Proof{Earlier: func(userstore.User) bool { return true }}, "")
	if err != nil {
		p.s.T.Fatal(err)
	}
	code := p.s.MailOf(outbox.ChangeEmail).Code
	if _, err := accounts.ConfirmEmailChange(ctx, p.ID, "a session", userstore.Mailed{Handle: begun, Code: code}); err != nil {
		p.s.T.Fatal(err)
	}
	m = p.s.MailOf(outbox.UndoEmail)
	p.s.Advance(time.Minute) // before what comes later
	return m
}

// addedAnother adds a second factor beside the one there is, and returns the message about it.
func (p *person) addedAnother() apitest.Mail {
	p.s.T.Helper()
	p.s.Advance(time.Minute)
	app, key := p.app, p.key
	p.allowed(func() {
		if p.kind == "totp" {
			p.addPasskey()
		} else {
			p.addApp()
		}
	})
	p.app, p.key = app, key // what the account had
	p.s.Advance(time.Minute)
	return p.s.MailOf(outbox.FactorAdded)
}

// beginChange asks for a change of address in the session of before, and keeps the message.
func (p *person) beginChange() {
	p.s.T.Helper()
	p.s.Mails()
	p.session.Open("/account/address").WantPage(200, "address-submit").Submit("address-submit", map[string]string{
		"email": "moved-" + p.Email, "current_password": p.Password}).WantPage(200, "change-submit")
	p.message = p.s.MailOf(outbox.ChangeEmail)
}
