package testissuer

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/signet-id/signet/api"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/registration"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// Options say how a test issuer differs from one with the default configuration.
type Options struct {
	Clock    *Clock
	Make     func(alg string) (crypto.Signer, error) // makes its keys
	Audience string                                  // of access tokens; empty: the issuer itself

	// URL is the issuer identifier, whose host and port, of this machine, are listened on. Empty: any
	// port of 127.0.0.1.
	URL        string
	JWKSMaxAge time.Duration // keys.jwks_max_age; zero: 5 minutes

	StatusLists bool // status_lists.enabled
}

// Issuer is a running test issuer, joined as `signet serve` is.
type Issuer struct {
	Controls
	URL     string // the issuer identifier, which is also its address
	Clients *registration.Registry

	http   *http.Server
	folder string
	db     *sqlstore.DB
	drain  func()
	around func(next http.Handler) http.Handler
}

// Start starts an issuer. around, unless it is nil, gets the production handler and returns the one that
// answers.
func Start(ctx context.Context, o Options, around func(http.Handler) http.Handler) (_ *Issuer, err error) {
	i := &Issuer{around: around, drain: func() {}}
	defer func() {
		if err != nil {
			i.Close()
		}
	}()
	listener, err := listen(o.URL)
	if err != nil {
		return nil, err
	}
	if i.URL = o.URL; o.URL == "" {
		i.URL = "http://" + listener.Addr().String()
	}
	handler, err := i.compose(ctx, o)
	if err != nil {
		listener.Close()
		return nil, err
	}
	i.http = &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, DisableGeneralOptionsHandler: true,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = i.http.Serve(listener) }() // until Close
	return i, nil
}

// listen opens the listener for an issuer identifier.
func listen(issuerURL string) (net.Listener, error) {
	address := "127.0.0.1:0"
	if issuerURL != "" {
		u, err := url.Parse(issuerURL)
		if err != nil || u.Scheme != "http" || u.Port() == "" || u.String() != "http://"+u.Host {
			return nil, &InvalidError{Code: "invalid_issuer",
				Reason: "the URL of a test issuer is http:// and a host and port of this machine, such as http://127.0.0.1:9999"}
		}
		address = u.Host
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the test issuer cannot listen on %s: %w", address, err)
	}
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		listener.Close()
		return nil, &InvalidError{Code: "invalid_issuer",
			Reason: "a test issuer signs whatever it is asked to, so it listens on this machine alone, and " + address +
				" is reached from others"}
	}
	return listener, nil
}

// Close stops the issuer and removes its database.
func (i *Issuer) Close() {
	if i.http != nil {
		i.http.Close()
	}
	i.drain()
	if i.db != nil {
		i.db.Close()
	}
	if i.folder != "" {
		os.RemoveAll(i.folder)
	}
}

// Store is a store whose clock is the test's.
type Store struct {
	*sqlstore.DB
	Clock *Clock
}

// Now returns the time of the test's clock in the place of the database's.
func (s Store) Now(context.Context) (time.Time, error) { return s.Clock.Now(), nil }

const (
	clockSkew       = time.Minute
	refreshAbsolute = 720 * time.Hour
)

