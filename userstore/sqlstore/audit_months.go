package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// On PostgreSQL the audit log is a table of months (partitions by at, UTC). A month is made before
// its first entry comes, and dropped as a whole when its last entry is too old. An entry of which
// there is no month is kept in the table audit_events_other, and so is every entry where the
// server's role does not own the tables; those are removed one by one.

const (
	// monthsAhead is how many months are made before they begin: a month, by whatever clock, is
	// there long before it is needed, also when no server runs for some weeks.
	monthsAhead = 2
	// monthsLock is the advisory lock under which one replica at a time makes or drops a month.
	monthsLock = migrationLock + 1
	// manyInOther is the size of audit_events_other from which no month is made: PostgreSQL reads
	// that table under a lock to find out whether it holds entries of the new month.
	manyInOther = 64 << 20
)

// Making or dropping a month locks the table for some milliseconds, and waits for that lock at most
// a quarter of a second, for writers wait behind it. The next round tries again.
const monthBudget = `SELECT set_config('lock_timeout', '250ms', true), set_config('statement_timeout', '2s', true)`

// eventsPart is a partition of the audit log. It holds the entries from and after from, and before
// until.
type eventsPart struct {
	table       string // with its schema, quoted
	from, until int64
	other       bool   // of the entries that have no partition of their own
	size        int64  // in bytes; of audit_events_other only
	owned       bool   // by this role, which may make partitions beside it and drop it
	owner       string // of the whole log, quoted
}

const readEventsParts = `SELECT format('%I.%I', n.nspname, c.relname), pg_get_expr(c.relpartbound, c.oid),
	CASE WHEN pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' THEN pg_relation_size(c.oid) ELSE 0 END,
	pg_has_role(c.relowner, 'USAGE') AND pg_has_role(p.relowner, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE'),
	quote_ident(pg_get_userbyid(p.relowner))
	FROM pg_class p JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid
	JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE p.oid = to_regclass('audit_events') ORDER BY c.relname`

var partBounds = regexp.MustCompile(`^FOR VALUES FROM \((MINVALUE|'-?\d+')\) TO \((MAXVALUE|'-?\d+')\)$`)

// bounds reads what PostgreSQL says of a partition.
func (p *eventsPart) bounds(text string) error {
	if text == "DEFAULT" {
		p.other = true
		return nil
	}
	m := partBounds.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("the partition %s has the bounds %q", p.table, text)
	}
	p.from, p.until = math.MinInt64, math.MaxInt64
	for i, to := range []*int64{&p.from, &p.until} {
		if n, err := strconv.ParseInt(m[i+1][1:len(m[i+1])-1], 10, 64); err == nil {
			*to = n
		}
	}
	return nil
}

func (db named) eventsParts(ctx context.Context) (parts []eventsPart, err error) {
	err = db.rows(ctx, bind(readEventsParts), func() { parts = nil }, func(row scanner) error {
		var p eventsPart
		var text string
		if err := row.Scan(&p.table, &text, &p.size, &p.owned, &p.owner); err != nil {
			return err
		}
		parts = append(parts, p)
		return parts[len(parts)-1].bounds(text)
	})
	return parts, err
}

// TendEventMonths makes the months to come and drops those that ended before then. Replicas may do
// so at the same time. An error leaves everything usable, and the next call goes on.
func (db *DB) TendEventMonths(ctx context.Context, now, before time.Time) (rest time.Time, err error) {
	if db.dialect.name != postgresDialect.name {
		return before, nil
	}
	parts, err := db.as("TendEventMonths").eventsParts(ctx)
	if err != nil || !ownsAll(parts) {
		return before, err
	}
	err = db.as("TendEventMonths").makeMonths(ctx, parts, now)
	if before.IsZero() {
		return before, err
	}
	rest = before
	for _, p := range parts {
		switch {
		case p.other:
		case p.until <= micros(before):
			err = errors.Join(err, db.as("TendEventMonths").alterEvents(ctx, `DROP TABLE IF EXISTS `+p.table))
		case p.from <= micros(before) && p.from != math.MinInt64:
			rest = instant(p.from) // the rest of this month goes with the month
		}
	}
	return rest, err
}

// ownsAll reports whether this role may make and drop months. A table without partitions, or one of
// an operator's making, is left alone.
func ownsAll(parts []eventsPart) bool {
	return len(parts) > 0 && !slices.ContainsFunc(parts, func(p eventsPart) bool { return !p.owned })
}

// makeMonths makes the month of now and the next ones, each unless entries of its time have a place
// already.
func (db named) makeMonths(ctx context.Context, parts []eventsPart, now time.Time) (err error) {
	i := slices.IndexFunc(parts, func(p eventsPart) bool { return p.other })
	if i < 0 || parts[i].size > manyInOther {
		return nil
	}
	prefix, ours := strings.CutSuffix(parts[i].table, "other")
	if !ours {
		return nil
	}
	now = now.UTC()
	for n := range 1 + monthsAhead {
		begins := time.Date(now.Year(), now.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
		from, until := micros(begins), micros(begins.AddDate(0, 1, 0))
		if slices.ContainsFunc(parts, func(p eventsPart) bool { return !p.other && p.from < until && from < p.until }) {
			continue
		}
		// To attach a table takes a weaker lock than CREATE TABLE … PARTITION OF.
		table := prefix + begins.Format("2006_01")
		err = errors.Join(err, db.alterEvents(ctx,
			`CREATE TABLE `+table+` (LIKE audit_events INCLUDING INDEXES)`,
			`ALTER TABLE `+table+` OWNER TO `+parts[i].owner,
			fmt.Sprintf(`ALTER TABLE audit_events ATTACH PARTITION %s FOR VALUES FROM (%d) TO (%d)`, table, from, until)))
	}
	return err
}

// alterEvents changes the partitions in one transaction, without a retry. Another replica may have
// been first, and entries in audit_events_other may stand in the way of a month, which then has no
// table of its own: neither is an error.
func (db named) alterEvents(ctx context.Context, statements ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	steps := []stmt{bind(monthBudget), bind(`SELECT pg_advisory_xact_lock($1)`, int64(monthsLock))}
	for _, s := range statements {
		steps = append(steps, bind(s))
	}
	_, err := db.engine.batch(ctx, steps)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "42P07", // the table is there
			"23514": // audit_events_other has entries of this time
			return nil
		}
	}
	return wrap(err)
}
