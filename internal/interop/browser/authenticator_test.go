//go:build interop

package browser

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// script has a relying party's two requests: register makes a passkey, and sign uses one without
// naming it. A refused request returns the error's name.
const script = `
const bytes = text => new TextEncoder().encode(text)
const base64 = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer)))
const register = (name, signal) => navigator.credentials.create({signal, publicKey: {
	challenge: bytes('register'), rp: {name: 'Acme'}, user: {id: bytes('id of ' + name), name, displayName: name},
	pubKeyCredParams: [{type: 'public-key', alg: -7}], timeout: 30000,
	authenticatorSelection: {residentKey: 'required', userVerification: 'required'},
}}).then(c => ({
	ID: base64(c.rawId), PublicKey: base64(c.response.getPublicKey()), Data: base64(c.response.getAuthenticatorData()),
	Attachment: c.authenticatorAttachment,
}), e => ({Refused: e.name, Why: e.message}))
const sign = () => navigator.credentials.get({publicKey: {
	challenge: bytes('sign'), userVerification: 'required', timeout: 30000,
}}).then(c => ({
	ID: base64(c.rawId), UserHandle: base64(c.response.userHandle), Data: base64(c.response.authenticatorData),
	ClientData: base64(c.response.clientDataJSON), Signature: base64(c.response.signature),
}), e => ({Refused: e.name, Why: e.message}))
`

// answered is an answer of script's functions.
type answered struct {
	ID, UserHandle, PublicKey, Data, ClientData, Signature []byte
	Attachment, Refused, Why                               string
}

// The flags in the authenticator data (WebAuthn, section 6.1), whose place is after a hash.
const (
	userPresent  = 1 << 0
	userVerified = 1 << 2
	mayLeave     = 1 << 3 // BE
	hasLeft      = 1 << 4 // BS
)

func (a answered) flags() byte { return a.Data[sha256.Size] & 0x1f }

// relyingParty serves a page with script and returns its address. A page of localhost is a secure
// context without TLS; one of 127.0.0.1 has no valid RP ID.
func relyingParty(t *testing.T) string {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>Acme</title><script>" + script + "</script>"))
	}))
	t.Cleanup(page.Close)
	return strings.Replace(page.URL, "127.0.0.1", "localhost", 1)
}

func TestAVirtualAuthenticatorMakesPasskeysAndSigns(t *testing.T) {
	origin := relyingParty(t)
	b := Start(t)
	open := func(tab *Tab) *Tab {
		tab.Open(origin)
		return tab
	}
	do := func(tab *Tab, call string) (a answered) {
		t.Helper()
		tab.Eval(call, &a)
		return a
	}

	tab := open(b.Tab(t))
	device := tab.Authenticator(AuthenticatorOptions{})
	made := do(tab, "register('ada')")
	if made.Refused != "" || made.Attachment != "platform" || made.flags() != userPresent|userVerified {
		t.Fatalf("a new passkey: %+v", made)
	}
	kept := device.Credentials()
	if len(kept) != 1 || !bytes.Equal(kept[0].ID, made.ID) || !kept[0].Resident || kept[0].RPID != "localhost" ||
		string(kept[0].UserHandle) != "id of ada" || kept[0].UserName != "ada" ||
		kept[0].BackupEligible || len(kept[0].PrivateKey) == 0 {
		t.Fatalf("the authenticator keeps %+v", kept)
	}

	tab.Open(origin) // the authenticator stays
	signed := do(tab, "sign()")
	if signed.Refused != "" || !bytes.Equal(signed.ID, made.ID) || string(signed.UserHandle) != "id of ada" ||
		signed.flags() != userPresent|userVerified {
		t.Fatalf("the passkey signed %+v", signed)
	}
	public, err := x509.ParsePKIXPublicKey(made.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(signed.ClientData)
	hash = sha256.Sum256(append(signed.Data, hash[:]...))
	if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), hash[:], signed.Signature) {
		t.Error("the signature is not one of the new key")
	}
	if again := device.Credentials(); len(again) != 1 || again[0].SignCount <= kept[0].SignCount {
		t.Errorf("the counter was %d; after a signature the passkeys are %+v", kept[0].SignCount, again)
	}

	device.SetUserVerified(false)
	if got := do(tab, "sign()"); got.Refused != "NotAllowedError" {
		t.Errorf("a wrong PIN: %+v", got)
	}
	device.SetUserVerified(true)

	beside := open(tab.Beside())
	other := beside.Authenticator(AuthenticatorOptions{Transport: "usb"})
	if got := other.Credentials(); len(got) != 0 {
		t.Errorf("a new authenticator has %+v", got)
	}
	other.Add(kept[0])
	if got := do(beside, "sign()"); !bytes.Equal(got.ID, made.ID) {
		t.Errorf("the copied passkey signed %+v", got)
	}
	other.Delete(made.ID)
	if got := other.Credentials(); len(got) != 0 {
		t.Errorf("after the deletion there is still %+v", got)
	}

	tab.Front()
	device.Remove()
	synced := tab.Authenticator(AuthenticatorOptions{Synced: true})
	if got := do(tab, "register('grace')"); got.Refused != "" || got.flags() != userPresent|userVerified|mayLeave|hasLeft {
		t.Errorf("a synced passkey: %+v", got)
	}
	if got := synced.Credentials(); len(got) != 1 || !got[0].BackupEligible || !got[0].BackedUp {
		t.Errorf("the synced authenticator keeps %+v", got)
	}
	if said := tab.Said(); len(said) > 0 {
		t.Errorf("the browser says %q", said)
	}
}

func TestAnAbsentUserIsWaitedFor(t *testing.T) {
	tab := Start(t).Tab(t)
	tab.Open(relyingParty(t))
	device := tab.Authenticator(AuthenticatorOptions{})
	device.SetPresent(false)
	tab.Eval("window.leave = new AbortController, window.late = register('ada', leave.signal), 0", nil)
	var answer any
	tab.Eval("Promise.race([late, new Promise(r => setTimeout(r, 300, 'waits'))])", &answer)
	if got := device.Credentials(); answer != "waits" || len(got) != 0 {
		t.Fatalf("without its user the authenticator made %+v: %v", got, answer)
	}
	var got answered
	tab.Eval("leave.abort(), late", &got)
	if got.Refused != "AbortError" {
		t.Errorf("the page gave up: %+v", got)
	}

	device.SetPresent(true)
	tab.Eval("register('ada')", &got)
	if kept := device.Credentials(); len(kept) != 1 || !bytes.Equal(kept[0].ID, got.ID) {
		t.Errorf("the user is back: %+v; the passkeys are %+v", got, kept)
	}
}
