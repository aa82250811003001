package registered_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// Clients of one sector know a user by one sub, those of another sector by another, and each client
// by the same one at every place and replica.
func TestASectorKnowsAUserByOneSub(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		one := pairwise(s, "one", "https://shop.test/one", "https://shop.test:8443/one")
		two := pairwise(s, "two", "https://SHOP.test/two")
		far := pairwise(s, "far", "https://far.test/cb")
		joined := s.Register(userstore.Client{ID: "joined", ClientMetadata: userstore.ClientMetadata{
			SubjectType: userstore.SubjectPairwise, RedirectURIs: []string{"https://elsewhere.test/cb"},
			SectorIdentifierURI: "https://shop.test/sector.json"}})
		plain := s.WebClient()

		b, there := s.SignedIn(alice), s.SignedIn(bob)
		there.Replica = 1
		first := logIn(s, b, one)
		sub := subOf(first)
		if sub == "" || sub == alice.ID || len(sub) < 22 {
			t.Fatalf("the sub is %q", sub)
		}
		for _, c := range []apitest.Client{two, joined, one} {
			if got := subOf(logIn(s, b, c)); got != sub {
				t.Errorf("%s knows alice as %s, one as %s", c.ID, got, sub)
			}
		}
		farSub := subOf(logIn(s, b, far))
		if farSub == sub || farSub == alice.ID {
			t.Errorf("another sector knows alice as %s", farSub)
		}
		if got := subOf(logIn(s, b, plain)); got != alice.ID {
			t.Errorf("a public client knows alice as %s", got)
		}
		bobs := subOf(logIn(s, there, one))
		if bobs == sub || bobs == farSub || bobs == bob.ID {
			t.Errorf("one knows bob as %s", bobs)
		}

		// Every place says the same.
		var refreshed apitest.Tokens
		s.Do(s.RefreshRequest(one, first.Refresh)).Want(http.StatusOK, "").JSON(&refreshed)
		for what, got := range map[string]any{
			"the access token":                   claims(first.Access)["sub"],
			"userinfo":                           userinfoOf(s, first)["sub"],
			"introspection of the access token":  s.Introspect(one, first.Access)["sub"],
			"introspection of the refresh token": s.Introspect(one, refreshed.Refresh)["sub"],
			"the refreshed ID token":             claims(refreshed.ID)["sub"],
			"the refreshed access token":         claims(refreshed.Access)["sub"],
			"userinfo after the refresh":         userinfoOf(s, refreshed)["sub"],
		} {
			if got != sub {
				t.Errorf("%s says %v, the ID token %s", what, got, sub)
			}
		}

		// Both the whole answers and what is inside the tokens are without the user's id.
		noID := func(what string, a *apitest.Response) {
			t.Helper()
			holdsNoID(t, what, fmt.Sprint(a.Status, a.Header, string(a.Body)), alice, bob)
		}
		p := b.Open(authorizePath(one, set("scope", "openid profile email offline_access", "prompt", "consent"))).
			Submit("consent-approve", nil)
		holdsNoID(t, "the authorization response", p.To, alice, bob)
		tokens := s.Do(s.CodeRequest(one, wantCode(t, p))).Want(http.StatusOK, "")
		noID("the token response", tokens)
		var got apitest.Tokens
		tokens.JSON(&got)
		noID("userinfo", s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: got.Access}).Want(http.StatusOK, ""))
		again := s.Do(s.RefreshRequest(one, got.Refresh)).Want(http.StatusOK, "")
		noID("the refreshed tokens", again)
		again.JSON(&got)
		for _, token := range []string{got.Access, got.Refresh} {
			noID("introspection",
				s.Do(s.Authenticated(one, "/oauth2/introspect", url.Values{"token": {token}})).Want(http.StatusOK, ""))
		}
		noID("the form_post response", b.Open(authorizePath(one, set("response_mode", "form_post"))).Response)
		noID("the account API", s.Do(apitest.Request{Path: "/v1/profile", Token: got.Access}).Want(401, "token_invalid"))
		noID("a second use of the code", s.Do(s.CodeRequest(one, wantCode(t, p))).Want(400, "invalid_grant"))
		noID("revocation", s.Do(s.Authenticated(one, "/oauth2/revoke", url.Values{"token": {got.Refresh}})).Want(200, ""))
		noID("logout", b.Open("/oauth2/logout?"+url.Values{"id_token_hint": {got.ID},
			"post_logout_redirect_uri": {"https://one.test/bye"}, "state": {"x"}}.Encode()).Response)
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

