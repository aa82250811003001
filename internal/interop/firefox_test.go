//go:build interop && more

package interop

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/interop/firefox"
)

// A person signs up, confirms the address, signs in, resets the password and looks after the
// account in Firefox: a second engine, with its own rules for policies, cookies, forms and focus.
func TestMoreFirefox(t *testing.T) {
	m := startMailServer(t)
	s := start(t, "pages: {service_name: Acme}\n"+m.config)
	b := firefox.Start(t)
	b.Size(390, 844)
	const password, next = "correct horse battery staple", "a better horse with a battery"

	t.Log("sign-up: refused, with what was typed still there; then a message")
	b.Open(s.issuer + "/")
	b.Wait("document.querySelector('#login-submit') && document.activeElement.id === 'email'")
	b.Screenshot("firefox-login")
	b.Click(".other a[href$='/signup']")
	b.Wait("document.querySelector('#signup-submit')")
	b.Type("#email", "ada@example.com")
	b.Type("#password", "too short\n")
	var valid bool
	if b.Eval("document.querySelector('#password').validity.valid", &valid); valid {
		t.Error("a short password is sent")
	}
	b.Type("#password", "passwordpassword")
	b.Click(".reveal")
	if kind := ""; true {
		if b.Eval("document.querySelector('#password').type", &kind); kind != "text" {
			t.Errorf("the shown password is of type %q", kind)
		}
	}
	b.Click("#signup-submit")
	b.Wait("document.querySelector('#password-problem') && document.activeElement.id === 'password'")
	b.Screenshot("firefox-signup-refused")
	b.Type("#password", password+"\n")
	b.Wait("document.querySelector('#code')")
	b.Screenshot("firefox-signup-sent")

	t.Log("the address is confirmed, and the account is there")
	b.Open(m.letter(t, "ada@example.com").link(t, "/verify/"))
	b.Wait("document.querySelector('#verify-submit') && !document.querySelector('#code')")
	b.Screenshot("firefox-verify")
	b.Click("#verify-submit")
	b.Wait("document.body.className === 'page-account'")
	b.Screenshot("firefox-account")

	t.Log("the pages of the account")
	for _, page := range []string{"profile", "address", "password", "sessions", "apps", "activity", "data", "delete"} {
		b.Open(s.issuer + "/account/" + page)
		b.Wait("document.body.className === 'page-account_" + page + "'")
		b.Screenshot("firefox-account-" + page)
	}
	b.Open(s.issuer + "/account/profile")
	b.Type("#name", "Ada King")
	b.Click("#profile-submit")
	b.Wait("document.activeElement.id === 'done' && document.querySelector('#name').value === 'Ada King'")

	t.Log("bob signs in with a wrong password, forgets it, and resets it by the code, then by a link")
	b.Forget()
	s.makeAccount(t, "bob@example.com", password)
	b.Open(s.issuer + "/login")
	b.Type("#email", "bob@example.com")
	b.Type("#password", "wrong horse battery staple\n")
	b.Wait("document.querySelector('#password-problem') && document.activeElement.id === 'password'")
	b.Screenshot("firefox-login-wrong")
	b.Click(".other a[href$='/forgot']")
	b.Wait("document.querySelector('#ask-submit') && document.activeElement.id === 'email'")
	b.Screenshot("firefox-forgot")
	b.Type("#email", "bob@example.com\n")
	b.Wait("document.querySelector('#code')")
	b.Screenshot("firefox-reset-code")
	l := m.letter(t, "bob@example.com")
	if len(l.Codes) != 1 {
		t.Fatalf("codes %q", l.Codes)
	}
	b.Type("#code", "00000000")
	b.Type("#new_password", next+"\n")
	b.Wait("document.querySelector('#code-problem') && document.activeElement.id === 'code'")
	b.Screenshot("firefox-reset-code-wrong")
	b.Type("#code", l.Codes[0][:4]+" "+l.Codes[0][4:])
	b.Type("#new_password", next+"\n")
	b.Wait("document.body.className === 'page-done'")
	b.Screenshot("firefox-reset-done")
	b.Open(l.link(t, "/reset/")) // it ended with the code
	b.Type("#new_password", password+"\n")
	b.Wait("document.body.className === 'page-error'")
	b.Screenshot("firefox-link-ended")
	b.Click(".other a[href$='/forgot']")
	b.Wait("document.querySelector('#ask-submit')")
	b.Click(".other a[href$='/login']")
	b.Wait("document.querySelector('#login-submit')")
	b.Type("#email", "bob@example.com")
	b.Type("#password", next+"\n")
	b.Wait("document.body.className === 'page-account'")

	t.Log("carol resets by the link, in another browser; then another language, and out")
	b.Forget()
	s.makeAccount(t, "carol@example.com", password)
	b.Open(s.issuer + "/forgot")
	b.Type("#email", "carol@example.com\n")
	b.Wait("document.querySelector('#code')")
	b.Forget()
	b.Open(m.letter(t, "carol@example.com").link(t, "/reset/"))
	b.Wait("document.activeElement.id === 'new_password'")
	b.Screenshot("firefox-reset")
	b.Type("#new_password", next+"\n")
	b.Wait("document.body.className === 'page-done'")
	b.Click(".other a")
	b.Wait("document.querySelector('#login-submit')")
	b.Type("#email", "carol@example.com")
	b.Type("#password", next+"\n")
	b.Wait("document.body.className === 'page-account'")
	if text := b.Text("main"); !strings.Contains(text, "carol@example.com") {
		t.Errorf("the page says %q", text)
	}
	b.Open(s.issuer + "/logout")
	b.Eval("(document.querySelector('#language').value = 'ar')", nil)
	b.Click("#language-submit")
	b.Wait("document.documentElement.dir === 'rtl' && document.querySelector('#logout-confirm')")
	b.Screenshot("firefox-logout-ar")
	b.Click("#logout-confirm")
	b.Wait("document.body.className === 'page-signed_out'")
	b.Open(s.issuer + "/account")
	b.Wait("document.querySelector('#login-submit')")
}
