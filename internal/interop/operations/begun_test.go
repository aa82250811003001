//go:build interop

package operations

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"mime/quotedprintable"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/signet-id/signet/internal/mail/mailtest"
)

// begun is what people began at one replica, to be finished at another one.
type begun struct {
	email      string // of an account with a passkey
	passkey    virtualwebauthn.Credential
	handle     string // of the account, in the passkey
	deviceCode string
	userCode   string
	forgot     string // the address of an account whose owner waits for a message
	letters    int    // that the mail server had before
}

// withMail makes a mail server, which every replica uses.
func (u *upgrade) withMail(t *testing.T) {
	t.Helper()
	u.mail = (&mailtest.Server{NoTLS: true}).Start(t)
	u.env = append(u.env, "SIGNET_MAIL_SMTP="+u.mail.URL(), "SIGNET_MAIL_FROM=no-reply@example.com")
}

// begin makes, with requests to the next address each, a device authorization, an account with a passkey,
// and a message that waits because the mail server takes none for now.
func (u *upgrade) begin(t *testing.T, next func() string) *begun {
	t.Helper()
	b := &begun{forgot: u.person()}
	// The program of v0.1.0 works on the schemas of both versions.
	line := fmt.Sprintf(`{"email":%q,"email_verified":true,"password_hash":%q}`, b.forgot, djangoHash)
	file := filepath.Join(t.TempDir(), "forgot.jsonl")
	must(t, os.WriteFile(file, []byte(line+"\n"), 0o600))
	u.run(t, u.programs[0], nil, "users", "import", file)
	var asked struct {
		DeviceCode string `json:"device_code"`
		UserCode   string `json:"user_code"`
	}
	u.must(t, next(), request{path: "/oauth2/device", want: http.StatusOK,
		form: url.Values{"client_id": {"box"}, "scope": {"openid offline_access"}}}).read(t, &asked)
	b.deviceCode, b.userCode = asked.DeviceCode, asked.UserCode
	u.addPasskey(t, next, b)

	u.mail.Set(mailtest.Verdicts{Mail: func(string) error { return mailtest.Refuse(451, 4, 3, 2, "later") }})
	b.letters = len(u.mail.Letters())
	u.must(t, next(), request{path: "/v1/password/forgot", json: map[string]string{"email": b.forgot}, want: http.StatusAccepted})
	return b
}

func (u *upgrade) party() virtualwebauthn.RelyingParty {
	return virtualwebauthn.RelyingParty{ID: "localhost", Name: "Test", Origin: u.issuer}
}

