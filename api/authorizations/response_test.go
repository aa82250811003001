package authorizations_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestA16A18AResponseCarriesStateAndIssuer(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	b, _ := s.Allowed(s.SignUp("alice"), s.WebClient())
	c := apitest.Client{Client: userstore.Client{ID: "web",
		ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://web.test/cb"}}}}
	for _, state := range []string{strings.Repeat("s", 8<<10), `"><script>alert(1)</script>`, "%0d%0aX:1", "ümläut ☃",
		"x&code=y", ""} {
		q := b.Open(authorizePath(c, set("state", state))).Query()
		if q.Get("state") != state || len(q["code"]) != 1 || q.Get("iss") != apitest.IssuerURL ||
			state == "" && q.Has("state") {
			t.Errorf("state %.40q came back in %.200v", state, q)
		}
	}
	// Also by way of the pages, in a handle.
	for _, state := range []string{strings.Repeat("s", 8<<10), "\"<>&\x01ü"} {
		p := b.Open(authorizePath(c, set("state", state, "prompt", "consent"))).WantPage(200, "consent-approve")
		if got := p.Submit("consent-approve", nil).Query().Get("state"); got != state {
			t.Errorf("state %.40q came back as %.40q", state, got)
		}
	}
}

// Between page and answer a client may have lost its redirect URI, or been disabled: then neither
// answer goes there.
func TestA01NoAnswerGoesWhereAClientIsNotAnyMore(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		b := s.SignedIn(s.SignUp("alice"))
		page := b.Open(authorizePath(c)).WantPage(200, "consent-approve")
		refused := func(when string) {
			t.Helper()
			for _, button := range []string{"consent-approve", "consent-deny"} {
				if p := page.Submit(button, nil); p.Status != http.StatusBadRequest || p.To != "" {
					t.Errorf("%s, %s: got %d to %q", when, button, p.Status, p.To)
				}
			}
		}
		row, err := s.DB.ClientByID(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		row.RedirectURIs = []string{"https://web.test/moved"}
		if err := s.DB.UpdateClient(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		refused("the redirect URI is gone")
		row.RedirectURIs, row.Version = c.RedirectURIs, row.Version+1
		if err := s.DB.UpdateClient(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		if err := s.DB.SetClientActive(t.Context(), c.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		refused("the client is disabled")
	})
}

func TestFormPost(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c, b := s.SignUp("alice"), s.WebClient(), s.Browser()
		path := authorizePath(c, set("response_mode", "form_post"))
		check := func(p *apitest.Page) {
			t.Helper()
			action, posted := p.WantPage(200, "").Posted()
			if action != c.RedirectURIs[0] || len(posted) != 4 || posted.Get("session_state") == "" ||
				posted.Get("state") != "the state" ||
				posted.Get("iss") != apitest.IssuerURL || strings.Contains(p.Path, posted.Get("code")) {
				t.Fatalf("%s %v at %s", action, posted, p.Path)
			}
			s.Do(s.CodeRequest(c, posted.Get("code"))).Want(200, "")
		}
		check(b.SignIn(path, alice).WantPage(200, "consent-approve").Submit("consent-approve", nil))
		check(b.Open(path))
		check(b.Open(authorizePath(c,
			set("response_mode", "form_post", "prompt", "login"))).Submit("login-submit", alice.Credentials()))
		native := s.Register(userstore.Client{ID: "native", AuthMethod: userstore.AuthNone,
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"com.example.app:/cb"}}})
		wantError(t, b.Open(authorizePath(native, set("response_mode", "form_post"))), "invalid_request")
	})
}
