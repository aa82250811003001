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

// pooler is what is known of a connection pooler between this program and PostgreSQL.
//
// A transaction pooler gives each transaction another connection to the server. Named prepared
// statements, which stay with one connection, are then missing (26000) or in the way (42P05).
// PgBouncer keeps them apart by itself from version 1.21 on, if max_prepared_statements is set;
// no other version can. Statements without a name work through all of them and cost the server
// the parsing, so they are used as soon as there is a pooler:
//
//   - A connection through a pooler carries another process id than the server's own process
//     has. It is compared when a connection is made, before anything else is sent.
//   - PgBouncer refuses startup parameters that it does not know, which our limits are.
//   - Whatever hides from both shows when it mixes up statements. Nothing has happened then, and
//     the act is begun again on a new connection.
//
// Each can happen at any time in the life of a store: addresses are pointed elsewhere.
type pooler struct {
	log        *slog.Logger
	modeChosen bool // the operator has chosen by default_query_exec_mode how statements are sent

	unnamed       atomic.Bool // statements are sent without names
	limitsRefused atomic.Bool // limits are not sent
	logged        atomic.Bool
}

// errPooler: the connection was made for a server and turned out to lead to a pooler. The next
// one is made for that.
var errPooler = errors.New("there is a pooler before PostgreSQL")

// throughPooler marks a connection whose process id is not that of the server's process.
const throughPooler = "signet.pooler"

// configure has every new connection examined, and made for a pooler if there is one. The examination
// takes the one round trip that it also takes to find out whether the node takes writes.
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
		if pl.unnamed.Load() {
			c.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		}
		if pl.limitsRefused.Load() {
			removeLimits(c)
		}
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
			return errPooler // it was begun before the others knew
		}
		return nil
	}
}

// detect takes notice of an error that only a pooler causes.
func (pl *pooler) detect(err *pgconn.PgError) bool {
	switch {
	case refusesLimits(err):
		pl.limitsRefused.Store(true)
		if !pl.modeChosen {
			pl.unnamed.Store(true)
		}
	case err.Code == "42P05" || err.Code == "26000":
		pl.unnamed.Store(true) // whatever was chosen: it does not work
	default:
		return false
	}
	pl.logOnce(err.Code)
	return true
}

// logOnce tells the operator once.
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

// refusesLimits tells PgBouncer's answer to startup parameters that it does not know.
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

// forMigration makes c fit for a migration, which may take its time.
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
