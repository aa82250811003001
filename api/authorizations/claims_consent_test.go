package authorizations_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// What a client names claim by claim it gets without the scope, so the user is asked about it as
// about the scope.
func TestA24ClaimsNamedOneByOneAreAskedFor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const asksForEmail, asksForPhone = "see your email address", "see your phone number"
		alice, c, b := s.SignUp("alice"), s.WebClient(), s.Browser()
		only := set("scope", "openid")
		page := b.SignIn(authorizePath(c, only), alice).WantPage(200, "consent-approve")
		if text := page.Text(); strings.Contains(text, asksForEmail) || strings.Contains(text, asksForPhone) {
			t.Errorf("openid alone, and the page says %s", text)
		}
		wantCode(t, page.Submit("consent-approve", nil))
		wantCode(t, b.Open(authorizePath(c, only, set("prompt", "none"))))

		// That openid was allowed says nothing of the rest.
		wish := set("scope", "openid", "claims", `{"userinfo":{"email":null},"id_token":{"phone_number":{"essential":true}}}`)
		wantError(t, b.Open(authorizePath(c, wish, set("prompt", "none"))), "consent_required")
		page = b.Open(authorizePath(c, wish)).WantPage(200, "consent-approve")
		if text := page.Text(); !strings.Contains(text, asksForEmail) || !strings.Contains(text, asksForPhone) {
			t.Errorf("the claims, and the page says %s", text)
		}
		tokens := s.TokensOf(c, page.Submit("consent-approve", nil))
		if tokens.Scope != "openid" {
			t.Errorf("scope %q, want openid: claims widen none", tokens.Scope)
		}
		told := userinfoOf(s, tokens)
		if told["email"] != alice.Email || told["email_verified"] != nil || told["name"] != nil {
			t.Errorf("userinfo tells %v, want the email address alone", told)
		}
		wantCode(t, b.Open(authorizePath(c, wish, set("prompt", "none")))) // remembered

		// Of what a client cannot have nobody is asked.
		narrow := s.Register(userstore.Client{ID: "narrow", Scopes: []string{"openid"}})
		page = b.Open(authorizePath(narrow, wish)).WantPage(200, "consent-approve")
		if text := page.Text(); strings.Contains(text, asksForEmail) {
			t.Errorf("a client that may not have it, and the page says %s", text)
		}
		if told := userinfoOf(s, s.TokensOf(narrow, page.Submit("consent-approve", nil))); len(told) != 1 {
			t.Errorf("userinfo tells %v, want sub alone", told)
		}
	})
}
