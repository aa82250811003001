package issuer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
	hashes "github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

const (
	issuerURL = "https://id.test"
	apiURI    = "https://api.test"
	filesURI  = "https://files.test"
	openURI   = "https://open.test"
	password  = "correct horse battery staple"
)

// world is an issuer on a real store with real keys, and a clock to move.
type world struct {
	testing.TB
	*issuer.Issuer
	db    *sqlstore.DB
	store *traced
	ring  *keys.Manager
	clock *clock
	log   *logged
	alice userstore.User
	root  userstore.User // with role admin
}

// each runs fn in a fresh world on both stores.
func each(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) { fn(t, newWorld(t, db)) })
}

// one runs fn in a fresh world on one store: for rules that do not involve the store.
func one(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	fn(t, newWorld(t, sqltest.SQLite(t)))
}

func newWorld(tb testing.TB, db *sqlstore.DB) *world {
	tb.Helper()
	w := &world{
		TB: tb, db: db, store: &traced{Store: db},
		clock: &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC)},
		log:   &logged{},
	}
	tb.Cleanup(func() { w.log.holdNoSecret(tb) })
	w.replica()
	w.alice = w.user("alice@example.test")
	w.root = w.user("root@example.test", userstore.RoleAdmin)
	w.client(userstore.Client{ID: "app", AuthMethod: userstore.AuthNone, FirstParty: true,
		GrantTypes: []string{"refresh_token"}, Resources: []string{apiURI, filesURI, openURI}})
	return w
}

// in returns the same world inside a subtest: with its own alice and its own settings, on the same
// store. A subtest must undo what it does to others' rows.
func (w *world) in(t *testing.T) *world {
	c, i := *w, *w.Issuer
	c.TB, c.Issuer = t, &i
	return &c
}

// another gives the world another alice.
func (w *world) another() {
	w.Helper()
	w.alice = w.user(newID() + "@example.test")
}

