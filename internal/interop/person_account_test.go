//go:build interop

package interop

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// A person looks after an account at the real binary, in a real browser: from / through the login
// to each page, and out.
func TestAPersonLooksAfterTheAccount(t *testing.T) {
	s := start(t, "pages: {service_name: Acme}\n")
	b := browser.Start(t)
	tab, elsewhere := b.Tab(t), b.Tab(t)
	tab.Emulate(browser.Device{Width: 390, Height: 844, Scale: 2, Mobile: true})
	const password, next = "correct horse battery staple", "a better horse with a battery"

	t.Log("/ leads to the login, and an account is made")
	tab.Open(s.issuer + "/")
	tab.Wait("document.querySelector('#login-submit')")
	tab.Click(".other a[href$='/signup']")
	tab.Wait("document.querySelector('#signup-submit')")
	tab.Type("#email", "ada@example.com")
	tab.Type("#password", password)
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("document.body.className === 'page-account'")

	t.Log("signed in elsewhere, by way of a page of the account, which the login leads back to")
	elsewhere.Open(s.issuer + "/account/profile")
	elsewhere.Wait("document.querySelector('#login-submit')")
	elsewhere.Type("#email", "ada@example.com")
	elsewhere.Type("#password", password)
	elsewhere.Loads(func() { elsewhere.Press("Enter") })
	elsewhere.Wait("document.body.className === 'page-account_profile'")

	t.Log("name and profile")
	tab.Loads(func() { tab.Click("#to-profile") })
	tab.Type("#name", "Ada King")
	tab.Loads(func() { tab.Click("#profile-submit") })
	tab.Wait("document.activeElement.id === 'done' && document.querySelector('#name').value === 'Ada King'")

	t.Log("a username takes the password")
	tab.Loads(func() { tab.Click("#to-account") })
	tab.Loads(func() { tab.Click("#to-address") })
	tab.Type("#username", "ada")
	tab.Loads(func() { tab.Click("#address-submit") })
	tab.Wait("document.querySelector('#current_password-problem') && document.activeElement.id === 'current_password'")
	tab.Type("#current_password", password)
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("document.activeElement.id === 'done' && document.querySelector('#username').value === 'ada'")

	t.Log("both browsers are listed, and the other one is signed out")
	tab.Open(s.issuer + "/account/sessions")
	var count int
	if tab.Eval("document.querySelectorAll('.entries > li').length", &count); count != 2 {
		t.Errorf("%d sessions: %s", count, tab.Text("main"))
	}
	tab.Screenshot("real-account-sessions")
	tab.Loads(func() { tab.Click("[id^=session-end-]") })
	tab.Wait("document.activeElement.id === 'done'")
	elsewhere.Open(s.issuer + "/account")
	elsewhere.Wait("document.querySelector('#login-submit')")

	t.Log("a new password")
	tab.Open(s.issuer + "/account/password")
	tab.Type("#current_password", password)
	tab.Type("#new_password", next)
	tab.Loads(func() { tab.Click("#password-submit") })
	tab.Wait("document.activeElement.id === 'done'")

	t.Log("what happened")
	tab.Open(s.issuer + "/account/activity")
	for _, want := range []string{"Account created", "Signed in", "Account changed", "A session was ended",
		"Password changed", "Chrome on"} {
		if text := tab.Text("main"); !strings.Contains(text, want) {
			t.Errorf("the page does not say %q: %s", want, text)
		}
	}
	tab.Screenshot("real-account-activity")

	t.Log("the browser has nothing to complain of but the refusals' status")
	for _, said := range tab.Said() {
		if !strings.Contains(said, "the server responded with a status of 403") {
			t.Errorf("the browser says %q", said)
		}
	}

	t.Log("goodbye")
	tab.Open(s.issuer + "/account/delete")
	tab.Type("#current_password", next)
	tab.Loads(func() { tab.Click("#delete-submit") })
	tab.Wait("document.body.className === 'page-account_deleted'")
	tab.Open(s.issuer + "/account")
	tab.Wait("document.querySelector('#login-submit')")
}
