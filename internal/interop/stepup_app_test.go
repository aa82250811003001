//go:build interop

package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// The web app of docs/client-apps.md is visited by Ada, who has no second factor, when the document is
// run (see visit). Here Grace has one: her trusted browser proves one factor, the app steps her login
// up, and the transfer goes through.
func TestTheWebAppOfTheDocumentStepsUp(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	const name = "docs/client-apps.md"
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, root, string(text), sqlite)
	grace := user{Email: "grace@example.com", Password: "a moth in the relay"}
	file, secret := importedWithApp(t, grace)
	apps := 0
	for _, b := range blocks(string(text)) {
		b.text = d.localize(b.text)
		switch {
		case b.info == "sh serve":
			d.serve(t, name, b.text)
			d.bash(t, "a person moves in", "signet users import "+file+"\n")
		case b.info == "sh" && strings.Contains(b.text, "signet clients create"):
			d.bash(t, name, b.text)
		case b.info == "js file service.mjs":
			d.write(t, "service.mjs", b.text)
		case b.info == "js app":
			d.app(t, name, b.info, b.text)
			apps++
		}
	}
	if apps != 1 {
		t.Fatalf("%s has %d apps", name, apps)
	}
	tab, code := browser.Start(t).Tab(t), codes(t, secret)
	transfer := func() {
		t.Helper()
		tab.Wait("document.querySelector('#transfer')")
		tab.Loads(func() { tab.Click("#transfer") })
	}
	const done = "document.querySelector('#note')?.textContent === 'The money is on its way.'"

	t.Log("a login with a code is strong enough")
	tab.Open(d.origin + "/")
	tab.Loads(func() { tab.Click("#login") })
	logIn(tab, grace.Email, grace.Password)
	tab.Wait("document.querySelector('#second-code')")
	tab.Click("#second-trust")
	tab.Type("#second-code", code())
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("document.querySelector('#consent-approve')")
	tab.Loads(func() { tab.Click("#consent-approve") })
	transfer()
	tab.Wait(done)

	t.Log("one in a trusted browser is not, and is stepped up")
	tab.Loads(func() { tab.Click("#logout") })
	tab.Wait("document.querySelector('#login')")
	tab.Loads(func() { tab.Click("#login") })
	logIn(tab, grace.Email, grace.Password)
	transfer()
	tab.Wait("document.querySelector('#second-code')")
	tab.Type("#second-code", code())
	tab.Loads(func() { tab.Press("Enter") })
	tab.Wait("document.querySelector('#note')?.textContent === 'Thank you. Transfer once more, please.'")
	transfer()
	tab.Wait(done)
}
