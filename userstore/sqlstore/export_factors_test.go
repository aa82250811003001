package sqlstore

import (
	"context"
	"database/sql"
	"io/fs"
	"path"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// MigrateTo brings an empty database to an older version of the schema.
func MigrateTo(ctx context.Context, db *DB, version int64) error {
	var pool *sql.DB
	dialect := goose.DialectSQLite3
	switch e := db.engine.(type) {
	case *sqliteEngine:
		pool = e.writer.DB
	case *postgres:
		pool, dialect = stdlib.OpenDB(*e.pool.Config().ConnConfig), goose.DialectPostgres
		defer pool.Close()
	}
	fsys, err := fs.Sub(migrations, path.Join("migrations", db.dialect.name))
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, pool, fsys, goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, version)
	return err
}

// OldestWriter returns the oldest schema version whose binaries may write.
func OldestWriter(ctx context.Context, db *DB) (version int64, err error) {
	err = db.engine.read(ctx, bind(`SELECT oldest_writer FROM signet_schema`),
		func(s scanner) error { return s.Scan(&version) })
	return version, err
}

// Statements about second factors.
var (
	TrustByHashSQL   = trustByHash
	TrustOfUserSQL   = trustOfUser
	RemoveTrustedSQL = removeTrusted
	RemoveHandlesSQL = removeHandles
	BoundTrustSQL    = boundTrust
	RecountSQL       = recountUser

	HeldSQL          = []string{heldCounts, heldApps, heldPasskeys}
	RemoveRetiredSQL = removeRetired
)

// RetireSQL are the statements that retire factors of a user.
func RetireSQL() (all []string) {
	for _, k := range factorKinds {
		all = append(all, k.retire("u1", 1, "").sql)
	}
	return all
}
