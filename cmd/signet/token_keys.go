package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/inspect"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/keys"
)

// maxJWKS limits a foreign JWK set.
const maxJWKS = 1 << 20

// foreignKeys sets in.Keys to the JWK set in a file or at a URL.
func (a *app) foreignKeys(ctx context.Context, in *inspect.Input, from string) error {
	var text []byte
	var err error
	if scheme, _, ok := strings.Cut(strings.ToLower(from), "://"); ok && (scheme == "http" || scheme == "https") {
		text, err = fetch(ctx, from)
	} else {
		text, err = a.readInput(from, maxJWKS)
	}
	if err != nil {
		return err
	}
	keys, skipped, err := inspect.ForeignKeys(text)
	if err != nil {
		return fmt.Errorf("%s is not a JWK set: %w", from, err)
	}
	for _, s := range skipped {
		fmt.Fprintln(a.err, "signet: a key of the set is left out: "+sentence(s))
	}
	in.Keys = keys
	return nil
}

// ownKeys sets in.Keys and in.Own from the configured store. If the store cannot be opened, it
// prints why, and the token is inspected without the store.
func (a *app) ownKeys(ctx context.Context, in *inspect.Input) (done func(), err error) {
	c, db, err := a.store(ctx)
	if err != nil {
		fmt.Fprintln(a.err, "signet: without the store: "+sentence(err))
		return func() {}, nil
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	keks, err := commandKEKs(c, log)
	if err != nil { // without the key only the proof of refresh tokens cannot be checked
		fmt.Fprintln(a.err, "signet: without the key-encryption key: "+sentence(err))
	}
	manager := &keys.Manager{Store: db, Policy: c.KeyPolicy(), KEKs: keks, Now: a.now, DatabaseNow: db.Now}
	if in.Keys, err = inspect.OwnKeys(ctx, manager, in.Now); err != nil || in.Keys.ByID == nil {
		return db.Close, err
	}
	in.Own = issuerSettings(c, "")
	in.Own.URL = in.Issuer
	server.ForInspection(in.Own, accountSettings(c, ""), db, inspect.ReadOnly{Manager: manager}, a.now)
	return db.Close, nil
}

func fetch(ctx context.Context, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	switch {
	case err != nil: // its text would repeat the URL, and what stands in it
		return nil, misusef("what --jwks names is no URL; name a file, or a URL that begins with https:// or http://")
	case req.URL.User != nil:
		return nil, misusef("the URL of --jwks holds a user name or a password; leave them out, or fetch the set and name its file")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the JWK set at %s cannot be fetched: %s; check the URL", from, networkReason(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the JWK set at %s cannot be fetched: the answer was %d; check the URL", from, resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if err == nil && len(text) > maxJWKS {
		err = fmt.Errorf("the JWK set at %s is larger than 1 MiB", from)
	}
	return text, err
}