// compose joins the parts of the server, with the defaults of the configuration.
func (i *Issuer) compose(ctx context.Context, o Options) (http.Handler, error) {
	if o.JWKSMaxAge == 0 {
		o.JWKSMaxAge = 5 * time.Minute
	}
	if o.Audience == "" {
		o.Audience = i.URL
	}
	if err := i.open(ctx); err != nil {
		return nil, err
	}
	kek, err := jose.ParseKEK(jose.NewKEK())
	if err != nil {
		return nil, err
	}
	pages, err := englishPages()
	if err != nil {
		return nil, err
	}
	db, log := Store{i.db, o.Clock}, slog.New(slog.DiscardHandler)
	vault := &Vault{Make: o.Make}
	manager := &keys.Manager{
		Store: db, KEKs: []jose.KEK{kek}, Now: o.Clock.Now, DatabaseNow: db.Now, Generate: vault.Generate, Log: log,
		TypesToSign: issuer.TokenTypes,
		Policy: keys.Policy{
			Algorithms: []string{jose.RS256, jose.EdDSA}, Rotation: 720 * time.Hour, Propagation: time.Hour,
			JWKSMaxAge: o.JWKSMaxAge, ClockSkew: clockSkew, LongestLifetime: lifetime, RefreshAbsolute: refreshAbsolute,
		},
	}
	throttle := &userstore.Throttle{Wait: time.Minute} // tests all come from one network
	i.drain = throttle.Drain
	endpoints := &api.Server{JWKSMaxAge: o.JWKSMaxAge, JSONLogin: true, Timeout: time.Minute}
	parts := server.Parts{
		Store: db, Keys: manager, Pages: pages, Now: o.Clock.Now, Log: log,
		Hasher:   password.New(password.Params{MemoryKiB: 8, Time: 1, Threads: 1}, 4, 64, time.Minute), // as cheap as it gets
		Throttle: throttle, Admission: issuer.NoAdmission, Cache: issuer.NoClientCache,
		Mail:     &mail.Worker{Way: mail.Absent},
		Ready:    func(ctx context.Context) error { return errors.Join(manager.Ready(), i.db.Ping(ctx)) },
		Accounts: &userstore.Accounts{MinPassword: 15, SignupEnabled: true, Verification: userstore.VerificationOff},
		Issuer: &issuer.Issuer{
			URL: i.URL, Audience: []string{o.Audience}, AccessLifetime: lifetime, IDLifetime: lifetime,
			RefreshAbsolute: refreshAbsolute, RefreshIdle: 336 * time.Hour, ReuseWindow: time.Minute, ClockSkew: clockSkew,
			SessionAbsolute: 720 * time.Hour, SessionIdle: 24 * time.Hour, UILocales: []string{"en"},
		},
		Clients: &registration.Registry{}, API: endpoints,
	}
	if o.StatusLists {
		parts.Status = &issuer.StatusLists{}
	}
	if err := server.Compose(parts); err != nil {
		return nil, fmt.Errorf("compose the server: %w", err)
	}
	i.Controls = Controls{
		Issuer: i.URL, Audience: o.Audience, Clock: o.Clock, Vault: vault, Keys: manager, Accounts: parts.Accounts,
		Grants: db, Status: parts.Status,
	}
	i.Clients = parts.Clients
	if err := i.Controls.Start(ctx); err != nil {
		return nil, fmt.Errorf("start the signing keys: %w", err)
	}
	handler, err := endpoints.Handler()
	if err != nil {
		return nil, fmt.Errorf("compose the server: %w", err)
	}
	dated := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", o.Clock.Now().UTC().Format(http.TimeFormat)) // verifiers compare answers by it
		handler.ServeHTTP(w, r)
	})
	if i.around != nil {
		return i.around(dated), nil
	}
	return dated, nil
}

// englishPages are made once for all issuers of a process: nothing in them changes, and to parse the
// templates takes longer than all else that a server needs to start.
var englishPages = sync.OnceValues(func() (*web.Pages, error) {
	return web.New(web.Options{Service: "Signet", Languages: []string{"en"}})
})

// open opens a fresh database.
func (i *Issuer) open(ctx context.Context) (err error) {
	empty, err := migrated()
	if err != nil {
		return err
	}
	if i.folder, err = os.MkdirTemp("", "signet-test-"); err != nil {
		return err
	}
	path := filepath.Join(i.folder, "signet.db")
	if err := os.WriteFile(path, empty, 0o600); err != nil {
		return err
	}
	i.db, err = sqlstore.Open(ctx, path, sqlstore.Options{MustExist: true})
	return err
}

// migrated returns the bytes of a database that has its schema and nothing else. It is made once for all
// issuers of a process, because the migrations take longer than all else that is left of a start.
var migrated = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "signet-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "signet.db")
	db, err := sqlstore.Open(context.Background(), path, sqlstore.Options{})
	if err != nil {
		return nil, err
	}
	err = db.Migrate(context.Background())
	db.Close() // which moves everything into the one file
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		return nil, errors.New("the database of the schema is in two files")
	}
	return os.ReadFile(path)
})
