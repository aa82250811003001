package sqlstore

import (
	"context"
	"fmt"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// A token that undoes an act asks for a second factor that is older than the act: the mailbox alone
// must not take an account that had one. One that came with the act, or since, is no proof, for it may
// be the reason for the undoing.

const since = ` (SELECT t.at FROM one_time_tokens t WHERE t.id = $)`

var (
	insertUndoFactor = numbered(`INSERT INTO one_time_tokens
			(id, kind, user_id, address, address_key, epoch, at, ends_at, spent_at, second_factor)
		SELECT $, 'factor_added', u.id, u.email, u.email_key, 0, $, $, 0, u.second_factor FROM users u WHERE u.id = $`)

	touchUserOfToken = `UPDATE users SET wrong_codes = wrong_codes WHERE id = ` + userOfToken

	noOlderFactor = numbered(touchUserOfToken + `
		AND NOT EXISTS (SELECT 1 FROM one_time_tokens t WHERE t.id = $ AND t.second_factor)
		AND NOT EXISTS (SELECT 1 FROM authenticator_apps a
			WHERE a.user_id = users.id AND a.confirmed AND a.created_at <` + since + `)
		AND NOT EXISTS (SELECT 1 FROM passkeys p WHERE p.user_id = users.id AND p.created_at <` + since + `)`)
	sameFactorsOfToken = numbered(touchUserOfToken + sameFactors)

	restorePassword = numbered(`UPDATE users SET updated_at = $, version = version + 1, token_epoch = token_epoch + 1,
		password_hash = $` + ofLiveToken)
	endLaterFactors = numbered(`UPDATE one_time_tokens SET spent_at = $ WHERE kind = 'factor_added' AND spent_at = 0
		AND user_id = ` + userOfToken + ` AND at >=` + since)
	// The address may have been changed by the person whose factor this removes: that the account had
	// the factor by then does not count.
	easeLaterUndos = numbered(`UPDATE one_time_tokens
		SET second_factor = (SELECT t.second_factor FROM one_time_tokens t WHERE t.id = $)
		WHERE kind = 'undo_email' AND spent_at = 0 AND user_id = ` + userOfToken + ` AND at >=` + since)
)

// endFactorUndos ends the tokens of a user who has no second factor any more: there is nothing to undo.
func endFactorUndos(of string) string {
	return numbered(`UPDATE one_time_tokens SET spent_at = $ WHERE kind = 'factor_added' AND spent_at = 0
		AND user_id IN (SELECT u.id FROM users u WHERE NOT u.second_factor AND u.id = ` + of + `)`)
}

var (
	endFactorUndosOfUser  = endFactorUndos(`$`)
	endFactorUndosOfToken = endFactorUndos(userOfToken)
)

// olderProofs returns the statements that bring back what the user had before the act that a token
// undoes, refuse the redemption without the proof of a second factor of those, and spend that proof. They
// run after the user's row is locked.
func olderProofs(r userstore.Redemption) ([]factorStep, error) {
	if err := checkSecond(r); err != nil {
		return nil, err
	}
	steps := restored(r.ID)
	if !r.Second.Proved {
		return append(steps, factorStep{bind(noOlderFactor, r.ID, r.ID, r.ID, r.ID), userstore.ErrConflict}), nil
	}
	steps = append(steps, factorStep{bind(sameFactorsOfToken, r.ID, r.UserID, r.Second.FactorVersion), userstore.ErrConflict})
	older := func(sql string, args ...any) {
		steps = append(steps, factorStep{
			bind(numbered(touchUserOfToken+` AND EXISTS (SELECT 1 FROM `+sql+` AND created_at <`+since+`)`),
				append(append([]any{r.ID}, args...), r.ID)...),
			userstore.ErrSpent,
		})
	}
	use := r.Second.Use
	if use.App != "" {
		older(`authenticator_apps WHERE id = $ AND user_id = $`, use.App, r.UserID)
	}
	if use.Passkey != "" {
		older(`passkeys WHERE id = $ AND user_id = $`, use.Passkey, r.UserID)
	}
	if use.Recovery != nil {
		sql, args := recoveryCode(r.UserID, use.Recovery)
		older(`recovery_codes`+sql, args...)
	}
	return append(steps, spendings(r.UserID, use)...), nil
}

func (db *DB) RemoveAddedFactor(ctx context.Context, r userstore.Redemption, events ...audit.Event) error {
	now, kind := micros(r.At), string(outbox.FactorAdded)
	if r.Kind != outbox.FactorAdded || r.NewHash == "" {
		return fmt.Errorf("%w: an undoing without a password", userstore.ErrInvalid)
	}
	proofs, err := olderProofs(r)
	if err != nil {
		return err
	}
	return db.as("RemoveAddedFactor").spend(ctx, redemption{
		first: []stmt{
			bind(restorePassword, now, r.NewHash, r.ID, r.ID, kind, now),
			bind(spendUndo, now, r.ID, kind, now),
		},
		proofs: proofs,
		then: append(append(endAllOfToken(r.ID, now),
			bind(endLaterFactors, now, r.ID, r.ID), bind(easeLaterUndos, r.ID, r.ID, r.ID)), recountedOfToken(r.ID)...),
	}, events)
}
