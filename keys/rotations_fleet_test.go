package keys_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/verifier"
)

type issued struct {
	raw, kid string
	at, exp  time.Time
}

type fleet struct {
	t         *testing.T
	clock     *clock
	policy    keys.Policy
	random    *rand.Rand
	replicas  []*replica
	verifiers []*verifier.Verifier
	pool      *pool
	stepping  sync.RWMutex
	db        *sqlstore.DB
	kek       jose.KEK
	ticks     int
	jumped    int // clocks
	ended     int // processes
	fetches   atomic.Int64
	next      atomic.Int64 // replica that answers the next request for the JWKS
}

type replica struct {
	manager  *keys.Manager
	clock    *clock
	cutUntil time.Time
	cut      atomic.Bool   // from the store
	wrong    time.Duration // by how much its clock is wrong in the next step
	isWrong  bool
	fuse     atomic.Int64 // above 0: the process ends at that call of the store
	dead     atomic.Bool
	stepped  time.Time // the last step that worked
}

func (r *replica) healthy() bool { return !r.cut.Load() && !r.isWrong && !r.dead.Load() }

func newFleet(t *testing.T, thorough bool) *fleet {
	kek, err := jose.ParseKEK(keystest.KEK)
	if err != nil {
		t.Fatal(err)
	}
	db := sqltest.Postgres(t)
	base := &clock{at: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	f := &fleet{
		t: t, clock: base, random: rand.New(rand.NewPCG(1, 2)), pool: newPool(), db: db, kek: kek,
		policy: keys.Policy{
			Algorithms: []string{jose.RS256, jose.EdDSA}, Rotation: 18 * time.Minute, Propagation: 12 * time.Minute,
			JWKSMaxAge: 9 * time.Minute, ClockSkew: time.Minute, LongestLifetime: 10 * time.Minute,
			RefreshAbsolute: 30 * time.Minute,
		},
	}
	for i := range 3 {
		r := &replica{clock: &clock{parent: base, offset: time.Duration(i-1) * 20 * time.Second}}
		r.manager = f.newManager(r)
		f.replicas = append(f.replicas, r)
	}
	var starting sync.WaitGroup // all at once, on an empty store
	for _, r := range f.replicas {
		starting.Go(func() {
			if err := r.manager.Start(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}

	verifiers := 20
	if thorough {
		verifiers = 50
	}
	for range verifiers {
		v, err := verifier.New(verifier.Config{
			Issuer: issuerURL, Audience: []string{audience}, JWKSURL: issuerURL + "/.well-known/jwks.json",
			// No verifier looks again for an unknown kid before its copy is due
			// (9 minutes; a random quarter is added to the cooldown): nothing but
			// propagation may save it.
			Cooldown: 7 * time.Minute, ClockSkew: -1,
			HTTPClient: &http.Client{Transport: roundTrip(f.jwks)}, Now: base.now, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		f.verifiers = append(f.verifiers, v)
	}
	return f
}

func (f *fleet) newManager(r *replica) *keys.Manager {
	return &keys.Manager{
		Store: &wire{f.db, r}, Policy: f.policy, KEKs: []jose.KEK{f.kek}, Now: r.clock.now, Generate: f.pool.generate,
		DatabaseNow: func(context.Context) (time.Time, error) {
			if r.cut.Load() {
				return time.Time{}, errCut
			}
			return f.clock.now(), nil
		},
		TypesToSign: []string{"at+jwt"},
	}
}

// step lets time pass and all replicas poll, at the same time. A replica whose process has ended
// starts again. No background fetch of a verifier comes in between: real replicas poll each second.
func (f *fleet) step(d time.Duration) time.Time {
	f.stepping.Lock()
	defer f.stepping.Unlock()
	f.clock.move(d)
	f.ticks++
	var polls sync.WaitGroup
	for _, r := range f.replicas {
		r.cut.Store(f.clock.now().Before(r.cutUntil))
		r.isWrong = r.wrong != 0
		r.clock.jump, r.wrong = r.wrong, 0
		work := r.manager.Step
		if r.dead.Load() && !r.cut.Load() {
			r.manager = f.newManager(r)
			work = r.manager.Start
			r.fuse.Store(0)
			r.dead.Store(false)
			f.ended++
		}
		polls.Go(func() {
			err := work(f.t.Context())
			if healthy := r.healthy(); healthy != (err == nil) {
				f.t.Errorf("cut off: %v, clock wrong: %v, dead: %v, but its poll: %v", r.cut.Load(), r.isWrong, r.dead.Load(), err)
			}
			if err == nil {
				r.stepped = r.clock.now()
			}
		})
	}
	polls.Wait()
	f.pool.recycle(f.t, f.db)
	return f.clock.now()
}

func (r *replica) mustSign() bool {
	return !r.isWrong && !r.dead.Load() && r.clock.now().Sub(r.stepped) <= 72*time.Second
}

// sign makes an access token as the issuer does.
func (f *fleet) sign(r *replica, alg string) (issued, error) {
	if r.dead.Load() {
		return issued{}, errDead
	}
	signer, err := r.manager.Signer(alg)
	if err != nil {
		return issued{}, err
	}
	if signer.Algorithm() != alg {
		return issued{}, fmt.Errorf("asked for %s, got %s", alg, signer.Algorithm())
	}
	// By the database's clock, so that no verifier finds a token from the future.
	now := f.clock.now().Truncate(time.Second)
	exp := now.Add(f.policy.LongestLifetime)
	payload, err := json.Marshal(map[string]any{
		"iss": issuerURL, "aud": audience, "sub": "alice", "client_id": "signet", "scope": "profile",
		"iat": now.Unix(), "exp": exp.Unix(), "jti": fmt.Sprint(f.ticks, alg),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	raw, err := signer.Sign("at+jwt", payload)
	if err != nil {
		f.t.Fatal(err)
	}
	return issued{raw, signer.KeyID(), now, exp}, nil
}

// jwks is the endpoint behind a load balancer that asks one replica after the other, and the next
// one if the first is unavailable.
func (f *fleet) jwks(req *http.Request) (*http.Response, error) {
	f.stepping.RLock()
	defer f.stepping.RUnlock()
	f.fetches.Add(1)
	start := f.next.Add(1)
	for i := range int64(3) {
		r := f.replicas[(start+i)%3]
		if r.dead.Load() {
			continue
		}
		doc, err := r.manager.JWKS()
		if errors.Is(err, keys.ErrNotReady) {
			continue
		}
		if err != nil {
			return nil, err
		}
		noPrivateMembers(f.t, doc.Body)
		res := &http.Response{StatusCode: http.StatusOK, Request: req, Header: http.Header{},
			Body: io.NopCloser(bytes.NewReader(doc.Body))}
		res.Header.Set("Content-Type", "application/jwk-set+json")
		res.Header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(f.policy.JWKSMaxAge.Seconds())))
		res.Header.Set("ETag", doc.ETag)
		res.Header.Set("Date", f.clock.now().Format(http.TimeFormat))
		if req.Header.Get("If-None-Match") == doc.ETag {
			res.StatusCode, res.Body = http.StatusNotModified, http.NoBody
		}
		return res, nil
	}
	return &http.Response{StatusCode: http.StatusServiceUnavailable, Request: req, Header: http.Header{},
		Body: http.NoBody}, nil
}

func (f *fleet) timeline() string {
	for _, r := range f.replicas {
		if r.healthy() {
			report, err := r.manager.Timeline(context.Background())
			text, _ := json.MarshalIndent(report.Keys, "", " ")
			return fmt.Sprintf("%s %v", text, err)
		}
	}
	return "no replica is healthy"
}

// noPrivateMembers is attack row D-28.
func noPrivateMembers(t *testing.T, body []byte) {
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(body, &set); err != nil || len(set.Keys) == 0 {
		t.Errorf("JWKS %s: %v", body, err)
	}
	for _, k := range set.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if _, there := k[private]; there {
				t.Errorf("D-28 the JWKS holds the private member %q", private)
			}
		}
	}
}

// clock is a clock to move, or one that differs from another by a fixed offset.
type clock struct {
	mu     sync.Mutex
	at     time.Time
	parent *clock
	offset time.Duration
	jump   time.Duration
}

func (c *clock) now() time.Time {
	if c.parent != nil {
		return c.parent.now().Add(c.offset + c.jump)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// pool gives ready-made keys, and takes back those that no replica stored because another was
// faster: there are not enough for three times a hundred rotations.
type pool struct {
	mu    sync.Mutex
	fresh func(alg string) (crypto.Signer, error)
	spare map[string][]crypto.Signer
	given map[string]crypto.Signer // by kid
	algs  map[string]string
}

func newPool() *pool {
	return &pool{fresh: keystest.Generator(), spare: map[string][]crypto.Signer{}, given: map[string]crypto.Signer{},
		algs: map[string]string{}}
}

func (p *pool) generate(alg string) (crypto.Signer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var key crypto.Signer
	if n := len(p.spare[alg]); n > 0 {
		key, p.spare[alg] = p.spare[alg][n-1], p.spare[alg][:n-1]
	} else {
		var err error
		if key, err = p.fresh(alg); err != nil {
			return nil, err
		}
	}
	kid, err := jose.Thumbprint(key.Public())
	if err != nil {
		return nil, err
	}
	p.given[kid], p.algs[kid] = key, alg
	return key, nil
}

func (p *pool) recycle(t *testing.T, db *sqlstore.DB) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.given) == 0 {
		return
	}
	ring, err := db.LoadRing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range ring.Keys {
		delete(p.given, k.ID)
	}
	for kid, key := range p.given {
		if strings.ContainsAny(kid[:1], "-_") {
			continue // no replica takes such a key
		}
		p.spare[p.algs[kid]] = append(p.spare[p.algs[kid]], key)
	}
	clear(p.given)
}

var errCut = errors.New("cut off from the store")

// wire is the store as a replica reaches it: the replica can be cut off, or its process ends at a
// call.
type wire struct {
	*sqlstore.DB
	replica *replica
}

// call carries out a call of the store, unless the replica is cut off or dead. The call at which
// the process ends is carried out or not, in turns.
func (w *wire) call(carryOut func() error) error {
	r := w.replica
	if r.cut.Load() {
		return errCut
	}
	if r.dead.Load() {
		return errDead
	}
	if r.fuse.Load() > 0 && r.fuse.Add(-1) == 0 {
		r.fuse.Store(-1)
		r.dead.Store(true)
		if endsAfter.Add(1)%2 == 0 {
			_ = carryOut()
		}
		return errDead
	}
	return carryOut()
}

var endsAfter atomic.Int64

func (w *wire) RingVersion(ctx context.Context) (version int64, err error) {
	err = w.call(func() error { version, err = w.DB.RingVersion(ctx); return err })
	return version, err
}

func (w *wire) LoadRing(ctx context.Context) (ring keys.Ring, err error) {
	err = w.call(func() error { ring, err = w.DB.LoadRing(ctx); return err })
	return ring, err
}

func (w *wire) ChangeRing(ctx context.Context, version int64, c keys.Change) error {
	return w.call(func() error { return w.DB.ChangeRing(ctx, version, c) })
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
