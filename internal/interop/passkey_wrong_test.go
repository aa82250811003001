//go:build interop

package interop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/interop/browser"
)

// P-09: at the second step only a passkey of the account counts. The page says what happened, and the
// login goes on with the right one.
func TestP09APasskeyOfAnotherUserAtTheSecondStep(t *testing.T) {
	s, issuer := passkeyServer(t)
	ada, bob := s.SignUp("ada"), s.SignUp("bob")
	tab := browser.Start(t).Tab(t)
	tab.Open(issuer + "/signup") // a page that does not ask for a passkey itself
	key := tab.Authenticator(browser.AuthenticatorOptions{})
	addPasskey(t, s, tab, ada)
	ofAda := key.Credentials()[0]
	key.Delete(ofAda.ID)
	addPasskey(t, s, tab, bob)
	if left := key.Credentials(); len(left) != 1 || bytes.Equal(left[0].UserHandle, ofAda.UserHandle) {
		t.Fatalf("the authenticator must have the passkey of bob alone: %+v", left)
	}

	key.SetPresent(false) // nothing takes the passkey that the browser offers in the field of the name
	tab.Open(issuer + "/login")
	tab.Type("#email", ada.Email)
	tab.Type("#password", ada.Password)
	tab.Loads(func() { tab.Click("#login-submit") })
	tab.Wait("document.body.className === 'page-second' && !document.querySelector('#second-passkey').hidden")
	key.SetPresent(true)

	t.Log("the browser finds no passkey of the account")
	tab.Click("#second-passkey")
	tab.Wait("document.querySelector('.passkey-problem').textContent !== '' && !document.querySelector('#second-passkey').disabled")
	if text := tab.Text(".passkey-problem"); text != "No passkey was used. Try again, or choose another way." {
		t.Errorf("the page says %q", text)
	}

	t.Log("a browser that was told not to look for the account's passkeys sends the other one")
	s.Unchanged(func() {
		tab.Eval(`(get => { navigator.credentials.get = request => {
			delete request.publicKey.allowCredentials
			return get(request)
		} })(navigator.credentials.get.bind(navigator.credentials))`, nil)
		tab.Loads(func() { tab.Click("#second-passkey") })
		tab.Wait("document.body.className === 'page-second' && !document.querySelector('#second-passkey').hidden")
		if text := tab.Text("#problems"); !strings.HasPrefix(text, "This passkey was not accepted.") {
			t.Errorf("the page says %q", text)
		}
		refused(t, tab)
	})

	t.Log("the right one")
	key.Add(ofAda)
	tab.Loads(func() { tab.Click("#second-passkey") })
	tab.Wait("document.body.className === 'page-account'")
	if text := tab.Text("main"); !strings.Contains(text, ada.Email) {
		t.Errorf("signed in as somebody else: %q", text)
	}
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("the browser says %q", said)
	}
}

// refused checks that the browser says no more than that a request was refused, and forgets it.
func refused(t *testing.T, tab *browser.Tab) {
	t.Helper()
	for _, said := range tab.Said() {
		if !strings.Contains(said, "status of 403") && !strings.Contains(said, "status of 401") {
			t.Errorf("the browser says %q", said)
		}
	}
}

// passkeyApp is the JavaScript of an app that signs people in by a passkey, as docs/client-apps.md shows
// it. A refusal by the browser becomes the error's name.
const passkeyApp = `
	globalThis.post = async (url, body) => {
		const answer = await fetch(url, {
			method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
		})
		return answer.json()
	}
	globalThis.get = async options => {
		try {
			const answer = await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)})
			return { response: answer.toJSON() }
		} catch (err) {
			return { refused: err.name }
		}
	}`

// passkeyAnswer is what get of passkeyApp returns.
type passkeyAnswer struct {
	Response json.RawMessage
	Refused  string
}

// anApp serves an empty page.
func anApp(t *testing.T, start func(http.Handler) *httptest.Server) *httptest.Server {
	t.Helper()
	app := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>App</title>")
	}))
	t.Cleanup(app.Close)
	return app
}

