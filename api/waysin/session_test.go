package waysin_test

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
)

const essential = `{"id_token":{"acr":{"essential":true,"value":"2"}}}`

// bySession are the ways of somebody who has something from before the account had a second factor:
// a session in a browser, a grant, an access token or the code of an authorization.
var bySession = []way{
	atApp("session of before, prompt=none", "prompt", "none"),
	atApp("session of before"),
	atApp("session of before, acr_values=2", "acr_values", "2"),
	atApp("session of before, acr_values=2, prompt=none", "acr_values", "2", "prompt", "none"),
	atApp("session of before, where acr 2 is essential", "claims", essential),
	atApp("session of before, where acr 2 is essential, prompt=none", "claims", essential, "prompt", "none"),
	atApp("session of before, prompt=login", "prompt", "login"),
	atApp("session of before, max_age=0", "max_age", "0"),
	{name: "session of before, with the scope admin", admin: true, before: hadSession, try: func(p *person) string {
		return p.shown(p.session, p.session.Open(authorizePath(p.first, apitest.Param("scope", "openid admin"))))
	}},
	{name: "session of before, and a request by POST", before: hadSession, try: func(p *person) string {
		_, query, _ := strings.Cut(authorizePath(p.first), "?")
		form, _ := url.ParseQuery(query)
		q := apitest.Request{Method: http.MethodPost, Path: "/oauth2/authorize", Form: form}
		return p.shown(p.session, p.session.Follow(q))
	}},
	{name: "session of before, and a request that is too long for an address", before: hadSession,
		try: func(p *person) string {
			return p.shown(p.session, p.session.Open(authorizePath(p.first, apitest.Param("state", strings.Repeat("long ", 1500)))))
		}},
	{name: "session of before, for a public client of a third party", before: hadSession, try: func(p *person) string {
		return p.shown(p.session, p.session.Open(authorizePath(p.third)))
	}},
	{name: "session of before, in a tab that showed the login page",
		before: func(p *person) {
			p.session = p.s.Browser()
			p.tab = p.session.Open(authorizePath(p.first)).WantPage(200, "login-submit").Path
			p.session.SignIn("/login", p.User)
		},
		try: func(p *person) string {
			page := p.session.Open(p.tab)
			if !page.Has("continue-submit") {
				return p.shown(p.session, page)
			}
			return p.shown(p.session, page.Submit("continue-submit", nil))
		}},
	{name: "session of before, in a tab that goes on to the consent",
		before: func(p *person) {
			hadSession(p)
			page := p.session.Open(authorizePath(p.third)).WantPage(200, "consent-approve")
			p.tab = page.Path
			// Allowed in another tab.
			p.session.Open(authorizePath(p.third)).WantPage(200, "consent-approve").Submit("consent-approve", nil)
		},
		try: func(p *person) string { return p.shown(p.session, p.session.Open(p.tab)) }},
	{name: "session of before, /account", before: hadSession, try: func(p *person) string {
		page := p.session.Open("/account")
		if page.Has("to-security") && !page.Has("factor-needed") {
			return "in"
		}
		return p.shown(p.session, page)
	}},
	{name: "session of before, another password at /account/password", before: hadSession, try: func(p *person) string {
		return p.atAccount("/account/password", "password-submit", map[string]string{
			"current_password": p.Password, "new_password": p.newPassword()})
	}},
	{name: "session of before, another address at /account/address", before: hadSession, try: func(p *person) string {
		return p.atAccount("/account/address", "address-submit", map[string]string{
			"current_password": p.Password, "email": "other-" + p.Email})
	}},
	{name: "session of before, confirmation of a change of address that was begun before",
		before: func(p *person) { hadSession(p); p.beginChange() },
		try: func(p *person) string {
			page := p.session.Open(p.message.Link)
			if !page.Has("change-submit") {
				return p.shown(p.session, page)
			}
			return p.done(p.session, page, "change-submit", nil)
		}},
	{name: "session of before, the deletion of the account", before: hadSession, try: func(p *person) string {
		return p.atAccount("/account/delete", "delete-submit", map[string]string{"current_password": p.Password})
	}},

	{name: "POST /v1/refresh, of a grant of before", before: hadTokens, try: func(p *person) string {
		return asked(p.s.Refresh(p.tokens.Refresh))
	}},
	{name: "POST /v1/refresh, of a grant of before with the scope admin", admin: true, before: hadAdminTokens,
		try: func(p *person) string { return asked(p.s.Refresh(p.tokens.Refresh)) }},
	{name: "POST /oauth2/token, refresh of a grant of before, by an app of the issuer's own",
		before: func(p *person) { hadCode(p, p.first); p.redeemed(p.first) },
		try:    func(p *person) string { return asked(p.s.Do(p.s.RefreshRequest(p.first, p.tokens.Refresh))) }},
	{name: "POST /oauth2/token, refresh of a grant of before, by a public client of a third party",
		before: func(p *person) { hadCode(p, p.third); p.redeemed(p.third) },
		try:    func(p *person) string { return asked(p.s.Do(p.s.RefreshRequest(p.third, p.tokens.Refresh))) }},
	{name: "POST /oauth2/token, a code of before", before: func(p *person) { hadCode(p, p.first) },
		try: func(p *person) string { return asked(p.s.Do(p.s.CodeRequest(p.first, p.code))) }},
	{name: "POST /oauth2/token, a code of before, for a public client of a third party",
		before: func(p *person) { hadCode(p, p.third) },
		try:    func(p *person) string { return asked(p.s.Do(p.s.CodeRequest(p.third, p.code))) }},
	{name: "POST /oauth2/token, a code of before whose session has ended",
		before: func(p *person) { hadCode(p, p.first); leave(p.session) },
		try:    func(p *person) string { return asked(p.s.Do(p.s.CodeRequest(p.first, p.code))) }},

	{name: "access token of before, GET /v1/profile", before: hadTokens, try: func(p *person) string {
		return asked(p.bear("GET", "/v1/profile", nil))
	}},
	{name: "access token of before, POST /v1/profile/password with the password", before: hadTokens,
		try: func(p *person) string {
			return asked(p.bear("POST", "/v1/profile/password", apitest.Fields{
				"current_password": p.Password, "new_password": p.newPassword()}))
		}},
	{name: "access token of before, POST /v1/profile/email with the password", before: hadTokens,
		try: func(p *person) string {
			return asked(p.bear("POST", "/v1/profile/email", apitest.Fields{
				"current_password": p.Password, "email": "other-" + p.Email}))
		}},
	{name: "access token of before, POST /v1/profile/email/confirm of a change that was begun before",
		before: func(p *person) {
			hadTokens(p)
			p.s.Mails()
			p.bear("POST", "/v1/profile/email", apitest.Fields{
				"current_password": p.Password, "email": "moved-" + p.Email}).Want(202, "")
			p.message = p.s.MailOf(outbox.ChangeEmail)
		},
		try: func(p *person) string {
			return asked(p.bear("POST", "/v1/profile/email/confirm", apitest.Fields{"token": p.message.Token()}))
		}},
	{name: "access token of before, POST /v1/profile/factors/totp with the password", before: hadTokens,
		try: func(p *person) string {
			return asked(p.bear("POST", "/v1/profile/factors/totp", apitest.Fields{"current_password": p.Password}))
		}},
	{name: "access token of before, POST /v1/profile/prove with the password", before: hadTokens,
		try: func(p *person) string {
			return asked(p.bear("POST", "/v1/profile/prove", apitest.Fields{"current_password": p.Password}))
		}},
	{name: "access token of before, GET /v1/profile/export", before: hadTokens, try: func(p *person) string {
		return asked(p.bear("GET", "/v1/profile/export", nil))
	}},
	{name: "access token of before, DELETE /v1/profile with the password", before: hadTokens, try: func(p *person) string {
		return asked(p.bear("DELETE", "/v1/profile", apitest.Fields{"current_password": p.Password}))
	}},
	{name: "access token of before with the scope admin, GET /v1/admin/users", admin: true, before: hadAdminTokens,
		try: func(p *person) string { return asked(p.bear("GET", "/v1/admin/users?limit=1", nil)) }},
	{name: "access token of before with the scope admin, POST /v1/admin/users/{id}/password", admin: true,
		before: hadAdminTokens, try: func(p *person) string {
			return asked(p.bear("POST", "/v1/admin/users/"+p.ID+"/password", apitest.Fields{"new_password": p.newPassword()}))
		}},
}

