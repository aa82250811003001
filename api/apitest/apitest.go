// Package apitest runs the whole server for tests: a real store, real keys, real
// tokens, the real handler behind httptest — and a clock to move.
//
//	s := apitest.New(t, apitest.Options{})
//	alice := s.SignUp("alice")
//	tokens := s.Login(alice)
//	s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(200, "")
//
// Whatever a test is about, every answer is held against the rules that all answers
// obey (check.go) and against openapi.json (openapi.go), and the log against the secrets
// that went through the server.
package apitest

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/backchannel"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/languages"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/registration"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// patience is how long a request, and what it waits for, may take. A machine may be slow; a test of
// what happens when time is over sets a time of its own.
const patience = time.Minute

// IssuerURL is the issuer of the servers here unless Options name another.
const IssuerURL = "https://id.test"

// Options are what a test may want otherwise.
type Options struct {
	DB        *sqlstore.DB             // nil: a fresh SQLite store
	Replicas  int                      // servers on the one store; 0: one
	IssuerURL string                   // empty: IssuerURL
	Resources []issuer.Resource        // registered resource servers
	Configure func(*Replica)           // last word before a replica starts
	Store     func(*sqlstore.DB) Store // nil: the DB itself; a test may stand in between

	PasskeyOrigins []string  // of apps that use passkeys
	StatusLists    bool      // tokens name a status list
	Random         io.Reader // where ids are drawn from; nil: the system's source
}

// Store is what an engine is to the server.
type Store = server.Store

// Server is one issuer: replicas on one store, and one clock for all of them.
type Server struct {
	T        testing.TB
	Clock    *Clock
	DB       *sqlstore.DB // what really happened, whatever stands between it and the replicas
	Replicas []*Replica
	Log      *Log

	// Around, if not nil, is called in place of each request. It sends the request, once or several
	// times, and returns the answer that the caller gets.
	Around func(q Request, send func(Request) *Response) *Response

	issuerPath string // of an issuer …/p
	secrets    *secrets
	made       *made
	letters    *letters
	opened     *opened
}

// made are the private keys that were generated, for Key.
type made struct {
	mu   sync.Mutex
	list []crypto.Signer
}

// Replica is one running server.
type Replica struct {
	API      *api.Server
	Issuer   *issuer.Issuer
	Accounts *userstore.Accounts
	Keys     *keys.Manager
	Mail     *mail.Worker        // nothing runs it: see Server.Letters
	Logouts  *backchannel.Sender // nothing runs it, and its Post reaches no app: see Server.Apps
	Status   *issuer.StatusLists // nil: off
	HTTP     *httptest.Server

	documents *DocumentHost // see Documents; nil: none
}

// Each runs fn on both engines.
func Each(t *testing.T, fn func(t *testing.T, s *Server), options ...func(*Options)) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		o := Options{DB: db}
		for _, set := range options {
			set(&o)
		}
		fn(t, New(t, o))
	})
}

// Configured returns an option of Each: configure comes after what earlier options configure.
func Configured(configure func(*Replica)) func(*Options) {
	return func(o *Options) {
		earlier := o.Configure
		o.Configure = func(r *Replica) {
			if earlier != nil {
				earlier(r)
			}
			configure(r)
		}
	}
}

// New starts a server that ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	if o.DB == nil {
		o.DB = sqltest.SQLite(t)
	}
	if o.IssuerURL == "" {
		o.IssuerURL = IssuerURL
	}
	issuer, err := url.Parse(o.IssuerURL)
	if err != nil {
		t.Fatal(err)
	}
	// Whole seconds, so that what tokens say and what the store keeps are equal.
	s := &Server{issuerPath: issuer.Path, T: t, DB: o.DB, Clock: &Clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}, Log: &Log{}, secrets: &secrets{}, made: &made{}, letters: &letters{}, opened: &opened{}}
	ready := keystest.Generator()
	generate := func(alg string) (crypto.Signer, error) {
		key, err := ready(alg)
		s.made.mu.Lock()
		defer s.made.mu.Unlock()
		s.made.list = append(s.made.list, key)
		return key, err
	}
	for range max(o.Replicas, 1) {
		s.Replicas = append(s.Replicas, s.replica(o, generate))
	}
	t.Cleanup(s.checkLog)
	return s
}

