package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

const (
	messageOf = `id, kind, user_id, address, locale, at, ends_at`
	waitingOf = messageOf + `, due_at, lease, attempts, reason`

	// insertMessage and untold stand around the condition on which the event of the same act is stored.
	// The message comes first, and only while that event is not in the log: an act that is begun again when
	// an answer was lost finds the event, and not the message, which may be sent and gone by then.
	insertMessage = `INSERT INTO outbox (` + waitingOf + `) SELECT $, $, $, $, $, $, $, 0, '', 0, '' WHERE `
	untold        = ` AND NOT EXISTS (SELECT 1 FROM audit_events WHERE at = $ AND id = $) ON CONFLICT (id) DO NOTHING`
)

func messageColumns(m outbox.Message) []any {
	id := shown(m.ID)
	if id == "" {
		id = randomID()
	}
	return []any{id, shown(string(m.Kind)), shown(m.UserID), shown(m.To), shown(m.Locale), micros(m.At), micros(m.EndsAt)}
}

// waitingRow receives waitingOf.
func waitingRow(row scanner) (w outbox.Waiting, err error) {
	var at, ends, due, attempts int64
	err = row.Scan(&w.ID, &w.Kind, &w.UserID, &w.To, &w.Locale, &at, &ends, &due, &w.Lease, &attempts, &w.Reason)
	w.At, w.EndsAt, w.DueAt, w.Attempts = instant(at), instant(ends), instant(due), int(attempts)
	return w, err
}

const (
	someDue = `SELECT id FROM outbox WHERE due_at <= $1 LIMIT 1`
	// Of two who found the same row, the second waits for the first at the row and then looks at due_at again.
	claimMessage = `UPDATE outbox SET due_at = $1, lease = $2, attempts = attempts + 1
		WHERE id = (SELECT o.id FROM outbox o WHERE o.due_at <= $3 ORDER BY o.due_at, o.at, o.id LIMIT 1) AND due_at <= $4
		RETURNING ` + waitingOf
)

// rivals is how many may take a message before one who wants it at the same moment, until that one comes back later.
const rivals = 8

// ClaimMessage looks before it takes: most of the time there is nothing, and a look takes no turn of SQLite's one writer.
// Who came second to a row looks for another one. A claim whose answer was lost is not made again; the message is taken
// when that lease has ended.
func (db *DB) ClaimMessage(ctx context.Context, lease string, now, until time.Time) (w outbox.Waiting, err error) {
	if !until.After(now) {
		return w, fmt.Errorf("%w: a lease that ends before it begins", userstore.ErrInvalid)
	}
	for range rivals {
		err := db.one(ctx, bind(someDue, micros(now)), func(row scanner) error {
			var id string
			return row.Scan(&id)
		})
		if err != nil {
			return w, err
		}
		claim := bind(claimMessage, micros(until), lease, micros(now), micros(now))
		if err := storable(claim.args); err != nil {
			return w, err
		}
		found := false
		err = db.act(ctx, false, func(ctx context.Context, _ bool) error {
			found = false
			_, err := db.engine.write(ctx, claim, func(row scanner) (err error) {
				found = true
				w, err = waitingRow(row)
				return err
			})
			return err
		})
		if err != nil || found {
			return w, err
		}
	}
	return w, userstore.ErrNotFound
}

func (db *DB) PostponeMessage(ctx context.Context, id, lease string, due time.Time, reason string) error {
	n, err := db.write(ctx, true, bind(`UPDATE outbox SET due_at = $1, reason = $2 WHERE id = $3 AND lease = $4`,
		micros(due), shown(reason), id, lease))
	if err == nil && n == 0 {
		err = userstore.ErrNotFound
	}
	return unknown(err, userstore.ErrNotFound)
}

func (db *DB) RemoveMessage(ctx context.Context, id string) error {
	_, err := db.write(ctx, true, bind(`DELETE FROM outbox WHERE id = $1`, id))
	return unknown(err, nil)
}

func (db *DB) GiveUpMessage(ctx context.Context, id, lease string, events ...audit.Event) error {
	err := db.change(ctx, true, bind(`DELETE FROM outbox WHERE id = $1 AND lease = $2`, id, lease), userstore.ErrNotFound, events)
	return unknown(err, userstore.ErrNotFound)
}

func (db *DB) ListMessages(ctx context.Context, after *outbox.Message, limit int) (page []outbox.Waiting, err error) {
	if limit < 1 {
		return nil, fmt.Errorf("%w: a page of %d messages", userstore.ErrInvalid, limit)
	}
	list := bind(`SELECT `+waitingOf+` FROM outbox ORDER BY at, id LIMIT $1`, int64(limit))
	if after != nil {
		list = bind(`SELECT `+waitingOf+` FROM outbox WHERE (at, id) > ($1, $2) ORDER BY at, id LIMIT $3`, micros(after.At), after.ID, int64(limit))
	}
	err = db.rows(ctx, list, func() { page = nil }, func(row scanner) error {
		w, err := waitingRow(row)
		page = append(page, w)
		return err
	})
	return page, unknown(err, nil)
}

func (db *DB) OutboxState(ctx context.Context) (s outbox.State, err error) {
	err = db.one(ctx, bind(`SELECT COUNT(*), COALESCE(MIN(at), 0) FROM outbox`), func(row scanner) error {
		var n, oldest int64
		err := row.Scan(&n, &oldest)
		s = outbox.State{Waiting: int(n), Oldest: instant(oldest)}
		return err
	})
	return s, err
}
