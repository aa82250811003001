package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/internal/testissuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// forTests is what `signet serve --test` changes in a server: a clock that moves, keys that sign
// anything, and the listener through which a test says so. In a server for people it is nil.
type forTests struct {
	controls *testissuer.Controls
	folder   string // of the database; it is removed at the end
}

// serveForTests runs an issuer that is made for one test run and leaves nothing behind.
func (a *app) serveForTests(ctx context.Context, c configs.Config, untilEOF bool) error {
	if err := checkForTests(c); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "signet-test-")
	if err != nil {
		return fmt.Errorf("the folder of the test database cannot be made: %s; set TMPDIR to a folder that this user "+
			"may write to", configs.FileReason(err))
	}
	defer os.RemoveAll(folder)
	if untilEOF {
		var stop context.CancelCauseFunc
		ctx, stop = context.WithCancelCause(ctx)
		defer stop(nil)
		go func() {
			_, _ = io.Copy(io.Discard, a.in) // an input that fails has ended, too
			stop(errInterrupted)             // as by Ctrl-C: there is no balancer to wait for
		}()
	}
	clock := testissuer.Running(a.now)
	a.now = clock.Now
	test := &forTests{folder: folder, controls: &testissuer.Controls{
		Clock: clock, Vault: &testissuer.Vault{Make: keys.GenerateKey},
	}}
	err = a.serve(ctx, settingsForTests(c, folder), serveOptions{test: test})
	if err != nil && ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, userstore.ErrUnavailable)) {
		return nil // it was ended while it started, which leaves a test nothing to complain of
	}
	return err
}

// ownData are the settings that lead to a real server's data and keys.
var ownData = []string{
	"database_url", "database_url_file", "database_migrate_url", "database_migrate_url_file", "data_dir",
	"keys.encryption_key", "keys.encryption_key_file", "keys.encryption_key_previous", "keys.encryption_key_previous_file",
}

// checkOwnData refuses what would let a test issuer touch a real one. source says where a key is given.
func checkOwnData(source func(key string) string) error {
	for _, key := range ownData {
		if from := source(key); from != "" {
			return misusef("a test issuer has a database and keys of its own, but %s is given (%s); take it away, or "+
				"leave out --test", key, from)
		}
	}
	return nil
}

// checkForTests refuses what would let a test issuer touch a real one, or anybody else reach it.
func checkForTests(c configs.Config) error {
	if err := checkOwnData(c.Source); err != nil {
		return err
	}
	for _, l := range []struct{ key, address string }{{"listen", c.Listen}, {"metrics.listen", c.Metrics.Listen}} {
		if c.Source(l.key) != "" && l.address != "" && !onThisMachine(l.address) {
			return misusef("a test issuer signs whatever it is asked to, so it listens on this machine alone; %s (%s) is "+
				"%s: set it to 127.0.0.1 and a port",
				l.key, c.Source(l.key), l.address)
		}
	}
	return nil
}

// settingsForTests returns the configuration of a test issuer: what is not given is chosen so that it
// starts fast, is in nobody's way, and bounds no test that signs up many people.
func settingsForTests(c configs.Config, folder string) configs.Config {
	unset := func(key string) bool { return c.Source(key) == "" }
	c.DataDir, c.DatabaseURL = folder, ""
	c.Accounts.Signup = c.Accounts.Signup || unset("accounts.signup")
	if unset("listen") {
		c.Listen = "127.0.0.1:0"
	}
	if unset("metrics.listen") {
		c.Metrics.Listen = ""
	}
	if unset("http.drain_notice") {
		c.HTTP.DrainNotice = 0
	}
	if unset("passwords.argon2.memory") && unset("passwords.argon2.time") {
		c.Passwords.Argon2 = configs.Argon2{Memory: 8 * configs.KiB, Time: 1, Threads: 1}
	}
	if unset("throttle.signups_per_network") {
		c.Throttle.SignupsPerNetwork = 0
	}
	if unset("throttle.failures_per_network") {
		c.Throttle.FailuresPerNetwork = 0
	}
	if unset("log.level") {
		c.Log.Level = "warn"
	}
	return c
}

// store returns the database as the server uses it.
func (t *forTests) store(db *sqlstore.DB) server.Store {
	return testissuer.Store{DB: db, Clock: t.controls.Clock}
}

// starting makes the test's clock and keys those of the manager, and returns what starts it.
func (t *forTests) starting(m *keys.Manager) func(context.Context) error {
	c := t.controls
	m.Generate = c.Vault.Generate
	m.DatabaseNow = func(context.Context) (time.Time, error) { return c.Clock.Now(), nil }
	c.Keys = m
	return c.Start
}

// announcement is the one line that a test issuer prints on standard output, for programs.
type announcement struct {
	Issuer  string `json:"issuer"`
	JWKS    string `json:"jwks_uri"`
	Control string `json:"control"`
	Token   string `json:"control_token"`
	Folder  string `json:"data_dir"`
}

// control serves the controls of a composed server on a listener of their own and announces it. It
// returns a function that ends it.
func (t *forTests) control(a *app, parts server.Parts, log *slog.Logger) (func(), error) {
	c := t.controls
	c.Issuer, c.Audience, c.Accounts, c.Grants = parts.Issuer.URL, parts.Issuer.URL, parts.Accounts, parts.Store
	c.Status = parts.Status
	if len(parts.Issuer.Audience) > 0 {
		c.Audience = parts.Issuer.Audience[0]
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the control address cannot be opened: %s", networkReason(err))
	}
	token := rand.Text() // 128 bits or more
	s := &http.Server{
		Handler: c.Handler(token, log), ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the test issuer is not controlled any more", "error", err)
		}
	}()
	line, err := json.Marshal(announcement{
		Issuer: c.Issuer, JWKS: c.Issuer + "/.well-known/jwks.json",
		Control: "http://" + listener.Addr().String(), Token: token, Folder: t.folder,
	})
	if err == nil {
		_, err = fmt.Fprintf(a.out, "%s\n", line)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("the control address cannot be announced: %w", err)
	}
	fmt.Fprintf(a.err, "A test issuer listens on %s until it is stopped; the line on standard output says how a "+
		"test controls it.\n", c.Issuer)
	return func() { s.Close() }, nil
}
