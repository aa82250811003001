package flows_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// leaving is a client that a logout may lead back to.
func leaving(s *apitest.Server, id string) apitest.Client {
	return s.Register(userstore.Client{ID: id, Name: id, ClientMetadata: userstore.ClientMetadata{
		RedirectURIs:           []string{"https://" + id + ".test/cb"},
		PostLogoutRedirectURIs: []string{"https://" + id + ".test/bye", "https://" + id + ".test/bye?x=1"},
	}})
}

func logoutPath(pairs ...string) string {
	q := url.Values{}
	set(pairs...)(q)
	return "/oauth2/logout?" + q.Encode()
}

func TestLogoutThatAClientBegins(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c, other := s.SignUp("alice"), s.SignUp("bob"), leaving(s, "web"), leaving(s, "other")
		_, p := s.Allowed(bob, c)
		bobs := s.TokensOf(c, p).ID
		elsewhere := logIn(s, s.SignedIn(alice), c).ID
		gone := s.SignedIn(alice)
		ended := logIn(s, gone, c).ID
		gone.Open("/logout").Submit("logout-confirm", nil)
		known := map[string]bool{"somebody else's hint": true, "another session's hint, of the same user": true,
			"an ended session's hint, of the same user": true}
		const bye = "https://web.test/bye"

		for _, row := range []struct {
			name string
			path func(id, access string) string
			to   string // empty: the confirmation page
		}{
			{"a good hint", func(id, _ string) string {
				return logoutPath("id_token_hint", id, "post_logout_redirect_uri", bye, "state", "a b&c")
			}, bye + "?state=a+b%26c"},
			{"without a state", func(id, _ string) string {
				return logoutPath("id_token_hint", id, "post_logout_redirect_uri",
					bye)
			}, bye},
			{"with the client's id", func(id, _ string) string {
				return logoutPath("id_token_hint", id, "client_id", "web", "post_logout_redirect_uri", bye)
			}, bye},
			{"to an address with a query", func(id, _ string) string {
				return logoutPath("id_token_hint", id, "post_logout_redirect_uri", bye+"?x=1", "state", "s")
			}, bye + "?x=1&state=s"},
			{"a good hint and no address", func(id, _ string) string { return logoutPath("id_token_hint", id, "state", "s") },
				"/logout"},
			{"A-39 a good hint and an address that nobody registered", func(id, _ string) string {
				return logoutPath("id_token_hint", id, "post_logout_redirect_uri", "https://evil.test")
			}, "/logout"},
			{"another session's hint, of the same user", func(_, _ string) string {
				return logoutPath("id_token_hint", elsewhere, "post_logout_redirect_uri", bye)
			}, ""},
			{"an ended session's hint, of the same user", func(_, _ string) string {
				return logoutPath("id_token_hint", ended, "post_logout_redirect_uri", bye)
			}, ""},
			{"A-39 an altered one", func(id, _ string) string {
				return logoutPath("id_token_hint", id, "post_logout_redirect_uri", bye+"?y=1")
			}, "/logout"},
			{"A-39 another client's", func(id, _ string) string {
				return logoutPath("id_token_hint", id, "post_logout_redirect_uri", "https://other.test/bye")
			}, "/logout"},

			{"A-39 no hint", func(_, _ string) string { return logoutPath("post_logout_redirect_uri", bye, "client_id", "web") },
				""},
			{"nothing at all", func(_, _ string) string { return "/oauth2/logout" }, ""},
			{"only a state", func(_, _ string) string { return logoutPath("state", "s") }, ""},
			{"A-39 a modified hint", func(id, _ string) string {
				return logoutPath("id_token_hint", id[:len(id)-8]+"AAAAAAAA", "post_logout_redirect_uri", bye)
			}, ""},
			{"a hint without a signature", func(id, _ string) string {
				parts := strings.Split(id, ".")
				return logoutPath("id_token_hint", apitest.Encode(`{"alg":"none","typ":"JWT"}`)+"."+parts[1]+".",
					"post_logout_redirect_uri", bye)
			}, ""},
			{"J-16 an access token", func(_, access string) string {
				return logoutPath("id_token_hint", access, "post_logout_redirect_uri", bye)
			}, ""},
			{"another client's id", func(id, _ string) string {
				return logoutPath("id_token_hint", id, "client_id", "other", "post_logout_redirect_uri", bye)
			}, ""},
			{"two addresses", func(id, _ string) string {
				return logoutPath("id_token_hint", id, "post_logout_redirect_uri",
					bye) + "&post_logout_redirect_uri=https%3A%2F%2Fevil.test"
			}, ""},
			{"somebody else's hint", func(_,
				_ string) string {
				return logoutPath("id_token_hint", bobs, "post_logout_redirect_uri", bye)
			}, ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				for _, method := range []string{http.MethodGet, http.MethodPost} {
					s := s.With(t)
					b := s.Browser()
					p := b.SignIn(authorizePath(c, set("scope", "openid offline_access")), alice)
					if p.To == "" {
						p = p.WantPage(200, "consent-approve").Submit("consent-approve", nil)
					}
					kept := s.TokensOf(c, p)
					tokens := s.TokensOf(c, b.Open(authorizePath(c, set("scope", "openid"))))
					path := row.path(tokens.ID, tokens.Access)
					if method == http.MethodGet {
						p = b.Open(path)
					} else {
						path, body, _ := strings.Cut(path, "?")
						p = b.Send(apitest.Request{Method: method, Path: path, Body: body, Type: "application/x-www-form-urlencoded"})
						if location := p.Header.Get("Location"); strings.HasPrefix(location, "/") {
							p = b.Open(location)
						} else {
							p.To = location
						}
					}
					if row.to == "" {
						p.WantPage(200, "logout-confirm")
						if b.Cookies[sessionName] == "" {
							t.Fatal("logged out without a question")
						}
						s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "")
						wantCode(t, b.Open(authorizePath(c, set("scope", "openid"))))
						p = p.Submit("logout-confirm", nil)
						if known[row.name] {
							if p.To != bye { // who asked is known, and the user agreed
								t.Errorf("to %q", p.To)
							}
						} else if p.To != "" {
							t.Errorf("to %q", p.To)
						}
					} else if p.To != row.to && (p.To != "" || !strings.HasPrefix(p.Path, row.to)) {
						t.Errorf("at %q to %q", p.Path, p.To)
					}
					if p.To == "" && !strings.Contains(p.Text(), "signed out") {
						t.Errorf("%q", p.Text())
					}
					// The session is over, with what came of it, but offline access.
					if b.Cookies[sessionName] != "" {
						t.Error("the cookie is still there")
					}
					wantError(t, b.Open(authorizePath(c, set("prompt", "none"))), "login_required")
					if res := s.Do(s.RefreshRequest(c, tokens.Refresh)); res.Code() != "invalid_grant" {
						t.Errorf("refreshed: %d %s", res.Status, res.Body)
					}
					s.Do(s.RefreshRequest(c, kept.Refresh)).Want(200, "")
				}
			})
		}

		t.Run("nobody is logged in", func(t *testing.T) {
			s := s.With(t)
			for path, to := range map[string]string{
				"/oauth2/logout": "", "/logout": "",
				logoutPath("id_token_hint", bobs, "post_logout_redirect_uri", bye, "state",
					"s"): bye + "?state=s",
				logoutPath("id_token_hint", bobs, "post_logout_redirect_uri", "https://evil.test"):                     "",
				logoutPath("post_logout_redirect_uri", bye):                                                            "",
				logoutPath("id_token_hint", bobs, "post_logout_redirect_uri", other.PostLogoutRedirectURIs[0]):         "",
				logoutPath("id_token_hint", bobs, "post_logout_redirect_uri", bye, "state", strings.Repeat("s", 9000)): "",
			} {
				p := s.Browser().Open(path)
				if p.To != to || to == "" && !strings.Contains(p.Text(), "signed out") {
					t.Errorf("%.60s: %d to %q: %q", path, p.Status, p.To, p.Text())
				}
			}
		})
		t.Run("another site's image or form ends nobody's session", func(t *testing.T) {
			s := s.With(t)
			b := s.SignedIn(alice)
			without := http.Header{"Cookie": nil} // SameSite=Lax
			b.Send(apitest.Request{Path: logoutPath("id_token_hint", bobs, "post_logout_redirect_uri", bye), Header: without})
			b.Send(apitest.Request{Method: "POST", Path: "/oauth2/logout", Body: "id_token_hint=" + bobs,
				Type: "application/x-www-form-urlencoded", Header: without})
			s.Do(apitest.Request{Path: "/oauth2/logout"})
			if p := b.Open("/login"); p.Has("login-submit") {
				t.Error("logged out")
			}
		})
		t.Run("in German", func(t *testing.T) {
			s := s.With(t)
			b := s.SignedIn(alice)
			p := b.Open(logoutPath("ui_locales", "sv de-AT")).WantPage(200, "logout-confirm")
			if !strings.Contains(p.Text(), "Abmelden") {
				t.Errorf("%q", p.Text())
			}
			if p = p.Submit("logout-confirm", nil); !strings.Contains(p.Text(), "abgemeldet") {
				t.Errorf("%q", p.Text())
			}
		})
		t.Run("in two tabs", func(t *testing.T) {
			s := s.With(t)
			b := s.SignedIn(alice)
			one, two := b.Open("/logout"), b.Open("/logout")
			one.Submit("logout-confirm", nil).WantPage(200, "")
			if p := two.Submit("logout-confirm", nil).WantPage(200, ""); !strings.Contains(p.Text(), "signed out") {
				t.Errorf("%q", p.Text())
			}
		})
	})
}
