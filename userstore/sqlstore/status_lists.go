package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// The notes in status_ended and status_clients are made by triggers: see migration 18.

var (
	reservePlaces = `UPDATE status_lists SET next_index = next_index + $1 WHERE id = 1 RETURNING next_index`

	placeGrant = numbered(`UPDATE grants SET status_index = CASE WHEN status_index >= $ THEN status_index ELSE $ END
		WHERE id = $ AND revoked_at = 0 AND ` + inEpoch + ` RETURNING status_index`)
	placeClient = numbered(`UPDATE clients SET status_index = CASE WHEN status_index >= $ THEN status_index ELSE $ END
		WHERE id = $ AND disabled_at = 0 RETURNING status_index`)

	// Each part reads one end of an index: what no server has seen, and what was seen lately.
	statusChanges = numbered(`SELECT 0, next_index, cutoff_index, cutoff_at, '' FROM status_lists WHERE id = 1
		UNION ALL SELECT 1, status_index, seen_at, 0, '' FROM status_ended WHERE seen_at = 0
		UNION ALL SELECT 1, status_index, seen_at, 0, '' FROM status_ended WHERE seen_at > $
		UNION ALL SELECT 2, 0, seen_at, 0, client_id FROM status_clients WHERE seen_at = 0
		UNION ALL SELECT 2, 0, seen_at, 0, client_id FROM status_clients WHERE seen_at > $`)
	placesSeen  = `UPDATE status_ended SET seen_at = $1 WHERE seen_at = 0`
	clientsSeen = `UPDATE status_clients SET seen_at = $1 WHERE seen_at = 0`

	revokedPlaces = numbered(`SELECT 0, cutoff_index, cutoff_at FROM status_lists WHERE id = 1
		UNION ALL SELECT 1, status_index, 0 FROM status_ended WHERE status_index >= $ AND status_index <= $
		UNION ALL SELECT 1, g.status_index, 0 FROM status_clients s JOIN clients c ON c.id = s.client_id
			JOIN grants g ON g.client_id = c.id AND g.client_epoch <> c.epoch
			WHERE s.seen_at >= 0 AND g.status_index > 0 AND g.status_index >= $ AND g.status_index <= $`)

	removePlaces = `DELETE FROM status_ended WHERE status_index IN
		(SELECT e.status_index FROM status_ended e WHERE e.seen_at > 0 AND e.seen_at >= $1 AND e.seen_at <= $2
		ORDER BY e.seen_at LIMIT $3) RETURNING seen_at`
	removeStatusClients = `DELETE FROM status_clients WHERE seen_at > 0 AND seen_at <= $1`
)

// ReservePlaces wastes places, which does no harm, when its answer was lost.
func (db *DB) ReservePlaces(ctx context.Context, n int64) (int64, error) {
	next, err := db.as("ReservePlaces").returned(ctx, bind(reservePlaces, n))
	return next - n, err
}

// PlaceGrant finds its own result when it is retried.
func (db *DB) PlaceGrant(ctx context.Context, id userstore.GrantID, floor, place int64) (int64, error) {
	return db.as("PlaceGrant").returned(ctx, bind(placeGrant, floor, place, id[:]))
}

// PlaceClient finds its own result when it is retried.
func (db *DB) PlaceClient(ctx context.Context, clientID string, floor, place int64) (int64, error) {
	place, err := db.as("PlaceClient").returned(ctx, bind(placeClient, floor, place, clientID))
	return place, ifUnstorable(err, userstore.ErrNotFound)
}

// returned runs a statement that changes one row and returns a number of it. ErrNotFound.
func (db named) returned(ctx context.Context, s stmt) (n int64, err error) {
	if err := storable(s.args); err != nil {
		return 0, err
	}
	found := false
	err = db.retrying(ctx, true, func(ctx context.Context, _ bool) error {
		found = false
		_, err := db.engine.write(ctx, s, func(row scanner) error {
			found = true
			return row.Scan(&n)
		})
		return err
	})
	if err == nil && !found {
		err = userstore.ErrNotFound
	}
	return n, err
}

