package issuer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
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
	w.root = w.user("root@example.test", issuer.RoleAdmin)
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
		Consents: w.store, Subjects: w.store, Devices: w.store, Keys: w.ring, Now: w.clock.Now, NewID: newID,
		Admission: issuer.NoAdmission, Cache: issuer.NoClientCache,
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

// logged keeps the log lines.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

// tokenLike matches every token, whole or without its signature.
var tokenLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`)

// holdNoSecret is O-03: no line that can be logged holds a secret, whatever a test did.
func (l *logged) holdNoSecret(tb testing.TB) {
	text := l.String()
	for _, secret := range []string{password, keystest.KEK, tokenLike.FindString(text), "$argon2id$"} {
		if i := strings.Index(text, secret); secret != "" && i >= 0 {
			tb.Errorf("O-03: the log holds a secret, after %q", text[max(0, i-200):i])
		}
	}
}

// count returns how many lines record event.
func (l *logged) count(event string) int {
	return strings.Count(l.String(), fmt.Sprintf(`"event":%q`, event))
}

// traced is a store that records every call and lets a test fail one, before or after it did its
// work. It names only the methods that the issuer uses; a test checks that it names all of them.
type traced struct {
	userstore.Store
	mu     sync.Mutex
	calls  []string
	before map[string]func() error
	after  map[string]func() error
	edit   func(*userstore.GrantView) // of what GrantByID and GrantBySession found
}

func (s *traced) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// on sets functions to run before and after calls of method; nil leaves that side alone.
func (s *traced) on(method string, before, after func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before == nil {
		s.before, s.after = map[string]func() error{}, map[string]func() error{}
	}
	s.before[method], s.after[method] = before, after
}

func once(fn func() error) func() error {
	var done sync.Once
	return func() (err error) { done.Do(func() { err = fn() }); return err }
}

func trace[T any](s *traced, method string, call func() (T, error)) (T, error) {
	s.mu.Lock()
	s.calls = append(s.calls, method)
	before, after := s.before[method], s.after[method]
	s.mu.Unlock()
	var zero T
	if before != nil {
		if err := before(); err != nil {
			return zero, err
		}
	}
	out, err := call()
	if err == nil && after != nil {
		if err := after(); err != nil {
			return zero, err
		}
	}
	return out, err
}

func trace0(s *traced, method string, call func() error) error {
	_, err := trace(s, method, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

type loginView struct {
	u     userstore.User
	known bool
	c     userstore.Client
}

func (s *traced) LoginView(ctx context.Context, l userstore.Login,
	clientID string) (userstore.User, bool, userstore.Client, error) {
	v, err := trace(s, "LoginView", func() (v loginView, err error) {
		v.u, v.known, v.c, err = s.Store.LoginView(ctx, l, clientID)
		return v, err
	})
	return v.u, v.known, v.c, err
}

func (s *traced) StartGrant(ctx context.Context, g userstore.StartGrant) error {
	return trace0(s, "StartGrant", func() error { return s.Store.StartGrant(ctx, g) })
}

func (s *traced) AdvanceGrant(ctx context.Context, a userstore.Advance) (userstore.GrantView, error) {
	return trace(s, "AdvanceGrant", func() (userstore.GrantView, error) { return s.Store.AdvanceGrant(ctx, a) })
}

func (s *traced) GrantByID(ctx context.Context, id userstore.GrantID) (userstore.GrantView, error) {
	return trace(s, "GrantByID", func() (userstore.GrantView, error) { return s.edited(s.Store.GrantByID(ctx, id)) })
}

func (s *traced) GrantBySession(ctx context.Context, id string) (userstore.GrantView, error) {
	return trace(s, "GrantBySession",
		func() (userstore.GrantView, error) { return s.edited(s.Store.GrantBySession(ctx, id)) })
}

func (s *traced) edited(v userstore.GrantView, err error) (userstore.GrantView, error) {
	if err == nil && s.edit != nil {
		s.edit(&v)
	}
	return v, err
}

func (s *traced) AnswerLate(ctx context.Context, id userstore.GrantID, generation, most int64,
	events ...audit.Event) error {
	return trace0(s, "AnswerLate", func() error { return s.Store.AnswerLate(ctx, id, generation, most, events...) })
}

func (s *traced) RevokeGrant(ctx context.Context, id userstore.GrantID, now time.Time, events ...audit.Event) error {
	return trace0(s, "RevokeGrant", func() error { return s.Store.RevokeGrant(ctx, id, now, events...) })
}

func (s *traced) ReserveAttempt(ctx context.Context, r userstore.Reserve) error {
	return trace0(s, "ReserveAttempt", func() error { return s.Store.ReserveAttempt(ctx, r) })
}

func (s *traced) Tallies(ctx context.Context, r userstore.Reserve) (userstore.Tallies, error) {
	return trace(s, "Tallies", func() (userstore.Tallies, error) { return s.Store.Tallies(ctx, r) })
}

func (s *traced) FailAttempt(ctx context.Context, a userstore.Attempt, events ...audit.Event) error {
	if a == (userstore.Attempt{}) { // a refusal that is recorded beside the request, whenever that is
		return s.Store.FailAttempt(ctx, a, events...)
	}
	return trace0(s, "FailAttempt", func() error { return s.Store.FailAttempt(ctx, a, events...) })
}

func (s *traced) ReturnAttempt(ctx context.Context, a userstore.Attempt) error {
	return trace0(s, "ReturnAttempt", func() error { return s.Store.ReturnAttempt(ctx, a) })
}

func (s *traced) UserByID(ctx context.Context, id string) (userstore.User, error) {
	return trace(s, "UserByID", func() (userstore.User, error) { return s.Store.UserByID(ctx, id) })
}

func (s *traced) UserByLogin(ctx context.Context, l userstore.Login) (userstore.User, error) {
	return trace(s, "UserByLogin", func() (userstore.User, error) { return s.Store.UserByLogin(ctx, l) })
}

func (s *traced) ClientByID(ctx context.Context, id string) (userstore.Client, error) {
	return trace(s, "ClientByID", func() (userstore.Client, error) { return s.Store.ClientByID(ctx, id) })
}

// wantCalls compares the calls since the last wantCalls.
func (w *world) wantCalls(want ...string) {
	w.Helper()
	if got := w.store.called(); !slices.Equal(got, want) {
		w.Fatalf("store calls %v, want %v", got, want)
	}
}
