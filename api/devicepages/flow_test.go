package devicepages_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// lantern is a resource server with a scope.
func lantern(o *apitest.Options) {
	o.Resources = []issuer.Resource{{URI: "https://api.lantern.test", Scopes: []string{"photos:read"}}}
}

// kettle is a client with access to lantern, whose name is hostile.
func kettle(s *apitest.Server) apitest.Client {
	return s.Register(userstore.Client{
		ID: "kettle", AuthMethod: userstore.AuthNone, GrantTypes: []string{userstore.GrantDeviceCode},
		Resources: []string{"https://api.lantern.test"},
		Name:      "Ket\u202etle <b>x</b>", ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{}},
	})
}

// A person follows the address of a device to its tokens. Everything that the person decides by is
// on the page before anything is allowed.
func TestAPersonAllowsADevice(t *testing.T) {
	eachStore(t, func(t *testing.T, s *apitest.Server) {
		alice, c, b := s.SignUp("alice"), kettle(s), s.Browser()
		header := apitest.From("198.51.100.7")
		header.Set("User-Agent", "curl/8.5.0 (Linux; Buy at evil.test)")
		a := begin(s, c, header, url.Values{
			"scope": {"openid email photos:read"}, "resource": {"https://api.lantern.test"},
		})
		s.Advance(150 * time.Second)
		path := strings.TrimPrefix(a.Complete, apitest.IssuerURL)
		p := b.Open(path).WantPage(http.StatusOK, "device-submit")
		if p.Value("user_code") != a.UserCode || !strings.Contains(p.Text(), "only if your device shows exactly this code") {
			t.Errorf("the code of the address: %q, %s", p.Value("user_code"), p.Text())
		}
		poll(s, c, a).Want(http.StatusBadRequest, "authorization_pending") // an address allows nothing
		p = p.Submit("device-submit", nil).WantPage(http.StatusOK, "login-submit")
		p = p.Submit("login-submit", alice.Credentials()).WantPage(http.StatusOK, "device-approve")
		if !p.Has("device-deny") || p.Has("consent-approve") {
			t.Error("the buttons are not those of a device")
		}
		for _, want := range []string{
			"Allow Kettle <b>x</b> on another device", "Not verified", "Did somebody send you a code or a link",
			"shows exactly this code", a.UserCode, "curl on Linux", "Network address: 198.51.100.7",
			"Requested: 2026-11-21 12:00 UTC", "Minutes left to answer: 8", "see your email address",
			"use the permission photos:read", "https://api.lantern.test", "Signed in as " + alice.Email,
		} {
			if !strings.Contains(p.Text(), want) {
				t.Errorf("the page does not say %q: %s", want, p.Text())
			}
		}
		if body := string(p.Body); strings.Contains(body, "evil.test") || strings.Contains(body, "<b>") ||
			!strings.Contains(p.Header.Get("Content-Security-Policy"), "form-action 'self'") {
			t.Errorf("%s\n%s", p.Header.Get("Content-Security-Policy"), body)
		}
		s.Advance(10 * time.Second)
		poll(s, c, a).Want(http.StatusBadRequest, "authorization_pending")
		done := p.Submit("device-approve", nil).WantPage(http.StatusOK, "")
		if done.To != "" || !strings.Contains(done.Text(), "Your device has access") ||
			!strings.Contains(done.Text(), "close this window") {
			t.Errorf("%q %s", done.To, done.Text())
		}
		s.Advance(10 * time.Second)
		var tokens apitest.Tokens
		poll(s, c, a).Want(http.StatusOK, "").JSON(&tokens)
		if claims := apitest.Claims(tokens.Access); claims["sub"] != alice.ID ||
			tokens.Scope != "openid email photos:read" || claims["aud"] != "https://api.lantern.test" {
			t.Errorf("%v, scope %q", claims, tokens.Scope)
		}
		// What was allowed before is asked again, and the person is not asked for the password again.
		again := begin(s, c, header, nil)
		typeCode(b, strings.ToLower(strings.ReplaceAll(again.UserCode, "-", " "))).WantPage(http.StatusOK, "device-approve")
	}, apitest.BehindProxy, lantern)
}

