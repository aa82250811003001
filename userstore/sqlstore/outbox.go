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
	messageOf = `id, kind, user_id, address, locale, at, ends_at, browser, system`
	waitingOf = messageOf + `, due_at, lease, attempts, reason`

	// insertMessage and unlessEventStored enclose the condition on which the event of the same operation
	// is stored. A message is inserted before its event, and only while the audit log does not hold that
	// event. So an operation that is retried because its answer was lost finds the event, and does not
	// store a message again that may have been sent and removed by then.
	insertMessage     = `INSERT INTO outbox (` + waitingOf + `) SELECT $, $, $, $, $, $, $, $, $, 0, '', 0, '' WHERE `
	unlessEventStored = ` AND NOT EXISTS (SELECT 1 FROM audit_events WHERE at = $ AND id = $) ON CONFLICT (id) DO NOTHING`
)

func messageColumns(m outbox.Message) []any {
	id := displayable(m.ID)
	if id == "" {
		id = randomID()
	}
	return []any{id, displayable(string(m.Kind)), displayable(m.UserID), displayable(m.To), displayable(m.Locale),
		micros(m.At), micros(m.EndsAt), displayable(m.Device.Browser), displayable(m.Device.System)}
}

// waitingRow receives waitingOf.
func waitingRow(row scanner) (w outbox.Waiting, err error) {
	var at, ends, due, attempts int64
	err = row.Scan(&w.ID, &w.Kind, &w.UserID, &w.To, &w.Locale, &at, &ends, &w.Device.Browser, &w.Device.System,
		&due, &w.Lease, &attempts, &w.Reason)
	w.At, w.EndsAt, w.DueAt, w.Attempts = instant(at), instant(ends), instant(due), int(attempts)
	return w, err
}

const (
	someDue = `SELECT id FROM outbox WHERE due_at <= $1 LIMIT 1`
	// Of two claims that find the same row, the second waits for the row and then reads due_at again.
	claimMessage = `UPDATE outbox SET due_at = $1, lease = $2, attempts = attempts + 1
		WHERE id = (SELECT o.id FROM outbox o WHERE o.due_at <= $3 ORDER BY o.due_at, o.at, o.id LIMIT 1) AND due_at <= $4
		RETURNING ` + waitingOf
)

// rivals is how often a claim may find that another claim took its message first, until it gives up.
const rivals = 8

// ClaimMessage reads before it writes: most of the time no message is due, and a read does not wait
// for SQLite's one writer. A claim that came second to a row looks for another one. A claim whose
// answer was lost is not retried; the message is claimed again when its lease has ended.
func (db *DB) ClaimMessage(ctx context.Context, lease string, now, until time.Time) (w outbox.Waiting, err error) {
	if !until.After(now) {
		return w, fmt.Errorf("%w: a lease that ends before it begins", userstore.ErrInvalid)
	}
	for range rivals {
		err := db.as("ClaimMessage").one(ctx, bind(someDue, micros(now)), func(row scanner) error {
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
		err = db.as("ClaimMessage").retrying(ctx, false, func(ctx context.Context, _ bool) error {
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
	n, err := db.as("PostponeMessage").write(ctx, true,
		bind(`UPDATE outbox SET due_at = $1, reason = $2 WHERE id = $3 AND lease = $4`,
			micros(due), displayable(reason), id, lease))
	if err == nil && n == 0 {
		err = userstore.ErrNotFound
	}
	return ifUnstorable(err, userstore.ErrNotFound)
}

func (db *DB) RemoveMessage(ctx context.Context, id string) error {
	_, err := db.as("RemoveMessage").write(ctx, true, bind(`DELETE FROM outbox WHERE id = $1`, id))
	return ifUnstorable(err, nil)
}

func (db *DB) GiveUpMessage(ctx context.Context, id, lease string, events ...audit.Event) error {
	err := db.as("GiveUpMessage").change(ctx, true, bind(`DELETE FROM outbox WHERE id = $1 AND lease = $2`, id, lease),
		userstore.ErrNotFound, events)
	return ifUnstorable(err, userstore.ErrNotFound)
}

func (db *DB) ListMessages(ctx context.Context, after *outbox.Message, limit int) (page []outbox.Waiting, err error) {
	if limit < 1 {
		return nil, fmt.Errorf("%w: a page of %d messages", userstore.ErrInvalid, limit)
	}
	list := bind(`SELECT `+waitingOf+` FROM outbox ORDER BY at, id LIMIT $1`, int64(limit))
	if after != nil {
		list = bind(`SELECT `+waitingOf+` FROM outbox WHERE (at, id) > ($1, $2) ORDER BY at, id LIMIT $3`,
			micros(after.At), after.ID, int64(limit))
	}
	err = db.as("ListMessages").rows(ctx, list, func() { page = nil }, func(row scanner) error {
		w, err := waitingRow(row)
		page = append(page, w)
		return err
	})
	return page, ifUnstorable(err, nil)
}

func (db *DB) OutboxState(ctx context.Context) (s outbox.State, err error) {
	waiting := bind(`SELECT COUNT(*), COALESCE(MIN(at), 0) FROM outbox`)
	err = db.as("OutboxState").one(ctx, waiting, func(row scanner) error {
		var n, oldest int64
		err := row.Scan(&n, &oldest)
		s = outbox.State{Waiting: int(n), Oldest: instant(oldest)}
		return err
	})
	return s, err
}