// StatusChanges reads in one statement. What no server has seen gets its time afterwards: a change
// that another transaction commits in between is named by the next call. So none is missed, however
// late a transaction commits.
func (db *DB) StatusChanges(ctx context.Context, now time.Time) (c userstore.StatusChanges, err error) {
	as, since := db.as("StatusChanges"), micros(now.Add(-userstore.StatusWindow))
	read := bind(statusChanges, since, since)
	read.vital = true
	unseen := false
	err = as.rows(ctx, read, func() { c, unseen = userstore.StatusChanges{}, false }, func(row scanner) error {
		var kind, place, second, at int64
		var client string
		if err := row.Scan(&kind, &place, &second, &at, &client); err != nil {
			return err
		}
		switch kind {
		case 0:
			c.Next, c.CutoffIndex, c.CutoffAt = place, second, instant(at)
			return nil
		case 1:
			c.Ended = append(c.Ended, place)
		default:
			c.Clients = append(c.Clients, fmt.Sprint(second, " ", client))
		}
		unseen = unseen || second == 0
		return nil
	})
	if err == nil && c.Next == 0 {
		err = fmt.Errorf("%w: the table status_lists is empty: restore the database from a backup", userstore.ErrUnavailable)
	}
	if err != nil || !unseen {
		return c, err
	}
	_, err = as.batch(ctx, true, bind(placesSeen, micros(now)), bind(clientsSeen, micros(now)))
	return c, err
}

// RevokedPlaces reads in one statement, and so one snapshot.
func (db *DB) RevokedPlaces(ctx context.Context, first, last int64) (p userstore.StatusPlaces, err error) {
	err = db.as("RevokedPlaces").rows(ctx, bind(revokedPlaces, first, last, first, last),
		func() { p = userstore.StatusPlaces{} }, func(row scanner) error {
			var kind, place, at int64
			if err := row.Scan(&kind, &place, &at); err != nil {
				return err
			}
			if kind == 0 {
				p.CutoffIndex, p.CutoffAt = place, instant(at)
			} else {
				p.Ended = append(p.Ended, place)
			}
			return nil
		})
	return p, err
}

// RemovePlaces first notes the time of what no server saw, as on a server without status lists.
func (db *DB) RemovePlaces(ctx context.Context, now time.Time, limit int) (int, error) {
	as, until := db.as("RemovePlaces"), micros(now.Add(-userstore.StatusKept))
	_, err := as.batch(ctx, true, bind(placesSeen, micros(now)), bind(clientsSeen, micros(now)), bind(removeStatusClients, until))
	if err != nil {
		return 0, err
	}
	return as.removeFrom(ctx, removePlaces, limit, until)
}

func (db *DB) Cutoff(ctx context.Context) (at time.Time, err error) {
	var n int64
	err = db.as("Cutoff").one(ctx, bind(`SELECT cutoff_at FROM status_lists WHERE id = 1`), func(s scanner) error { return s.Scan(&n) })
	return instant(n), err
}

// RevokeAll takes the row of the lists first. A place that is given away later is not below the
// cutoff, and the grant that gets the place reads the new epoch of its client. One row of each client
// changes, however many grants there are. The notes of clients are not needed: all grants of earlier
// epochs are below the cutoff.
func (db *DB) RevokeAll(ctx context.Context, now time.Time, events ...audit.Event) error {
	at := micros(now)
	steps := []stmt{
		bind(`UPDATE status_lists SET cutoff_index = next_index, cutoff_at = CASE WHEN cutoff_at < $1 THEN $2 ELSE cutoff_at END
			WHERE id = 1`, at, at),
		bind(`UPDATE clients SET epoch = CASE WHEN epoch < $1 THEN $2 ELSE epoch + 1 END`, at, at),
		bind(`DELETE FROM status_clients WHERE seen_at >= 0`),
	}
	return db.as("RevokeAll").transactWithEvents(ctx, true, events, func(run exec, _ bool) (bool, error) {
		_, err := run(steps...)
		return err == nil, err
	})
}
