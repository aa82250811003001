package authorizations_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// TestA34NamesOfSelfMadeClients: whatever a client that came by itself calls itself, the pages name
// the host that the user is led to (and of the address of its metadata document), mark it as not
// verified, and say what such an app is. Nothing of the name is hidden, turned around or endless.
func TestA34NamesOfSelfMadeClients(t *testing.T) {
	const why = "This app introduced itself to"
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		n := 0
		for name, calls := range map[string]string{
			"letters of another script": "G\u043e\u043egle", // Cyrillic o
			"full width":                "\uff27oogle",
			"a right-to-left override":  "\u202eelgooG\u202c",
			"isolates":                  "\u2066Google\u2069",
			"a zero-width space":        "Goo\u200bgle",
			"a soft hyphen":             "Goo\u00adgle",
			"a control character":       "Google\x07\x1b[31m",
			"two lines":                 "Google\nverified by Google",
			"10 KiB":                    strings.Repeat("Google ", 1500),
			"markup":                    `<img src=x onerror="alert(1)">`,
			"nothing that can be seen":  "\u200b\u200b",
		} {
			for _, kind := range []string{userstore.KindRegistered, userstore.KindMetadata} {
				t.Run(name+" of a "+kind+" one", func(t *testing.T) {
					s := s.With(t)
					n++
					// A metadata client is stored by a name that no address has, for the pages read it like any
					// other.
					c := s.Register(userstore.Client{ID: "c" + strings.Repeat("x", n), Name: calls, Kind: kind, AuthMethod: userstore.AuthNone,
						Scopes: []string{"openid"}, ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://phish.test/cb"}}})
					b := s.Browser()
					login := b.Open(authorizePath(c)).WantPage(200, "login-submit")
					consent := login.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve")
					wantCode(t, consent.Submit("consent-approve", nil))
					apps := b.Open("/account/apps").WantPage(200, "app-end-"+c.ID)
					for at, p := range map[string]*apitest.Page{"login": login, "consent": consent, "apps": apps} {
						text, body := p.Text(), string(p.Body)
						if !strings.Contains(text, "phish.test") || !strings.Contains(text, "Not verified") {
							t.Errorf("%s names neither host nor mark: %q", at, text)
						}
						if strings.ContainsAny(text, "\u202e\u202c\u2066\u2069\u200b\u00ad\x07\x1b") || strings.Contains(body, "<img src=x") ||
							at != "apps" && len(text) > 4<<10 {
							t.Errorf("%s: %q", at, text)
						}
						if got := strings.Contains(text, why); got != (at == "consent") {
							t.Errorf("%s says what such an app is: %v", at, got)
						}
					}
				})
			}
		}
		// An operator's client is marked as before, and one of the service itself is not.
		for id, first := range map[string]bool{"others": false, "ours": true} {
			c := s.Register(userstore.Client{ID: id, FirstParty: first})
			p := s.SignedIn(alice).Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
			if text := p.Text(); strings.Contains(text, why) || strings.Contains(text, "Not verified") == first {
				t.Errorf("%s: %q", id, text)
			}
		}
	})
}

// TestTheHostOfAnAddressAsClientID: the page names whose document it is, and where it leads.
func TestTheHostOfAnAddressAsClientID(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "https://editor.example/oauth/client.json", Name: "Editor", Kind: userstore.KindMetadata,
			AuthMethod: userstore.AuthNone, Scopes: []string{"openid"},
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"http://localhost/cb"}}})
		b := s.SignedIn(s.SignUp("alice"))
		p := b.Open(authorizePath(c, set("redirect_uri", "http://localhost:33418/cb"))).WantPage(200, "consent-approve")
		for _, part := range []string{"editor.example Not verified", "you go back to localhost:33418", "This app introduced itself to"} {
			if !strings.Contains(strings.NewReplacer("\u2068", "", "\u2069", "").Replace(p.Text()), part) {
				t.Errorf("%q is not in %q", part, p.Text())
			}
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.ClientDocuments().On = true }))
}
