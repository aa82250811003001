package issuer_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/signet-id/signet/internal/webauthn"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// eachSecond is each, with all that second factors need.
func eachSecond(t *testing.T, fn func(t *testing.T, w *world)) {
	each(t, func(t *testing.T, w *world) {
		w.second()
		w.client(userstore.Client{ID: "web", AuthMethod: userstore.AuthNone, FirstParty: true,
			GrantTypes:     []string{userstore.GrantAuthorizationCode, userstore.GrantRefreshToken},
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://web.test/cb"}}})
		fn(t, w)
	})
}

// second gives the issuer of w what second factors and browsers need.
func (w *world) second() {
	w.Helper()
	party, err := webauthn.New(issuerURL, "Lantern", nil)
	w.must(err)
	a := w.Accounts
	a.Passkeys, a.FactorIssuer, a.NoMail = party, "Lantern", true
	a.AppKey = func() ([]byte, error) { return make([]byte, 32), nil }
	a.RecoveryKey = func() ([]byte, error) { return make([]byte, 32), nil }
	w.FormSecret = func() ([]byte, error) { return make([]byte, 32), nil }
	w.SessionAbsolute, w.SessionIdle, w.TrustedBrowser = 720*time.Hour, 168*time.Hour, 720*time.Hour
}

// owner is a user with an authenticator app or a passkey.
type owner struct {
	userstore.User
	secret   []byte
	recovery []string
	passkey  virtualwebauthn.Credential
	by       virtualwebauthn.Authenticator
}

func (w *world) owner(roles ...string) *owner {
	w.Helper()
	o := &owner{User: w.user(newID()+"@example.test", roles...)}
	w.read(o)
	return o
}

func (w *world) read(o *owner) {
	w.Helper()
	var err error
	o.User, err = w.db.UserByID(w.Context(), o.ID)
	w.must(err)
}

func (w *world) withApp(o *owner) *owner {
	w.Helper()
	begun, err := w.Accounts.BeginApp(w.Context(), o.User)
	w.must(err)
	o.secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(begun.Secret, " ", ""))
	w.must(err)
	o.recovery, err = w.Accounts.ConfirmApp(w.Context(), o.User, w.code(o), userstore.KeepAll)
	w.must(err)
	w.wait(time.Minute)
	w.read(o)
	return o
}

var party = virtualwebauthn.RelyingParty{ID: "id.test", Name: "Lantern", Origin: issuerURL}

func (w *world) withPasskey(o *owner, synced bool) *owner {
	w.Helper()
	o.passkey = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(o.passkey.Key.AttestationData()) != 77 { // the library leaves leading zeros out
		o.passkey = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	challenge := []byte("a challenge of thirty-two bytes!")
	options, handle, err := w.Accounts.PasskeyCreation(w.Context(), o.User, challenge, time.Minute)
	w.must(err)
	parsed, err := virtualwebauthn.ParseAttestationOptions(string(options))
	w.must(err)
	raw, err := base64.RawURLEncoding.DecodeString(handle)
	w.must(err)
	o.by = virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{
		UserHandle: raw, BackupEligible: synced, BackupState: synced,
	})
	_, _, err = w.Accounts.AddPasskey(w.Context(), o.User, userstore.NewPasskey{Challenge: challenge, UserHandle: handle,
		Response: json.RawMessage(virtualwebauthn.CreateAttestationResponse(party, o.by, o.passkey, *parsed)),
		Name:     "Phone", Keep: userstore.KeepAll})
	w.must(err)
	w.read(o)
	return o
}

// answer is what the passkey of o answers to options.
func (w *world) answer(o *owner, options json.RawMessage) json.RawMessage {
	w.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(string(options))
	w.must(err)
	return json.RawMessage(virtualwebauthn.CreateAssertionResponse(party, o.by, o.passkey, *parsed))
}

// code is what the authenticator app of o shows now (RFC 6238).
func (w *world) code(o *owner) string {
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(w.clock.Now().Unix()/30))
	mac := hmac.New(sha1.New, o.secret)
	mac.Write(step[:])
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:])&0x7fffffff%1000000)
}

func (w *world) proof(o *owner) userstore.FactorProof { return userstore.FactorProof{Code: w.code(o)} }

// firstStep logs o in with the password, and returns the handle for the second step.
func (w *world) firstStep(o *owner, scope string, resource ...string) string {
	w.Helper()
	_, err := w.Login(w.Context(),
		issuer.LoginRequest{Email: o.Email, Password: password, ClientID: "app", Scope: scope, Resource: resource})
	w.refused(err, issuer.SecondFactorRequired)
	step := errorOf(err).Step
	if step == nil || step.ExpiresIn != 300 || len(step.Methods) == 0 {
		w.Fatalf("the first step answers %+v", step)
	}
	return step.Login
}

const wrongPassword = "not the password of anybody"

func errorOf(err error) *issuer.Error {
	var e *issuer.Error
	errors.As(err, &e)
	return e
}

// browser logs o in at the pages, with all factors that it has.
func (w *world) browser(o *owner, replaces string) (issuer.Browser, string) {
	w.Helper()
	b, secret, err := w.StartBrowserSession(w.Context(), issuer.PageLogin{Name: o.Email, Password: password, Replaces: replaces})
	if err == nil {
		return b, secret
	}
	w.refused(err, issuer.SecondFactorRequired)
	b, secret, _, err = w.StartSecondSession(w.Context(), w.waiting(o, w.clock.Now()), w.proof(o), false, issuer.PageLogin{Replaces: replaces})
	w.must(err)
	return b, secret
}

// waiting is a login of o whose password was proved at typed.
func (w *world) waiting(o *owner, typed time.Time) userstore.SecondLogin {
	return userstore.SecondLogin{UserID: o.ID, PasswordMark: o.PasswordMark(), FactorVersion: o.FactorVersion, At: typed}
}
