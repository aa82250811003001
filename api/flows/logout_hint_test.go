package flows_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// A hint speaks for the session that it came of, however long ago, and for no other session of the
// same user.
func TestALogoutHintSpeaksForItsOwnSession(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := leaving(s, "web")
		plain := s.Register(userstore.Client{ID: "plain", Name: "plain",
			GrantTypes: []string{userstore.GrantAuthorizationCode}, ClientMetadata: userstore.ClientMetadata{
				RedirectURIs: []string{"https://plain.test/cb"}, PostLogoutRedirectURIs: []string{"https://plain.test/bye"}}})
		const bye, plainBye = "https://web.test/bye", "https://plain.test/bye"
		silently := func(b *apitest.Browser, c apitest.Client) apitest.Tokens {
			return logIn(s, b, c, set("scope", "openid"))
		}
		asks := func(what string, b *apitest.Browser, hint string) {
			t.Helper()
			p := b.Open(logoutPath("id_token_hint", hint, "post_logout_redirect_uri", bye))
			if !p.Has("logout-confirm") || b.Cookies[sessionName] == "" {
				t.Errorf("%s signed this browser out without a question: to %q", what, p.To)
			}
		}
		goes := func(what string, b *apitest.Browser, hint, to string) {
			t.Helper()
			p := b.Open(logoutPath("id_token_hint", hint, "post_logout_redirect_uri", to))
			if p.To != to || b.Cookies[sessionName] != "" {
				t.Errorf("%s: to %q, %.200s", what, p.To, p.Text())
			}
			wantError(t, b.Open(authorizePath(c, set("prompt", "none"))), "login_required")
		}

		here, there := s.SignedIn(alice), s.SignedIn(alice)
		mine, others := silently(here, c), silently(there, c)
		asks("the hint of another browser", here, others.ID)
		asks("the hint of another browser, the other way round", there, mine.ID)

		// A client without a refresh token has no grant left after minutes, and its hint is good all the
		// same.
		short := silently(here, plain)
		s.Advance(25 * time.Minute)
		if n, err := s.DB.RemoveExpired(t.Context(), s.Clock.Now(), 100); err != nil || n == 0 {
			t.Fatalf("%d grants removed: %v", n, err)
		}
		if there.Open("/login").Has("login-submit") {
			t.Fatal("the session is over by itself")
		}
		asks("the hint of another browser whose grant is gone", there, short.ID)
		goes("a hint whose grant is gone", here, short.ID, plainBye)

		// After the logout the hint is worth nothing to the next session of this browser.
		here.SignIn("/login", alice)
		asks("the hint of the session before", here, mine.ID)
		asks("the hint of the session before whose grant is gone", here, short.ID)

		// Who proves the password again goes on with the session.
		again := silently(here, c)
		here.Open(authorizePath(c, set("prompt", "login"))).Submit("login-submit",
			map[string]string{"email": alice.Email, "password": alice.Password})
		goes("a hint from before the password was proved again", here, again.ID, bye)

		// A grant that was ended by itself leaves the session, and its hint speaks for it still.
		here.SignIn("/login", alice)
		ended := silently(here, c)
		s.Do(s.Authenticated(c, "/oauth2/revoke", url.Values{"token": {ended.Refresh}})).Want(http.StatusOK, "")
		goes("the hint of a grant that its client revoked", here, ended.ID, bye)

		// The JSON login has no browser session to speak for.
		s.Register(userstore.Client{ID: "app", AuthMethod: userstore.AuthNone, FirstParty: true,
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://app.test/cb"},
				PostLogoutRedirectURIs: []string{bye}}})
		here.SignIn("/login", alice)
		asks("the hint of a JSON login", here, s.Login(alice, apitest.Fields{"client_id": "app", "scope": "openid"}).ID)
	})
}

// An ID token from before session ids held a proof is known by its grant's row.
func TestALogoutHintOfAnOlderVersion(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), leaving(s, "web")
		here := s.SignedIn(alice)
		tokens := logIn(s, here, c, set("scope", "openid"))
		view, err := s.DB.GrantBySession(t.Context(), apitest.Claims(tokens.ID)["sid"].(string))
		if err != nil {
			t.Fatal(err)
		}
		user, err := s.DB.UserByID(t.Context(), alice.ID)
		if err != nil {
			t.Fatal(err)
		}
		old := view.Grant
		old.ID, old.SessionID = userstore.GrantID{1}, "an-old-session-id-00000"
		if err := s.DB.StartGrant(t.Context(),
			userstore.StartGrant{Grant: old, PasswordHash: user.PasswordHash}); err != nil {
			t.Fatal(err)
		}
		kid, key := s.Key("RS256")
		hint := func(sid any) string {
			return apitest.Sign(key, apitest.Fields{"alg": "RS256", "kid": kid, "typ": "JWT"}.Text(),
				apitest.Claims(tokens.ID).With("sid", sid).Text())
		}
		for _, sid := range []any{"", nil, "nosuch", strings.Repeat("A", 22), strings.Repeat("A", 44),
			"an-old-session-id-00001"} {
			if p := here.Open(logoutPath("id_token_hint", hint(sid), "post_logout_redirect_uri",
				"https://web.test/bye")); !p.Has("logout-confirm") {
				t.Errorf("sid %v signed out without a question: to %q", sid, p.To)
			}
		}
		if p := here.Open(logoutPath("id_token_hint", hint(old.SessionID), "post_logout_redirect_uri",
			"https://web.test/bye")); p.To != "https://web.test/bye" {
			t.Errorf("to %q", p.To)
		}
	})
}

// Where somebody is not sent back, the page says so and why; where the app did not ask for it,
// there is nothing to say.
func TestTheSignedOutPageSaysWhyNobodyIsSentBack(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), leaving(s, "web")
		leaving(s, "other")
		const registered, proved = "the address that it asked for is not one that it is registered with",
			"the request did not prove which app it came from"
		for _, row := range []struct {
			name string
			path func(id string) string
			says string // empty: nothing of the kind
		}{
			{"an address that is not registered", func(id string) string {
				return logoutPath("id_token_hint", id, "post_logout_redirect_uri", "https://evil.test/planted")
			}, registered},
			{"another client's", func(id string) string {
				return logoutPath("id_token_hint", id, "post_logout_redirect_uri", "https://other.test/bye")
			}, registered},
			{"no hint", func(string) string {
				return logoutPath("client_id", "web", "post_logout_redirect_uri", "https://web.test/bye")
			}, proved},
			{"a broken hint", func(id string) string {
				return logoutPath("id_token_hint", id+"x", "post_logout_redirect_uri", "https://web.test/bye")
			}, proved},
			{"another client's hint", func(id string) string {
				return logoutPath("id_token_hint", id, "client_id", "other", "post_logout_redirect_uri", "https://other.test/bye")
			}, proved},
			{"it asked for nothing", func(id string) string { return logoutPath("id_token_hint", id) }, ""},
			{"nothing at all", func(string) string { return "/oauth2/logout" }, ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				b := s.SignedIn(alice)
				id := logIn(s, b, c, set("scope", "openid")).ID
				p := b.Open(row.path(id))
				if p.Has("logout-confirm") {
					p = p.Submit("logout-confirm", nil)
				}
				text := p.WantPage(http.StatusOK, "").Text()
				for _, said := range []string{registered, proved} {
					if strings.Contains(text, said) != (said == row.says) {
						t.Errorf("the page says %q, want %q in it", text, row.says)
					}
				}
				if !strings.Contains(text, "You are signed out") || strings.Contains(string(p.Body), "planted") {
					t.Errorf("the page says %q", text)
				}
			})
		}
	})
}
