package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const consentColumns = `user_id, client_id, resource, scopes, created_at, updated_at`

// readConsents reads consents. Each row is the allowance at one resource; the rows of one client
// must follow each other.
func (db named) readConsents(ctx context.Context, s stmt) (all []userstore.Consent, err error) {
	err = db.rows(ctx, s, func() { all = nil }, func(row scanner) error {
		var c userstore.Consent
		var a userstore.Allowance
		var scopes string
		var created, updated int64
		if err := row.Scan(&c.UserID, &c.ClientID, &a.Resource, &scopes, &created, &updated); err != nil {
			return err
		}
		if a.Scopes, err = unlist(scopes); err != nil {
			return err
		}
		c.CreatedAt, c.UpdatedAt = instant(created), instant(updated)
		if n := len(all) - 1; n >= 0 && all[n].ClientID == c.ClientID {
			if c.CreatedAt.After(all[n].CreatedAt) {
				c.CreatedAt = all[n].CreatedAt
			}
			if c.UpdatedAt.Before(all[n].UpdatedAt) {
				c.UpdatedAt = all[n].UpdatedAt
			}
			c.Allowed, all = all[n].Allowed, all[:n]
		}
		c.Allowed = append(c.Allowed, a)
		all = append(all, c)
		return nil
	})
	return all, ifUnstorable(err, nil)
}

func (db *DB) ConsentOf(ctx context.Context, userID, clientID string) (userstore.Consent, error) {
	all, err := db.as("ConsentOf").readConsents(ctx, bind(`SELECT `+consentColumns+`
		FROM consents WHERE user_id = $1 AND client_id = $2 ORDER BY resource`, userID, clientID))
	switch {
	case err != nil:
		return userstore.Consent{}, err
	case len(all) == 0:
		return userstore.Consent{}, userstore.ErrNotFound
	}
	return all[0], nil
}

// listConsents is limited by clients, so that each client is listed with all of its resources.
const listConsents = `SELECT ` + consentColumns + ` FROM consents WHERE user_id = $1 AND client_id IN
	(SELECT k.client_id FROM consents k WHERE k.user_id = $2 GROUP BY k.client_id ORDER BY MIN(k.created_at) DESC, k.client_id LIMIT 1000)
	ORDER BY client_id, resource`

func (db *DB) ListConsents(ctx context.Context, userID string) ([]userstore.Consent, error) {
	all, err := db.as("ListConsents").readConsents(ctx, bind(listConsents, userID, userID))
	slices.SortStableFunc(all, func(a, b userstore.Consent) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all, err
}

// RevokeConsent locks the user's row first, as RedeemCode does. A code that is redeemed at the same
// time either is a grant by then, which is revoked here, or is void without the consent. Each
// statement before the last requires the consent, so that nothing changes without one.
func (db *DB) RevokeConsent(ctx context.Context, userID, clientID string, now time.Time, events ...audit.Event) error {
	const consented = ` AND EXISTS (SELECT 1 FROM consents k WHERE k.user_id = $ AND k.client_id = $)`
	both := func(args ...any) []any { return append(args, userID, clientID) }
	steps := []stmt{
		bind(numbered(`UPDATE users SET last_session_id = '' WHERE id = $`+consented), both(userID)...),
		bind(numbered(`DELETE FROM codes WHERE user_id = $ AND client_id = $ AND used_at = 0`+consented), both(userID, clientID)...),
	}
	steps = append(steps, endGrants(micros(now), `user_id = $ AND client_id = $`+consented, both(userID, clientID)...)...)
	steps = append(steps, storeEventsIf(storeEventOfConsent, eventRows(events), userID, clientID)...)
	steps = append(steps, bind(`DELETE FROM consents WHERE user_id = $1 AND client_id = $2`, userID, clientID))
	if storables(steps) != nil {
		return userstore.ErrNotFound
	}
	return db.as("RevokeConsent").retrying(ctx, true, func(ctx context.Context, maybeDone bool) error {
		n, err := db.engine.batch(ctx, steps)
		if err == nil && n[len(n)-1] == 0 && !maybeDone { // the try whose answer was lost deleted it
			return userstore.ErrNotFound
		}
		return err
	})
}
