//go:build interop

package interop

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/interop/browser"
)

// An app of another registrable domain that stands in passkeys.origins signs a person in by a passkey
// of the issuer, by JSON: Chromium takes the list at the issuer's /.well-known/webauthn (WebAuthn Level
// 3, section 5.11). An app that is not on the list is refused by the browser.
//
// Chromium looks at the default port of https only, and has no passkeys where a certificate is wrong,
// whatever it is told to ignore. So names lead to the ports of the test, and the one key of the test's
// servers counts as a right one.
func TestAnAppOfPasskeysOriginsUsesThePasskeysOfTheIssuer(t *testing.T) {
	const issuer, app, other = "https://id.example.test", "https://app.another.test", "https://app.hostile.test"
	s := apitest.New(t, apitest.Options{IssuerURL: issuer, PasskeyOrigins: []string{app}})
	direct, err := url.Parse(s.Replicas[0].HTTP.URL)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(direct)
		r.Out.Host = r.In.Host
		if r.In.URL.Path == "/.well-known/webauthn" {
			asked.Add(1)
		}
	}}
	front := httptest.NewTLSServer(proxy)
	t.Cleanup(front.Close)
	apps := anApp(t, httptest.NewTLSServer)
	key := sha256.Sum256(front.Certificate().RawSubjectPublicKeyInfo)
	tab := browser.Start(t,
		"--ignore-certificate-errors-spki-list="+base64.StdEncoding.EncodeToString(key[:]),
		fmt.Sprintf("--host-resolver-rules=MAP id.example.test %s, MAP *.test %s, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
			front.Listener.Addr(), apps.Listener.Addr()),
	).Tab(t)

	ada := s.SignUp("ada")
	tab.Open(issuer + "/signup")
	tab.Authenticator(browser.AuthenticatorOptions{})
	addPasskey(t, s, tab, ada)
	if n := asked.Load(); n != 0 {
		t.Errorf("the issuer's own page made the browser ask for the list %d times", n)
	}

	t.Log("an app on the list")
	tab.Open(app)
	var tokens struct {
		Access string `json:"access_token"`
		Code   string
	}
	tab.Eval(passkeyApp+`; (async () => {
		const { login, options } = await post('`+issuer+`/v1/passkey/login/options', { scope: 'openid profile email' })
		const { response, refused } = await get(options)
		return response ? post('`+issuer+`/v1/passkey/login', { login, response }) : { code: refused }
	})()`, &tokens)
	if tokens.Access == "" {
		t.Fatalf("the app gets no tokens: %s; the browser says %q", tokens.Code, tab.Said())
	}
	var profile struct{ Email string }
	s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(http.StatusOK, "").JSON(&profile)
	if profile.Email != ada.Email {
		t.Errorf("the tokens are those of %q", profile.Email)
	}
	if asked.Load() == 0 {
		t.Error("the browser has not asked for the list")
	}
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("the browser says %q", said)
	}

	t.Log("an app that is not on the list, whose server passes the options on")
	var read string
	tab.Open(other)
	tab.Eval(passkeyApp+`; post('`+issuer+`/v1/passkey/login/options', {}).then(() => 'read', err => err.name)`, &read)
	if read != "TypeError" {
		t.Errorf("its page asks for options itself: %s", read)
	}
	_, options := signInOptions(s)
	var got passkeyAnswer
	if tab.Eval(`get(`+string(options)+`)`, &got); got.Refused != "SecurityError" {
		t.Errorf("its page gets %+v", got)
	}
	var named struct{ RPID string }
	if err := json.Unmarshal(options, &named); err != nil || named.RPID != "id.example.test" {
		t.Errorf("the options name %q: %v", named.RPID, err)
	}
}
