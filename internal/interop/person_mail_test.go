//go:build interop

package interop

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// People confirm an address, forget a password and are invited, at the real binary, in a real
// browser, with a mail server that nobody here wrote; and the app that they came from goes on.
func TestPeopleWithMail(t *testing.T) {
	chromium := browser.Start(t)
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			m := startMailServer(t)
			s := startOn(t, store, "pages: {service_name: Acme}\n"+m.config)
			const old, next = "correct horse battery staple", "a better horse with a battery"

			t.Log("ada signs up, and the account is made by the link in the same browser")
			tab := chromium.Tab(t)
			tab.Emulate(browser.Device{Width: 390, Height: 844, Scale: 2, Mobile: true})
			tab.Open(s.issuer + "/signup")
			tab.Wait("document.querySelector('#signup-submit')")
			tab.Type("#email", "ada@example.com")
			tab.Type("#password", old)
			tab.Press("Enter")
			tab.Wait("document.querySelector('#code')")
			tab.Screenshot("real-signup-sent")
			tab.Open(m.letter(t, "ada@example.com").link(t, "/verify/"))
			tab.Wait("document.querySelector('#verify-submit') && !document.querySelector('#code')")
			if at := tab.URL(); !strings.HasPrefix(at, s.issuer+"/verify?request=") {
				t.Errorf("U-28 the token is still in the address: %s", at)
			}
			tab.Click("#verify-submit")
			tab.Wait("document.body.className === 'page-account'") // signed in, by the password that was typed here
			tab.Screenshot("real-verify-done")

			t.Log("bob forgets the password, and opens the link in another browser")
			s.makeAccount(t, "bob@example.com", old, "--email-verified")
			tab, elsewhere := chromium.Tab(t), chromium.Tab(t)
			tab.Open(s.issuer + "/login")
			logIn(tab, "bob@example.com", old)
			tab.Wait("document.body.className === 'page-account'")
			elsewhere.Open(s.issuer + "/login")
			elsewhere.Wait("document.querySelector('#login-submit')")
			elsewhere.Type("#email", "bob@example.com")
			elsewhere.Type("#password", "not the password of bob")
			elsewhere.Press("Enter")
			elsewhere.Wait("document.querySelector('#password-problem')")
			elsewhere.Click(".other a[href$='/forgot']")
			elsewhere.Wait("document.querySelector('#ask-submit')")
			elsewhere.Type("#email", "bob@example.com")
			elsewhere.Press("Enter")
			elsewhere.Wait("document.querySelector('#code')")
			elsewhere.Screenshot("real-reset-sent")
			link := m.letter(t, "bob@example.com").link(t, "/reset/")
			third := chromium.Tab(t)
			third.Open(link)
			third.Wait("document.querySelector('#reset-submit')")
			third.Type("#new_password", next)
			third.Press("Enter")
			third.Wait("document.body.className === 'page-done'")
			third.Click(".other a")
			logIn(third, "bob@example.com", next)
			third.Wait("document.body.className === 'page-account'")
			tab.Open(s.issuer + "/account")
			tab.Wait("document.querySelector('#login-submit')") // signed out
			elsewhere.Open(link)
			elsewhere.Wait("document.querySelector('#reset-submit')")
			elsewhere.Type("#new_password", old)
			elsewhere.Press("Enter")
			elsewhere.Wait("document.body.className === 'page-error'")
			elsewhere.Click(".other a[href$='/forgot']")
			elsewhere.Wait("document.querySelector('#ask-submit')")

			t.Log("carol comes from an app, forgets the password, and goes on to the app by the code")
			s.makeAccount(t, "carol@example.com", old)
			app := s.pageApp(t, chromium.Tab(t))
			app.open("/")
			app.tab.Eval(app.manager()+`.signinRedirect({state: 'kept'}), 0`, nil)
			app.tab.Wait("document.querySelector('#login-submit')")
			app.tab.Click(".other a[href*='/forgot']")
			app.tab.Wait("document.querySelector('#ask-submit')")
			app.tab.Type("#email", "carol@example.com")
			app.tab.Press("Enter")
			app.tab.Wait("document.querySelector('#reset-submit')")
			l := m.letter(t, "carol@example.com")
			if len(l.Codes) != 1 {
				t.Fatalf("codes %q", l.Codes)
			}
			app.tab.Type("#code", "00000000")
			app.tab.Type("#new_password", next)
			app.tab.Press("Enter")
			app.tab.Wait("document.querySelector('#code-problem') && document.activeElement.id === 'code'")
			app.tab.Type("#code", l.Codes[0])
			app.tab.Type("#new_password", next)
			app.tab.Click("#reset-submit")
			app.tab.Wait("document.body.className === 'page-done'")
			app.tab.Click(".other a")
			logIn(app.tab, "carol@example.com", next)
			app.signedInAs(t, "carol@example.com")

			t.Log("dan is invited, and signs in to the app with the first password")
			list := filepath.Join(t.TempDir(), "invited.csv")
			if err := os.WriteFile(list, []byte("email\ndan@example.com\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s.signet(t, "users", "import", list)
			s.signet(t, "users", "invite", "dan@example.com")
			tab = chromium.Tab(t)
			tab.Open(m.letter(t, "dan@example.com").link(t, "/invite/"))
			tab.Wait("document.querySelector('#reset-submit')")
			tab.Type("#new_password", "short")
			tab.Click("#reset-submit") // the browser itself refuses
			tab.Type("#new_password", "passwordpassword")
			tab.Click("#reset-submit")
			tab.Wait("document.querySelector('#new_password-problem') && document.activeElement.id === 'new_password'")
			tab.Screenshot("real-invite-refused")
			tab.Type("#new_password", next)
			tab.Press("Enter")
			tab.Wait("document.body.className === 'page-done'")
			app = s.pageApp(t, tab)
			app.open("/")
			app.tab.Eval(app.manager()+`.signinRedirect({state: 'kept'}), 0`, nil)
			logIn(tab, "dan@example.com", next)
			app.signedInAs(t, "dan@example.com")
		})
	}
}

