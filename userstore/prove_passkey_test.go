package userstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/signet-id/signet/userstore"
)

// P-09: a passkey alone. Refusals count nowhere, and a passkey needs no budget.
func TestP09APasskeyAlone(t *testing.T) {
	eachSecond(t, 2, func(t *testing.T, w *throttled) {
		p, other := w.person().withPasskey(), w.person().withPasskey()
		w.must(p.byPasskey(0, p.answer("a first login")))
		by := func(o virtualwebauthn.AuthenticatorOptions) virtualwebauthn.Authenticator {
			if o.UserHandle == nil {
				o.UserHandle = p.handle
			}
			return virtualwebauthn.NewAuthenticatorWithOptions(o)
		}
		at := func(id, origin string) virtualwebauthn.RelyingParty {
			return virtualwebauthn.RelyingParty{ID: id, Name: "Lantern", Origin: origin}
		}
		for what, proof := range map[string]userstore.FactorProof{
			"of another origin":     p.answerBy(at("localhost", "http://localhost:9090"), by(virtualwebauthn.AuthenticatorOptions{}), "c"),
			"of another RP id":      p.answerBy(at("evil.test", passkeyIssuer), by(virtualwebauthn.AuthenticatorOptions{}), "c"),
			"for another user":      p.answerBy(party, by(virtualwebauthn.AuthenticatorOptions{UserHandle: other.handle}), "c"),
			"for no user":           p.answerBy(party, virtualwebauthn.NewAuthenticator(), "c"),
			"without verification":  p.answerBy(party, by(virtualwebauthn.AuthenticatorOptions{UserNotVerified: true}), "c"),
			"without presence":      p.answerBy(party, by(virtualwebauthn.AuthenticatorOptions{UserNotPresent: true}), "c"),
			"that nobody made":      {Passkey: []byte("null"), Challenge: p.answer("c").Challenge},
			"to another challenge":  func() userstore.FactorProof { f := p.answer("c"); f.Challenge = p.answer("d").Challenge; return f }(),
			"of an unknown passkey": w.unknownPasskey(p).answer("c"),
		} {
			for range 12 {
				if err := p.byPasskey(0, proof); !errors.Is(err, userstore.ErrFactorRefused) {
					t.Fatalf("an answer %s: %v", what, err)
				}
			}
		}
		if err := other.second(0, other.waiting(), p.answer("c")); !errors.Is(err, userstore.ErrFactorRefused) {
			t.Errorf("as the second step of another user: %v", err)
		}
		again := p.answer("sent twice")
		w.must(p.byPasskey(0, again))
		for i := range 12 {
			if err := p.byPasskey(i%2, again); !errors.Is(err, userstore.ErrStepOver) {
				t.Fatalf("an answer that was used: %v", err)
			}
		}
		p.passkey.Counter = 7
		w.must(p.byPasskey(0, p.answer("it counts from now on")))
		for _, counter := range []uint32{7, 3, 0} {
			p.passkey.Counter = counter
			if err := p.byPasskey(1, p.answer("a counter that went back")); !errors.Is(err, userstore.ErrFactorRefused) {
				t.Errorf("counter %d after 7: %v", counter, err)
			}
		}
		p.passkey.Counter = 8
		for range 12 { // a copy of the passkey answers while the passkey does
			a, answers := w.replicas[0], [2]userstore.Verified{}
			var err error
			for i := range answers {
				answers[i], err = a.AuthenticatePasskey(t.Context(), p.answer(fmt.Sprint("copy ", i)), "")
				w.must(err)
			}
			w.must(a.StartGrant(t.Context(), answers[0], p.grant(), time.Time{}))
			if err := a.StartGrant(t.Context(), answers[1], p.grant(), time.Time{}); !errors.Is(err, userstore.ErrFactorRefused) {
				t.Fatalf("of two with one counter: %v", err)
			}
			a.Release(t.Context(), answers[1])
			p.passkey.Counter++
		}
		w.want("guesses that are free to the browser of the copy", w.guesses(11, p.Email, ""), 10)
		w.want("guesses that are free", p.free(), 10)
		w.limited(w.login(0, p.Email, password, "203.0.113.9"), time.Minute)
		w.must(p.byPasskey(1, p.answer("it waits for no budget")))
		if err := w.login(0, p.Email, password, "192.0.2.7"); !errors.Is(err, userstore.ErrSecondFactor) {
			t.Errorf("a login by passkey makes its network known; a password from there: %v", err)
		}
		w.must(w.replicas[0].Store.SetActive(t.Context(), p.ID, false, *w.clock))
		p.passkey.Counter++
		if err := p.byPasskey(0, p.answer("disabled")); !errors.Is(err, userstore.ErrAccountDisabled) {
			t.Errorf("of a disabled account: %v", err)
		}
		w.replicas[0].Passkeys = nil
		if err := other.byPasskeyOf(w.replicas[0]); !errors.Is(err, userstore.ErrFactorRefused) {
			t.Errorf("where there are none: %v", err)
		}
	})
}

func (p *person) byPasskeyOf(a *world) error {
	_, err := a.AuthenticatePasskey(p.Context(), userstore.FactorProof{Passkey: []byte("{}")}, "")
	return err
}

// unknownPasskey is p with a passkey that was never registered.
func (w *throttled) unknownPasskey(p *person) *person {
	q := *p
	key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	q.passkey = &key
	return &q
}