func (s *Server) replica(o Options, generate func(string) (crypto.Signer, error)) *Replica {
	t := s.T
	t.Helper()
	var store Store = o.DB
	if o.Store != nil {
		store = o.Store(o.DB)
	}
	log := slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	kek, err := jose.ParseKEK(keystest.KEK)
	if err != nil {
		t.Fatal(err)
	}
	const skew = time.Minute
	r := &Replica{}
	r.Keys = &keys.Manager{
		Store: store, KEKs: []jose.KEK{kek}, Now: s.Clock.Now, Generate: generate, Log: log, TypesToSign: issuer.TokenTypes,
		DatabaseNow: func(context.Context) (time.Time, error) { return s.Clock.Now(), nil },
		Policy: keys.Policy{
			Algorithms: []string{jose.RS256, jose.EdDSA}, Rotation: 720 * time.Hour, Propagation: time.Hour,
			JWKSMaxAge: 5 * time.Minute, ClockSkew: skew, LongestLifetime: 10 * time.Minute, RefreshAbsolute: 720 * time.Hour,
		},
	}
	pages := pagesUnder(t, s.issuerPath)
	r.Accounts = &userstore.Accounts{MinPassword: 15, SignupEnabled: true, Verification: userstore.VerificationOff}
	r.Issuer = &issuer.Issuer{
		URL:            o.IssuerURL,
		AccessLifetime: 10 * time.Minute, IDLifetime: 10 * time.Minute, RefreshAbsolute: 720 * time.Hour, RefreshIdle: 336 * time.Hour,
		ReuseWindow: time.Minute, ClockSkew: skew, Resources: o.Resources,
		SessionAbsolute: 720 * time.Hour, SessionIdle: 24 * time.Hour,
		UILocales: languages.Tags(),
	}
	r.API = &api.Server{
		JWKSMaxAge: 5 * time.Minute, JSONLogin: true, Timeout: patience, PasskeyOrigins: o.PasskeyOrigins,
	}
	if r.Mail, err = s.mail(o.IssuerURL); err != nil {
		t.Fatal(err)
	}
	r.Logouts = &backchannel.Sender{Post: func(context.Context, string, url.Values) (int, error) {
		return 0, errors.New("this test has no apps")
	}}
	if o.StatusLists {
		r.Status = &issuer.StatusLists{}
	}
	err = server.Compose(server.Parts{
		Store: store, Keys: r.Keys, Pages: pages, Now: s.Clock.Now, Log: log,
		// argon2id as cheap as it gets: what it costs is tested where it lives.
		Hasher: password.New(password.Params{MemoryKiB: 8, Time: 1, Threads: 1}, 4, 64, patience),
		// A budget of one account as everywhere; none of a network, for tests all come from one.
		Throttle:  &userstore.Throttle{Wait: patience},
		Admission: issuer.NoAdmission, Cache: issuer.NoClientCache,
		Mail: r.Mail, Logouts: r.Logouts, Status: r.Status, Random: o.Random,
		Ready: func(ctx context.Context) error {
			if err := r.Keys.Ready(); err != nil {
				return err
			}
			return store.Ping(ctx)
		},
		Accounts: r.Accounts, Issuer: r.Issuer, Clients: &registration.Registry{}, API: r.API,
	})
	if err != nil {
		t.Fatalf("compose the server: %v", err)
	}
	r.Mail.Now = func(context.Context) (time.Time, error) { return s.Clock.Now(), nil }
	r.Logouts.Now = r.Mail.Now
	t.Cleanup(r.Accounts.Throttle.Drain)
	if o.Configure != nil {
		o.Configure(r)
	}
	if err := r.Keys.Start(t.Context()); err != nil {
		t.Fatalf("start the keys: %v", err)
	}
	handler, err := r.API.Handler()
	if err != nil {
		t.Fatalf("make the handler: %v", err)
	}
	r.HTTP = httptest.NewUnstartedServer(handler)
	r.HTTP.Config.DisableGeneralOptionsHandler = true // as serve has it: `OPTIONS *` is ours as well
	r.HTTP.Config.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelError)
	r.HTTP.Start()
	t.Cleanup(r.HTTP.Close)
	return r
}

var madePages sync.Map // by base

// pagesUnder returns the pages of the test service, which are made once for all servers: nothing in
// them changes, and to parse and escape the templates of every language takes longer than all else
// that a server needs to start.
func pagesUnder(t testing.TB, base string) *web.Pages {
	t.Helper()
	if made, ok := madePages.Load(base); ok {
		return made.(*web.Pages)
	}
	pages, err := web.New(web.Options{Service: "Test", Base: base})
	if err != nil {
		t.Fatal(err)
	}
	madePages.Store(base, pages)
	return pages
}

