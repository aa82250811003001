package waysin_test

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// atOnce is a request for tokens in the response itself: the way of a response type without a code
// (oauth.response_types).
func atOnce(c apitest.Client, edit ...string) string {
	return authorizePath(c, set(append([]string{"response_type", "id_token token"}, edit...)...))
}

// atOnceByPassword are the ways of somebody who has the password, to an app that gets tokens at once.
var atOnceByPassword = []way{
	{name: "login page, for an app that gets tokens at once", try: func(p *person) string {
		return p.signIn(p.s.Browser(), atOnce(p.first))
	}},
	{name: "login page, for an app that gets tokens at once, and then the second step", try: func(p *person) string {
		b := p.s.Browser()
		return p.shown(b, p.second(b, b.SignIn(atOnce(p.first), p.User), nil))
	}},
	{name: "login page, for an app that gets tokens at once, where the address has to be proved first, with the mailbox",
		try: func(p *person) string {
			defer p.unproved(userstore.VerificationRequired)()
			b := p.s.Browser()
			page := b.SignIn(atOnce(p.first), p.User)
			if page.Has("verify-submit") {
				page = page.Submit("verify-submit", map[string]string{"code": p.s.MailOf(outbox.VerifyEmail).Code})
			}
			return p.shown(b, page)
		}},
	{name: "login page, for an app that gets tokens at once, and then the setup of an app, with the mailbox",
		try: func(p *person) string { return p.setUpAtPage(atOnce(p.first), "setup-totp", p.scanApp) }},
}

// atOnceBySession are the ways of somebody who has a session of before, to an app that gets tokens at
// once.
var atOnceBySession = []way{
	{name: "session of before, for an app that gets tokens at once", before: hadSession, try: func(p *person) string {
		return p.shown(p.session, p.session.Open(atOnce(p.first)))
	}},
	{name: "session of before, for an app that gets tokens at once, prompt=none", before: hadSession, try: func(p *person) string {
		return p.shown(p.session, p.session.Open(atOnce(p.first, "prompt", "none")))
	}},
	{name: "session of before, for an app that gets tokens at once, by POST", before: hadSession, try: func(p *person) string {
		_, query, _ := strings.Cut(atOnce(p.first), "?")
		form, _ := url.ParseQuery(query)
		return p.shown(p.session, p.session.Follow(apitest.Request{Method: http.MethodPost, Path: "/oauth2/authorize", Form: form}))
	}},
	{name: "session of before, for an app that gets tokens at once, and a request that is too long for an address",
		before: hadSession, try: func(p *person) string {
			return p.shown(p.session, p.session.Open(atOnce(p.first, "state", strings.Repeat("long ", 1500))))
		}},
	{name: "session of before, for a public client that gets tokens at once", before: hadSession, try: func(p *person) string {
		return p.shown(p.session, p.session.Open(atOnce(p.third)))
	}},
	{name: "session of before, for an app that gets tokens at once, in a tab that showed the login page",
		before: func(p *person) {
			p.session = p.s.Browser()
			p.tab = p.session.Open(atOnce(p.first)).WantPage(200, "login-submit").Path
			p.session.SignIn("/login", p.User)
		},
		try: func(p *person) string {
			page := p.session.Open(p.tab)
			if !page.Has("continue-submit") {
				return p.shown(p.session, page)
			}
			return p.shown(p.session, page.Submit("continue-submit", nil))
		}},
	{name: "session of before, for a public client that gets tokens at once, in a tab that goes on to the consent",
		before: func(p *person) {
			hadSession(p)
			p.tab = p.session.Open(atOnce(p.third)).WantPage(200, "consent-approve").Path
			// Allowed in another tab.
			p.session.Open(atOnce(p.third)).WantPage(200, "consent-approve").Submit("consent-approve", nil)
		},
		try: func(p *person) string { return p.shown(p.session, p.session.Open(p.tab)) }},
}
