package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// openForServing opens the store and reads the key-encryption keys. With the embedded database it
// makes the missing folder, database and key. fresh reports whether this is the first start.
func (a *app) openForServing(ctx context.Context, c configs.Config, migrate bool, log *slog.Logger) (db *sqlstore.DB, keks []jose.KEK, fresh bool, err error) {
	prepare := openPostgres
	if c.IsPostgres() {
		if migrate {
			if err := a.migrateUp(ctx, c); err != nil {
				return nil, nil, false, err
			}
		}
	} else {
		prepare = openEmbedded
		if err := prepareFolder(filepath.Dir(c.Database()), log); err != nil {
			return nil, nil, false, err
		}
		if err := missingDatabase(c); err != nil {
			return nil, nil, false, err
		}
	}
	db, err = a.open(ctx, c, c.Database(), sqlstore.Options{Log: log})
	if err != nil {
		return nil, nil, false, err
	}
	keks, fresh, err = prepare(ctx, c, db, log)
	if err == nil {
		err = db.Ping(ctx) // a server whose every write would fail does not start
	}
	if err != nil {
		db.Close()
		return nil, nil, false, err
	}
	return db, keks, fresh, nil
}

// openPostgres only checks the schema: several servers share the database, and only an operator
// decides when its schema changes.
func openPostgres(ctx context.Context, c configs.Config, db *sqlstore.DB, _ *slog.Logger) ([]jose.KEK, bool, error) {
	if err := db.CheckSchema(ctx); err != nil {
		return nil, false, err
	}
	keks, err := configuredKEKs(c)
	return keks, false, err
}

// openEmbedded locks the file for this one server, migrates it and makes a missing key-encryption
// key.
func openEmbedded(ctx context.Context, c configs.Config, db *sqlstore.DB, log *slog.Logger) ([]jose.KEK, bool, error) {
	if err := db.Lock(); err != nil {
		return nil, false, err
	}
	if err := db.Migrate(ctx); err != nil {
		return nil, false, err
	}
	ring, err := db.LoadRing(ctx)
	if err != nil {
		return nil, false, err
	}
	fresh := ring.Version == 0
	keks, err := embeddedKEKs(c, fresh, log)
	return keks, fresh, err
}

// configuredKEKs returns the key-encryption keys of the configuration. The first one seals, and all
// of them open.
func configuredKEKs(c configs.Config) ([]jose.KEK, error) {
	var keks []jose.KEK
	for _, s := range []configs.Secret{c.Keys.EncryptionKey, c.Keys.EncryptionKeyPrevious} {
		if s == "" {
			continue
		}
		kek, err := jose.ParseKEK(s.Reveal())
		if err != nil {
			return nil, err
		}
		keks = append(keks, kek)
	}
	return keks, nil
}

// embeddedKEKs returns the configured keys, or else the key in the file beside the database. It
// makes that file only for a database that has nothing sealed yet: a new key would open nothing,
// and would hide that the old key is missing.
func embeddedKEKs(c configs.Config, fresh bool, log *slog.Logger) ([]jose.KEK, error) {
	if c.Keys.EncryptionKey != "" {
		return configuredKEKs(c)
	}
	path := c.KEKPath()
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if !fresh {
			return nil, fmt.Errorf("the key-encryption key %s is missing, and the signing keys and secrets in %s cannot be opened without it; "+
				"put it back from your backup, or give it as keys.encryption_key", path, c.Database())
		}
		if err := writeKEK(path, jose.NewKEK(), (*os.File).Sync); err != nil {
			return nil, fmt.Errorf("the key-encryption key %s cannot be made: %s", path, configs.FileReason(err))
		}
		log.Info("key-encryption key made; keep a copy apart from the database's backups", "path", path)
	}
	kek, err := readKEK(path, log)
	if err != nil {
		return nil, err
	}
	return []jose.KEK{kek}, nil
}

// commandKEKs returns the key-encryption keys for a command, which never makes one.
func commandKEKs(c configs.Config, log *slog.Logger) ([]jose.KEK, error) {
	if c.IsPostgres() {
		return configuredKEKs(c)
	}
	return embeddedKEKs(c, false, log)
}

func readKEK(path string, log *slog.Logger) (jose.KEK, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return jose.KEK{}, fmt.Errorf("the key-encryption key %s cannot be looked at: %s", path, configs.FileReason(err))
	}
	if !info.Mode().IsRegular() {
		return jose.KEK{}, fmt.Errorf("the key-encryption key %s is not a plain file; Signet made one there and follows no links: put the file itself in that place, or name it in keys.encryption_key_file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		log.Warn("the key-encryption key can be read by others; run: chmod 600 "+path, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
	}
	if info.Size() > 1024 {
		return jose.KEK{}, fmt.Errorf("%s is too large for a key-encryption key; put the right file back from your backup", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return jose.KEK{}, fmt.Errorf("the key-encryption key %s cannot be read: %s", path, configs.FileReason(err))
	}
	if text, err = configs.WithoutBOM(text); err != nil {
		return jose.KEK{}, fmt.Errorf("the key-encryption key %s cannot be read: %s", path, configs.FileReason(err))
	}
	kek, err := jose.ParseKEK(strings.TrimSpace(string(text)))
	if err != nil {
		return jose.KEK{}, fmt.Errorf("%s does not hold a key-encryption key; put the right file back from your backup", path)
	}
	return kek, nil
}

// writeKEK makes the whole file or no file, and never replaces another one. It returns when the
// file would survive a power cut, because a key that seals must not be lost. sync is File.Sync,
// except in tests.
func writeKEK(path, text string, sync func(*os.File) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".kek-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.WriteString(text + "\n"); err == nil {
		err = sync(f)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	// Link fails if a file or a link with that name exists; a rename would replace it.
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	if err := syncFolder(dir, sync); err != nil {
		os.Remove(path) // a key that is not durable is not used
		return err
	}
	return nil
}

func syncFolder(dir string, sync func(*os.File) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return sync(d)
}

// prepareFolder makes the data folder, readable by its owner only.
func prepareFolder(dir string, log *slog.Logger) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("the data folder %s cannot be made: %s; set data_dir to a folder that this user may make", dir, configs.FileReason(err))
		}
		return syncFolder(filepath.Dir(dir), (*os.File).Sync)
	}
	if err != nil {
		return fmt.Errorf("the data folder %s cannot be looked at: %s; set data_dir to a folder that this user may use", dir, configs.FileReason(err))
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder; set data_dir to one", dir)
	}
	if info.Mode().Perm()&0o022 != 0 {
		log.Warn("the data folder can be changed by others; run: chmod 700 "+dir, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
	}
	return nil
}

// missingDatabase refuses to make a new database in the place of a lost one. The key-encryption key
// that is still there shows that there was one.
func missingDatabase(c configs.Config) error {
	if _, err := os.Lstat(c.KEKPath()); err != nil {
		return nil
	}
	info, err := os.Stat(c.Database())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the database %s is missing, though its key-encryption key is there; put it back from your backup, or move %s away to begin anew", c.Database(), c.KEKPath())
	case err != nil:
		return err
	case info.Size() == 0:
		return fmt.Errorf("the database %s is empty, though its key-encryption key is there; put it back from your backup, or move both away to begin anew", c.Database())
	}
	return nil
}
