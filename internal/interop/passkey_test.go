//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/interop/browser"
	"github.com/signet-id/signet/userstore"
)

// passkeyServer is a server with a clock of its own on localhost, where browsers have passkeys without
// TLS.
func passkeyServer(t *testing.T) (s *apitest.Server, issuer string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	issuer = "http://" + strings.Replace(listener.Addr().String(), "127.0.0.1", "localhost", 1)
	s = apitest.New(t, apitest.Options{IssuerURL: issuer, Configure: func(r *apitest.Replica) {
		r.Issuer.TrustedBrowser = 720 * time.Hour
	}})
	direct, err := url.Parse(s.Replicas[0].HTTP.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(direct)
		r.Out.Host = r.In.Host
	}})
	proxy.Listener.Close()
	proxy.Listener = listener
	proxy.Start()
	t.Cleanup(proxy.Close)
	return s, issuer
}

// addPasskey makes a passkey of the user in the tab's authenticator, on a page of the issuer.
func addPasskey(t *testing.T, s *apitest.Server, tab *browser.Tab, u apitest.User) {
	t.Helper()
	s.AddressProved(u)
	stored, err := s.DB.UserByID(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	accounts, challenge := s.Replicas[0].Accounts, bytes.Repeat([]byte{7}, 32)
	options, handle, err := accounts.PasskeyCreation(t.Context(), stored, challenge, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var response json.RawMessage
	tab.Eval(`navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(`+string(options)+
		`)}).then(c => c.toJSON())`, &response)
	if _, _, err := accounts.AddPasskey(t.Context(), stored, userstore.NewPasskey{
		Challenge: challenge, UserHandle: handle, Response: response, Name: "Chromium", Keep: userstore.KeepAll,
	}); err != nil {
		t.Fatal(err)
	}
	s.Letters()
}

// A person with a passkey signs in, in a real browser whose authenticator is virtual: with the passkey
// after the password, with the button of the login page, and with what the browser offers in the
// field of the name, also after the page was open for an hour.
func TestAPersonSignsInByPasskey(t *testing.T) {
	s, issuer := passkeyServer(t)
	ada := s.SignUp("ada")
	tab := browser.Start(t).Tab(t)
	tab.Emulate(browser.Device{Width: 390, Height: 844, Scale: 2, Mobile: true})

	t.Log("a passkey is made")
	tab.Open(issuer + "/login")
	tab.Wait("document.querySelector('.passkey-missing').hidden && !document.querySelector('#login-passkey').hidden")
	tab.Open(issuer + "/signup") // a page that does not ask for a passkey itself
	key := tab.Authenticator(browser.AuthenticatorOptions{})
	addPasskey(t, s, tab, ada)

	signOut := func() {
		t.Helper()
		tab.Open(issuer + "/logout")
		tab.Loads(func() { tab.Click("#logout-confirm") })
	}
	password := func() {
		t.Helper()
		tab.Type("#email", ada.Email)
		tab.Type("#password", ada.Password)
		tab.Loads(func() { tab.Click("#login-submit") })
	}

	t.Log("the passkey is the second step")
	key.SetPresent(false) // the browser offers it in the field of the name, and nothing else takes it
	tab.Open(issuer + "/login")
	password()
	tab.Wait("document.body.className === 'page-second' && !document.querySelector('#second-passkey').hidden")
	tab.Screenshot("real-second-passkey")

	t.Log("a passkey that is not used: the page says so, and offers it again")
	key.SetPresent(true)
	key.SetUserVerified(false)
	tab.Click("#second-passkey")
	tab.Wait("document.querySelector('.passkey-problem').textContent !== ''")
	tab.Wait("!document.querySelector('#second-passkey').disabled")
	if text := tab.Text(".passkey-problem"); !strings.HasPrefix(text, "No passkey was used.") {
		t.Errorf("the page says %q", text)
	}
	tab.Screenshot("real-second-passkey-cancelled")
	key.SetUserVerified(true)
	tab.Loads(func() { tab.Click("#second-passkey") })
	tab.Wait("document.body.className === 'page-account'")

	t.Log("the passkey alone, by the button")
	signOut()
	key.SetPresent(false)
	tab.Open(issuer + "/login")
	tab.Wait("!document.querySelector('#login-passkey').hidden")
	tab.Screenshot("real-login-passkey")
	key.SetPresent(true)
	tab.Loads(func() { tab.Click("#login-passkey") })
	tab.Wait("document.body.className === 'page-account'")

	t.Log("the passkey alone, offered by the browser")
	signOut()
	tab.Open(issuer + "/login")
	tab.Wait("document.body.className === 'page-account'")

	t.Log("the page was open for an hour")
	signOut()
	key.SetPresent(false)
	tab.Open(issuer + "/login")
	tab.Wait("!document.querySelector('#login-passkey').hidden")
	s.Advance(59 * time.Minute)
	key.SetPresent(true)
	tab.Loads(func() { tab.Click("#login-passkey") })
	tab.Wait("document.body.className === 'page-account'")

	t.Log("the passkey was removed here, and the device still has it")
	signOut()
	stored, err := s.DB.UserByID(t.Context(), ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replicas[0].Accounts.RemoveFactors(t.Context(), stored, userstore.RemovedFactors{All: true}, true,
		userstore.KeepAll); err != nil {
		t.Fatal(err)
	}
	s.Letters()
	key.SetPresent(false)
	tab.Open(issuer + "/login")
	tab.Wait("!document.querySelector('#login-passkey').hidden")
	key.SetPresent(true)
	tab.Loads(func() { tab.Click("#login-passkey") })
	tab.Wait("document.querySelector('#problems')")
	if text := tab.Text("#problems"); !strings.HasPrefix(text, "This passkey was not accepted.") {
		t.Errorf("the page says %q", text)
	}
	for _, said := range tab.Said() {
		if !strings.Contains(said, http.StatusText(http.StatusForbidden)) && !strings.Contains(said, "status of 403") {
			t.Errorf("the browser says %q", said)
		}
	}
}

// Without scripts, or without passkeys in the browser, the pages say what is missing and go on without
// it. Browsers that do not read the options of WebAuthn themselves are served as well.
func TestPasskeysInOtherBrowsers(t *testing.T) {
	s, issuer := passkeyServer(t)
	ada := s.SignUp("ada")
	chromium := browser.Start(t)

	t.Run("without scripts", func(t *testing.T) {
		tab := chromium.Tab(t)
		tab.Scripts(false)
		tab.Open(issuer + "/login")
		if text := tab.Text(".passkey-missing"); !strings.HasPrefix(text, "Passkeys need JavaScript") {
			t.Errorf("the page says %q", text)
		}
		var shown bool
		if tab.Eval("document.querySelector('#login-passkey').checkVisibility()", &shown); shown {
			t.Error("the button is shown")
		}
	})
	t.Run("without passkeys", func(t *testing.T) {
		tab := chromium.Tab(t)
		tab.Do("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": "delete window.PublicKeyCredential"}, nil)
		tab.Open(issuer + "/login")
		tab.Wait("document.querySelector('.passkey-missing').textContent === 'This browser cannot use passkeys.'")
	})
	t.Run("without the newer methods", func(t *testing.T) {
		tab := chromium.Tab(t)
		tab.Open(issuer + "/signup") // a page that does not ask for a passkey itself
		key := tab.Authenticator(browser.AuthenticatorOptions{Synced: true})
		addPasskey(t, s, tab, ada)
		tab.Do("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": `
			delete PublicKeyCredential.parseRequestOptionsFromJSON
			delete PublicKeyCredential.isConditionalMediationAvailable
			delete PublicKeyCredential.prototype.toJSON`}, nil)
		tab.Open(issuer + "/login")
		tab.Wait("!document.querySelector('#login-passkey').hidden")
		tab.Loads(func() { tab.Click("#login-passkey") })
		tab.Wait("document.body.className === 'page-account'")
		tab.Open(issuer + "/logout")
		tab.Loads(func() { tab.Click("#logout-confirm") })
		tab.Open(issuer + "/login")
		tab.Type("#email", ada.Email)
		tab.Type("#password", ada.Password)
		tab.Loads(func() { tab.Click("#login-submit") })
		tab.Wait("!document.querySelector('#second-passkey').hidden")
		tab.Loads(func() { tab.Click("#second-passkey") })
		tab.Wait("document.body.className === 'page-account'")
		if n := len(key.Credentials()); n != 1 {
			t.Errorf("%d passkeys", n)
		}
	})
	t.Run("a page that stays open gets fresh options before the time of the last is over", func(t *testing.T) {
		tab := chromium.Tab(t)
		tab.Authenticator(browser.AuthenticatorOptions{}).SetPresent(false)
		tab.Do("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": `
			const later = setTimeout
			window.setTimeout = (act, ms) => later(act, ms === 270000 ? 100 : ms)`}, nil)
		tab.Open(issuer + "/login")
		tab.Wait("performance.getEntriesByType('resource').filter(e => e.name.endsWith('/login/passkey')).length >= 3")
		for _, said := range tab.Said() {
			t.Errorf("the browser says %q", said)
		}
	})
}
