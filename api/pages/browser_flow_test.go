package pages_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestA30WhatIsBegunInABrowserEndsInIt(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		attacker, victim := s.Browser(), s.SignedIn(alice)
		for _, link := range []string{attacker.Open(authorizePath(c)).Path, signedInAt(s, attacker, c)} {
			s.Unchanged(func() {
				p := victim.Open(link)
				p.WantPage(400, "")
				if p.Has("login-submit") || p.Has("consent-approve") || !strings.Contains(p.Text(), "another browser") {
					t.Errorf("%.20s: %q", link, p.Text())
				}
				p = s.Browser().Open(link) // without any cookie
				p.WantPage(400, "")
			})
		}
		// Posting it does not help either.
		page := attacker.Open(authorizePath(c, set("prompt", "login"))).WantPage(200, "login-submit")
		if p := victim.Send(page.Form("login-submit", alice.Credentials())); p.Status != 400 ||
			len(p.Header["Set-Cookie"]) > 0 {
			t.Errorf("got %d", p.Status)
		}
		// A handle lives a day, also where it begins its request again
		// (TestAnExpiredHandleIsWorthNoMore), and not a bit of it can be changed.
		_, handle, _ := strings.Cut(page.Path, "=")
		for _, changed := range []string{handle[:len(handle)-1], "A" + handle[1:], handle + "A", "", "x",
			strings.Repeat("A", 100)} {
			if changed != handle {
				attacker.Open("/consent?request="+changed).WantPage(400, "")
			}
		}
		s.Advance(24 * time.Hour)
		attacker.Open(page.Path).WantPage(400, "")
		attacker.Send(page.Form("login-submit", alice.Credentials())).WantPage(400, "")
	})
}

// signedInAt logs the attacker's own account in and is the address of its consent page.
func signedInAt(s *apitest.Server, b *apitest.Browser, c apitest.Client) string {
	s.T.Helper()
	return b.SignIn(authorizePath(c, set("prompt", "login")), s.SignUp("mallory")).WantPage(200, "consent-approve").Path
}

func TestSeveralTabsAndClients(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, b := s.SignUp("alice"), s.Browser()
		one, two := s.WebClient(), s.Register(userstore.Client{ID: "two"})
		// Three tabs stand at their login pages; then each is used.
		first := b.Open(authorizePath(one, set("state", "first"))).WantPage(200, "login-submit")
		second := b.Open(authorizePath(two, set("state", "second"))).WantPage(200, "login-submit")
		third := b.Open(authorizePath(one, set("state", "third"))).WantPage(200, "login-submit")

		p := first.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve")
		q := second.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve")
		// Who proves the password again goes on with the session there is: the first tab's page is
		// still good.
		firstTokens := s.TokensOf(one, p.Submit("consent-approve", nil))
		p = q.Submit("consent-approve", nil)
		if p.Query().Get("state") != "second" {
			t.Errorf("%v", p.Query())
		}
		secondTokens := s.TokensOf(two, p)
		p = third.Submit("login-submit", alice.Credentials())
		if p.Query().Get("state") != "third" {
			t.Errorf("%v", p.Query())
		}
		thirdTokens := s.TokensOf(one, p)
		for _, r := range []apitest.Request{s.RefreshRequest(one, firstTokens.Refresh),
			s.RefreshRequest(two, secondTokens.Refresh), s.RefreshRequest(one, thirdTokens.Refresh)} {
			s.Do(r).Want(200, "")
		}
		// Another user in the same browser ends the session, and what came of it.
		b.SignIn(authorizePath(one, set("prompt", "login")), s.SignUp("bob"))
		s.Do(s.RefreshRequest(one, thirdTokens.Refresh)).Want(400, "invalid_grant")
	})
}
