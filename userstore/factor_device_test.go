package userstore_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/webauthn"
	"github.com/signet-id/signet/userstore"
)

const passkeyIssuer = "http://localhost:8080"

// eachSecond is eachThrottled for accounts with second factors.
func eachSecond(t *testing.T, replicas int, fn func(t *testing.T, w *throttled)) {
	eachThrottled(t, replicas, func(t *testing.T, w *throttled) {
		for _, r := range w.replicas {
			party, err := webauthn.New(passkeyIssuer, "Lantern", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Passkeys, r.FactorIssuer, r.NoMail = party, "Lantern", true
			r.AppKey = func() ([]byte, error) { return make([]byte, 32), nil }
			r.RecoveryKey = func() ([]byte, error) { return make([]byte, 32), nil }
		}
		fn(t, w)
	})
}

// person is a user with the devices that a second factor needs.
type person struct {
	*throttled
	userstore.User
	secret   []byte // of the authenticator app
	recovery []string
	passkey  *virtualwebauthn.Credential
	handle   []byte
}

func (w *throttled) person(roles ...string) *person {
	w.Helper()
	u, err := w.replicas[0].RegisterByOperator(w.Context(), userstore.OperatorUser{
		NewUser: userstore.NewUser{Email: newID() + "@example.test", Password: password}, Roles: roles,
	})
	w.must(err)
	return &person{throttled: w, User: u}
}

func (w *throttled) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (p *person) read() {
	p.Helper()
	p.User = p.replicas[0].read(p.TB.(*testing.T), p.ID)
}

func (p *person) factors() userstore.SecondFactors {
	p.Helper()
	s, err := p.replicas[0].Store.SecondFactors(p.Context(), p.ID)
	p.must(err)
	return s
}

// code is what an authenticator app shows: RFC 6238 by hand.
func code(secret []byte, at time.Time) string {
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(at.Unix()/30))
	mac := hmac.New(sha1.New, secret)
	mac.Write(step[:])
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:])&0x7fffffff%1000000)
}

// code is what the person's app shows now; steps is a number of codes later.
func (p *person) code(steps int) string {
	return code(p.secret, p.clock.Add(time.Duration(steps)*30*time.Second))
}

// wrongCode is a code that the app shows at none of the steps around now.
func (p *person) wrongCode() string {
	for n := 0; ; n++ {
		text := fmt.Sprintf("%06d", n)
		if text != p.code(-1) && text != p.code(0) && text != p.code(1) {
			return text
		}
	}
}

// withApp sets an authenticator app up, and moves the clock past its first code.
func (p *person) withApp() *person {
	p.Helper()
	p.read()
	a := p.replicas[0]
	begun, err := a.BeginApp(p.Context(), p.User)
	p.must(err)
	text := strings.ReplaceAll(begun.Secret, " ", "")
	p.secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	p.must(err)
	codes, err := a.ConfirmApp(p.Context(), p.User, p.code(0), userstore.KeepAll)
	p.must(err)
	if codes != nil {
		p.recovery = codes
	}
	p.wait(time.Minute)
	p.read()
	return p
}

// withPasskey makes a passkey. The library writes some keys without their leading zeros.
func (p *person) withPasskey() *person {
	p.Helper()
	p.read()
	key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(key.Key.AttestationData()) != 77 {
		key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	a, challenge := p.replicas[0], []byte("a challenge of thirty-two bytes!")
	options, handle, err := a.PasskeyCreation(p.Context(), p.User, challenge, time.Minute)
	p.must(err)
	o, err := virtualwebauthn.ParseAttestationOptions(string(options))
	p.must(err)
	p.handle, err = base64.RawURLEncoding.DecodeString(handle)
	p.must(err)
	response := virtualwebauthn.CreateAttestationResponse(party, p.authenticator(), key, *o)
	_, codes, err := a.AddPasskey(p.Context(), p.User, userstore.NewPasskey{
		Challenge: challenge, UserHandle: handle, Response: json.RawMessage(response), Name: "Phone", Keep: userstore.KeepAll,
	})
	p.must(err)
	if codes != nil {
		p.recovery = codes
	}
	p.passkey = &key
	p.read()
	return p
}

var party = virtualwebauthn.RelyingParty{ID: "localhost", Name: "Lantern", Origin: passkeyIssuer}

func (p *person) authenticator() virtualwebauthn.Authenticator {
	return virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: p.handle})
}

