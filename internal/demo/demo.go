// Package demo is the tour that `signet demo` gives: one page that shows a stranger, step by step,
// what a token issuer is for.
//
// The page belongs to a web app that logs people in at the issuer, and that calls an API for them.
// Both are the examples that anybody may start from, docs/examples/webapp and docs/examples/api; the
// issuer is the one that `signet serve` runs. What no ordinary app has are the operator's buttons:
// each of them does what a command of `signet` does.
//
//	tour.go    what has happened: the steps, and the log of events
//	stream.go  the calls of the API, some every second
//	page.go    what the page shows
//	routes.go  the page, and its buttons
//
// There is one tour in a process, of whoever logged in last. It is for one machine and one person.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/signet-id/signet/docs/examples/api/endpoints"
	"github.com/signet-id/signet/docs/examples/webapp/login"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/verifier"
)

// Operator is what the operator's buttons do.
type Operator struct {
	Timeline      func(context.Context) (keys.Report, error)
	Rotate        func(context.Context) (keys.Report, error)
	RevokeKey     func(ctx context.Context, kid string) (keys.Report, error)
	RevokeSession func(ctx context.Context, subject, session string) error
}

// Settings are the times of the issuer that the page names. The demo's are short.
type Settings struct {
	Propagation    time.Duration // how long a key is published before it signs
	JWKSMaxAge     time.Duration // how long the API may use a key set that it has fetched
	ClockSkew      time.Duration
	AccessLifetime time.Duration
	StatusLists    bool // the API learns of revoked sessions while it verifies offline
}

// Config has the parts of a tour. All are required.
type Config struct {
	Issuer                 string
	ClientID, ClientSecret string
	Page, API              net.Listener // on loopback; Serve closes them
	Operator               Operator
	Settings               Settings
	Folder                 string // where the issuer keeps everything
	Log                    *slog.Logger
}

// PageURL returns where the tour's page is.
func PageURL(page net.Listener) string { return "http://" + page.Addr().String() }

// APIURL returns where the tour's API is. It is also the API's name in the audience of a token.
func APIURL(api net.Listener) string { return "http://" + api.Addr().String() }

// Serve gives the tour until ctx ends.
func Serve(ctx context.Context, c Config) error {
	checker, err := verifier.New(verifierConfig(c))
	if err != nil {
		return err
	}
	t := newTour(c)
	t.app, err = login.New(login.Config{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, URL: PageURL(c.Page),
		Scopes: []string{"profile", "email"}, Resource: APIURL(c.API), Problem: t.show, Log: c.Log,
	})
	if err != nil {
		return err
	}

	running, stop := context.WithCancel(ctx)
	defer stop()
	calling := make(chan struct{})
	go func() {
		defer close(calling)
		t.stream.run(running)
	}()
	failed := make(chan error, 2)
	page, api := serve(c.Page, t.handler(), failed), serve(c.API, endpoints.New(checker), failed)
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	stop()
	<-calling // before the API, so that no call fails
	return errors.Join(err, end(page), end(api))
}

// verifierConfig returns the configuration of the API's verifier. It asks for the key set more often
// than a real one, because the demo's keys change faster.
func verifierConfig(c Config) verifier.Config {
	return verifier.Config{
		Issuer: c.Issuer, Audience: []string{APIURL(c.API)}, ClockSkew: c.Settings.ClockSkew,
		Cooldown: 500 * time.Millisecond, Logger: c.Log,
	}
}

func serve(l net.Listener, h http.Handler, failed chan<- error) *http.Server {
	s := &http.Server{Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve on %s: %w", l.Addr(), err)
		}
	}()
	return s
}

// end gives requests that are under way a moment.
func end(s *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		return s.Close()
	}
	return nil
}