// replica joins a fresh issuer and a fresh key manager to the world's store, as
// a restart does.
func (w *world) replica() {
	w.Helper()
	kek, err := jose.ParseKEK(keystest.KEK)
	if err != nil {
		w.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if _, measured := w.TB.(*testing.B); measured {
		log = slog.New(slog.DiscardHandler)
	}
	generate := keystest.Generator()
	if w.ring != nil {
		generate = w.ring.Generate
	}
	w.ring = &keys.Manager{
		Store: w.db,
		Policy: keys.Policy{
			Algorithms: []string{jose.RS256, jose.EdDSA}, Rotation: 720 * time.Hour, Propagation: time.Hour,
			JWKSMaxAge: 5 * time.Minute, ClockSkew: time.Minute, LongestLifetime: 20 * time.Minute,
			RefreshAbsolute: 720 * time.Hour,
		},
		KEKs: []jose.KEK{kek}, Now: w.clock.Now, Generate: generate, Log: log,
		DatabaseNow: func(context.Context) (time.Time, error) { return w.clock.Now(), nil },
		TypesToSign: issuer.TokenTypes,
	}
	if err := w.ring.Start(w.Context()); err != nil {
		w.Fatal(err)
	}
	accounts := &userstore.Accounts{
		Store: w.store, Now: w.clock.Now, NewID: newID, Log: log, MinPassword: 15, SignupEnabled: true,
		Hasher: hashes.New(hashes.Params{MemoryKiB: 64, Time: 1, Threads: 1}, 2, 64, 10*time.Second),
		Throttle: &userstore.Throttle{Store: w.store, Secret: w.ring.BudgetSecret, SignupsPerNetwork: 1000,
			FailuresPerNetwork: 1000},
	}
	w.Issuer = &issuer.Issuer{
		URL: issuerURL, Accounts: accounts, Grants: w.store, Clients: w.store, Codes: w.store, Browsers: w.store,
		Consents: w.store, Subjects: w.store, Devices: w.store, Proofs: w.store, Keys: w.ring, Now: w.clock.Now, NewID: newID,
		Admission: issuer.NoAdmission, Cache: issuer.NoClientCache, Tokens: issuer.NewTokenCache(100),
		NewGrant: func() (id userstore.GrantID) { rand.Read(id[:]); return id },
		Log:      log,

		AccessAlg: jose.RS256, AccessLifetime: 10 * time.Minute, IDLifetime: 10 * time.Minute,
		RefreshAbsolute: 720 * time.Hour, RefreshIdle: 336 * time.Hour, ReuseWindow: time.Minute, ClockSkew: time.Minute,
		Resources: []issuer.Resource{
			{URI: apiURI, Scopes: []string{"api.read", "api.write"}, AccessAlg: jose.EdDSA, AccessLifetime: 5 * time.Minute},
			{URI: filesURI, Scopes: []string{"files"}, AccessAlg: jose.EdDSA},
			{URI: openURI},
		},
		UILocales: []string{"en", "de"},
	}
}

func (w *world) user(email string, roles ...string) userstore.User {
	w.Helper()
	u, err := w.Accounts.RegisterByOperator(w.Context(), userstore.OperatorUser{
		NewUser: userstore.NewUser{Email: email, Password: password}, Roles: roles,
	})
	if err != nil {
		w.Fatal(err)
	}
	return u
}

func (w *world) client(c userstore.Client) {
	w.Helper()
	c.CreatedAt = w.clock.Now()
	if c.Name == "" {
		c.Name = c.ID
	}
	if err := w.db.CreateClient(w.Context(), c); err != nil {
		w.Fatal(err)
	}
}

// wait moves the clock and lets the key set follow.
func (w *world) wait(d time.Duration) {
	w.Helper()
	w.clock.add(d)
	w.must(w.ring.Step(w.Context()))
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// login signs alice in.
func (w *world) login(scope string, resource ...string) issuer.TokenResponse {
	w.Helper()
	r, err := w.Login(w.Context(),
		issuer.LoginRequest{Email: w.alice.Email, Password: password, ClientID: "app", Scope: scope, Resource: resource})
	w.must(err)
	return r
}

func (w *world) refresh(token string) (issuer.TokenResponse, error) {
	return w.Refresh(context.Background(), issuer.RefreshRequest{RefreshToken: token, FirstParty: true})
}

// refreshed makes a refresh that has to work.
func (w *world) refreshed(token string) issuer.TokenResponse {
	w.Helper()
	r, err := w.refresh(token)
	w.must(err)
	return r
}

// refused wants an *issuer.Error with code and a sentence that OAuth may carry.
func (w *world) refused(err error, code issuer.Code) {
	w.Helper()
	var e *issuer.Error
	if !errors.As(err, &e) {
		w.Fatalf("got error %v, want an *issuer.Error with code %s", err, code)
	}
	if e.Code != code {
		w.Fatalf("got %s (%s; cause %v), want code %s", e.Code, e.Description, e.Cause, code)
	}
	for _, c := range []byte(e.Description) {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			w.Fatalf("description %q holds %q", e.Description, c)
		}
	}
	if !strings.HasSuffix(e.Description, ".") {
		w.Fatalf("description %q is no sentence", e.Description)
	}
}

// claims reads a token's payload without checking it.
func (w *world) claims(token string) map[string]any {
	w.Helper()
	parsed, err := jose.Parse(token)
	w.must(err)
	decoder := json.NewDecoder(bytes.NewReader(parsed.Payload))
	decoder.UseNumber()
	var c map[string]any
	w.must(decoder.Decode(&c))
	return c
}

// grantOf returns the id of the grant that a refresh token points to.
func (w *world) grantOf(refreshToken string) userstore.GrantID {
	w.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(w.claims(refreshToken)["grant"].(string))
	w.must(err)
	return userstore.GrantID(raw)
}

func (w *world) row(refreshToken string) userstore.Grant {
	w.Helper()
	view, err := w.db.GrantByID(w.Context(), w.grantOf(refreshToken))
	w.must(err)
	return view.Grant
}

// untouched runs fn and wants the grant behind refreshToken to be as before.
func (w *world) untouched(refreshToken string, fn func()) {
	w.Helper()
	before := w.row(refreshToken)
	fn()
	if after := w.row(refreshToken); !reflect.DeepEqual(before, after) {
		w.Fatalf("the grant changed\nfrom %+v\nto   %+v", before, after)
	}
}

// dead wants a grant that is revoked and a refresh that is refused.
func (w *world) dead(refreshToken string) {
	w.Helper()
	if w.row(refreshToken).RevokedAt.IsZero() {
		w.Fatal("the grant is still live")
	}
	_, err := w.refresh(refreshToken)
	w.refused(err, issuer.InvalidGrant)
}

// forge signs claims with a genuine key, as only a thief of signing keys could.
func (w *world) forge(alg, typ string, claims map[string]any) string {
	w.Helper()
	payload, err := json.Marshal(claims)
	w.must(err)
	return w.forgeRaw(alg, typ, string(payload))
}

func (w *world) forgeRaw(alg, typ, payload string) string {
	w.Helper()
	signer, err := w.ring.Signer(alg)
	w.must(err)
	token, err := signer.Sign(typ, []byte(payload))
	w.must(err)
	return token
}

// with copies claims with some replaced; nil removes one.
func with(claims map[string]any, changes map[string]any) map[string]any {
	out := maps.Clone(claims)
	for k, v := range changes {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

func newID() string {
	var raw [16]byte
	rand.Read(raw[:])
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) add(d time.Duration) { c.mu.Lock(); c.now = c.now.Add(d); c.mu.Unlock() }
