package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/userstore/sqlstore"
)

func (a *app) migrateCopyCommand() *cobra.Command {
	var to, toFile string
	cmd := &cobra.Command{
		Use:   "copy --to URL | --to-file FILE",
		Short: "Move everything from the SQLite database to PostgreSQL",
		Long: `Copy everything from the SQLite database of this configuration into an empty PostgreSQL
database, while the server is stopped: accounts, sessions, clients, keys, the audit log. The
schema is made there if it is missing, and every table is compared afterwards. The SQLite
database stays as it is.

A copy that was interrupted goes on when this runs again. Until it is complete, no server
starts on it.

What is sealed is copied sealed: the new servers need the same key-encryption key. With it
they go on where the old one stopped: nobody signs in again, and every token stays valid.

--to takes an address without a password, because other users of the machine can see it. Put
an address with a password into a file for --to-file (- is standard input), or leave the
password to PGPASSWORD or ~/.pgpass.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			if (to == "") == (toFile == "") {
				return misusef("say where to copy to: --to postgres://user@host/database, or --to-file with a file that holds the address")
			}
			if toFile == "-" {
				toFile = "/dev/stdin"
			}
			address, warnings, err := configs.Target(to, toFile)
			if errors.Is(err, configs.ErrPasswordInArgument) {
				return misusef("%s; nothing was copied. Put the address into a file and give --to-file, or leave the password to "+
					"PGPASSWORD or ~/.pgpass", err)
			}
			if err != nil {
				return misusef("nothing was copied: %s", err)
			}
			for _, w := range warnings {
				fmt.Fprintln(a.err, "signet: WARNING: "+w)
			}
			return a.migrateCopy(ctx, address)
		}),
	}
	cmd.Flags().StringVar(&to, "to", "", "the PostgreSQL database, an empty one: postgres://user@host/`database`, without a password")
	cmd.Flags().StringVar(&toFile, "to-file", "", "read the address of the PostgreSQL database from this `file`")
	return cmd
}

func (a *app) migrateCopy(ctx context.Context, address configs.Secret) error {
	c, from, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	if c.IsPostgres() {
		return errors.New("this database is PostgreSQL already, and this copies from SQLite only; from PostgreSQL to PostgreSQL " +
			"pg_dump and pg_restore copy, and there is no way to SQLite")
	}
	if err := from.Lock(); err != nil {
		return fmt.Errorf("nothing was copied: %w", err)
	}
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := a.checkSealed(ctx, c, from, log); err != nil {
		return fmt.Errorf("nothing was copied: %w", err)
	}
	to, err := a.open(ctx, c, address.Reveal(), sqlstore.Options{MaxConns: 2})
	if err != nil {
		return fmt.Errorf("nothing was copied: %w", err)
	}
	defer to.Close()
	p := &terminal.Progress{Out: a.err, Bar: isTerminal(a.err), Of: "rows", Whole: "the copy", Now: time.Now}
	p.Begin()
	done, err := from.CopyTo(ctx, to, sqlstore.CopyOptions{Report: func(done, total int64) {
		p.Size = total
		p.Reach(done)
		p.Show(int(done / sqlstore.CopyPasses))
	}})
	p.Hide()
	switch {
	case ctx.Err() != nil:
		return errors.New("the copy was interrupted; run this again, and it goes on where it stopped")
	case errors.Is(err, sqlstore.ErrNotEmpty), errors.Is(err, sqlstore.ErrCopyDiffers), errors.Is(err, sqlstore.ErrLocked):
		return err
	case err != nil:
		return fmt.Errorf("the copy is not complete: %w; when that is mended run this again, and it goes on where it stopped", err)
	}
	if a.asJSON {
		return a.printJSON(map[string]any{
			"source": c.Database(), "rows": done.Rows, "tables": done.Tables, "resumed": done.Resumed, "already_complete": done.Already,
			"key_encryption_key": keyPlace(c),
		})
	}
	what := "is in the PostgreSQL database now"
	if done.Already {
		what = "was in the PostgreSQL database already; nothing was written"
	}
	_, err = fmt.Fprintf(a.out, "Everything of %s %s: %s in %s, each table compared.\n"+
		"Start the servers with that database and the same key-encryption key: %s.\n"+
		"Do not start one on %s again: its sessions and keys live on in the other database.\n",
		printable.Text(c.Database()), what, count(int(done.Rows), "row"), count(len(done.Tables), "table"), keyPlace(c),
		printable.Text(c.Database()))
	return err
}
