package sqlstore

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pooler knows whether a connection pooler is between this program and PostgreSQL.
//
// A transaction pooler gives each transaction another connection to the server. Named prepared
// statements belong to one connection, and are then missing (26000) or in the way (42P05).
// PgBouncer keeps them apart by itself from version 1.21 on, if max_prepared_statements is set;
// earlier versions cannot. Statements without a name work through all of them and cost the server
// the parsing, so the store uses them as soon as it detects a pooler:
//
//   - Through a pooler, the process id of a connection differs from that of the server's process.
//     The two are compared when a connection is made, before any other statement.
//   - PgBouncer refuses startup parameters that it does not know, such as our limits.
//   - A pooler that neither check detects is detected when it mixes up statements. Nothing has been
//     changed then, and the operation is retried on a new connection.
//
// Each can happen at any time in the life of a store, because an address can be pointed elsewhere.
type pooler struct {
	log        *slog.Logger
	modeChosen bool // default_query_exec_mode of the URL says how statements are sent

	unnamed       atomic.Bool // statements are sent without names
	limitsRefused atomic.Bool // limits are not sent, because the pooler refused them
	logged        atomic.Bool // the pooler was logged
}

// errPooler means that a connection was made as if to a server and turned out to lead to a pooler.
// The next connection is made for a pooler.
var errPooler = errors.New("there is a pooler before PostgreSQL")

// throughPooler marks a connection whose process id is not that of the server's process.
const throughPooler = "signet.pooler"

// configure makes the pool check every new connection, and set it up for a pooler if there is one.
// The check takes one round trip, which also finds out whether the node takes writes.
func (pl *pooler) configure(config *pgxpool.Config) {
	attributes := config.ConnConfig.ValidateConnect // the URL's target_session_attrs; nil: none
	config.ConnConfig.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		results, err := conn.Exec(ctx, `SELECT current_setting('transaction_read_only'), pg_backend_pid()`).ReadAll()
		if err != nil {
			return err
		}
		row := results[0].Rows[0]
		conn.CustomData()[throughPooler] = string(row[1]) != strconv.FormatUint(uint64(conn.PID()), 10)
		if attributes != nil {
			return attributes(ctx, conn)
		}
		// After a failover the address may still lead to the old, read-only node; with several
		// hosts in the address the next one is tried.
		if string(row[0]) != "off" {
			return pgconn.ErrReadOnlyConnection
		}
		return nil
	}
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		pl.adapt(c)
		return nil
	}
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		if conn.PgConn().CustomData()[throughPooler] != true {
			return nil
		}
		pl.logOnce("")
		if !pl.modeChosen && pl.unnamed.CompareAndSwap(false, true) {
			return errPooler
		}
		if !pl.modeChosen && conn.Config().DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
			return errPooler // it was begun before the pooler was detected
		}
		return nil
	}
}

// adapt changes the settings of a new connection to those that the pooler takes, if there is one.
func (pl *pooler) adapt(c *pgx.ConnConfig) {
	if pl.unnamed.Load() {
		c.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	if pl.limitsRefused.Load() {
		removeLimits(c)
	}
}

// detect reports whether only a pooler causes this error, and remembers the pooler.
func (pl *pooler) detect(err *pgconn.PgError) bool {
	switch {
	case refusesLimits(err):
		pl.limitsRefused.Store(true)
		if !pl.modeChosen {
			pl.unnamed.Store(true)
		}
	case err.Code == "42P05" || err.Code == "26000":
		pl.unnamed.Store(true) // the operator's choice does not work
	default:
		return false
	}
	pl.logOnce(err.Code)
	return true
}

// logOnce logs the pooler, the first time only.
func (pl *pooler) logOnce(code string) {
	if pl.log == nil || !pl.logged.CompareAndSwap(false, true) {
		return
	}
	attrs := []any{"statements", "unnamed"}
	if pl.modeChosen && !pl.unnamed.Load() {
		attrs[1] = "as default_query_exec_mode in database_url says"
	}
	if code != "" {
		attrs = append(attrs, "shown_by", code)
	}
	pl.log.Info("PostgreSQL is reached through a connection pooler; what it cannot keep apart is not used", attrs...)
}

// refusesLimits reports whether err is PgBouncer's answer to startup parameters that it does not
// know.
func refusesLimits(err *pgconn.PgError) bool {
	if err.Code != "08P01" || !strings.Contains(err.Message, "unsupported startup parameter") {
		return false
	}
	for name := range limits {
		if strings.Contains(err.Message, name) {
			return true
		}
	}
	return false
}

func removeLimits(c *pgx.ConnConfig) {
	maps.DeleteFunc(c.RuntimeParams, func(name, _ string) bool { _, ok := limits[name]; return ok })
}

// forMigration removes the time limits from c, because a migration may take long.
func (pl *pooler) forMigration(c *pgx.ConnConfig) {
	c.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	if pl.limitsRefused.Load() {
		removeLimits(c)
		return
	}
	for name := range limits {
		if strings.HasSuffix(name, "_timeout") {
			c.RuntimeParams[name] = "0"
		}
	}
}