func TestAPersonDeniesADevice(t *testing.T) {
	eachStore(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), tv(s)
		b := s.SignedIn(alice)
		a := begin(s, c, nil, nil)
		p := typeCode(b, a.UserCode).WantPage(http.StatusOK, "device-deny").Submit("device-deny", nil)
		if p.WantPage(http.StatusOK, ""); !strings.Contains(p.Text(), "Your device gets no access") {
			t.Errorf("%s", p.Text())
		}
		poll(s, c, a).Want(http.StatusBadRequest, "access_denied")
	})
}

// A code that is unknown, has expired, was allowed, was denied, or is none get one answer.
func TestOneAnswerForEveryCodeThatDoesNotWork(t *testing.T) {
	eachStore(t, func(t *testing.T, s *apitest.Server) {
		c, b := tv(s), s.SignedIn(s.SignUp("alice"))
		old := begin(s, c, nil, nil)
		s.Advance(10 * time.Minute)
		allowed, denied, off := begin(s, c, nil, nil), begin(s, c, nil, nil), begin(s, tv2(s), nil, nil)
		typeCode(b, allowed.UserCode).Submit("device-approve", nil)
		typeCode(b, denied.UserCode).Submit("device-deny", nil)
		disable(s, "tv2")
		first := ""
		for name, code := range map[string]string{
			"unknown": wrongCode(7), "expired": old.UserCode, "allowed": allowed.UserCode, "denied": denied.UserCode,
			"of a client that is disabled": off.UserCode, "too short": "BCDF", "with a vowel": "ABCD-EFGH-IJKL",
			"too long": strings.Repeat("B", 5000), "no text": "\x00\xff<b>",
		} {
			p := typeCode(b, code)
			if p.Value("user_code") == "" && len(code) < 100 && name != "no text" {
				t.Errorf("%s: what was typed is gone", name)
			}
			if p.Status != http.StatusBadRequest || first != "" && p.Text() != first {
				t.Errorf("%s: %d %s", name, p.Status, p.Text())
			}
			first = p.Text()
		}
		if p := typeCode(b, "  "); p.Status != http.StatusBadRequest || !strings.Contains(p.Text(), "Enter the code that your device shows") {
			t.Errorf("nothing: %d %s", p.Status, p.Text())
		}
	})
}

func disable(s *apitest.Server, clientID string) {
	s.T.Helper()
	if err := s.Replicas[0].API.Clients.SetActive(s.T.Context(), clientID, false); err != nil {
		s.T.Fatal(err)
	}
}

// What changes while the page is open is refused there, and the device gets nothing.
func TestWhatChangesWhileThePageIsOpen(t *testing.T) {
	eachStore(t, func(t *testing.T, s *apitest.Server) {
		b := s.SignedIn(s.SignUp("alice"))
		t.Run("the code expires", func(t *testing.T) {
			s := s.With(t)
			b, c := b.With(s), tv(s)
			a := begin(s, c, nil, nil)
			page := typeCode(b, a.UserCode).WantPage(http.StatusOK, "device-approve")
			s.Advance(10 * time.Minute)
			for _, button := range []string{"device-approve", "device-deny"} {
				p := page.Submit(button, nil)
				if p.Status != http.StatusBadRequest || !strings.Contains(p.Text(), "does not work any more") || p.Link("/device") == "" {
					t.Errorf("%s: %d %s", button, p.Status, p.Text())
				}
			}
			if p := b.Open(page.Path); p.Status != http.StatusBadRequest || !strings.Contains(p.Text(), "does not work any more") {
				t.Errorf("loaded again: %d %s", p.Status, p.Text())
			}
			poll(s, c, a).Want(http.StatusBadRequest, "expired_token")
		})
		t.Run("the client is disabled", func(t *testing.T) {
			s := s.With(t)
			b, c := b.With(s), tv2(s)
			a := begin(s, c, nil, nil)
			page := typeCode(b, a.UserCode).WantPage(http.StatusOK, "device-approve")
			disable(s, c.ID)
			if p := page.Submit("device-approve", nil); p.Status/100 != 4 || p.Has("device-approve") {
				t.Errorf("%d %s", p.Status, p.Text())
			}
			poll(s, c, a).Want(http.StatusUnauthorized, "invalid_client")
		})
		t.Run("the person signs out", func(t *testing.T) {
			s := s.With(t)
			b, c := b.With(s), kettle(s)
			a := begin(s, c, nil, url.Values{"scope": {"openid"}})
			page := typeCode(b, a.UserCode).WantPage(http.StatusOK, "device-approve")
			b.Open("/logout").Submit("logout-confirm", nil)
			page.Submit("device-approve", nil).WantPage(http.StatusOK, "login-submit")
			poll(s, c, a).Want(http.StatusBadRequest, "authorization_pending")
		})
	}, lantern)
}

