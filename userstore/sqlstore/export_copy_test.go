package sqlstore

import (
	"context"
	"io/fs"
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

// MigrateBy applies migrations that are not those of this binary to a PostgreSQL database.
func MigrateBy(ctx context.Context, db *DB, files fs.FS) error {
	return db.engine.(*postgres).migrateBy(ctx, files)
}
