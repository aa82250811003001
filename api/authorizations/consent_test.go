package authorizations_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestA24TheConsentPageListsExactlyWhatIsIssued(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice, c, b := s.SignUp("alice"), s.WebClient(), s.Browser()
	p := b.SignIn(authorizePath(c, set("scope", "openid email phone offline_access")),
		alice).WantPage(200, "consent-approve")
	for part, want := range map[string]bool{"email address": true, "phone": true, "when you are away": true,
		"postal": false, "picture": false} {
		if strings.Contains(p.Text(), part) != want {
			t.Errorf("%q said: %v, in %q", part, !want, p.Text())
		}
	}
	if tokens := s.TokensOf(c, p.Submit("consent-approve", nil)); tokens.Scope != "openid email phone offline_access" {
		t.Errorf("scope %q", tokens.Scope)
	}
	// Offline access is not for who gets no refresh token; nobody is asked for it.
	plain := s.Register(userstore.Client{ID: "plain", GrantTypes: []string{"authorization_code"}})
	p = b.Open(authorizePath(plain, set("scope", "openid offline_access"))).WantPage(200, "consent-approve")
	if strings.Contains(p.Text(), "when you are away") {
		t.Error("asked for offline access")
	}
	if tokens := s.TokensOf(plain, p.Submit("consent-approve", nil)); tokens.Scope != "openid" || tokens.Refresh != "" {
		t.Errorf("%+v", tokens)
	}
	// A no is told to the client, and changes nothing.
	p = b.Open(authorizePath(s.Register(userstore.Client{ID: "other"}))).WantPage(200, "consent-deny")
	s.Unchanged(func() { wantError(t, p.Submit("consent-deny", nil), "access_denied") })
}

func TestA31ConsentIsForWhatWasShownToWhoWasAsked(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		b := s.Browser()
		page := b.SignIn(authorizePath(c, set("scope", "openid email")), bob).WantPage(200, "consent-approve")

		t.Run("hidden fields of the sender's own count for nothing", func(t *testing.T) {
			s := s.With(t)
			p := b.With(s).Send(page.Form("consent-approve", map[string]string{
				"scope": "openid admin phone", "client_id": "evil", "redirect_uri": "https://evil.test", "user": alice.ID,
				"sub": alice.ID}))
			p.To = p.Header.Get("Location")
			tokens := s.TokensOf(c, p)
			if tokens.Scope != "openid email" || apitest.Claims(tokens.ID)["sub"] != bob.ID {
				t.Errorf("%s for %v", tokens.Scope, apitest.Claims(tokens.ID)["sub"])
			}
		})
		t.Run("another user answers", func(t *testing.T) {
			s := s.With(t)
			b := b.With(s)
			page := b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
			b.Open("/login?request="+page.Form("consent-approve", nil).Form.Get("request")).
				Submit("login-submit", alice.Credentials())
			s.Unchanged(func() {
				if p := b.Send(page.Form("consent-approve", nil)); p.Status != http.StatusForbidden {
					t.Errorf("got %d %s", p.Status, p.Header.Get("Location"))
				}
			})
		})
		t.Run("neither yes nor no, or twice", func(t *testing.T) {
			s := s.With(t)
			b := b.With(s)
			page := b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
			s.Unchanged(func() {
				b.Send(page.Form("consent-approve", map[string]string{"decision": "maybe"})).WantPage(400, "")
				q := page.Form("consent-approve", nil)
				q.Form["decision"] = []string{"deny", "approve"}
				b.Send(q).WantPage(400, "")
			})
		})
		t.Run("a double submit is one code", func(t *testing.T) {
			s := s.With(t)
			b := b.With(s)
			page := b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
			form := page.Form("consent-approve", nil)
			codes := make([]string, 8)
			var all sync.WaitGroup
			for n := range codes {
				each := *b
				each.Cookies = map[string]string{}
				for name, value := range b.Cookies {
					each.Cookies[name] = value
				}
				all.Go(func() { codes[n] = each.Send(form).Header.Get("Location") })
			}
			all.Wait()
			if len(slices.Compact(slices.Sorted(slices.Values(codes)))) != 1 || !strings.Contains(codes[0], "code=") {
				t.Fatalf("%d different answers: %v", len(codes), codes)
			}
			u, _ := url.Parse(codes[0])
			s.Do(s.CodeRequest(c, u.Query().Get("code"))).Want(200, "")
			// Once it is used, going back says so and does no harm; so it does when the code was
			// never used.
			b.Send(form).WantPage(400, "")
			page = b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
			page.Submit("consent-approve", nil)
			s.Advance(61 * time.Second)
			p := b.Send(page.Form("consent-approve", nil)).WantPage(400, "")
			if !strings.Contains(p.Text(), "done already") {
				t.Errorf("%q", p.Text())
			}
		})
	})
}

func TestA33WhoMustAskEveryTime(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice := s.SignUp("alice")
	for _, row := range []struct {
		uri     string
		method  string
		first   bool
		prompts bool
	}{
		{"http://127.0.0.1/cb", userstore.AuthNone, false, true},
		{"http://[::1]:7000/cb", userstore.AuthNone, false, true},
		{"com.example.app:/cb", userstore.AuthNone, false, true},
		{"https://localhost:8443/cb", userstore.AuthNone, false, true},
		{"https://spa.test/cb", userstore.AuthNone, false, false},
		{"https://web.test/cb", userstore.AuthBasic, false, false},
		{"http://127.0.0.1/cb", userstore.AuthBasic, false, false},
		{"http://127.0.0.1/own", userstore.AuthNone, true, true},
		{"http://[::1]/own", userstore.AuthNone, true, true},
		{"com.example.app:/own", userstore.AuthNone, true, true},
		{"https://spa.test/own", userstore.AuthNone, true, false},
		{"http://127.0.0.1/web", userstore.AuthBasic, true, false},
	} {
		t.Run(row.method+" "+row.uri, func(t *testing.T) {
			s := s.With(t)
			c := s.Register(userstore.Client{ID: "c" + row.method + url.PathEscape(row.uri), AuthMethod: row.method,
				FirstParty: row.first, ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{row.uri}}})
			b := s.Browser()
			p := b.SignIn(authorizePath(c), alice)
			if !row.first || row.prompts {
				p = p.WantPage(200, "consent-approve").Submit("consent-approve", nil)
			}
			wantCode(t, p)
			p = b.Open(authorizePath(c))
			if row.prompts {
				p = p.WantPage(200, "consent-approve").Submit("consent-approve", nil)
			}
			wantCode(t, p)
			// Whoever wants to be sure may ask of anybody.
			b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
		})
	}
}
