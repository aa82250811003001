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

// A client has one of two kinds of secret. A generated secret has 256 random bits, so its SHA-256
// reveals nothing and is cheap to check. A chosen secret may be guessed like any password, and is
// hashed like one.

// ClientSecretHash returns the stored hash of a generated secret.
func ClientSecretHash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// SecretChosen reports whether an operator chose the client's secret: a PHC string begins with $,
// which base64url does not contain.
func (c Client) SecretChosen() bool { return strings.HasPrefix(c.SecretHash, "$") }

// clientLimit bounds wrong secrets of one client from one network. There is no budget over all
// networks: a stranger could use it up to lock the client out.
var clientLimit = Limit{Free: 10, Window: 15 * time.Minute}

// KnowsClientSecret reports whether secret is c's, as far as that is cheap to decide: for a
// generated secret, or for a chosen one that this process verified before. After false,
// CheckClientSecret has to decide.
func (a *Accounts) KnowsClientSecret(c Client, secret string) bool {
	if c.SecretChosen() {
		return a.proved.has(c, secret)
	}
	return subtle.ConstantTimeCompare([]byte(ClientSecretHash(secret)), []byte(c.SecretHash)) == 1
}

// ClientAttempt is one attempt of a client to authenticate.
type ClientAttempt struct {
	ID     string // as the request names it
	Client Client // as it is registered; zero: no client has this ID
	// Refused is the audit log's word for why no credential is accepted. Empty: the secret decides.
	Refused string
}

// WrongSecret is the audit log's word for a secret that is not the client's.
const WrongSecret = "wrong_secret"

// CheckClientSecret verifies a client's secret. A wrong one takes as long as a password hash and
// counts against the budget of this network and client, whether or not the client exists, and for
// both kinds of secret. Hashes of client secrets have a queue of their own, so that wrong secrets
// cannot keep people from logging in. ErrInvalidCredentials, ErrOverloaded, ErrRateLimited (as
// *RateLimitedError), or the store's error.
func (a *Accounts) CheckClientSecret(ctx context.Context, at ClientAttempt, secret string) error {
	if at.Refused == "" && a.KnowsClientSecret(at.Client, secret) {
		return nil
	}
	if a.Hasher.Secrets.Full() { // checked before anything is written: this attempt cannot be made
		return ErrOverloaded
	}
	reservation, err := a.Throttle.admitClient(ctx, a.now, at)
	if err != nil {
		return err
	}
	defer reservation.giveBack(ctx) // does nothing after a wrong secret
	hash := ""
	if at.Refused == "" && at.Client.SecretChosen() {
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
		return a.recordWrongClient(ctx, reservation, at)
	}
	a.proved.remember(at.Client, secret)
	return nil
}

// RefuseAssertion records that a client assertion did not prove a client. It shares the budget of
// wrong secrets, so that the log cannot be made to grow without end. After an error, which is the
// store's, the refusal was not counted and must not be answered.
func (a *Accounts) RefuseAssertion(ctx context.Context, at ClientAttempt) error {
	reservation, err := a.Throttle.admitClient(ctx, a.now, at)
	switch {
	case errors.Is(err, ErrRateLimited):
		return nil
	case err != nil:
		return err
	}
	if err := a.recordWrongClient(ctx, reservation, at); !errors.Is(err, ErrInvalidCredentials) {
		return err
	}
	return nil
}

// recordWrongClient counts a credential that did not prove a client, and returns
// ErrInvalidCredentials. The count is stored before the answer. The audit log gets one entry in a
// quarter of an hour for each client, network and reason, as for other refusals that cost a
// stranger nothing.
func (a *Accounts) recordWrongClient(ctx context.Context, h *reservation, at ClientAttempt) error {
	e := audit.New(ctx, a.now(), audit.ClientAuthFailed, audit.Target{}).Failed(at.Refused)
	if at.Client.ID != "" { // without a client, at.ID may be any text
		e.Target = audit.Target{Type: audit.OnClient, ID: at.Client.ID}
	}
	t := a.Throttle
	switch counts, err := t.counts(); {
	case err != nil:
		return err
	case !counts:
		return a.recordRefusal(ctx, e, ErrInvalidCredentials)
	}
	k, err := t.keys()
	if err != nil {
		return err
	}
	if err := h.fail(ctx); err != nil {
		return fmt.Errorf("count %s: %w", e.Name, err)
	}
	from := networkOf(ctx)
	if at.Client.ID == "" { // strangers can make up any number of ids
		t.unknownClients.record(ctx, t.Store, a.Log, k.key("told of no client", from), e)
	} else {
		t.clientRefusals.record(ctx, t.Store, a.Log, k.key("told of a client", at.Client.ID, from, at.Refused), e)
	}
	return ErrInvalidCredentials
}

// admitClient lets one check of a client's credential through; see admit.
func (t *Throttle) admitClient(ctx context.Context, now func() time.Time, at ClientAttempt) (*reservation, error) {
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

// provedSecrets remembers chosen secrets that were right, so that a client that asks for a token
// each second does not have its secret hashed each second. It keeps only a MAC under a key that
// lives as long as the process. The MAC covers the stored hash too, so a new secret has to be
// verified anew.
type provedSecrets struct {
	mu   sync.Mutex
	key  []byte
	macs map[[32]byte]struct{}
}

const maxProvedSecrets = 1024

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
	if p.macs == nil || len(p.macs) >= maxProvedSecrets {
		p.macs = map[[32]byte]struct{}{}
	}
	p.macs[p.mac(c, secret)] = struct{}{}
}