// makeAccount makes an account that no message is sent to. Its address is not proved unless a flag
// says so.
func (s *server) makeAccount(t *testing.T, email, password string, flags ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.signet(t, append([]string{"users", "create", "--email", email, "--password-file", file}, flags...)...)
}

// pageApp is an app in a page, with a client of its own.
func (s *server) pageApp(t *testing.T, tab *browser.Tab) *page {
	t.Helper()
	p := &page{tab: tab, origin: servePage(t)}
	id := "page-" + strings.ToLower(randomText())
	s.signet(t, "clients", "create", "--client-id", id, "--name", "Page", "--auth-method", "none",
		"--redirect-uri", p.origin+"/back")
	settings, err := json.Marshal(map[string]any{
		"authority": s.issuer, "client_id": id, "redirect_uri": p.origin + "/back", "scope": "openid email",
		"loadUserInfo":         true,
		"automaticSilentRenew": false,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.settings = string(settings)
	return p
}

// signedInAs allows the app what it asks for, and looks at what the app then knows: the message
// proved the address.
func (p *page) signedInAs(t *testing.T, email string) {
	t.Helper()
	p.tab.Wait(`document.querySelector('#consent-approve')`)
	p.tab.Click("#consent-approve")
	p.tab.Wait(`location.pathname === '/back' && document.querySelector('#ready')`)
	var got signedIn
	p.tab.Eval(p.manager()+`.signinCallback()`, &got)
	if got.Profile["email"] != email || got.Profile["email_verified"] != true || got.State != "kept" {
		t.Errorf("the app knows %+v", got)
	}
	for _, said := range p.tab.Said() {
		if !strings.Contains(said, "status of 400") { // for the wrong code and password
			t.Errorf("the browser says %q", said)
		}
	}
}