// addPasskey makes an account with an authenticator app, and gives it a passkey.
func (u *upgrade) addPasskey(t *testing.T, next func() string, b *begun) {
	t.Helper()
	app := u.importPeople(t, u.programs[0], "passkey-"+strings.ToLower(rand.Text()), 1)[0]
	b.email = app.email
	session, err := u.logInWithCode(next, app, "")
	must(t, err)
	var proof struct{ Proof string }
	u.must(t, next(), request{path: "/v1/profile/prove", bearer: session.Access, want: http.StatusOK,
		json: map[string]string{"code": app.code()}}).read(t, &proof)
	var created struct {
		Handle  string
		Options json.RawMessage
	}
	u.must(t, next(), request{path: "/v1/profile/factors/passkeys/options", bearer: session.Access, want: http.StatusOK,
		json: map[string]string{"proof": proof.Proof}}).read(t, &created)
	options, err := virtualwebauthn.ParseAttestationOptions(string(created.Options))
	must(t, err)
	// The library writes coordinates without their leading zeros, which COSE forbids.
	for b.passkey.Key == nil || len(b.passkey.Key.AttestationData()) != 77 {
		b.passkey = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	b.handle = options.UserID
	u.must(t, next(), request{path: "/v1/profile/factors/passkeys", bearer: session.Access, want: http.StatusCreated,
		json: map[string]any{"handle": created.Handle, "name": "Key",
			"response": json.RawMessage(virtualwebauthn.CreateAttestationResponse(u.party(), b.authenticator(), b.passkey, *options))}})
}

func (b *begun) authenticator() virtualwebauthn.Authenticator {
	a := virtualwebauthn.NewAuthenticator()
	a.Options.UserHandle = []byte(b.handle)
	return a
}

// finish goes on with what begin began, with requests to the next address each.
func (u *upgrade) finish(t *testing.T, b *begun, next func() string) {
	t.Helper()
	u.mail.Set(mailtest.Verdicts{})
	must(t, u.allowDevice(next, u.browser, b.userCode))
	var got tokens
	eventually(t, "the device gets its tokens", func() bool {
		a, err := u.askOnce(next(), request{path: "/oauth2/token", form: url.Values{"client_id": {"box"}, "device_code": {b.deviceCode},
			"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}}})
		must(t, err)
		if a.status == http.StatusOK {
			a.read(t, &got)
			return true
		}
		if !strings.Contains(string(a.body), "slow_down") {
			t.Fatalf("the poll of a device is answered %d %s", a.status, a.body)
		}
		time.Sleep(time.Second)
		return false
	})
	if got.Access == "" || got.Refresh == "" {
		t.Fatalf("the device got %+v", got)
	}
	u.logInWithPasskey(t, next, b)
	u.reset(t, next, b)
}

// logInWithPasskey takes both steps of a login.
func (u *upgrade) logInWithPasskey(t *testing.T, next func() string, b *begun) {
	t.Helper()
	var step struct {
		Code, Login string
		Options     json.RawMessage
	}
	u.must(t, next(), request{path: "/v1/login", want: http.StatusUnauthorized,
		json: map[string]string{"email": b.email, "password": password, "scope": "openid profile email"}}).read(t, &step)
	u.must(t, next(), request{path: "/v1/login/passkey/options", want: http.StatusOK,
		json: map[string]string{"login": step.Login}}).read(t, &step)
	options, err := virtualwebauthn.ParseAssertionOptions(string(step.Options))
	must(t, err)
	b.passkey.Counter++
	var got tokens
	u.must(t, next(), request{path: "/v1/login/passkey", want: http.StatusOK, json: map[string]any{"login": step.Login,
		"response": json.RawMessage(virtualwebauthn.CreateAssertionResponse(u.party(), b.authenticator(), b.passkey, *options))}}).read(t, &got)
	if got.Access == "" {
		t.Fatal("the passkey gave no token")
	}
}

// reset waits for the message and sets a new password by it.
func (u *upgrade) reset(t *testing.T, next func() string, b *begun) {
	t.Helper()
	link := regexp.MustCompile(regexp.QuoteMeta(u.issuer) + `/reset/([^\s"<]+)`)
	token := ""
	eventually(t, "the message arrives", func() bool {
		for _, letter := range u.mail.Letters()[b.letters:] {
			// Each part is quoted-printable; the lines between them have nothing that would matter.
			text, _ := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(letter.Data)))
			if m := link.FindSubmatch(text); m != nil && strings.Contains(letter.To, b.forgot) {
				token = string(m[1])
			}
		}
		return token != ""
	})
	const other = "another correct horse battery"
	u.must(t, next(), request{path: "/v1/password/reset", want: http.StatusNoContent,
		json: map[string]string{"token": token, "new_password": other}})
	login := map[string]string{"email": b.forgot, "password": other, "scope": "openid profile email"}
	u.must(t, next(), request{path: "/v1/login", json: login, want: http.StatusOK})
	login["password"] = password
	u.must(t, next(), request{path: "/v1/login", json: login, want: http.StatusUnauthorized})
}

var deviceForm = regexp.MustCompile(`id="(device-submit|device-approve)"`)

// allowDevice types the code of a device in a browser in which somebody is signed in, and allows it.
func (s *service) allowDevice(next func() string, b *browser, code string) error {
	q := request{get: true, browser: b, path: "/device"}
	allowed := false
	for range 8 {
		a, err := s.askOnce(next(), q)
		if err != nil {
			return err
		}
		if a.status == http.StatusSeeOther && strings.HasPrefix(a.location, "/") {
			q = request{get: true, browser: b, path: a.location}
			continue
		}
		page := string(a.body)
		form, button := action.FindStringSubmatch(page), deviceForm.FindStringSubmatch(page)
		switch {
		case a.status == http.StatusOK && button == nil && allowed:
			return nil
		case a.status != http.StatusOK || form == nil || button == nil:
			return fmt.Errorf("%s is answered %d %s", q.path, a.status, page)
		}
		fields := url.Values{}
		for _, m := range hidden.FindAllStringSubmatch(page, -1) {
			fields.Set(m[1], html.UnescapeString(m[2]))
		}
		if fields.Set("user_code", code); button[1] == "device-approve" {
			fields.Del("user_code")
			fields.Set("decision", "approve")
			allowed = true
		}
		q = request{browser: b, path: html.UnescapeString(form[1]), form: fields}
	}
	return errors.New("the pages of the device lead nowhere")
}
