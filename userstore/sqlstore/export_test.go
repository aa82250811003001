package sqlstore

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// MigrationNames lists the embedded migrations.
func (db *DB) MigrationNames() ([]string, error) {
	all, err := db.embedded()
	var names []string
	for _, m := range all {
		names = append(names, m.Name)
	}
	return names, err
}

var (
	AdvanceSQL = postgresDialect.advances[advanceVariant{firstParty: true}]
	ViewSQL    = viewBySession

	UserByEmailSQL    = userByEmail
	UserByUsernameSQL = userByUsername
	ListGrantsSQL     = listGrants
	EndOldestSQL      = endOldest
	RecordEndedSQL    = recordEnded
	StartAppSQL       = startApp
	BoundAppsSQL      = boundApps
	DeleteUntoldSQL   = deleteUntold
	ClaimAppSQL       = claimApp
	SomeAppDueSQL     = someAppDue
	PostponeRestSQL   = postponeRest
	DeleteAdminSQL    = `DELETE FROM users WHERE id = $1` + unlessLastAdmin

	CodeSQL           = codeByHash
	SaveCodeSQL       = saveCodeByConsent
	UseCodeSQL        = useCode
	UseCodeOfGrantSQL = useCodeOfGrant
	GoOnSQL           = goOn
	GrantOfCodeSQL    = grantOfCode
	SessionSQL        = browserSession
	ListSessionsSQL   = listSessions
	RevokeReplacedSQL = revokeReplaced
	DeleteIdleSQL     = deleteIdle
	RecordSurplusSQL  = recordSurplus
	EndSurplusSQL     = endSurplus
	SavePushedSQL     = savePushed
	ReadPushedSQL     = readPushed
	UsePushedSQL      = usePushed
	UseDPoPProofSQL   = useDPoPProof

	SaveDeviceSQL       = saveDevice
	DeviceByCodeSQL     = deviceByCode
	DeviceByUserCodeSQL = deviceByUserCode
	DeviceByIDSQL       = deviceByID
	PollDeviceSQL       = pollDevice
	ListConsentsSQL     = listConsents
	NextClientsSQL      = nextClients
	ReadSubjectSQL      = readSubject
	ListSubjectsSQL     = listSubjects
	UserBySubjectSQL    = userBySubject
)

// EachConn runs a statement on every open connection of a PostgreSQL pool.
func EachConn(ctx context.Context, db *DB, statement string) error {
	pool := db.engine.(*postgres).pool
	for _, c := range pool.AcquireAllIdle(ctx) {
		defer c.Release()
		if _, err := c.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// Setting returns a setting of PostgreSQL as the store's sessions have it.
func Setting(ctx context.Context, db *DB, name string) (value string, err error) {
	err = db.engine.(*postgres).pool.QueryRow(ctx, "SHOW "+name).Scan(&value)
	return value, err
}

// SQLiteSettings returns the settings of a file's connections.
func SQLiteSettings(ctx context.Context, db *DB) (string, error) {
	e := db.engine.(*sqliteEngine)
	var b strings.Builder
	for _, c := range []struct {
		name string
		db   *sql.DB
	}{{"writer", e.writer.DB}, {"sweeper", e.sweeper.DB}, {"reader", e.reader.DB}} {
		b.WriteString(c.name + ":")
		for _, pragma := range []string{"journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only"} {
			var value string
			if err := c.db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&value); err != nil {
				return "", err
			}
			b.WriteString(" " + pragma + "=" + value)
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

// MigrationLock is the number of the advisory lock, as SQL.
var MigrationLock = strconv.Itoa(migrationLock)

// Exec runs a statement for which the store has no method.
func Exec(ctx context.Context, db *DB, statement string) error {
	_, err := db.engine.write(ctx, bind(statement), nil)
	return err
}

// PlainScan scans the row that rows is at, as the store does.
func PlainScan(rows pgx.Rows, dest ...any) error { return (&plainRows{rows}).Scan(dest...) }

// SQLitePlan returns SQLite's query plan for a statement.
func SQLitePlan(ctx context.Context, db *DB, statement string, args ...any) (string, error) {
	rows, err := db.engine.(*sqliteEngine).reader.QueryContext(ctx, "EXPLAIN QUERY PLAN "+statement, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return "", err
		}
		b.WriteString(detail + "\n")
	}
	return b.String(), rows.Err()
}

// EventsSQL are the statements that page through the audit log, by the index that they must use.
var EventsSQL = func() map[string]stmt {
	before := &audit.Event{ID: "e5", At: time.UnixMicro(5)}
	all := map[string]stmt{}
	for index, q := range map[string]userstore.EventQuery{
		"audit_events_pkey":   {},
		"audit_events_actor":  {ActorID: "a1"},
		"audit_events_target": {TargetID: "t1"},
		"audit_events_rare":   {Name: audit.KeysRotated},
	} {
		q.Before, q.Limit = before, 10
		all[index] = listEvents(q)
	}
	all["audit_events_pkey "] = bind(removeEvents, int64(5), int64(10))
	return all
}()

// SQL and Args return the two parts of a statement.
func (s stmt) SQL() string { return s.sql }
func (s stmt) Args() []any { return s.args }

// LongLog is how many pages SQLite's log has when a checkpoint lets writers wait.
const LongLog = longLog

// StopCheckpoints ends the checkpoints of a file.
func StopCheckpoints(db *DB) {
	c := db.engine.(*sqliteEngine).checkpoints
	c.stop()
	<-c.ended
}

// Checkpoint writes a file's log back, as it is done beside the requests.
func Checkpoint(ctx context.Context, db *DB) (pages int, held bool) {
	e := db.engine.(*sqliteEngine)
	return e.checkpoints.checkpoint(ctx, e)
}

// Kept returns how many statements are kept for a file's writes.
func Kept(db *DB) (n int) {
	db.engine.(*sqliteEngine).writer.prepared.Range(func(any, any) bool { n++; return true })
	return n
}

// HoldTurn keeps everything from writing until it is released.
func HoldTurn(t testing.TB, db *DB) (release func()) {
	e := db.engine.(*sqliteEngine)
	if err := e.waitTurn(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e.endTurn
}

// Queued returns how many calls wait to write together.
func Queued(db *DB) int {
	g := &db.engine.(*sqliteEngine).group
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// Batch runs statements as a method of the store does that writes them together.
func Batch(ctx context.Context, db *DB, statements ...string) error {
	var s []stmt
	for _, text := range statements {
		s = append(s, bind(text))
	}
	_, err := db.as("Batch").batch(ctx, true, s...)
	return err
}

// BatchOnce is Batch without another try.
func BatchOnce(ctx context.Context, db *DB, statement string) error {
	_, err := db.engine.batch(ctx, []stmt{bind(statement)})
	return err
}

// Transact runs a statement in a transaction of its own.
func Transact(ctx context.Context, db *DB, statement string) error {
	return db.engine.transact(ctx, func(run exec) error {
		_, err := run(bind(statement))
		return err
	})
}
