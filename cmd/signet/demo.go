package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/demo"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
	"github.com/signet-id/signet/userstore/sqlstore"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show what this is for: an issuer, a web app and an API on this machine",
		Long: `Show what this is for: an issuer, a web app and an API on this machine, and a page that
walks you through signing up, logging in, calling the API, rotating and revoking keys and
revoking a session.

Everything is in a temporary folder and listens on loopback only, on ports that are free.
Open the address that it prints. Ctrl-C or SIGTERM ends it and removes the folder. Only a
process that is killed at once (SIGKILL) leaves it: remove signet-demo-* there yourself.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			// A terminal that is closed must not leave the folder behind.
			ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
			defer stop()
			return a.demo(ctx)
		}),
	}
}

// demoSettings are the settings of the demo that are not given. The times are as short as the start
// allows, so that a visitor sees in seconds what takes an hour in real life.
var demoSettings = map[string]string{
	"listen":                       "127.0.0.1:0",
	"metrics.listen":               "",
	"keys.algorithms":              "RS256", // one algorithm is one row of keys to look at
	"keys.propagation":             "8s",
	"keys.jwks_max_age":            "1s",
	"clock_skew":                   "1s",
	"http.drain_notice":            "0s",
	"log.level":                    "warn",
	"pages.service_name":           "Signet",
	"status_lists.enabled":         "true",
	"throttle.signups_per_network": "0",
}

// demo gives the tour until ctx ends.
func (a *app) demo(ctx context.Context) (err error) {
	given := configs.Given(configs.Input{File: a.configFile, Env: a.env})
	if err := checkDemo(given); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "signet-demo-")
	if err != nil {
		return fmt.Errorf("no temporary folder can be made: %s; set TMPDIR to a folder that this user may write to", configs.FileReason(err))
	}
	defer func() { err = errors.Join(err, removeDemo(folder)) }()
	page, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("no port of 127.0.0.1 can be listened on: %s", networkReason(err))
	}
	defer page.Close()
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("no port of 127.0.0.1 can be listened on: %s", networkReason(err))
	}
	defer api.Close()

	flags := map[string]string{
		"data_dir":  filepath.Join(folder, "data"),
		"resources": fmt.Sprintf(`[{"uri": %q}]`, demo.APIURL(api)),
	}
	for key, value := range demoSettings {
		if given[key] == "" {
			flags[key] = value
		}
	}
	c, err := a.load(flags)
	if err != nil {
		return err
	}
	if !onThisMachine(c.Listen) {
		return misusef("the demo is for this machine alone, but listen (%s) is %s; set it to 127.0.0.1 and a port, or take it away", given["listen"], c.Listen)
	}
	return a.serveDemo(ctx, c, page, api)
}

// serveDemo runs the issuer, and beside it the web app and the API.
func (a *app) serveDemo(ctx context.Context, c configs.Config, page, api net.Listener) error {
	// The issuer ends last, so that no call of the tour fails.
	issuing, stopIssuer := context.WithCancel(context.WithoutCancel(ctx))
	defer stopIssuer()
	listening, ended := make(chan net.Addr, 1), make(chan error, 1)
	a.serving = func(bound net.Addr) { listening <- bound }
	go func() { ended <- a.serve(issuing, c, serveOptions{}) }()
	var bound net.Addr
	select {
	case err := <-ended:
		return err
	case bound = <-listening:
	}

	touring, stopTour := context.WithCancel(ctx)
	defer stopTour()
	toured := make(chan error, 1)
	go func() { toured <- a.tour(touring, c, bound, page, api) }()
	select {
	case err := <-ended: // the issuer cannot go on
		stopTour()
		return errors.Join(err, <-toured)
	case err := <-toured:
		stopIssuer()
		return errors.Join(err, <-ended)
	}
}

// tour registers the web app as a client, prints where the tour is, and gives it.
func (a *app) tour(ctx context.Context, c configs.Config, bound net.Addr, page, api net.Listener) error {
	log, lines := a.logger(c)
	defer lines.flush()
	client, secret, err := a.demoClient(ctx, page, api)
	if ctx.Err() != nil { // stopped before it began
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, `
A tour of Signet is at

  %s