// The page speaks the eleven languages, and a choice of language keeps the code of the address.
func TestThePageInEveryLanguage(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.Options{})
	a := begin(s, tv(s), nil, nil)
	titles := map[string]string{}
	for _, tag := range []string{"en", "ar", "de", "es", "fr", "it", "ja", "nl", "pl", "pt-BR", "zh-Hans"} {
		b := s.Browser()
		b.Language = tag
		p := b.Open("/device?user_code="+a.UserCode).WantPage(http.StatusOK, "device-submit")
		_, title, _ := strings.Cut(string(p.Body), "<h1>")
		title, _, _ = strings.Cut(title, "</h1>")
		if other, taken := titles[title]; taken || title == "" || p.Header.Get("Content-Language") != tag {
			t.Errorf("%s: %q, as %q", tag, title, other)
		}
		titles[title] = tag
	}
	b := s.Browser()
	p := b.Open("/device?user_code="+a.UserCode).Submit("language-submit", map[string]string{"language": "de"})
	if p.WantPage(http.StatusOK, "device-submit"); p.Value("user_code") != a.UserCode || !strings.Contains(p.Text(), "Ein Gerät verbinden") {
		t.Errorf("%q %s", p.Value("user_code"), p.Text())
	}
	p = b.Open("/device").Submit("language-submit", map[string]string{"language": "fr"})
	if p.WantPage(http.StatusOK, "device-submit"); p.Value("user_code") != "" || !strings.Contains(p.Text(), "Code de votre") {
		t.Errorf("%q %s", p.Value("user_code"), p.Text())
	}
}

// An address puts a code into the page, and nothing else.
func TestAnAddressPutsNoWordsIntoThePage(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.Options{})
	b := s.Browser()
	for text, want := range map[string]string{
		"bcdfghjklmnp": "BCDF-GHJK-LMNP", " bcdf-ghjk lmnp": "BCDF-GHJK-LMNP", "BCDF-GHJK-LMN": "", "BCDF-GHJK-LMNPQ": "",
		"CALL-5550-1234": "", "<script>": "", "BCDFGHJKLMNP<": "", "": "", strings.Repeat("B", 5000): "",
	} {
		p := b.Open("/device?"+url.Values{"user_code": {text}}.Encode()).WantPage(http.StatusOK, "device-submit")
		if got := p.Value("user_code"); got != want || want == "" && slices.Contains([]string{"5550", "script>B"}, got) ||
			strings.Contains(p.Text(), "exactly this code") != (want != "") {
			t.Errorf("%.40q: %q, want %q: %s", text, got, want, p.Text())
		}
	}
	if p := b.Open("/device?user_code=BCDFGHJKLMNP&user_code=BCDFGHJKLMNQ"); p.Status != http.StatusOK {
		t.Errorf("two codes: %d", p.Status)
	}
}

// D-18: a device has no page that would say what is left of a request, so too wide a one is refused.
func TestD18ADeviceThatAsksForTooMuch(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, apitest.Options{})
	c := s.Register(userstore.Client{
		ID: "narrow", AuthMethod: userstore.AuthNone, GrantTypes: []string{userstore.GrantDeviceCode}, Scopes: []string{"openid"},
		ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{}},
	})
	for _, scope := range []string{"openid email", "openid admin", "openid unknown"} {
		s.Do(apitest.Request{Method: http.MethodPost, Path: "/oauth2/device", Form: url.Values{
			"client_id": {c.ID}, "scope": {scope},
		}}).Want(http.StatusBadRequest, "invalid_scope")
	}
}
