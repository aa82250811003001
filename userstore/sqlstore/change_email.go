package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// reservedFor is the condition under which an address is reserved for another account than owner.
// Of the tokens that undo a change each reserves its address while it is of use. The last parameter
// is the time.
func reservedFor(key, owner string) string {
	return `EXISTS (SELECT 1 FROM one_time_tokens r WHERE r.kind = 'undo_email' AND r.address_key = ` + key +
		` AND r.user_id <> ` + owner + ` AND r.spent_at = 0 AND r.ends_at > $)`
}

// freeForChange is the condition under which a change t may still get its address.
var freeForChange = `NOT EXISTS (SELECT 1 FROM users o WHERE o.email_key = t.address_key AND o.id <> t.user_id)
	AND NOT ` + reservedFor("t.address_key", "t.user_id")

// touchIfReserved is the statement of ifReserved for the user whose id the SQL user gives.
func touchIfReserved(user string) string {
	return numbered(`UPDATE users SET version = version WHERE id = ` + user + ` AND ` +
		reservedFor("users.email_key", "users.id"))
}

// ifReserved returns a statement that changes one row if the address that the user has just got is
// reserved for another account; the caller then rolls back. It has to be a statement of its own,
// after the one that wrote the address: on PostgreSQL that one may have waited at the unique index
// for the very change that made the reservation, and does not see it.
func ifReserved(userID string, now time.Time) stmt { return bind(ifReservedByID, userID, micros(now)) }

// endUndos is the statement that ends a user's tokens that undo changes after the one which reserved
// an address for the user. user and key are the SQL of the user's id and of the address.
func endUndos(user, key string) string {
	return numbered(`UPDATE one_time_tokens SET spent_at = $ WHERE kind = 'undo_email' AND spent_at = 0
		AND user_id = ` + user + ` AND at > (SELECT MIN(b.at) FROM one_time_tokens b WHERE b.user_id = ` + user + `
			AND b.kind = 'undo_email' AND b.address_key = ` + key + ` AND b.spent_at = 0 AND b.ends_at > $)`)
}

// endUndosOf ends the tokens that undo changes since the user first had the present address: an
// operator who gives an account its address back need not fear them.
func endUndosOf(u userstore.User) stmt {
	now := micros(u.UpdatedAt)
	return bind(endUndosByID, now, u.ID, u.ID, u.EmailKey, now)
}

var (
	ifReservedByID = touchIfReserved("$")
	endUndosByID   = endUndos("$", "$")

	ifReservedForToken = touchIfReserved(userOfToken)
	endUndosForToken   = endUndos(userOfToken, `(SELECT t.address_key FROM one_time_tokens t WHERE t.id = $)`)
)

var (
	// lockProved takes the lock of the user's row first, as IssueToken does.
	lockProved = `UPDATE users SET token_epoch = token_epoch WHERE id = $1 AND is_active AND password_hash = $2`

	tokenColumns  = `id, kind, user_id, address, address_key, epoch, at, ends_at, spent_at, second_factor`
	mailedRequest = ` EXISTS (SELECT 1 FROM mail_requests q WHERE q.id = $ AND q.mailed = 1)`

	endOlderChanges = numbered(`UPDATE one_time_tokens SET spent_at = $
		WHERE user_id = $ AND kind = $ AND spent_at = 0 AND id <> $ AND` + mailedRequest)
	insertChange = numbered(`INSERT INTO one_time_tokens (` + tokenColumns + `)
		SELECT $, $, u.id, $, $, u.token_epoch, $, $, 0, FALSE FROM users u WHERE u.id = $ AND` + mailedRequest + `
		ON CONFLICT (id) DO NOTHING`)
)

func (db *DB) BeginAddressChange(
	ctx context.Context, r userstore.MailRequest, limits []userstore.Limit, m outbox.Message,
	t userstore.OneTimeToken, proved string, events ...audit.Event,
) error {
	if r.ID != t.ID {
		return fmt.Errorf("%w: a request whose token has another id", userstore.ErrInvalid)
	}
	kind := string(t.Kind)
	request, err := db.requestMail(r, limits, m)
	if err != nil {
		return err
	}
	s := append([]stmt{bind(lockProved, t.UserID, proved)}, request...)
	s = append(s,
		bind(endOlderChanges, micros(t.At), t.UserID, kind, t.ID, t.ID),
		bind(insertChange, t.ID, kind, t.Address, t.AddressKey, micros(t.At), micros(t.EndsAt), t.UserID, t.ID))
	if err := storables(s); err != nil {
		return err
	}
	if err := indexable(t.AddressKey); err != nil {
		return err
	}
	return db.as("BeginAddressChange").transactWithEvents(ctx, true, events, func(run exec, _ bool) (bool, error) {
		n, err := run(s...)
		if err == nil && n[0] == 0 {
			err = userstore.ErrConflict // and the rest is undone
		}
		return err == nil, err
	})
}

