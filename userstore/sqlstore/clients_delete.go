package sqlstore

import (
	"context"
	"errors"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// deletedAtOnce bounds one statement of DeleteClient.
const deletedAtOnce = 1000

// clientTables is where rows that are kept in a client's name lie, with the key of each.
// Codes are found without an index, but are gone after an hour at most.
var clientTables = []struct{ table, key string }{
	{"grants", "id"}, {"consents", "user_id, client_id, resource"}, {"client_assertions", "client_id, jti"}, {"codes", "hash"},
}

// DeleteClient disables the client first: at once nothing that was made in its
// name is of use, and nothing more comes. Then goes what there is, a bounded number of
// rows at a time, and last the client, with what came meanwhile. When one of
// these acts fails the client is left disabled, and deleting it again goes on.
//
// What a statement that was under way adds after the last of them (a grant, a
// code) carries an epoch that no client will have again: see CreateClient. A
// consent carries none, and is held back by its foreign key.
func (db *DB) DeleteClient(ctx context.Context, id string, events ...audit.Event) error {
	n, err := db.write(ctx, true, bind(`UPDATE clients SET epoch = epoch + 1,
			disabled_at = CASE WHEN disabled_at = 0 THEN epoch + 1 ELSE disabled_at END
		WHERE id = $1`, id))
	if err == nil && n == 0 {
		return userstore.ErrNotFound
	}
	if err != nil {
		return ifUnstorable(err, userstore.ErrNotFound)
	}
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
		if err != nil || n[len(n)-1] == 0 { // somebody else deleted it, or the try whose answer was lost
			return false, orElse(err, userstore.ErrNotFound)
		}
		return true, nil
	})
	if errors.Is(err, userstore.ErrNotFound) && lost {
		return nil
	}
	return err
}
