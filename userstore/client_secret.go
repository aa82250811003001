package userstore

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"github.com/signet-id/signet/internal/audit"
	"strings"
	"sync"
	"time"
)

// A client's secret is one of two kinds. What we made has 256 random bits, so that its SHA-256
// gives nothing away and costs nothing to check. What an operator chose may be guessed like any
// password, and is hashed like one.

// ClientSecretHash is what is stored of a secret that we made.
func ClientSecretHash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// chosenSecret tells a hash of a secret that an operator chose: a PHC string begins with $, which
// base64url does not have.
func chosenSecret(hash string) bool { return strings.HasPrefix(hash, "$") }

// clientLimit bounds wrong secrets of one client from one network. There is no budget over all
// networks: it would be a way to lock a client out from anywhere.
var clientLimit = Limit{Free: 10, Window: 15 * time.Minute}

// KnowsClientSecret tells, as far as that costs nothing, whether secret is c's: one that we
// made, or a chosen one that was proved here before. False says that CheckClientSecret has to decide.
func (a *Accounts) KnowsClientSecret(c Client, secret string) bool {
	if chosenSecret(c.SecretHash) {
		return a.proved.has(c, secret)
	}
	return subtle.ConstantTimeCompare([]byte(ClientSecretHash(secret)), []byte(c.SecretHash)) == 1
}

// CheckClientSecret proves a client's secret; of a client that there is not, or that has none, c has only
// the ID that was named. A wrong one takes as long as a password's hash and counts against the budget of this network
// and client, whether the client exists, and whatever kind of secret it has. ErrInvalidCredentials,
// ErrOverloaded, ErrRateLimited (as *RateLimitedError), or the store's error.
func (a *Accounts) CheckClientSecret(ctx context.Context, c Client, secret string) error {
	if a.KnowsClientSecret(c, secret) {
		return nil
	}
	held, err := a.Throttle.admitClient(ctx, a.now, c.ID)
	if err != nil {
		return err
	}
	defer held.back(ctx) // but when it was wrong
	hash := ""
	if chosenSecret(c.SecretHash) {
		hash = c.SecretHash
	}
	ok, _, err := a.Hasher.Verify(ctx, hash, secret)
	if err != nil && !errors.Is(err, ErrPasswordInput) {
		return err
	}
	if !ok {
		e := audit.New(ctx, a.now(), audit.ClientAuthFailed, audit.Target{}).Failed("wrong_secret")
		if c.SecretHash != "" { // else it may be any text that somebody typed
			e.Target = audit.Target{Type: audit.OnClient, ID: c.ID}
		}
		return a.wrong(ctx, held, e)
	}
	a.proved.remember(c, secret)
	return nil
}

// RefuseAssertion records that a client assertion did not prove c: as often as wrong secrets are looked at, so that nobody
// makes the log grow without end. The error is the store's: then it was not recorded, and nothing may be said of it.
func (a *Accounts) RefuseAssertion(ctx context.Context, c Client) error {
	held, err := a.Throttle.admitClient(ctx, a.now, c.ID)
	switch {
	case errors.Is(err, ErrRateLimited):
		return nil
	case err != nil:
		return err
	}
	e := audit.New(ctx, a.now(), audit.ClientAuthFailed, audit.Target{Type: audit.OnClient, ID: c.ID}).Failed("wrong_assertion")
	if err := a.wrong(ctx, held, e); !errors.Is(err, ErrInvalidCredentials) {
		return err
	}
	return nil
}

// admitClient lets one check of a client's secret through; see admit.
func (t *Throttle) admitClient(ctx context.Context, now func() time.Time, id string) (*held, error) {
	if t == nil {
		return nil, nil
	}
	k, err := t.keys()
	if err != nil {
		return nil, err
	}
	from := networkOf(ctx)
	r := Reserve{
		Attempt:  Attempt{Own: k.key("client remembered", id, from), Strangers: k.key("client", id, from)},
		OwnLimit: clientLimit, StrangersLimit: clientLimit,
	}
	t.countFailures(ctx, k, &r)
	return t.reserve(ctx, now, r, pendingFor, audit.Target{})
}

// provedSecrets remembers which chosen secrets were right, so that a client that asks for a token
// each second does not have its secret hashed each second. What it keeps is of use to nobody: a MAC under a key
// that lives as long as the process, over the stored hash as well, so that a new secret starts anew.
type provedSecrets struct {
	mu   sync.Mutex
	key  []byte
	macs map[[32]byte]struct{}
}

const mostProved = 1024

func (p *provedSecrets) mac(c Client, secret string) (mac [32]byte) {
	h := hmac.New(sha256.New, p.key)
	for _, part := range []string{c.ID, c.SecretHash, secret} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	h.Sum(mac[:0])
	return mac
}

func (p *provedSecrets) has(c Client, secret string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key == nil {
		return false
	}
	_, ok := p.macs[p.mac(c, secret)]
	return ok
}

func (p *provedSecrets) remember(c Client, secret string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key == nil {
		p.key = make([]byte, 32)
		_, _ = rand.Read(p.key) // never fails, see its documentation
	}
	if p.macs == nil || len(p.macs) >= mostProved {
		p.macs = map[[32]byte]struct{}{}
	}
	p.macs[p.mac(c, secret)] = struct{}{}
}