// A resource server that introspects is told the sub of the token's client.
func TestAResourceServerIsToldTheSubOfTheClient(t *testing.T) {
	const uri = "https://api.test"
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := s.Register(userstore.Client{ID: "one", Resources: []string{uri}, ClientMetadata: userstore.ClientMetadata{
			SubjectType: userstore.SubjectPairwise, RedirectURIs: []string{"https://one.test/cb"}}})
		server := s.Register(userstore.Client{ID: "server"})
		tokens := logIn(s, s.SignedIn(alice), c, set("resource", uri, "scope", "openid read"))
		answer := s.Introspect(server, tokens.Access)
		if answer["active"] != true || answer["sub"] != subOf(tokens) || answer["sub"] == alice.ID {
			t.Errorf("%v", answer)
		}
	}, func(o *apitest.Options) {
		o.Resources = []issuer.Resource{{URI: uri, Scopes: []string{"read"}, IntrospectionClients: []string{"server"}}}
	})
}

// The subject outlives keys and secrets: no signing key, no secret of forms or refresh tokens and no
// key-encryption key goes into it.
func TestASubStaysWhateverHappensToKeysAndSecrets(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := pairwise(s, "one", "https://one.test/cb")
		b := s.SignedIn(alice)
		tokens := logIn(s, b, c)
		sub := subOf(tokens)
		if _, err := s.Replicas[0].Keys.Revoke(t.Context(), nil, true); err != nil {
			t.Fatal(err)
		}
		s.Advance(0)
		if got := subOf(logIn(s, b, c)); got != sub {
			t.Errorf("after a revocation of all keys the sub is %s, before %s", got, sub)
		}
		var refreshed apitest.Tokens
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(http.StatusOK, "").JSON(&refreshed)
		if got := subOf(refreshed); got != sub {
			t.Errorf("after a revocation of all keys the refreshed sub is %s, before %s", got, sub)
		}

		// A server on the same accounts with another ring: nothing of the old keys and secrets is left.
		ring := sqltest.SQLite(t)
		other := apitest.New(t, apitest.Options{DB: s.DB, Configure: func(r *apitest.Replica) { r.Keys.Store = ring }})
		if got := subOf(logIn(other, other.SignedIn(alice), c)); got != sub {
			t.Errorf("with other keys and secrets the sub is %s, before %s", got, sub)
		}
	})
}

// A deleted user who signs up again is a new one to every client.
func TestU31ANewAccountHasANewSub(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := pairwise(s, "one", "https://one.test/cb")
		before := subOf(logIn(s, s.SignedIn(alice), c))
		if err := s.DB.DeleteUser(t.Context(), alice.ID); err != nil {
			t.Fatal(err)
		}
		again := s.SignUp("alice")
		if after := subOf(logIn(s, s.SignedIn(again), c)); after == before || after == "" {
			t.Errorf("the sub was %s and is %s", before, after)
		}
	})
}

// What a grant says stays, whatever the client becomes; new logins get what the client is now.
func TestAChangedClientKeepsTheSubOfItsGrants(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := pairwise(s, "one", "https://one.test/cb")
		b := s.SignedIn(alice)
		tokens := logIn(s, b, c)
		sub := subOf(tokens)
		change := func(subjectType string, redirects ...string) {
			t.Helper()
			stored, err := s.DB.ClientByID(t.Context(), c.ID)
			if err != nil {
				t.Fatal(err)
			}
			stored.SubjectType, stored.RedirectURIs = subjectType, redirects
			if err := s.DB.UpdateClient(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			c.RedirectURIs = redirects
		}
		kept := func(want string) {
			t.Helper()
			s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(http.StatusOK, "").JSON(&tokens)
			for what, got := range map[string]any{"ID token": subOf(tokens), "access token": claims(tokens.Access)["sub"],
				"userinfo": userinfoOf(s, tokens)["sub"]} {
				if got != want {
					t.Errorf("the %s of the old grant says %v, want %s", what, got, want)
				}
			}
		}
		change(userstore.SubjectPublic, "https://one.test/cb")
		kept(sub)
		if got := subOf(logIn(s, b, c)); got != alice.ID {
			t.Errorf("a public client knows alice as %s", got)
		}
		change(userstore.SubjectPairwise, "https://moved.test/cb")
		kept(sub)
		moved := subOf(logIn(s, b, c))
		if moved == sub || moved == alice.ID {
			t.Errorf("the client of another host knows alice as %s", moved)
		}
		change(userstore.SubjectPairwise, "https://one.test/cb")
		if got := subOf(logIn(s, b, c)); got != sub {
			t.Errorf("the client that came back knows alice as %s, before %s", got, sub)
		}

		// An ID token from before is a hint all the same.
		change(userstore.SubjectPairwise, "https://moved.test/cb")
		wantCode(t, b.Open(authorizePath(c, set("prompt", "none", "id_token_hint", tokens.ID))))
	})
}

