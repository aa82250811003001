package userstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/mac"
	"github.com/signet-id/signet/userstore/password"
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

// ClientAttempt is a client that tries to authenticate.
type ClientAttempt struct {
	ID     string // as the request names it
	Client Client // as it is registered; zero: no client has this ID
	// Refused says why no credential would do, as the audit log's word. Empty: the secret decides.
	Refused string
}

// WrongSecret is the audit log's word for a secret that is not the client's.
const WrongSecret = "wrong_secret"

// CheckClientSecret proves a client's secret. A wrong one takes as long as a password's hash and counts against the
// budget of this network and client, whether the client exists, and whatever kind of secret it has. Hashes of client
// secrets have a queue of their own, so that no number of wrong ones keeps people from logging in.
// ErrInvalidCredentials, ErrOverloaded, ErrRateLimited (as *RateLimitedError), or the store's error.
func (a *Accounts) CheckClientSecret(ctx context.Context, at ClientAttempt, secret string) error {
	if at.Refused == "" && a.KnowsClientSecret(at.Client, secret) {
		return nil
	}
	if a.Hasher.Secrets.Full() { // before anything is written of an attempt that cannot be made
		return ErrOverloaded
	}
	held, err := a.Throttle.admitClient(ctx, a.now, at)
	if err != nil {
		return err
	}
	defer held.back(ctx) // but when it was wrong
	hash := ""
	if at.Refused == "" && chosenSecret(at.Client.SecretHash) {
		hash = at.Client.SecretHash
	}
	ok, _, err := a.Hasher.Secrets.Verify(ctx, hash, secret)
	if err != nil && !errors.Is(err, password.ErrInput) {
		return err
	}
	if !ok {
		if at.Refused == "" {
			at.Refused = WrongSecret
		}
		return a.wrongClient(ctx, held, at)
	}
	a.proved.remember(at.Client, secret)
	return nil
}

// RefuseAssertion records that a client assertion did not prove a client: as often as wrong secrets are looked at, so
// that nobody makes the log grow without end. The error is the store's: then it was not counted, and nothing may be said of it.
func (a *Accounts) RefuseAssertion(ctx context.Context, at ClientAttempt) error {
	held, err := a.Throttle.admitClient(ctx, a.now, at)
	switch {
	case errors.Is(err, ErrRateLimited):
		return nil
	case err != nil:
		return err
	}
	if err := a.wrongClient(ctx, held, at); !errors.Is(err, ErrInvalidCredentials) {
		return err
	}
	return nil
}

// wrongClient counts a credential that did not prove a client, and says ErrInvalidCredentials. The count is stored before
// the answer; the audit log has one entry in a quarter of an hour for each client, network and reason, as it has
// for other refusals that cost a stranger nothing.
func (a *Accounts) wrongClient(ctx context.Context, h *held, at ClientAttempt) error {
	e := audit.New(ctx, a.now(), audit.ClientAuthFailed, audit.Target{}).Failed(at.Refused)
	if at.Client.ID != "" { // else ID may be any text that somebody typed
		e.Target = audit.Target{Type: audit.OnClient, ID: at.Client.ID}
	}
	t := a.Throttle
	switch counts, err := t.counts(); {
	case err != nil:
		return err
	case !counts:
		return a.refused(ctx, e, ErrInvalidCredentials)
	}
	k, err := t.keys()
	if err != nil {
		return err
	}
	if err := h.wrong(ctx); err != nil {
		return fmt.Errorf("count %s: %w", e.Name, err)
	}
	from := networkOf(ctx)
	if at.Client.ID == "" { // strangers can name any number of those
		t.strays.tell(ctx, t.Store, a.Log, k.key("told of no client", from), e)
	} else {
		t.clients.tell(ctx, t.Store, a.Log, k.key("told of a client", at.Client.ID, from, at.Refused), e)
	}
	return ErrInvalidCredentials
}

// admitClient lets one check of a client's credential through; see admit.
func (t *Throttle) admitClient(ctx context.Context, now func() time.Time, at ClientAttempt) (*held, error) {
	if counts, err := t.counts(); !counts {
		return nil, err
	}
	k, err := t.keys()
	if err != nil {
		return nil, err
	}
	from := networkOf(ctx)
	r := Reserve{
		Attempt:  Attempt{Own: k.key("client remembered", at.ID, from), Strangers: k.key("client", at.ID, from)},
		OwnLimit: clientLimit, StrangersLimit: clientLimit,
	}
	t.countFailures(ctx, k, &r)
	return t.reserve(ctx, now, r, pendingFor, audit.Target{Type: audit.OnClient, ID: at.Client.ID}, "guesses")
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

func (p *provedSecrets) mac(c Client, secret string) [32]byte {
	return [32]byte(mac.Sum(p.key, c.ID, c.SecretHash, secret))
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