An issuer (%s), a web app and an API run on this machine alone.
Everything is in %s. Ctrl-C ends it and leaves nothing behind.

`, demo.PageURL(page), c.IssuerURL(bound.String()), filepath.Dir(c.DataDir))
	return demo.Serve(ctx, demo.Config{
		Issuer: c.IssuerURL(bound.String()), ClientID: client.ID, ClientSecret: secret,
		Page: page, API: api, Operator: a.demoOperator(), Folder: c.DataDir, Log: log,
		Settings: demo.Settings{
			Propagation: c.Keys.Propagation, JWKSMaxAge: c.Keys.JWKSMaxAge, ClockSkew: c.ClockSkew,
			AccessLifetime: c.Tokens.AccessLifetime, StatusLists: c.StatusLists.Enabled,
		},
	})
}

// demoClient registers the web app, as "signet clients create" does.
func (a *app) demoClient(ctx context.Context, page, api net.Listener) (made userstore.Client, secret string, err error) {
	at := demo.PageURL(page)
	err = a.withClients(ctx, func(r *registration.Registry, _ *sqlstore.DB) error {
		client := userstore.Client{
			Name: "The tour", GrantTypes: []string{userstore.GrantAuthorizationCode, userstore.GrantRefreshToken},
			Resources: []string{demo.APIURL(api)},
		}
		client.RedirectURIs, client.PostLogoutRedirectURIs = []string{at + "/callback"}, []string{at + "/"}
		client.IDTokenClaims = true // the page greets by name, and needs no userinfo for that
		made, secret, err = r.Create(ctx, client, "")
		return err
	})
	return made, secret, err
}

// demoOperator does what the commands do that the page names.
func (a *app) demoOperator() demo.Operator {
	report := func(ctx context.Context, sealing bool, do func(*keys.Manager) (keys.Report, error)) (r keys.Report, err error) {
		err = a.withKeys(ctx, sealing, func(m *keys.Manager) error {
			r, err = do(m)
			return err
		})
		return r, err
	}
	return demo.Operator{
		Timeline: func(ctx context.Context) (keys.Report, error) {
			return report(ctx, false, func(m *keys.Manager) (keys.Report, error) { return m.Timeline(ctx) })
		},
		Rotate: func(ctx context.Context) (keys.Report, error) {
			ctx = audit.WithOrigin(ctx, operator())
			return report(ctx, true, func(m *keys.Manager) (keys.Report, error) { return m.Rotate(ctx, false) })
		},
		RevokeKey: func(ctx context.Context, kid string) (keys.Report, error) {
			ctx = audit.WithOrigin(ctx, operator())
			return report(ctx, true, func(m *keys.Manager) (keys.Report, error) { return m.Revoke(ctx, []string{kid}, false) })
		},
		RevokeSession: func(ctx context.Context, subject, session string) error {
			ctx = audit.WithOrigin(ctx, operator())
			return a.withUser(ctx, subject, func(accounts *userstore.Accounts, _ *sqlstore.DB, u userstore.User) error {
				return accounts.RevokeSession(ctx, u.ID, session)
			})
		},
	}
}

// checkDemo refuses settings of a real server: the demo must not touch its data, and must not take
// its place.
func checkDemo(given map[string]string) error {
	others := []string{"issuer", "mail.smtp", "http.tls_cert", "http.tls_key", "resources"}
	for _, key := range slices.Concat(ownData, others) {
		if from := given[key]; from != "" {
			return misusef("the demo keeps everything in a temporary folder of its own and is no server for others, but %s is given (%s); take it away, or run the demo where it is not given", key, from)
		}
	}
	return nil
}

// removeDemo removes the folder. The last message that is being written to it may be in the way.
func removeDemo(folder string) error {
	var err error
	for range 20 {
		if err = os.RemoveAll(folder); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the temporary folder cannot be removed: %s; remove %s yourself", configs.FileReason(err), folder)
}