// A client names a user only by the sub that it knows.
func TestA22HintsOfPairwiseClients(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		one, far, plain := pairwise(s, "one", "https://one.test/cb"), pairwise(s, "far", "https://far.test/cb"), s.WebClient()
		b, there := s.SignedIn(alice), s.SignedIn(bob)
		mine, farMine, plainMine := logIn(s, b, one), logIn(s, b, far), logIn(s, b, plain)
		bobs := logIn(s, there, one)
		asks := func(c apitest.Client, more ...string) *apitest.Page {
			return b.Open(authorizePath(c, set(append([]string{"prompt", "none"}, more...)...)))
		}
		named := func(sub string) string { return fmt.Sprintf(`{"id_token":{"sub":{"value":%q}}}`, sub) }

		wantCode(t, asks(one, "id_token_hint", mine.ID))
		wantCode(t, asks(one, "claims", named(subOf(mine))))
		wantCode(t, asks(one, "id_token_hint", mine.ID, "claims", named(subOf(mine))))
		wantCode(t, asks(plain, "claims", named(alice.ID)))
		wantError(t, asks(one, "id_token_hint", bobs.ID), "login_required")
		wantError(t, asks(one, "claims", named(subOf(bobs))), "login_required")
		wantError(t, asks(one, "id_token_hint", mine.ID, "claims", named(subOf(bobs))), "invalid_request")
		wantError(t, asks(one, "id_token_hint", farMine.ID), "invalid_request") // of another client

		// Two clients that compare notes do not find out that they have the same user.
		wantError(t, asks(one, "claims", named(subOf(farMine))), "login_required")
		wantError(t, asks(one, "claims", named(subOf(plainMine))), "login_required")
		wantError(t, asks(plain, "claims", named(subOf(mine))), "login_required")

		// With a page, the other user can log in.
		p := b.Open(authorizePath(one, set("id_token_hint", bobs.ID))).WantPage(200, "login-submit")
		tokens := s.TokensOf(one, p.Submit("login-submit", bob.Credentials()))
		if subOf(tokens) != subOf(bobs) {
			t.Errorf("logged in as %s, want %s", subOf(tokens), subOf(bobs))
		}
	})
}

// A39: the ID token of a pairwise client logs its user out without a question, and nobody else.
func TestA39LogoutByTheHintOfAPairwiseClient(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		c := pairwise(s, "one", "https://one.test/cb")
		b, there := s.SignedIn(alice), s.SignedIn(bob)
		mine, bobs := logIn(s, b, c), logIn(s, there, c)
		logout := func(hint string) *apitest.Page {
			return b.Open("/oauth2/logout?" + url.Values{"id_token_hint": {hint},
				"post_logout_redirect_uri": {"https://one.test/bye"}}.Encode())
		}
		logout(bobs.ID).WantPage(200, "logout-confirm")
		if p := logout(mine.ID); !strings.HasPrefix(p.To, "https://one.test/bye") {
			t.Errorf("to %q: %.200s", p.To, p.Text())
		}
		wantError(t, b.Open(authorizePath(c, set("prompt", "none"))), "login_required")
	})
}

// The number of sectors that know one user is bounded. Those that know the user already go on.
func TestTheSectorsOfAUserAreBounded(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		one, more := pairwise(s, "one", "https://one.test/cb"), pairwise(s, "more", "https://more.test/cb")
		b := s.SignedIn(alice)
		sub := subOf(logIn(s, b, one))
		for n := range userstore.MaxSubjects - 1 {
			if _, err := s.DB.SubjectOf(t.Context(), userstore.Subject{UserID: alice.ID, Sector: fmt.Sprintf("s%d.test", n),
				Subject: fmt.Sprintf("subject-%d", n), CreatedAt: s.Clock.Now()}, userstore.MaxSubjects); err != nil {
				t.Fatal(err)
			}
		}
		p := b.Open(authorizePath(more)).Submit("consent-approve", nil)
		wantError(t, p, "access_denied")
		holdsNoID(t, "the refusal", p.To, alice)
		if got := subOf(logIn(s, b, one)); got != sub {
			t.Errorf("the sub was %s and is %s", sub, got)
		}
	})
}
