package sqlstore

import (
	"context"
	"errors"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// deletedAtOnce bounds the rows that one statement of DeleteClient deletes.
const deletedAtOnce = 1000

// clientTables are the tables with rows of a client, and the key of each. Codes are found without
// an index, but a code is removed after an hour at most.
var clientTables = []struct{ table, key string }{
	{"grants", "id"}, {"consents", "user_id, client_id, resource"}, {"client_assertions", "client_id, jti"}, {"codes", "hash"},
	{"pushed_requests", "id"}, {"device_authorizations", "id"}, {"app_sessions", "session_id"},
}

// DeleteClient disables the client first: from then on nothing that was made for the client is of
// use, and nothing more can be made. Then it deletes the client's rows, a bounded number at a time,
// and at last the client, with the rows that were added meanwhile. When one of these steps fails
// the client stays disabled, and deleting it again goes on.
//
// A grant or code that a concurrent statement adds after the last step carries an epoch that no
// client will have again: see CreateClient. A consent carries no epoch; its foreign key refuses it.
func (db *DB) DeleteClient(ctx context.Context, id string, events ...audit.Event) error {
	n, err := db.as("DeleteClient").write(ctx, true, bind(`UPDATE clients SET epoch = epoch + 1,
			disabled_at = CASE WHEN disabled_at = 0 THEN epoch + 1 ELSE disabled_at END
		WHERE id = $1`, id))
	if err == nil && n == 0 {
		return userstore.ErrNotFound
	}
	if err != nil {
		return ifUnstorable(err, userstore.ErrNotFound)
	}
	return db.as("DeleteClient").deleteClient(ctx, id, events)
}

// WithdrawClient implements userstore.ClientStore. Unlike DeleteClient it disables nothing first.
func (db *DB) WithdrawClient(ctx context.Context, id string, events ...audit.Event) error {
	return ifUnstorable(db.as("WithdrawClient").deleteClient(ctx, id, events), userstore.ErrNotFound)
}

// deleteClient deletes the rows of a client and the client.
func (db named) deleteClient(ctx context.Context, id string, events []audit.Event) (err error) {
	var rest []stmt
	for _, of := range clientTables {
		s := bind(`DELETE FROM `+of.table+` WHERE (`+of.key+`) IN
			(SELECT `+of.key+` FROM `+of.table+` WHERE client_id = $1 LIMIT $2)`, id, int64(deletedAtOnce))
		rest = append(rest, bind(`DELETE FROM `+of.table+` WHERE client_id = $1`, id))
		for n := int64(deletedAtOnce); n == deletedAtOnce; {
			if n, err = db.write(ctx, true, s); err != nil {
				return err
			}
		}
	}
	// The counter's row first: see CreateClient.
	counter := `UPDATE signet_schema SET last_epoch = last_epoch`
	steps := append([]stmt{
		bind(counter),
		bind(`UPDATE clients SET epoch = epoch + 1, disabled_at = CASE WHEN disabled_at = 0 THEN epoch + 1 ELSE disabled_at END WHERE id = $1`, id),
		bind(`UPDATE signet_schema SET last_epoch = (SELECT epoch FROM clients WHERE id = $1)
			WHERE last_epoch < (SELECT epoch FROM clients WHERE id = $2)`, id, id),
	}, rest...)
	steps = append(steps, bind(`DELETE FROM clients WHERE id = $1`, id))
	lost := false
	err = db.transactWithEvents(ctx, true, events, func(run exec, maybeDone bool) (bool, error) {
		lost = maybeDone && len(events) == 0
		n, err := run(steps...)
		if err != nil || n[len(n)-1] == 0 { // another call deleted it, or the try whose answer was lost
			return false, orElse(err, userstore.ErrNotFound)
		}
		return true, nil
	})
	if errors.Is(err, userstore.ErrNotFound) && lost {
		return nil
	}
	return err
}
