package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// trustLives is the condition that a row of trusted_browsers is of use at a time. A new password or
// new factors of its user ended it otherwise.
const trustLives = `ends_at > $ AND EXISTS (SELECT 1 FROM users u WHERE u.id = trusted_browsers.user_id AND u.is_active
	AND u.token_epoch = trusted_browsers.token_epoch AND u.factor_epoch = trusted_browsers.factor_epoch)`

const trustColumns = `hash, id, user_id, created_at, last_used_at, ends_at, user_agent, address`

var (
	trustByHash = numbered(`SELECT ` + trustColumns + ` FROM trusted_browsers WHERE hash = $ AND ` + trustLives)
	trustOfUser = numbered(`SELECT ` + trustColumns + ` FROM trusted_browsers WHERE user_id = $ AND ` + trustLives + `
		ORDER BY created_at DESC, id LIMIT 1000`)
)

const removeTrusted = `DELETE FROM trusted_browsers WHERE id IN
	(SELECT t.id FROM trusted_browsers t WHERE t.ends_at <= $1 ORDER BY t.ends_at LIMIT $2)`

func scanTrust(row scanner) (t userstore.TrustedBrowser, err error) {
	var hash []byte
	var created, used, ends int64
	err = row.Scan(&hash, &t.ID, &t.UserID, &created, &used, &ends, &t.UserAgent, &t.Address)
	if err == nil && (copy(t.Hash[:], hash) != len(t.Hash) || len(hash) != len(t.Hash)) {
		err = fmt.Errorf("the stored hash of a trusted browser has %d bytes", len(hash))
	}
	t.CreatedAt, t.LastUsedAt, t.EndsAt = instant(created), instant(used), instant(ends)
	return t, err
}

func (db *DB) TrustedBrowser(
	ctx context.Context, hash userstore.SessionHash, now time.Time,
) (t userstore.TrustedBrowser, err error) {
	err = db.as("TrustedBrowser").one(ctx, bind(trustByHash, hash[:], micros(now)), func(row scanner) error {
		t, err = scanTrust(row)
		return err
	})
	return t, err
}

func (db *DB) ListTrustedBrowsers(
	ctx context.Context, userID string, now time.Time,
) (all []userstore.TrustedBrowser, err error) {
	list := bind(trustOfUser, userID, micros(now))
	err = db.as("ListTrustedBrowsers").rows(ctx, list, func() { all = nil }, func(row scanner) error {
		t, err := scanTrust(row)
		all = append(all, t)
		return err
	})
	return all, ifUnstorable(err, nil)
}

// EndTrust locks the user's row first, so that a login that skips the second factor at this moment
// is either done or refused.
func (db *DB) EndTrust(ctx context.Context, userID, id string, events ...audit.Event) error {
	end := factorStep{stmt: bind(`DELETE FROM trusted_browsers WHERE user_id = $1`, userID)}
	if id != "" {
		end = factorStep{bind(`DELETE FROM trusted_browsers WHERE user_id = $1 AND id = $2`, userID, id), userstore.ErrNotFound}
	}
	err := db.as("EndTrust").runSteps(ctx, []factorStep{
		{bind(`UPDATE users SET wrong_codes = wrong_codes WHERE id = $1`, userID), userstore.ErrNotFound}, end,
	}, events)
	return ifUnstorable(err, userstore.ErrNotFound)
}

var (
	insertTrust = numbered(`INSERT INTO trusted_browsers (hash, last_used_at, id, user_id, token_epoch, factor_epoch,
			created_at, ends_at, user_agent, address)
		SELECT $, $, $, u.id, u.token_epoch, u.factor_epoch, $, $, $, $ FROM users u WHERE u.id = $
		ON CONFLICT DO NOTHING`)
	boundTrust = numbered(`DELETE FROM trusted_browsers WHERE user_id = $ AND id NOT IN (SELECT t.id FROM trusted_browsers t
		WHERE t.user_id = $ ORDER BY t.created_at DESC, t.id LIMIT $)`)
)

// trust returns the statements that trust the browser of a new session.
func trust(t *userstore.NewTrust, b userstore.BrowserSession) []factorStep {
	if t == nil {
		return nil
	}
	now := micros(b.CreatedAt)
	return []factorStep{
		{bind(insertTrust, t.Hash[:], now, t.ID, now, micros(t.EndsAt), displayable(b.UserAgent), displayable(b.Address), b.UserID),
			userstore.ErrConflict},
		{stmt: bind(boundTrust, b.UserID, b.UserID, int64(userstore.MaxTrustedBrowsers))},
	}
}
