//go:build interop

package interop

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// A person uses the pages of the real binary in a real browser, without an app. Everything is typed
// and clicked, and the browser reports no errors except the status of refusals.
func TestAPersonAtThePages(t *testing.T) {
	s := start(t, "pages: {service_name: Acme}\n")
	tab := browser.Start(t).Tab(t)
	tab.Emulate(browser.Device{Width: 390, Height: 844, Scale: 2, Mobile: true})

	t.Log("a password that is too short is refused before it is sent")
	tab.Open(s.issuer + "/login")
	tab.Click(".other a[href$='/signup']")
	tab.Wait("document.querySelector('#signup-submit')")
	tab.Type("#email", "ada@example.com")
	tab.Type("#password", "too short")
	tab.Click("#signup-submit")
	var valid bool
	tab.Eval("document.querySelector('#password').validity.valid", &valid)
	if valid || !strings.HasSuffix(tab.URL(), "/signup") {
		t.Errorf("at %s, the password is valid: %t", tab.URL(), valid)
	}

	t.Log("a password that is guessed first is refused by the server, and what was typed is still there")
	tab.Type("#password", "passwordpassword")
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("document.activeElement.id === 'password'")
	var email, password string
	tab.Eval("document.querySelector('#email').value", &email)
	tab.Eval("document.querySelector('#password').value", &password)
	if problem := tab.Text("#password-problem"); problem == "" || email != "ada@example.com" || password != "" {
		t.Errorf("problem %q, email %q, password %q", problem, email, password)
	}
	tab.Screenshot("real-signup-refused")

	t.Log("a good one makes an account and logs in")
	tab.Type("#password", "correct horse battery staple")
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("document.body.className === 'page-account'")
	if text := tab.Text("main"); !strings.Contains(text, "ada@example.com") {
		t.Errorf("the page says %q", text)
	}
	tab.Screenshot("real-account")

	t.Log("signing out")
	tab.Loads(func() { tab.Click(".other a") })
	tab.Loads(func() { tab.Click("#logout-confirm") })
	tab.Wait("document.body.className === 'page-signed_out'")
	tab.Open(s.issuer + "/login")
	tab.Wait("document.querySelector('#login-submit')")
	tab.Said()

	t.Log("a wrong password: the page says so, and the name is still there")
	tab.Type("#email", "ada@example.com")
	tab.Type("#password", "wrong horse battery staple")
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("document.querySelector('#password-problem') && document.activeElement.id === 'password'")
	if title := tab.Text("title"); !strings.HasPrefix(title, "Error: Sign in") {
		t.Errorf("the title is %q", title)
	}
	for _, said := range tab.Said() {
		if !strings.Contains(said, "the server responded with a status of 403") {
			t.Errorf("the browser says %q", said)
		}
	}
	tab.Type("#password", "correct horse battery staple")
	tab.Loads(func() { tab.Click("#login-submit") })
	tab.Wait("document.body.className === 'page-account'")

	t.Log("another language, which stays")
	tab.Open(s.issuer + "/logout")
	tab.Eval("document.querySelector('#language').value = 'de'", nil)
	tab.Loads(func() { tab.Click("#language-submit") })
	tab.Wait("document.documentElement.lang === 'de' && document.querySelector('#logout-confirm')")
	if url := tab.URL(); url != s.issuer+"/logout" {
		t.Errorf("the choice of language led to %s", url)
	}
	tab.Open(s.issuer + "/login")
	tab.Wait("document.documentElement.lang === 'de'")

	t.Log("a path that is not there, a page without a request, and a request of nobody")
	tab.Open(s.issuer + "/lgoin")
	tab.Wait("document.body.className === 'page-error'")
	tab.Open(s.issuer + "/consent")
	tab.Wait("document.body.className === 'page-error'")
	tab.Open(s.issuer + "/oauth2/authorize?client_id=nobody")
	tab.Wait("document.body.className === 'page-error'")
	tab.Screenshot("real-error")
}
