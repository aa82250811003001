package sqlstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const consentColumns = `user_id, client_id, scopes, resources, created_at, updated_at`

func scanConsent(s scanner) (c userstore.Consent, err error) {
	var scopes, resources string
	var created, updated int64
	if err := s.Scan(&c.UserID, &c.ClientID, &scopes, &resources, &created, &updated); err != nil {
		return c, err
	}
	if c.Scopes, err = unlist(scopes); err != nil {
		return c, err
	}
	c.Resources, err = unlist(resources)
	c.CreatedAt, c.UpdatedAt = instant(created), instant(updated)
	return c, err
}

func (db *DB) ConsentOf(ctx context.Context, userID, clientID string) (c userstore.Consent, err error) {
	err = db.one(ctx, bind(`SELECT `+consentColumns+` FROM consents WHERE user_id = $1 AND client_id = $2`, userID, clientID),
		func(s scanner) error {
			c, err = scanConsent(s)
			return err
		})
	return c, err
}

const listConsents = `SELECT ` + consentColumns + ` FROM consents WHERE user_id = $1 ORDER BY created_at DESC, client_id LIMIT 1000`

func (db *DB) ListConsents(ctx context.Context, userID string) ([]userstore.Consent, error) {
	var all []userstore.Consent
	err := db.rows(ctx, bind(listConsents, userID), func() { all = nil }, func(s scanner) error {
		c, err := scanConsent(s)
		all = append(all, c)
		return err
	})
	return all, unknown(err, nil)
}

// RevokeConsent locks the user's row first, as RedeemCode does: a code that is being redeemed at this
// moment is either a grant by then, and revoked here, or is void without the consent. Each statement
// before the last asks for the consent, so that without one nothing changes.
func (db *DB) RevokeConsent(ctx context.Context, userID, clientID string, now time.Time, events ...audit.Event) error {
	const consented = ` AND EXISTS (SELECT 1 FROM consents k WHERE k.user_id = $ AND k.client_id = $)`
	both := func(args ...any) []any { return append(args, userID, clientID) }
	steps := []stmt{
		bind(numbered(`UPDATE users SET last_session_id = '' WHERE id = $`+consented), both(userID)...),
		bind(numbered(`DELETE FROM codes WHERE user_id = $ AND client_id = $ AND used_at = 0`+consented), both(userID, clientID)...),
		bind(numbered(`UPDATE grants SET revoked_at = $ WHERE user_id = $ AND client_id = $ AND revoked_at = 0`+consented), both(micros(now), userID, clientID)...),
	}
	steps = append(steps, storeEventsIf(storeEventOfConsent, eventRows(events), userID, clientID)...)
	steps = append(steps, bind(`DELETE FROM consents WHERE user_id = $1 AND client_id = $2`, userID, clientID))
	if storables(steps) != nil {
		return userstore.ErrNotFound
	}
	return db.act(ctx, true, func(ctx context.Context, again bool) error {
		n, err := db.engine.batch(ctx, steps)
		if err == nil && n[len(n)-1] == 0 && !again { // again: gone by the try whose answer was lost
			return userstore.ErrNotFound
		}
		return err
	})
}
