package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/api"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/backchannel"
	"github.com/signet-id/signet/internal/counts"
	"github.com/signet-id/signet/internal/gcroom"
	"github.com/signet-id/signet/internal/logos"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// garbage is what the collector waits for. What lives is some 10 MB, so that without it the
// collector came ten times a second, and took a tenth of the processor.
const garbage = 32 << 20

func (a *app) serveCommand() *cobra.Command {
	var o serveOptions
	var test, untilEOF bool
	flags := map[string]*string{} // key → text
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the issuer",
		Long: `Run the issuer.

With the embedded database it makes what is missing: the folder, the database, the
key-encryption key beside it, and the first signing keys. With PostgreSQL the schema
is "signet migrate up"'s affair, or --migrate's, and the key-encryption key is given.

SIGTERM ends it: /readyz says no at once, connections are still accepted for
http.drain_notice (5 seconds), requests that are under way are finished, and after at
most 10 seconds more it exits. SIGINT (Ctrl-C) does the same, but does not wait when no
connection is open. A second signal ends it at once.

With --test it is an issuer for the tests of other programs: on loopback only, with a
database that is removed at the end (but not after SIGKILL), and with a second address,
printed as one line of JSON, by which a test moves the clock, makes any token, rotates
and revokes.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&o.migrate, "migrate", false, "bring the schema up to date before serving (the embedded database always is)")
	cmd.Flags().BoolVar(&test, "test", false, "be an issuer for tests: on loopback, with a temporary database, controlled by the test")
	cmd.Flags().BoolVar(&untilEOF, "until-eof", false, "with --test: end when standard input ends, so when the program that started it does")
	for _, f := range []struct{ key, name, usage string }{
		{"listen", "listen", "listen on this `address` (default 127.0.0.1:8080)"},
		{"issuer", "issuer", "the `URL` under which clients reach this server (default http://localhost and the port)"},
		{"data_dir", "data-dir", "keep the embedded database in this `folder` (default data)"},
		{"log.format", "log-format", "`auto`, text or json"},
		{"log.level", "log-level", "debug, `info`, warn or error"},
	} {
		flags[f.key] = cmd.Flags().String(f.name, "", f.usage)
	}
	names := map[string]string{"listen": "listen", "issuer": "issuer", "data_dir": "data-dir", "log.format": "log-format", "log.level": "log-level"}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		values := map[string]string{}
		for key, value := range flags {
			if cmd.Flags().Changed(names[key]) {
				values[key] = *value
			}
		}
		return action(func(ctx context.Context, _ []string) error {
			c, err := a.load(values)
			switch {
			case err != nil && test:
				// Half a configuration of a real server is no reason to complete it.
				given := configs.Given(configs.Input{File: a.configFile, Env: a.env, Flags: values})
				return cmp.Or(checkOwnData(func(key string) string { return given[key] }), err)
			case err != nil:
				return err
			case test:
				return a.serveForTests(ctx, c, untilEOF)
			case untilEOF:
				return misusef("--until-eof is for an issuer for tests; give --test as well")
			}
			return a.serve(ctx, c, o)
		})(cmd, args)
	}
	return cmd
}

// serveOptions are what the command line says beside the configuration.
type serveOptions struct {
	migrate bool
	test    *forTests // nil: the server is for people
}

// serve is the composition root. It returns when ctx has ended and all running work is finished.
func (a *app) serve(ctx context.Context, c configs.Config, o serveOptions) error {
	// A reader of our output that goes away must not end the server: by default a Go program dies
	// of SIGPIPE on standard output and standard error.
	signal.Ignore(syscall.SIGPIPE)
	if !isTerminal(a.in) {
		signal.Ignore(syscall.SIGHUP) // there is no terminal to hang up
	}
	ctx = audit.WithOrigin(ctx, system) // the operator only started the server
	log, lines := a.logger(c)
	defer lines.flush()

	files, err := readServeFiles(c)
	if err != nil {
		return err
	}
	texts, err := readMailTexts(c)
	if err != nil {
		return err
	}
	db, keks, fresh, err := a.openForServing(ctx, c, o.migrate, log)
	if err != nil {
		return err
	}
	defer db.Close()

	// Background work goes on until the last request is answered.
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stopBackground()

	manager := &keys.Manager{
		Store:          db,
		Policy:         c.KeyPolicy(),
		KEKs:           keks,
		Now:            a.now,
		DatabaseNow:    db.Now,
		Generate:       keys.GenerateKey,
		Log:            log,
		TypesToSign:    issuer.TokenTypes,
		AlgorithmInUse: registeredFor(db),
	}
	var store server.Store = db
	start := manager.Start
	if o.test != nil {
		store, start = o.test.store(db), o.test.starting(manager)
	}
	if err := start(ctx); err != nil {
		return fmt.Errorf("start the signing keys: %w", err)
	}

	listener, err := listen(c)
	if err != nil {
		return err
	}
	defer listener.Close()

	slots := c.Passwords.Slots() // before spareProcessors: it counts the real processors
	hasher := newHasher(c, slots)
	admission := issuer.NewAdmission(0, 0) // likewise
	spareProcessors(a.env)
	fetcher, err := newOutbound(c, files)
	if err != nil {
		return err
	}
	iss := issuerSettings(c, listener.Addr().String())
	iss.SoftwareIssuers = softwareIssuers(c, files)
	pages, err := web.New(web.Options{
		Service:   c.Service(),
		Base:      iss.Path(),
		Theme:     files.stylesheet,
		Logo:      files.logo,
		Languages: c.Pages.Languages,
	})
	if err != nil {
		return fmt.Errorf("prepare the pages: %w", err)
	}
	throttle := &userstore.Throttle{
		Wait:               hashWait,
		AtOnce:             slots,
		SignupsPerNetwork:  c.Throttle.SignupsPerNetwork,
		FailuresPerNetwork: c.Throttle.FailuresPerNetwork,
		FailuresPerBlock:   c.FailuresPerBlock(),

		RegistrationsPerNetwork: c.Throttle.RegistrationsPerNetwork,
		Registrations:           c.Throttle.Registrations,
	}
	defer throttle.Drain()
	mailer, err := newMail(c, listener.Addr().String(), texts, files)
	if err != nil {
		return err
	}
	logouts := &backchannel.Sender{Post: fetcher.Post}
	documents := documentSettings(c, documentsBy(fetcher))
	issued, people, swept := &issuer.Counts{}, &userstore.Counts{}, &counts.Words{}
	metrics := newMetrics(metricParts{
		hasher: hasher, keys: manager, db: db, mail: mailer, logouts: logouts, admission: admission, throttle: throttle,
		documents: documents, issued: issued, accounts: people, swept: swept, now: a.now,
	})
	recorder, stopTraces, err := newTraces(ctx, c, log)
	if err != nil {
		return err
	}
	defer stopTraces()
	metrics.addTraces(recorder)
	var stopping atomic.Bool
	endpoints := &api.Server{
		JWKSMaxAge:     c.Keys.JWKSMaxAge,
		JSONLogin:      c.Accounts.JSONLogin,
		CORSOrigins:    c.HTTP.CORSOrigins,
		PasskeyOrigins: c.Passkeys.Origins,
		TrustedProxies: c.HTTP.TrustedProxies,

		TracesOfProxies: c.Traces.FromProxies,
	}
	parts := server.Parts{
		Store:      store,
		Keys:       manager,
		Hasher:     hasher,
		Pages:      pages,
		Now:        a.now,
		Log:        log,
		Throttle:   throttle,
		Admission:  admission,
		Cache:      &issuer.ClientCache{MaxAge: time.Second},
		Mail:       mailer,
		ClientKeys: &issuer.ClientKeys{Fetch: fetcher.Get},
		Objects:    &issuer.RequestObjects{Fetch: fetcher.Get},
		Documents:  documents,
		Logouts:    logouts,
		Logos:      logos.New(logosBy(fetcher), a.now),
		Ready:      readiness(&stopping, manager, db),
		Metrics:    metrics,
		Issued:     issued,
		People:     people,
		Accounts:   accountSettings(c, listener.Addr().String()),
		Issuer:     iss,
		Clients:    clientSettings(c, sectorsBy(fetcher)),
		API:        endpoints,
	}
	if c.StatusLists.Enabled {
		parts.Status = &issuer.StatusLists{}
	}
	if recorder != nil {
		parts.Traces = recorder
	}
	if err := server.Compose(parts); err != nil {
		return fmt.Errorf("compose the server: %w", err)
	}
	handler, err := endpoints.Handler()
	if err != nil {
		return fmt.Errorf("compose the server: %w", err)
	}
	public := newPublicServer(handler, log)
	if err := public.useTLS(background, &running, c, log); err != nil {
		return err
	}
	closeMetrics, err := serveMetrics(c, metrics, log)
	if err != nil {
		return err
	}
	defer closeMetrics()

	running.Go(func() { manager.Run(background) })
	if parts.Status != nil {
		running.Go(func() { parts.Status.Run(background) })
	}
	// A server that stops claims no more messages and logouts, and finishes those that it is sending.
	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	running.Go(func() { mailer.Run(sending) })
	running.Go(func() { logouts.Run(sending) })
	running.Go(func() {
		sweep(background, sweptStore{db, swept}, paceOf(db), manager.Ready, c.Audit.Retention, log)
	})
	running.Go(func() { indexNames(background, db, manager.Ready, log) })

	defer gcroom.Hold(gcroom.Room{Bytes: garbage})()

	warnOfUnknownClients(ctx, db, iss.Resources, log) // before serving, so before the server can be stopped

	logMail(mailer, log)
	logVerification(c, log)
	logSearch(ctx, db, log)

	served := make(chan error, 1)
	go func() { served <- public.serve(listener) }()
	log.Info("serving", "version", buildVersion().Version, "listen", listener.Addr().String(), "issuer", iss.URL, "store", storeName(c))
	if c.Source("issuer") == "" && !loopback(listener.Addr()) {
		log.Warn("the issuer is "+iss.URL+", which other machines cannot reach; set issuer to the URL that they use", "listen", listener.Addr().String())
	}
	notifySupervisor(a.env, "READY=1", log)
	if o.test != nil {
		endControl, err := o.test.control(a, parts, log)
		if err != nil {
			return err
		}
		defer endControl()
	} else if a.serving != nil {
		a.serving(listener.Addr())
	} else if fresh {
		lines.waitUntilWritten()
		a.welcome(c, localURL(c, listener.Addr()))
	}

	select {
	case err := <-served:
		return fmt.Errorf("serve on %s: %w", c.Listen, err)
	case <-ctx.Done():
	}
	stopping.Store(true)
	notifySupervisor(a.env, "STOPPING=1", log)
	public.drain(c.HTTP.DrainNotice, errors.Is(context.Cause(ctx), errInterrupted), log)
	return nil
}

// readiness returns a function that returns nil if requests should be sent to this server. It asks
// the store for an answer, and the key manager how old its keys are.
func readiness(stopping *atomic.Bool, manager *keys.Manager, db *sqlstore.DB) func(context.Context) error {
	return func(ctx context.Context) error {
		if stopping.Load() {
			return api.ErrStopping
		}
		return errors.Join(db.Ping(ctx), manager.Ready())
	}
}

// logVerification says that addresses have to be proved: after an update this may be so because of
// mail.smtp alone, and people with an unverified account notice.
func logVerification(c configs.Config, log *slog.Logger) {
	if verification(c) != userstore.VerificationRequired {
		return
	}
	why := "it is configured"
	if c.Source("accounts.email_verification") == "" {
		why = "mail.smtp is set"
	}
	log.Info("accounts.email_verification is required: accounts are made when the address is proved, and those with "+
		"an unverified address sign in once it is; set it to optional to change that", "because", why)
}

// warnOfUnknownClients warns about introspection clients that are not registered. If an operator
// misspells one, the real client only ever learns that no token is active.
func warnOfUnknownClients(ctx context.Context, db userstore.Clients, resources []issuer.Resource, log *slog.Logger) {
	for _, r := range resources {
		for _, id := range r.IntrospectionClients {
			if _, err := db.ClientByID(ctx, id); errors.Is(err, userstore.ErrNotFound) {
				log.Warn("introspection_clients of "+r.URI+" names a client that is not registered; it will hear of no token until it is", "client_id", id)
			}
		}
	}
}

// spareProcessors raises GOMAXPROCS by two, unless the operator has set it. Otherwise, while every
// processor hashes a password, other requests wait for Go's scheduler, which interrupts a hash only
// after 10 ms. With two more threads the kernel schedules, and it runs short work first (200 logins
// in flight on two cores: the key set's p99 falls from 97 to 18 ms, and logins lose nothing).
func spareProcessors(env []string) {
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "GOMAXPROCS=") }) {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
}

// registeredFor names a client that is registered for an algorithm, and by which member; empty:
// there is none. Only clients are asked: the configuration checks the resources' algorithms.
func registeredFor(clients userstore.Clients) func(ctx context.Context, alg string) (string, error) {
	return func(ctx context.Context, alg string) (string, error) {
		uses, err := clients.ClientsWithAlgorithm(ctx, alg)
		if err != nil || len(uses) == 0 {
			return "", err
		}
		return "client " + uses[0].ClientID + " (" + uses[0].Member + ")", nil
	}
}