// answer is what the person's passkey answers to a challenge.
func (p *person) answer(challenge string) userstore.FactorProof {
	p.Helper()
	return p.answerBy(party, p.authenticator(), challenge)
}

func (p *person) answerBy(
	party virtualwebauthn.RelyingParty, by virtualwebauthn.Authenticator, challenge string,
) userstore.FactorProof {
	p.Helper()
	sum := sha256.Sum256([]byte(challenge))
	options, err := p.replicas[0].PasskeyRequest(p.Context(), "", sum[:], time.Minute)
	p.must(err)
	o, err := virtualwebauthn.ParseAssertionOptions(string(options))
	p.must(err)
	return userstore.FactorProof{
		Passkey: json.RawMessage(virtualwebauthn.CreateAssertionResponse(party, by, *p.passkey, *o)), Challenge: sum[:],
		Handle: p.newHandle(),
	}
}

func (p *person) newHandle() userstore.Handle {
	return userstore.Handle{ID: newID(), EndsAt: p.clock.Add(5 * time.Minute)}
}

func (p *person) byCode(code string) userstore.FactorProof {
	return userstore.FactorProof{Code: code, Handle: p.newHandle()}
}

func (p *person) byRecovery(code string) userstore.FactorProof {
	return userstore.FactorProof{RecoveryCode: code, Handle: p.newHandle()}
}

// waiting is a login of the person that waits for its second step.
func (p *person) waiting() userstore.SecondLogin {
	return userstore.SecondLogin{UserID: p.ID, PasswordMark: p.PasswordMark(), FactorVersion: p.FactorVersion, At: *p.clock,
		ClientID: userstore.FirstPartyClientID}
}

// second takes the second step of a waiting login at replica i, and stores its grant.
func (p *person) second(i int, l userstore.SecondLogin, proof userstore.FactorProof) error {
	return p.finish(i, func(ctx context.Context) (userstore.Verified, error) {
		return p.replicas[i].AuthenticateSecond(ctx, l, proof)
	})
}

func (p *person) byPasskey(i int, proof userstore.FactorProof) error {
	return p.finish(i, func(ctx context.Context) (userstore.Verified, error) {
		return p.replicas[i].AuthenticatePasskey(ctx, proof, userstore.FirstPartyClientID)
	})
}

func (p *person) finish(i int, prove func(context.Context) (userstore.Verified, error)) error {
	ctx := audit.WithOrigin(p.Context(), audit.Origin{Address: "192.0.2.7"})
	a := p.replicas[i]
	v, err := prove(ctx)
	if err != nil {
		return err
	}
	defer a.Release(ctx, v)
	return a.StartGrant(ctx, v, p.grant(), time.Time{})
}

func (p *person) grant() userstore.Grant {
	g := userstore.Grant{SessionID: newID(), UserID: p.ID, ClientID: userstore.FirstPartyClientID, Generation: 1,
		CreatedAt: *p.clock, RotatedAt: *p.clock, AuthTime: *p.clock, ExpiresAt: p.clock.Add(time.Hour)}
	copy(g.ID[:], newID())
	return g
}

// grants is how many logins of the person there were.
func (p *person) grants() int {
	p.Helper()
	all, err := p.replicas[0].Store.ListGrants(p.Context(), p.ID, *p.clock, time.Time{})
	p.must(err)
	return len(all)
}

// free is how many more wrong passwords strangers may try: 10 less those that count already. It uses
// all of them up.
func (p *person) free() int {
	p.Helper()
	return p.guesses(11, p.Email, "203.0.113.9")
}
