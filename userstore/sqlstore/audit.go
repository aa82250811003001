package sqlstore

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const eventColumns = `at, id, name, outcome, reason, actor_type, actor_id, target_type, target_id,
	client_id, session_id, address, user_agent, request_id, changes`

const (
	insertEvent = `INSERT INTO audit_events (` + eventColumns + `)
	SELECT $, $, $, $, $, $, $, $, $, $, $, $, $, $, $ WHERE `
	onceEach = ` ON CONFLICT (at, id) DO NOTHING`
)

// told is how an event, and the messages of its act, are stored on one condition.
type told struct{ event, message string }

func toldIf(condition string) told {
	return told{numbered(insertEvent + condition + onceEach), numbered(insertMessage + condition + untold)}
}

var (
	storeEvent           = toldIf(`TRUE`)
	storeEventOfGrant    = toldIf(`EXISTS (SELECT 1 FROM grants WHERE id = $)`)
	storeEventOfCode     = toldIf(`EXISTS (SELECT 1 FROM codes WHERE hash = $ AND grant_id = $)`)
	storeEventOfConsent  = toldIf(`EXISTS (SELECT 1 FROM consents WHERE user_id = $ AND client_id = $)`)
	storeEventOfStarted  = toldIf(sessionStarted)
	storeEventOfSession  = toldIf(`EXISTS (SELECT 1 FROM browser_sessions WHERE id = $)`)
	storeEventOfOwn      = toldIf(`EXISTS (SELECT 1 FROM browser_sessions WHERE id = $ AND user_id = $)`)
	storeEventOfPassword = toldIf(`EXISTS (SELECT 1 FROM users WHERE id = $ AND password_hash = $)`)
)

// eventRow is an event as its columns, and its messages as theirs. It is made once for each call,
// before the first try: an act that is begun again stores the same rows.
type eventRow struct {
	columns  []any
	messages [][]any
}

// key is the primary key: at and id.
func (r eventRow) key() []any { return r.columns[:2:2] }

// eventRows makes rows of events. What no engine can hold is left out of them,
// and what is long is cut: to be told of must not keep anything from happening.
func eventRows(events []audit.Event) []eventRow {
	rows := make([]eventRow, len(events))
	for i, e := range events {
		id := shown(e.ID)
		if id == "" {
			id = randomID()
		}
		columns := []any{micros(e.At), id}
		for _, s := range []string{string(e.Name), string(e.Outcome), e.Reason, string(e.Actor.Type), e.Actor.ID,
			string(e.Target.Type), e.Target.ID, e.ClientID, e.SessionID, e.Address, e.UserAgent, e.RequestID} {
			columns = append(columns, shown(s))
		}
		rows[i].columns = append(columns, encodeChanges(e.Changes))
		for _, m := range e.Messages {
			rows[i].messages = append(rows[i].messages, messageColumns(m))
		}
	}
	return rows
}

func randomID() string {
	for {
		var b [16]byte
		rand.Read(b[:])
		// As every id: it begins with a letter or digit.
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' && id[0] != '_' {
			return id
		}
	}
}

// storeEvents are the statements that add events to the log, each unless it is there, and before that
// their messages to the outbox. first is the place of the first event.
func storeEvents(rows []eventRow) (s []stmt, first int) { return storeEventsIf(storeEvent, rows) }

// storeEventsIf are those of a batch, which adds them by statements that look for
// what the act wrote: given by args, it proves that the act happened.
func storeEventsIf(t told, rows []eventRow, args ...any) (s []stmt, first int) {
	for _, row := range rows {
		for _, message := range row.messages {
			s = append(s, bind(t.message, slices.Concat(message, args, row.key())...))
		}
	}
	first = len(s)
	for _, row := range rows {
		s = append(s, bind(t.event, slices.Concat(row.columns, args)...))
	}
	return s, first
}

// maxChanges bounds, with shown, the text of an event's changes far below maxValue.
const maxChanges = 64

func encodeChanges(changes []audit.Change) string {
	if len(changes) == 0 {
		return "[]"
	}
	stored := make([]audit.Change, 0, min(len(changes), maxChanges))
	for i, c := range changes {
		if i == maxChanges-1 && len(changes) > maxChanges {
			stored = append(stored, audit.Change{Field: "…", After: fmt.Sprintf("%d more", len(changes)-i)})
			break
		}
		stored = append(stored, audit.Change{Field: shown(c.Field), Before: shown(c.Before), After: shown(c.After)})
	}
	b, _ := json.Marshal(stored) // strings cannot fail
	return string(b)
}

func decodeChanges(text string) (changes []audit.Change, err error) {
	if text == "[]" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &changes); err != nil {
		return nil, fmt.Errorf("the stored changes of an event are damaged: %w", err)
	}
	return changes, nil
}

func (db *DB) Record(ctx context.Context, events ...audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	s, _ := storeEvents(eventRows(events))
	_, err := db.batch(ctx, true, s...)
	return err
}

// listEvents is the statement of a page. The conditions that say no more than
// others let the partial indexes be used.
func listEvents(q userstore.EventQuery) stmt {
	sql := `SELECT ` + eventColumns + ` FROM audit_events WHERE TRUE`
	var args []any
	add := func(condition string, values ...any) {
		sql += ` AND ` + condition
		args = append(args, values...)
	}
	if q.Before != nil {
		add(`(at, id) < ($, $)`, micros(q.Before.At), q.Before.ID)
	}
	switch q.Name {
	case "":
	case audit.LoginSucceeded, audit.LoginFailed:
		add(`name = $`, string(q.Name))
	default:
		add(`name = $ AND name NOT IN ('login_succeeded', 'login_failed')`, string(q.Name))
	}
	if q.ActorID != "" {
		add(`actor_id = $ AND actor_id <> ''`, q.ActorID)
	}
	if q.TargetID != "" {
		add(`target_id = $ AND target_id <> ''`, q.TargetID)
	}
	if !q.From.IsZero() {
		add(`at >= $`, micros(q.From))
	}
	if !q.To.IsZero() {
		add(`at < $`, micros(q.To))
	}
	return bind(numbered(sql+` ORDER BY at DESC, id DESC LIMIT $`), append(args, int64(q.Limit))...)
}

func (db *DB) ListEvents(ctx context.Context, q userstore.EventQuery) ([]audit.Event, error) {
	if q.Limit < 1 {
		return nil, fmt.Errorf("%w: a page of %d events", userstore.ErrInvalid, q.Limit)
	}
	var page []audit.Event
	err := db.rows(ctx, listEvents(q), func() { page = nil }, func(row scanner) error {
		var e audit.Event
		var at int64
		var changes string
		err := row.Scan(&at, &e.ID, &e.Name, &e.Outcome, &e.Reason, &e.Actor.Type, &e.Actor.ID, &e.Target.Type, &e.Target.ID,
			&e.ClientID, &e.SessionID, &e.Address, &e.UserAgent, &e.RequestID, &changes)
		if err != nil {
			return err
		}
		e.At = instant(at)
		e.Changes, err = decodeChanges(changes)
		page = append(page, e)
		return err
	})
	return page, unknown(err, nil)
}

const removeEvents = `DELETE FROM audit_events WHERE (at, id) IN
	(SELECT e.at, e.id FROM audit_events e WHERE e.at < $1 ORDER BY e.at, e.id LIMIT $2)`

func (db *DB) RemoveEvents(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit < 1 {
		return 0, fmt.Errorf("%w: at most %d events", userstore.ErrInvalid, limit)
	}
	n, err := db.write(ctx, true, bind(removeEvents, micros(before), int64(limit)))
	return int(n), err
}
