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
	unlessStored = ` ON CONFLICT (at, id) DO NOTHING`
)

// inserts holds the statements that store an event, and the messages of its operation, on the same
// condition.
type inserts struct{ event, message string }

func insertsIf(condition string) inserts {
	return inserts{
		event:   numbered(insertEvent + condition + unlessStored),
		message: numbered(insertMessage + condition + unlessEventStored),
	}
}

var (
	storeEvent             = insertsIf(`TRUE`)
	storeEventOfGrant      = insertsIf(`EXISTS (SELECT 1 FROM grants WHERE id = $)`)
	storeEventOfCode       = insertsIf(`EXISTS (SELECT 1 FROM codes WHERE hash = $ AND grant_id = $)`)
	storeEventOfConsent    = insertsIf(`EXISTS (SELECT 1 FROM consents WHERE user_id = $ AND client_id = $)`)
	storeEventOfNewSession = insertsIf(sessionStarted)
	storeEventOfSession    = insertsIf(`EXISTS (SELECT 1 FROM browser_sessions WHERE id = $)`)
	storeEventOfOwnSession = insertsIf(`EXISTS (SELECT 1 FROM browser_sessions WHERE id = $ AND user_id = $)`)
	storeEventOfPassword   = insertsIf(`EXISTS (SELECT 1 FROM users WHERE id = $ AND password_hash = $)`)
)

// eventRow is an event as the columns of its row, and its messages as the columns of theirs. It is
// made once for each call, before the first try, so that a retried operation stores the same rows.
type eventRow struct {
	columns  []any
	messages [][]any
}

// key returns the primary key: at and id.
func (r eventRow) key() []any { return r.columns[:2:2] }

// eventRows makes rows of events. It drops characters that no engine can store and cuts long text:
// an audit entry must not keep its operation from happening.
func eventRows(events []audit.Event) []eventRow {
	rows := make([]eventRow, len(events))
	for i, e := range events {
		id := displayable(e.ID)
		if id == "" {
			id = randomID()
		}
		columns := []any{micros(e.At), id}
		for _, s := range []string{string(e.Name), string(e.Outcome), e.Reason, string(e.Actor.Type), e.Actor.ID,
			string(e.Target.Type), e.Target.ID, e.ClientID, e.SessionID, e.Address, e.UserAgent, e.RequestID} {
			columns = append(columns, displayable(s))
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
		// Every id begins with a letter or digit.
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' && id[0] != '_' {
			return id
		}
	}
}

// storeEvents returns the statements that add the messages of rows to the outbox, and then rows to
// the audit log, each unless it is stored already. The last len(rows) statements add the rows.
func storeEvents(rows []eventRow) []stmt { return storeEventsIf(storeEvent, rows) }

// storeEventsIf returns the same statements for a batch. Each looks for the row that the operation
// wrote, which args name and which proves that the operation happened.
func storeEventsIf(sql inserts, rows []eventRow, args ...any) []stmt {
	var s []stmt
	for _, row := range rows {
		for _, message := range row.messages {
			s = append(s, bind(sql.message, slices.Concat(message, args, row.key())...))
		}
	}
	for _, row := range rows {
		s = append(s, stmt{sql: sql.event, args: slices.Concat(row.columns, args), entry: true})
	}
	return s
}

// maxChanges bounds, together with displayable, the text of an event's changes far below maxValue.
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
		stored = append(stored,
			audit.Change{Field: displayable(c.Field), Before: displayable(c.Before), After: displayable(c.After)})
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
	_, err := db.as("Record").batch(ctx, true, storeEvents(eventRows(events))...)
	return err
}

// listEvents returns the statement for a page. Its redundant conditions let the partial indexes be
// used.
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
	err := db.as("ListEvents").rows(ctx, listEvents(q), func() { page = nil }, func(row scanner) error {
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
	return page, ifUnstorable(err, nil)
}

const removeEvents = `DELETE FROM audit_events WHERE (at, id) IN
	(SELECT e.at, e.id FROM audit_events e WHERE e.at < $1 ORDER BY e.at, e.id LIMIT $2)`

func (db *DB) RemoveEvents(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit < 1 {
		return 0, fmt.Errorf("%w: at most %d events", userstore.ErrInvalid, limit)
	}
	return db.as("RemoveEvents").removal(ctx, removeEvents, micros(before))(limit)
}
