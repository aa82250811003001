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

	// Each part reads one end of an index: what no server has seen, and what was seen lately. Of a
	// million places that end at once only the lists are returned.
	statusChanges = numbered(`SELECT 0, next_index, cutoff_index, cutoff_at, '' FROM status_lists WHERE id = 1
		UNION ALL SELECT DISTINCT 1, status_index / $, seen_at, 0, '' FROM status_ended WHERE seen_at = 0
		UNION ALL SELECT DISTINCT 1, status_index / $, seen_at, 0, '' FROM status_ended WHERE seen_at > $
		UNION ALL SELECT 2, 0, seen_at, 0, client_id FROM status_clients WHERE seen_at = 0
		UNION ALL SELECT 2, 0, seen_at, 0, client_id FROM status_clients WHERE seen_at > $`)
	placesSeen = `UPDATE status_ended SET seen_at = $1 WHERE seen_at = 0 AND status_index IN
		(SELECT e.status_index FROM status_ended e WHERE e.seen_at = 0 LIMIT $2)`
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

	// cutoff revokes the places that are given away, and skips so many that come next.
	cutoff = `UPDATE status_lists SET next_index = next_index + $1, cutoff_index = next_index + $2,
		cutoff_at = CASE WHEN cutoff_at < $3 THEN $4 ELSE cutoff_at END WHERE id = 1`
	lastOfClients = `SELECT COALESCE(MAX(page.id), '') FROM (SELECT c.id FROM clients c WHERE c.id > $1 ORDER BY c.id LIMIT $2) page`
	newEpochs     = `UPDATE clients SET epoch = CASE WHEN epoch < $1 THEN $2 ELSE epoch + 1 END WHERE id > $3 AND id <= $4`
	forgetEpochs  = `DELETE FROM status_clients WHERE client_id > $1 AND client_id <= $2`
)

const (
	// seenAtOnce is how many places get their time at once. Many more end at once when a database is
	// recovered; each call then takes some of them.
	seenAtOnce = 10_000
	// clientsAtOnce is how many clients begin a new epoch at once: what else writes to them waits.
	clientsAtOnce = 500
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
func (db *DB) StatusChanges(ctx context.Context, now time.Time, size int64) (c userstore.StatusChanges, err error) {
	as, since := db.as("StatusChanges"), micros(now.Add(-userstore.StatusWindow))
	read := bind(statusChanges, size, size, since, since)
	read.vital = true
	unseen := false
	err = as.rows(ctx, read, func() { c, unseen = userstore.StatusChanges{}, false }, func(row scanner) error {
		var kind, n, second, at int64
		var client string
		if err := row.Scan(&kind, &n, &second, &at, &client); err != nil {
			return err
		}
		switch kind {
		case 0:
			c.Next, c.CutoffIndex, c.CutoffAt = n, second, instant(at)
			return nil
		case 1:
			c.Ended = append(c.Ended, userstore.EndedPlaces{List: n, SeenAt: instant(second)})
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
	_, err = as.batch(ctx, true, bind(placesSeen, micros(now), int64(seenAtOnce)), bind(clientsSeen, micros(now)))
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
	_, err := as.batch(ctx, true, bind(placesSeen, micros(now), int64(seenAtOnce)), bind(clientsSeen, micros(now)),
		bind(removeStatusClients, until))
	if err != nil {
		return 0, err
	}
	return as.removeFrom(ctx, removePlaces, limit, until)
}

func (db *DB) ClientAndCutoff(ctx context.Context, id string) (c userstore.Client, at time.Time, err error) {
	err = db.as("ClientAndCutoff").one(ctx, bind(clientAndCutoff, id), func(row scanner) error {
		var r clientRow
		var n int64
		if err := row.Scan(append(r.dest(), &n)...); err != nil {
			return err
		}
		at = instant(n)
		c, err = r.client()
		return err
	})
	return c, at, err
}

const clientAndCutoff = `SELECT ` + clientColumns + `, (SELECT cutoff_at FROM status_lists WHERE id = 1) FROM clients c WHERE c.id = $1`

func (db *DB) RevokePlaces(ctx context.Context, now time.Time, skip int64) error {
	return db.as("RevokePlaces").cutOff(ctx, now, skip)
}

func (db named) cutOff(ctx context.Context, now time.Time, skip int64, events ...audit.Event) error {
	at := micros(now)
	return db.transactWithEvents(ctx, true, events, func(run exec, _ bool) (bool, error) {
		_, err := run(bind(cutoff, skip, skip, at, at))
		return err == nil, err
	})
}

// RevokeAll is many small transactions, because nothing bounds the number of clients: one of all
// would meet the time limit of statements, and logins would wait for it. The first revokes all places
// and records that. Then the clients begin a new epoch, which ends their grants: one row of each
// changes, however many grants there are. A grant that was refreshed meanwhile may have got another
// place, so the last one revokes all places again. The notes of clients are not needed: all grants of
// earlier epochs are below the cutoff. Whatever stops it, another call begins it anew.
func (db *DB) RevokeAll(ctx context.Context, now time.Time, events ...audit.Event) error {
	as, at := db.as("RevokeAll"), micros(now)
	if err := as.cutOff(ctx, now, 0, events...); err != nil {
		return err
	}
	for after := ""; ; {
		var last string
		err := as.one(ctx, bind(lastOfClients, after, int64(clientsAtOnce)), func(s scanner) error { return s.Scan(&last) })
		if err != nil {
			return err
		}
		if last == "" {
			return as.cutOff(ctx, now, 0)
		}
		if _, err := as.batch(ctx, true, bind(newEpochs, at, at, after, last), bind(forgetEpochs, after, last)); err != nil {
			return err
		}
		after = last
	}
}