// signInOptions asks for the options of a sign-in by passkey alone, as the server of a site does that
// passes them on to its visitors.
func signInOptions(s *apitest.Server) (login string, options json.RawMessage) {
	var answer struct {
		Login   string
		Options json.RawMessage
	}
	s.Do(apitest.Request{Method: "POST", Path: "/v1/passkey/login/options", Body: apitest.Fields{}}).Want(200, "").JSON(&answer)
	return answer.Login, answer.Options
}

// P-09: a page of another origin cannot use a passkey of the issuer. Browsers refuse it to a page of
// another host. To browsers a page at another port is of the same host, and the server refuses what
// comes of it.
func TestP09AnotherOriginCannotUseAPasskey(t *testing.T) {
	s, issuer := passkeyServer(t)
	ada := s.SignUp("ada")
	tab := browser.Start(t).Tab(t)
	tab.Open(issuer + "/signup")
	tab.Authenticator(browser.AuthenticatorOptions{})
	addPasskey(t, s, tab, ada)
	address := anApp(t, httptest.NewServer).URL
	ask := func(origin string) (login string, got passkeyAnswer) {
		t.Helper()
		login, options := signInOptions(s)
		tab.Open(origin)
		tab.Eval(passkeyApp+`; get(`+string(options)+`)`, &got)
		return login, got
	}

	t.Log("another host")
	if _, got := ask(address); got.Refused != "SecurityError" {
		t.Errorf("a page of %s gets %+v", address, got)
	}

	otherPort := strings.Replace(address, "127.0.0.1", "localhost", 1)
	t.Log("another port, by JSON")
	login, got := ask(otherPort)
	if got.Refused != "" || clientOrigin(t, got.Response) != otherPort {
		t.Fatalf("a page of %s gets %+v", otherPort, got)
	}
	s.Unchanged(func() {
		s.Do(apitest.Request{Method: "POST", Path: "/v1/passkey/login", Body: apitest.Fields{
			"login": login, "response": got.Response,
		}}).Want(http.StatusUnauthorized, "invalid_code")
	})
	var read string
	tab.Eval(`post('`+issuer+`/v1/passkey/login/options', {}).then(() => 'read', err => err.name)`, &read)
	if read != "TypeError" {
		t.Errorf("a page of %s asks for options itself: %s", otherPort, read)
	}

	t.Log("another port, by the form of the login page")
	tab.Eval(`fetch('`+issuer+`/login/passkey', {method: 'POST', body: new URLSearchParams()}).then(() => 'read', err => err.name)`, &read)
	if read != "TypeError" {
		t.Errorf("a page of %s asks for the options of the login page: %s", otherPort, read)
	}
	tab.Said()
	login, got = ask(otherPort)
	s.Unchanged(func() {
		fields, _ := json.Marshal(map[string]string{"passkey": login, "response": string(got.Response)})
		tab.Loads(func() {
			tab.Eval(fmt.Sprintf(`(() => {
				const form = document.body.appendChild(document.createElement('form'))
				form.method = 'post'
				form.action = '%s/login'
				for (const [name, value] of Object.entries(%s)) {
					const input = form.appendChild(document.createElement('input'))
					input.name = name
					input.value = value
				}
				form.submit()
			})()`, issuer, fields), nil)
		})
		var page string
		if tab.Eval("document.body.className", &page); page != "page-error" {
			t.Errorf("the form leads to %s, %s", page, tab.Text("main"))
		}
		refused(t, tab)
	})
	tab.Open(issuer + "/account")
	tab.Wait("document.querySelector('#login-submit')") // nobody is signed in
}

// clientOrigin is the origin that the browser wrote into an answer, which the passkey has signed.
func clientOrigin(t *testing.T, response json.RawMessage) string {
	t.Helper()
	var raw struct {
		Response struct{ ClientDataJSON string }
	}
	if err := json.Unmarshal(response, &raw); err != nil {
		t.Fatalf("%v: %s", err, response)
	}
	text, err := base64.RawURLEncoding.DecodeString(raw.Response.ClientDataJSON)
	if err != nil {
		t.Fatal(err)
	}
	var data struct{ Origin string }
	if err := json.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	return data.Origin
}