// atApp is a request of an app in the session of before; pairs are its parameters.
func atApp(name string, pairs ...string) way {
	return way{name: name, before: hadSession, try: func(p *person) string {
		return p.shown(p.session, p.session.Open(authorizePath(p.first, set(pairs...))))
	}}
}

// hadCode keeps the code of an authorization in a session of its own.
func hadCode(p *person, c apitest.Client) {
	p.s.T.Helper()
	hadSession(p)
	page := p.session.Open(authorizePath(c))
	if page.Has("consent-approve") {
		page = page.Submit("consent-approve", nil)
	}
	p.code = apitest.WantCode(p.s.T, page)
}

func (p *person) redeemed(c apitest.Client) {
	p.s.T.Helper()
	p.s.Do(p.s.CodeRequest(c, p.code)).Want(200, "").JSON(&p.tokens)
}

// atAccount sends a form of the account in the session of before.
func (p *person) atAccount(path, button string, fields map[string]string) string {
	p.s.T.Helper()
	page := p.session.Open(path)
	if !page.Has(button) {
		return p.shown(p.session, page)
	}
	before := p.s.Snapshot()
	page = page.Submit(button, fields)
	if page.Status < 400 && (p.s.Snapshot() != before || page.Has("change-submit")) {
		return "done"
	}
	return p.shown(p.session, page)
}
