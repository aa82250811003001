//go:build interop

package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// A person sets up passkeys and an authenticator app, in a real browser whose authenticator is virtual,
// names and removes them, and signs in with them.
func TestAPersonSetsUpSecondFactors(t *testing.T) {
	s, issuer := passkeyServer(t)
	ada := s.SignUp("ada")
	s.AddressProved(ada)
	b := browser.Start(t)
	tab := b.Tab(t)
	tab.Emulate(browser.Device{Width: 390, Height: 844, Scale: 2, Mobile: true})
	tab.Open(issuer + "/account/security")
	logIn(tab, ada.Email, ada.Password)
	tab.Wait("document.querySelector('#to-passkeys')")
	s.Mails()
	key := tab.Authenticator(browser.AuthenticatorOptions{Synced: true})

	t.Log("the first passkey takes the password and a code from the mailbox")
	tab.Loads(func() { tab.Click("#to-passkeys") })
	tab.Type("#current_password", ada.Password)
	tab.Loads(func() { tab.Click("#passkey-begin") })
	tab.Wait("document.querySelector('#mail-submit')")
	tab.Type("#mail_code", s.MailOf(outbox.FactorCode).Code)
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("!document.querySelector('#passkey-create').hidden && document.querySelector('.passkey-missing').hidden")
	tab.Type("#name", "Ada’s phone <b>")
	tab.Screenshot("real-passkey-create")
	key.SetUserVerified(false)
	tab.Click("#passkey-create")
	tab.Wait("document.querySelector('.passkey-problem').textContent !== ''") // the person did not agree
	key.SetUserVerified(true)
	tab.Loads(func() { tab.Click("#passkey-create") })
	tab.Wait("document.querySelectorAll('#recovery-codes li').length === 10")
	tab.Screenshot("real-recovery-codes")
	have, err := s.DB.SecondFactors(t.Context(), ada.ID)
	if err != nil || len(have.Passkeys) != 1 || have.Passkeys[0].Name != "Ada’s phone <b>" || !have.Passkeys[0].BackedUp ||
		len(key.Credentials()) != 1 {
		t.Fatalf("%+v %v", have, err)
	}

	t.Log("the codes can be downloaded")
	folder := t.TempDir()
	tab.Do("Browser.setDownloadBehavior", map[string]any{"behavior": "allow", "downloadPath": folder}, nil)
	var shown string
	tab.Eval("document.querySelector('#recovery-codes code').textContent", &shown)
	tab.Click("#codes-download")
	eventually(t, "the file of the codes", func() bool {
		text, err := os.ReadFile(filepath.Join(folder, "recovery-codes.txt"))
		return err == nil && strings.Contains(string(text), shown)
	})
	if !strings.HasSuffix(tab.URL(), "/account/passkeys") { // and the page stays
		t.Errorf("at %s", tab.URL())
	}

	t.Log("another one takes the first, on the way; the same device has one already")
	tab.Loads(func() { tab.Click("#codes-done") })
	tab.Loads(func() { tab.Click("#to-passkeys") })
	tab.Click("#passkey-begin")
	tab.Wait("document.querySelector('#second-passkey') && !document.querySelector('#second-passkey').hidden")
	tab.Loads(func() { tab.Click("#second-passkey") })
	tab.Wait("document.querySelector('#passkey-create') && !document.querySelector('#passkey-create').hidden")
	tab.Screenshot("real-passkeys")
	tab.Click("#passkey-create")
	tab.Wait("document.querySelector('.passkey-problem').textContent.includes('already')")
	stick := tab.Authenticator(browser.AuthenticatorOptions{Transport: "usb"})
	key.SetPresent(false)
	tab.Type("#name", "Stick")
	tab.Loads(func() { tab.Click("#passkey-create") })
	tab.Wait("document.querySelectorAll('[id^=passkey-remove-]').length === 2")
	if len(stick.Credentials()) != 1 {
		t.Error("the stick has no passkey")
	}
	if text := tab.Text("main"); !strings.Contains(text, "Synced") || !strings.Contains(text, "On one device") {
		t.Error(text)
	}

	t.Log("the stick gets another name, and the phone is removed")
	tab.Eval("[...document.querySelectorAll('.entries li')].find(e => e.innerText.includes('Stick')).querySelector('summary').click()", nil)
	tab.Eval("[...document.querySelectorAll('.entries li')].find(e => e.innerText.includes('Stick')).querySelector('input[name=name]').value = 'Safe'", nil)
	tab.Loads(func() { tab.Click("details[open] button") })
	tab.Wait("document.activeElement.id === 'done' && document.querySelector('main').innerText.includes('Safe')")
	tab.Screenshot("real-passkeys-renamed")
	tab.Loads(func() {
		tab.Eval("[...document.querySelectorAll('.entries li')].find(e => e.innerText.includes('phone')).querySelector('.danger').click()", nil)
	})
	tab.Wait("document.querySelectorAll('[id^=passkey-remove-]').length === 1 && document.querySelector('#sessions-end-others')")

	t.Log("an authenticator app by the picture and a code computed here")
	tab.Open(issuer + "/account/authenticator")
	tab.Loads(func() { tab.Click("#totp-begin") })
	tab.Wait("document.querySelector('.qr svg')")
	app := s.NewApp(tab.Text("#totp-secret"))
	tab.Screenshot("real-totp")
	tab.Type("#code", app.Wrong())
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("document.querySelector('#code-problem') && document.activeElement.id === 'code'")
	tab.Type("#code", app.Code())
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("document.activeElement.id === 'done' && document.querySelector('#totp-remove')")

	t.Log("without scripts the page says what is missing")
	tab.Open(issuer + "/account/passkeys")
	tab.Scripts(false)
	tab.Open(issuer + "/account/passkeys")
	tab.Wait("document.querySelector('.passkey-missing').checkVisibility() && document.querySelector('#passkey-create').hidden")
	tab.Scripts(true)

	t.Log("the browser has nothing to complain of but the refusals' status")
	for _, said := range tab.Said() {
		if !strings.Contains(said, "the server responded with a status of 403") {
			t.Errorf("the browser says %q", said)
		}
	}
}

// Who has to have a second factor sets up a passkey right after the password.
func TestAPersonHasToSetUpAPasskey(t *testing.T) {
	s, issuer := passkeyServer(t)
	ada := s.SignUp("ada")
	s.AddressProved(ada)
	s.Mails()
	s.Replicas[0].Accounts.SecondFactor = userstore.SecondFactorRequired
	tab := browser.Start(t).Tab(t)
	tab.Open(issuer + "/account/apps")
	tab.Authenticator(browser.AuthenticatorOptions{})
	logIn(tab, ada.Email, ada.Password)
	tab.Wait("document.querySelector('#setup-passkey')")
	tab.Screenshot("real-setup")
	tab.Loads(func() { tab.Click("#setup-passkey") })
	tab.Type("#mail_code", s.MailOf(outbox.FactorCode).Code)
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("!document.querySelector('#passkey-create').hidden")
	tab.Loads(func() { tab.Click("#passkey-create") })
	tab.Wait("document.querySelectorAll('#recovery-codes li').length === 10")
	tab.Screenshot("real-setup-codes")
	tab.Loads(func() { tab.Click("#setup-continue") })
	tab.Wait("document.body.className === 'page-account_apps'")
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("the browser says %q", said)
	}
}
