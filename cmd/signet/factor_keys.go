package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// sealFactors lets accounts seal second factors. The keys are loaded when the first factor needs
// them, because a command that meets none needs no key-encryption key.
func (a *app) sealFactors(ctx context.Context, accounts *userstore.Accounts, db *sqlstore.DB) {
	load := sync.OnceValues(func() (*keys.Manager, error) { return a.factorKeys(ctx, db) })
	key := func(p keys.FactorPurpose) func() ([]byte, error) {
		return func() ([]byte, error) {
			m, err := load()
			if err != nil {
				return nil, err
			}
			return m.FactorKey(p)
		}
	}
	accounts.AppKey, accounts.RecoveryKey = key(keys.AuthenticatorApps), key(keys.RecoveryCodes)
}

// factorKeys loads the keys that are derived from the factor secret. It makes none: the server does.
func (a *app) factorKeys(ctx context.Context, db *sqlstore.DB) (*keys.Manager, error) {
	ring, err := db.LoadRing(ctx)
	if err != nil {
		return nil, err
	}
	if ring.FactorSecret == "" {
		return nil, errors.New("second factors are sealed under a secret that the store does not have yet; " +
			"start `signet serve` of this version once, which makes it, and then run the import again")
	}
	c, err := a.load(nil)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	keks, err := commandKEKs(c, log)
	if err == nil && len(keks) == 0 {
		err = errors.New("give it as keys.encryption_key, as `signet serve` has it")
	}
	if err != nil {
		return nil, fmt.Errorf("second factors cannot be sealed without the key-encryption key: %w", err)
	}
	m := &keys.Manager{Store: db, Policy: c.KeyPolicy(), KEKs: keks, Now: a.now, DatabaseNow: db.Now}
	if err := m.LoadView(ctx); err != nil {
		return nil, err
	}
	if _, err := m.FactorKey(keys.AuthenticatorApps); err != nil {
		return nil, fmt.Errorf("second factors cannot be sealed: %w", err)
	}
	return m, nil
}
