package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/signet-id/signet/userstore"
)

//go:embed migrations
var migrations embed.FS

// versionTable is goose's table of applied migrations.
const versionTable = "goose_db_version"

// Migration is one step of the schema. Both engines have migrations of the same names.
type Migration struct {
	Version   int64
	Name      string
	AppliedAt time.Time // zero: not applied; by the clock of the machine that applied it
}

// SchemaError says that the schema of the database does not fit this binary, and what to do.
type SchemaError struct {
	Have, Want int64 // schema versions of the database and of this binary; Have 0: none
}

func (e *SchemaError) Error() string {
	switch {
	case e.Have == 0:
		return "the database has no tables yet: run \"signet migrate up\", or start with \"signet serve --migrate\""
	case e.Have < e.Want:
		return fmt.Sprintf("the database schema is version %d and this program needs %d: run \"signet migrate up\", "+
			"or start with \"signet serve --migrate\"", e.Have, e.Want)
	}
	return fmt.Sprintf("the database schema is version %d, which this program, made for %d, cannot write: "+
		"start the newer release of signet that migrated it", e.Have, e.Want)
}

// Migrate brings the schema to this binary's version. It is safe when several replicas call it at
// once, and after a migration that was killed: each migration is applied as a whole or not at all,
// or else goes on where it was ended. It has no time limit.
func (db *DB) Migrate(ctx context.Context) error {
	if err := db.engine.migrate(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", wrap(err))
	}
	if err := db.CheckSchema(ctx); err != nil {
		return err
	}
	if err := db.FillSearch(ctx); err != nil {
		return fmt.Errorf("index the users for searches: %w", err)
	}
	// A server makes the months, too. Where its role may not, a migration every month or two does.
	now, err := db.Now(ctx)
	if err == nil {
		_, err = db.TendEventMonths(ctx, now, time.Time{})
	}
	if err != nil {
		return fmt.Errorf("make the months of the audit log: %w", err)
	}
	return nil
}

func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, files fs.FS) error {
	p, err := goose.NewProvider(dialect, db, files, goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// migrationFiles returns the migrations of an engine.
func migrationFiles(engine string) (fs.FS, error) {
	return fs.Sub(migrations, path.Join("migrations", engine))
}

// embedded returns the migrations of this binary, oldest first.
func (db *DB) embedded() ([]Migration, error) {
	entries, err := fs.ReadDir(migrations, path.Join("migrations", db.dialect.name))
	if err != nil {
		return nil, err
	}
	var all []Migration
	for _, entry := range entries {
		number, _, _ := strings.Cut(entry.Name(), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s has no number: %w", entry.Name(), err)
		}
		all = append(all, Migration{Version: version, Name: strings.TrimSuffix(entry.Name(), ".sql")})
	}
	return all, nil
}

// Migrations returns every migration that this binary or the database knows, oldest first, for
// "signet migrate status". It changes nothing.
func (db *DB) Migrations(ctx context.Context) ([]Migration, error) {
	all, err := db.embedded()
	if err != nil {
		return nil, err
	}
	applied, err := db.as("Migrations").applied(ctx)
	if err != nil {
		return nil, err
	}
	for version, at := range applied {
		i := slices.IndexFunc(all, func(m Migration) bool { return m.Version == version })
		if i < 0 {
			i = len(all)
			all = append(all, Migration{Version: version, Name: "(made by a newer release)"})
		}
		all[i].AppliedAt = at
	}
	slices.SortFunc(all, func(a, b Migration) int { return int(a.Version - b.Version) })
	return all, nil
}

// CheckSchema returns nil when the schema has this binary's version, or a newer one that this
// binary can still write to. It returns a *SchemaError otherwise.
func (db *DB) CheckSchema(ctx context.Context) error {
	have, want, err := db.as("CheckSchema").versions(ctx)
	if err != nil {
		return err
	}
	e := &SchemaError{Have: have, Want: want}
	if e.Have < e.Want {
		return e
	}
	if err := db.as("CheckSchema").checkCopied(ctx); err != nil {
		return err
	}
	if e.Have > e.Want {
		var oldest int64
		err := db.as("CheckSchema").one(ctx, bind(`SELECT oldest_writer FROM signet_schema`),
			func(s scanner) error { return s.Scan(&oldest) })
		if err != nil && !errors.Is(err, userstore.ErrNotFound) {
			return err
		}
		if err != nil || oldest > e.Want {
			return e
		}
	}
	return nil
}

// versions returns the version of the schema, up to which nothing is missing, and that of this
// binary.
func (db named) versions(ctx context.Context) (have, want int64, err error) {
	all, err := db.embedded()
	if err != nil {
		return 0, 0, err
	}
	applied, err := db.applied(ctx)
	if err != nil {
		return 0, 0, err
	}
	for version := range applied {
		have = max(have, version)
	}
	for _, m := range all {
		if _, ok := applied[m.Version]; !ok {
			have = min(have, m.Version-1)
			break
		}
	}
	return have, all[len(all)-1].Version, nil
}

// checkCopied refuses a database that holds an unfinished copy of another one.
func (db named) checkCopied(ctx context.Context) error {
	var unfinished int64
	err := db.one(ctx, bind(db.dialect.hasTable, copyMarker), func(s scanner) error { return s.Scan(&unfinished) })
	if err == nil && unfinished != 0 {
		err = ErrCopyUnfinished
	}
	return err
}

// applied returns the versions that the database has, with the time at which each was applied.
func (db named) applied(ctx context.Context) (map[int64]time.Time, error) {
	var exists int64
	if err := db.one(ctx, bind(db.dialect.hasTable, versionTable), func(s scanner) error { return s.Scan(&exists) }); err != nil {
		return nil, err
	}
	versions := map[int64]time.Time{}
	if exists == 0 {
		return versions, nil
	}
	err := db.rows(ctx, bind(`SELECT version_id, tstamp FROM `+versionTable+` WHERE is_applied AND version_id > 0`),
		func() { clear(versions) }, func(s scanner) error {
			var version int64
			var at time.Time
			err := s.Scan(&version, &at)
			versions[version] = at.UTC()
			return err
		})
	return versions, err
}