// Advance moves the clock, in steps that a running server would have polled in.
func (s *Server) Advance(d time.Duration) {
	s.T.Helper()
	for d > 0 {
		step := min(d, 30*time.Minute)
		s.Clock.add(step)
		d -= step
		for _, r := range s.Replicas {
			if err := r.Keys.Step(s.T.Context()); err != nil {
				s.T.Fatalf("poll the keys: %v", err)
			}
			if r.Status == nil {
				continue
			}
			if err := r.Status.Step(s.T.Context()); err != nil {
				s.T.Fatalf("poll the status lists: %v", err)
			}
		}
	}
}

// Clock is moved by hand.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is what the servers take for the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move moves the clock alone, by little: nobody polls the keys.
func (c *Clock) Move(d time.Duration) { c.add(d) }

func (c *Clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// User is somebody who signed up.
type User struct {
	Email, Password, ID string
}

// SignUp makes an account for name@example.test with a password of its own.
func (s *Server) SignUp(name string) User {
	s.T.Helper()
	u := User{Email: name + "@example.test", Password: s.Secret("planted password of " + name + " " + server.NewID())}
	var profile struct {
		Sub string `json:"sub"`
	}
	s.Do(Request{Method: "POST", Path: "/v1/signup", Body: Fields{"email": u.Email, "password": u.Password}}).Want(http.StatusCreated, "").JSON(&profile)
	u.ID = profile.Sub
	return u
}

// Give gives a user roles, as an operator would.
func (s *Server) Give(u User, roles ...string) {
	s.T.Helper()
	_, err := s.Replicas[0].Accounts.EditByOperator(s.T.Context(), u.ID, func(u *userstore.User) error {
		u.Roles = append(u.Roles, roles...)
		return nil
	})
	if err != nil {
		s.T.Fatalf("give %v: %v", roles, err)
	}
}

// Admin makes an account with the role admin and signs in to administer.
func (s *Server) Admin(name string) (User, Tokens) {
	s.T.Helper()
	u := s.SignUp(name)
	s.Give(u, "admin")
	return u, s.Login(u, Fields{"scope": "profile admin"})
}

// Tokens is a token response.
type Tokens struct {
	Access    string `json:"access_token"`
	Type      string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"`
	Refresh   string `json:"refresh_token"`
	ID        string `json:"id_token"`
	Scope     string `json:"scope"`
}

// Login signs in; more is merged into the request.
func (s *Server) Login(u User, more ...Fields) Tokens {
	s.T.Helper()
	body := Fields{"email": u.Email, "password": u.Password}
	for _, m := range more {
		for name, value := range m {
			body[name] = value
		}
	}
	var tokens Tokens
	s.Do(Request{Method: "POST", Path: "/v1/login", Body: body}).Want(http.StatusOK, "").JSON(&tokens)
	return tokens
}

// Refresh presents a refresh token.
func (s *Server) Refresh(token string) *Response {
	s.T.Helper()
	return s.Do(Request{Method: "POST", Path: "/v1/refresh", Body: Fields{"refresh_token": token}})
}

// Snapshot is every user and every live grant, as text to compare: what a refused
// request must leave as it is.
func (s *Server) Snapshot() string {
	s.T.Helper()
	ctx := context.Background()
	var out []any
	for page, err := range userstore.UserPages(ctx, s.DB, userstore.UserQuery{Limit: 100}) {
		if err != nil {
			s.T.Fatalf("snapshot: %v", err)
		}
		for _, u := range page.Users {
			grants, err := s.DB.ListGrants(ctx, u.ID, s.Clock.Now(), time.Time{})
			if err != nil {
				s.T.Fatalf("snapshot: %v", err)
			}
			out = append(out, u, grants)
		}
	}
	text, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		s.T.Fatal(err)
	}
	return string(text)
}

// Unchanged fails the test when fn changes a user or a grant.
func (s *Server) Unchanged(fn func()) {
	s.T.Helper()
	before := s.Snapshot()
	fn()
	if after := s.Snapshot(); after != before {
		s.T.Errorf("the store changed:\nbefore %s\nafter %s", before, after)
	}
}

func random() (b [16]byte) {
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return b
}

// With is the server under a subtest's own T, so that a failure is its own.
func (s *Server) With(t testing.TB) *Server {
	c := *s
	c.T = t
	return &c
}
