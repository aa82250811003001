package sqlstore

import (
	"context"
	"database/sql/driver"
	"io/fs"
	"os"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// CopiedTables are the tables of a copy, and MigrationFiles those that make them.
var (
	CopiedTables   = copied
	MigrationFiles = migrations
)

// BoolColumns are the columns of each table that PostgreSQL holds as booleans, and SQLite as numbers.
var BoolColumns = map[string][]string{
	"users":                 {"email_verified", "is_active", "is_staff", "second_factor", "factors_vouched"},
	"clients":               {"public", "first_party", "id_token_claims", "backchannel_logout", "frontchannel_logout"},
	"codes":                 {"by_consent"},
	"authenticator_apps":    {"confirmed"},
	"passkeys":              {"backed_up", "backup_eligible"},
	"retired_passkeys":      {"backed_up", "backup_eligible"},
	"one_time_tokens":       {"second_factor"},
	"device_authorizations": {"was_early"},
}

// CopyLocked takes the lock of migrations, as a copy does once the schema is made.
func CopyLocked(ctx context.Context, _, to *DB) error {
	end, err := to.engine.(*postgres).migrating(ctx)
	if err == nil {
		end()
	}
	return err
}

// MigrateBy applies migrations that are not those of this binary.
func MigrateBy(ctx context.Context, db *DB, files fs.FS) error {
	if e, ok := db.engine.(*sqliteEngine); ok {
		return migrate(ctx, goose.DialectSQLite3, e.writer.DB, files)
	}
	return db.engine.(*postgres).migrateBy(ctx, files)
}

// KillFunction is a function of SQLite in a test's process, which kills the process.
const KillFunction = "kill_this_process"

func init() {
	sqlite.MustRegisterScalarFunction(KillFunction, 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		if err != nil {
			return nil, err
		}
		select {} // until the signal is here
	})
}
