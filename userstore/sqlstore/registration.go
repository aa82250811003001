package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const registrationTokenColumns = `id, hash, note, uses, uses_left, created_at, expires_at`

// registrationTokenRow receives registrationTokenColumns.
type registrationTokenRow struct {
	t             userstore.RegistrationToken
	hash          []byte
	created, ends int64
}

func (r *registrationTokenRow) dest() []any {
	return []any{&r.t.ID, &r.hash, &r.t.Note, &r.t.Uses, &r.t.UsesLeft, &r.created, &r.ends}
}

func (r *registrationTokenRow) token() (userstore.RegistrationToken, error) {
	t := r.t
	if copy(t.Hash[:], r.hash) != len(t.Hash) {
		return t, fmt.Errorf("a stored registration token has a hash of %d bytes", len(r.hash))
	}
	t.CreatedAt, t.ExpiresAt = instant(r.created), instant(r.ends)
	return t, nil
}

func (db *DB) CreateRegistrationToken(
	ctx context.Context, t userstore.RegistrationToken, events ...audit.Event,
) error {
	if err := indexable(t.ID); err != nil {
		return err
	}
	s := bind(`INSERT INTO registration_tokens (`+registrationTokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		t.ID, t.Hash[:], t.Note, t.Uses, t.UsesLeft, micros(t.CreatedAt), micros(t.ExpiresAt))
	if err := storable(s.args); err != nil {
		return err
	}
	as := db.as("CreateRegistrationToken")
	return as.transactWithEvents(ctx, false, events, func(run exec, maybeDone bool) (bool, error) {
		n, err := run(s)
		if err == nil && n[0] == 0 && !maybeDone {
			err = &userstore.ExistsError{Field: "id"}
		}
		return true, err
	})
}

// liveRegistrationToken is the condition that a token may be used.
const liveRegistrationToken = ` hash = $1 AND uses_left > 0 AND expires_at > $2`

func (db *DB) RegistrationToken(
	ctx context.Context, hash userstore.RegistrationTokenHash, now time.Time,
) (t userstore.RegistrationToken, err error) {
	s := bind(`SELECT `+registrationTokenColumns+` FROM registration_tokens WHERE`+liveRegistrationToken, hash[:], micros(now))
	err = db.as("RegistrationToken").one(ctx, s, func(row scanner) error {
		var r registrationTokenRow
		if err := row.Scan(r.dest()...); err != nil {
			return err
		}
		t, err = r.token()
		return err
	})
	return t, err
}

func (db *DB) ListRegistrationTokens(
	ctx context.Context, after *userstore.RegistrationToken, limit int,
) ([]userstore.RegistrationToken, error) {
	if limit < 1 {
		return nil, fmt.Errorf("%w: a page of %d registration tokens", userstore.ErrInvalid, limit)
	}
	const all = `SELECT ` + registrationTokenColumns + ` FROM registration_tokens`
	s := bind(all+` ORDER BY created_at, id LIMIT $1`, int64(limit))
	if after != nil {
		s = bind(all+` WHERE (created_at, id) > ($1, $2) ORDER BY created_at, id LIMIT $3`,
			micros(after.CreatedAt), after.ID, int64(limit))
	}
	var page []userstore.RegistrationToken
	err := db.as("ListRegistrationTokens").rows(ctx, s, func() { page = nil }, func(row scanner) error {
		var r registrationTokenRow
		if err := row.Scan(r.dest()...); err != nil {
			return err
		}
		t, err := r.token()
		page = append(page, t)
		return err
	})
	return page, err
}

func (db *DB) DeleteRegistrationToken(ctx context.Context, id string, events ...audit.Event) error {
	err := db.as("DeleteRegistrationToken").change(ctx, true,
		bind(`DELETE FROM registration_tokens WHERE id = $1`, id), userstore.ErrNotFound, events)
	return ifUnstorable(err, userstore.ErrNotFound)
}

// RegisterClient takes the token's row first: registrations with one token take turns, so that the
// last use serves one of them. The use is taken back with the transaction if the client cannot be
// stored.
func (db *DB) RegisterClient(
	ctx context.Context, c userstore.Client, by userstore.RegistrationTokenHash, events ...audit.Event,
) error {
	use := bind(`UPDATE registration_tokens SET uses_left = uses_left - 1 WHERE`+liveRegistrationToken,
		by[:], micros(c.CreatedAt))
	return db.as("RegisterClient").createClient(ctx, c, &use, events)
}

// keepClient is a write only while the client has not been used.
const keepClient = `UPDATE clients SET unused_until = 0 WHERE id = $1`

func (db *DB) KeepClient(ctx context.Context, id string) error {
	n, err := db.as("KeepClient").write(ctx, true, bind(keepClient, id))
	if err == nil && n == 0 {
		err = userstore.ErrNotFound
	}
	return ifUnstorable(err, userstore.ErrNotFound)
}

func (db *DB) UnusedClients(ctx context.Context, now time.Time, limit int) (ids []string, err error) {
	s := bind(`SELECT id FROM clients WHERE unused_until <> 0 AND unused_until <= $1 ORDER BY unused_until LIMIT $2`,
		micros(now), int64(limit))
	err = db.as("UnusedClients").rows(ctx, s, func() { ids = nil }, func(row scanner) error {
		var id string
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// DeleteUnusedClient is one transaction: an unused client has no grants, codes and consents. The
// counter's row comes first: see CreateClient.
func (db *DB) DeleteUnusedClient(ctx context.Context, id string, now time.Time, events ...audit.Event) error {
	steps := []stmt{
		bind(`UPDATE signet_schema SET last_epoch = last_epoch`),
		bind(`UPDATE signet_schema SET last_epoch = (SELECT epoch FROM clients WHERE id = $1)
			WHERE last_epoch < (SELECT epoch FROM clients WHERE id = $2)`, id, id),
		bind(`DELETE FROM clients WHERE id = $1 AND unused_until <> 0 AND unused_until <= $2`, id, micros(now)),
	}
	if err := storables(steps); err != nil {
		return ifUnstorable(err, userstore.ErrNotFound)
	}
	return db.as("DeleteUnusedClient").transactWithEvents(ctx, false, events, func(run exec, _ bool) (bool, error) {
		n, err := run(steps...)
		if err != nil || n[len(n)-1] == 0 {
			return false, orElse(err, userstore.ErrNotFound)
		}
		_, err = run(bind(`DELETE FROM pushed_requests WHERE client_id = $1`, id),
			bind(`DELETE FROM device_authorizations WHERE client_id = $1`, id),
			bind(`DELETE FROM client_assertions WHERE client_id = $1`, id))
		return err == nil, err
	})
}

func (db *DB) RemoveRegistrationTokens(ctx context.Context, now time.Time, limit int) (int, error) {
	return db.as("RemoveRegistrationTokens").removal(ctx, `DELETE FROM registration_tokens WHERE id IN
		(SELECT r.id FROM registration_tokens r WHERE r.expires_at <= $1 ORDER BY r.expires_at LIMIT $2)`, micros(now))(limit)
}