var (
	setAddress = `email = (SELECT t.address FROM one_time_tokens t WHERE t.id = $),
		email_key = (SELECT t.address_key FROM one_time_tokens t WHERE t.id = $), email_verified = TRUE, factors_vouched = FALSE`

	changeAddress = numbered(`UPDATE users SET ` + setAddress + `,
		updated_at = $, version = version + 1, token_epoch = token_epoch + 1` + ofLiveToken + ` AND email = $`)
	// Two changes never have one time, also if the clocks of replicas differ: the times tell which
	// change was first.
	insertUndo = numbered(`INSERT INTO one_time_tokens (` + tokenColumns + `)
		SELECT $, 'undo_email', t.user_id, $, $, 0, CASE WHEN l.at >= $ THEN l.at + 1 ELSE CAST($ AS BIGINT) END, $, 0,
			(SELECT u.second_factor FROM users u WHERE u.id = t.user_id)
		FROM one_time_tokens t, (SELECT COALESCE(MAX(o.at), 0) AS at FROM one_time_tokens o
			WHERE o.kind = 'undo_email' AND o.user_id = ` + userOfToken + `) l
		WHERE t.id = $ ON CONFLICT (id) DO NOTHING`)
)

// ConfirmAddressChange is certain only by the statements after the first: see spend.
func (db *DB) ConfirmAddressChange(ctx context.Context, c userstore.AddressChange, events ...audit.Event) error {
	now, kind := micros(c.At), string(outbox.ChangeEmail)
	undo := bind(insertUndo, c.UndoID, c.From, c.FromKey, now, now, micros(c.UndoEndsAt), c.ID, c.ID)
	if c.UndoID == "" {
		undo = bind(endUndosForToken, now, c.ID, c.ID, c.ID, now)
	}
	return ifTaken(db.as("ConfirmAddressChange").spend(ctx, redemption{
		first: []stmt{
			bind(changeAddress, c.ID, c.ID, now, c.ID, c.ID, kind, now, c.From),
			bind(spendToken, now, c.ID, kind, now, int64(1)),
			bind(ifReservedForToken, c.ID, now),
			undo,
		},
		refused: func(n []int64) bool { return n[2] != 0 || n[3] == 0 && c.UndoID != "" },
	}, events))
}

// ifTaken replaces the error for an address that another account has.
func ifTaken(err error) error {
	if errors.Is(err, userstore.ErrExists) {
		return userstore.ErrConflict
	}
	return err
}

func (db *DB) AddressReserved(ctx context.Context, userID, addressKey string, now time.Time) (bool, error) {
	reserving := bind(`SELECT r.id FROM one_time_tokens r WHERE r.kind = 'undo_email' AND r.address_key = $1
		AND r.user_id = $2 AND r.spent_at = 0 AND r.ends_at > $3 LIMIT 1`, addressKey, userID, micros(now))
	err := db.as("AddressReserved").one(ctx, reserving, func(row scanner) error {
		var id string
		return row.Scan(&id)
	})
	if errors.Is(err, userstore.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

var (
	restoreAddress = numbered(`UPDATE users SET ` + setAddress + `,
		updated_at = $, version = version + 1, token_epoch = token_epoch + 1, password_hash = $` + ofLiveToken)
	spendUndo = numbered(`UPDATE one_time_tokens SET spent_at = $
		WHERE id = $ AND kind = $ AND spent_at = 0 AND ends_at > $
		AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id AND u.is_active)`)
	endLaterUndos = numbered(`UPDATE one_time_tokens SET spent_at = $ WHERE kind = 'undo_email' AND spent_at = 0
		AND user_id = ` + userOfToken + ` AND at > (SELECT t.at FROM one_time_tokens t WHERE t.id = $)`)
	endConsentsSince = numbered(`DELETE FROM consents WHERE user_id = ` + userOfToken + `
		AND updated_at >= (SELECT t.at FROM one_time_tokens t WHERE t.id = $)`)
)

func (db *DB) UndoAddressChange(ctx context.Context, r userstore.Redemption, events ...audit.Event) error {
	now, kind := micros(r.At), string(outbox.UndoEmail)
	if r.Kind != outbox.UndoEmail || r.NewHash == "" {
		return fmt.Errorf("%w: an undoing without a password", userstore.ErrInvalid)
	}
	proofs, err := olderProofs(r)
	if err != nil {
		return err
	}
	return ifTaken(db.as("UndoAddressChange").spend(ctx, redemption{
		first: []stmt{
			bind(restoreAddress, r.ID, r.ID, now, r.NewHash, r.ID, r.ID, kind, now),
			bind(spendUndo, now, r.ID, kind, now),
			bind(endLaterUndos, now, r.ID, r.ID),
		},
		proofs: proofs,
		// The messages about factors that came since may have gone to another address.
		then: append(append(endAllOfToken(r.ID, now),
			bind(endConsentsSince, r.ID, r.ID), bind(endLaterFactors, now, r.ID, r.ID)), recountedOfToken(r.ID)...),
	}, events))
}

func (db *DB) WithdrawAddressChange(ctx context.Context, userID string, now time.Time, events ...audit.Event) error {
	at := micros(now)
	withdraw := bind(`UPDATE one_time_tokens SET spent_at = $1
		WHERE user_id = $2 AND kind = $3 AND spent_at = 0 AND ends_at > $4`, at, userID, string(outbox.ChangeEmail), at)
	err := db.as("WithdrawAddressChange").change(ctx, true, withdraw, userstore.ErrNotFound, events)
	return ifUnstorable(err, userstore.ErrNotFound)
}

var reservation = numbered(`SELECT ` + userColumns + ` FROM one_time_tokens r JOIN users u ON u.id = r.user_id
	WHERE r.kind = 'undo_email' AND r.address_key = $ AND r.spent_at = 0`)

// reservedBy finds the account that an address is reserved for, and returns it as if it had the
// address. ErrNotFound.
func (db named) reservedBy(ctx context.Context, key string) (userstore.User, error) {
	u, err := db.user(ctx, bind(reservation, key))
	u.EmailKey = key
	return u, err
}
