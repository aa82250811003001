package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// errPostgresCopies: what makes and restores copies of PostgreSQL.
var errPostgresCopies = errors.New("PostgreSQL is copied by its own programs: pg_dump and pg_restore, " +
	"or base backups with point-in-time recovery; docs/operators.md says how")

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the SQLite database into a file while the server runs",
		Long: `Copy the SQLite database into a new file, which only you can read. The server goes on
serving meanwhile. The copy holds everything that was acknowledged before the command began,
every page of it was checked, and it survives a power cut when the command ends.

The key-encryption key is not in it. Without that key no server starts on the copy: keep both,
apart from each other.`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(ctx context.Context, args []string) error {
			c, db, err := a.store(ctx)
			if err != nil {
				return err
			}
			defer db.Close()
			if c.IsPostgres() {
				return errPostgresCopies
			}
			report, hide := a.copyProgress()
			done, err := db.Backup(ctx, args[0], a.now, report)
			hide()
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("there is a file %s already; name another, or take it away", printable.Text(args[0]))
			}
			if err != nil {
				return fmt.Errorf("the backup was not made: %w", fileError(err))
			}
			if a.asJSON {
				return a.printJSON(map[string]any{
					"file": args[0], "bytes": done.Bytes, "at": rfc3339(done.At), "key_encryption_key": keyPlace(c),
				})
			}
			_, err = fmt.Fprintf(a.out, "The database as it was at %s is in %s (%s).\n"+
				"Its key-encryption key is not: keep a copy of %s, apart from the backups.\n",
				readable.Instant(done.At), printable.Text(args[0]), mebibytes(done.Bytes), keyPlace(c))
			return err
		}),
	}
}

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup of the SQLite database in its place",
		Long: `Put a backup of the SQLite database in its place, while the server is stopped. Before
anything is changed, every page of the backup is checked, it is brought up to this version's
schema, and the key-encryption key has to open it. The database that is there is kept beside
it, under a name that this command prints. FILE stays as it is.

A backup brings back what was revoked since: sessions, keys, factors. Before you start the
server, read "Backups" in docs/operators.md.`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(ctx context.Context, args []string) error {
			c, err := a.load(nil)
			if err != nil {
				return err
			}
			if c.IsPostgres() {
				return errPostgresCopies
			}
			log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
			if err := prepareFolder(filepath.Dir(c.Database()), log); err != nil {
				return err
			}
			report, hide := a.copyProgress()
			done, err := sqlstore.Restore(ctx, args[0], c.Database(), a.now, report, func(db *sqlstore.DB) error {
				return a.checkRestored(ctx, c, db, log)
			})
			hide()
			if err != nil {
				return fmt.Errorf("nothing was restored: %w", fileError(err))
			}
			if a.asJSON {
				return a.printJSON(map[string]any{"file": c.Database(), "bytes": done.Bytes, "kept": done.Kept})
			}
			text := fmt.Sprintf("%s is the database now (%s).\n", printable.Text(args[0]), mebibytes(done.Bytes))
			if done.Kept != "" {
				text += fmt.Sprintf("The database that was there is kept as %s.\n", printable.Text(done.Kept))
			}
			_, err = fmt.Fprint(a.out, text)
			return err
		}),
	}
}

// checkRestored brings a copy up to date and refuses one that the server could not start on.
func (a *app) checkRestored(ctx context.Context, c configs.Config, db *sqlstore.DB, log *slog.Logger) error {
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	return a.checkSealed(ctx, c, db, log)
}

// checkSealed refuses a database whose sealed rows the key-encryption keys do not open.
func (a *app) checkSealed(ctx context.Context, c configs.Config, db *sqlstore.DB, log *slog.Logger) error {
	ring, err := db.LoadRing(ctx)
	if err != nil || ring.Version == 0 { // no server has started on it, so nothing is sealed
		return err
	}
	keks, err := commandKEKs(c, log)
	if err != nil {
		return err
	}
	m := &keys.Manager{Store: db, Policy: c.KeyPolicy(), KEKs: keks, Now: a.now, DatabaseNow: db.Now}
	if err := m.LoadView(ctx); err != nil {
		return err
	}
	if err := m.Ready(); errors.Is(err, keys.ErrSealed) {
		return err
	}
	return nil
}

// copyProgress shows how far a copy is; hide ends the showing.
func (a *app) copyProgress() (report sqlstore.Progress, hide func()) {
	p := &terminal.Progress{Out: a.err, Bar: isTerminal(a.err), Of: "MiB", Now: time.Now}
	p.Begin()
	return func(done, about int64) {
		p.Size = about
		p.Reach(done)
		p.Show(int(done >> 20))
	}, p.Hide
}

// keyPlace says where the key-encryption key is.
func keyPlace(c configs.Config) string {
	if c.Keys.EncryptionKey != "" {
		return "keys.encryption_key"
	}
	return c.KEKPath()
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// fileError says of a fault of a file its path and the reason.
func fileError(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return fmt.Errorf("%s: %s", printable.Text(path.Path), configs.FileReason(err))
	case errors.As(err, &link):
		return fmt.Errorf("%s: %s", printable.Text(link.New), configs.FileReason(err))
	}
	return err
}
