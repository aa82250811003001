package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/userfile"
)

func (a *app) usersExport() *cobra.Command {
	var format, output string
	var yes bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write every account, with the hash of its password",
		Long: `Write every account, with the hash of its password, as "signet users import" reads it: JSON
lines, or CSV with --format csv. Sessions are not accounts, and are not written. Authenticator
apps, passkeys and recovery codes are not written either: where the file is imported, the
password alone opens such an account. A message says how many have one.

Whoever has the hashes can try passwords against them: keep what is written as you keep the
database. With --output the file is made anew and readable by its owner only; a terminal gets
it with --yes only. In CSV a cell that a spreadsheet would run as a formula has an apostrophe
before it, which import takes away.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			if format != "jsonl" && format != "csv" {
				return misusef("--format is jsonl or csv")
			}
			if isTerminal(a.out) && output == "" && !yes {
				return misusef("this would show password hashes on the terminal; give --output FILE, or --yes")
			}
			_, db, err := a.store(ctx)
			if err != nil {
				return err
			}
			defer db.Close()
			if output == "" {
				if err := a.recordExportBegin(ctx, db); err != nil {
					return err
				}
				onTerminal := isTerminal(a.out)
				n, guarded, err := exportUsers(ctx, db, a.out, format, onTerminal)
				a.sayWithoutFactors(guarded)
				return a.recordExportEnd(ctx, db, n, err)
			}
			f, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("there is a file %s already; name another, or take it away", output)
			}
			if err != nil {
				return err
			}
			if err := a.recordExportBegin(ctx, db); err != nil {
				_ = f.Close()
				_ = os.Remove(output)
				return err
			}
			n, guarded, err := exportUsers(ctx, db, f, format, false)
			if err := a.recordExportEnd(ctx, db, n, errors.Join(err, f.Sync(), f.Close())); err != nil {
				_ = os.Remove(output) // half of the accounts would look like all of them
				return err
			}
			_, err = fmt.Fprintf(a.err, "signet: %d accounts are in %s\n", n, printable.Text(output))
			a.sayWithoutFactors(guarded)
			return err
		}),
	}
	cmd.Flags().StringVar(&format, "format", "jsonl", "`jsonl` or csv")
	cmd.Flags().StringVar(&output, "output", "", "write to this new `file` instead of standard output")
	cmd.Flags().BoolVar(&yes, "yes", false, "write to a terminal, too")
	return cmd
}

// recordExportBegin records in the audit log that an export begins, so that an export which is
// killed in the middle has an entry as well.
func (a *app) recordExportBegin(ctx context.Context, db *sqlstore.DB) error {
	e := audit.New(ctx, a.now(), audit.UsersExported, audit.Target{})
	e.Reason = "begun"
	if err := db.Record(ctx, e); err != nil {
		return fmt.Errorf("record the export: %w", err)
	}
	return nil
}

// recordExportEnd records in the audit log how many accounts were written, even if the export
// failed. An export that cannot be recorded fails.
func (a *app) recordExportEnd(ctx context.Context, db *sqlstore.DB, n int, failure error) error {
	e := audit.New(ctx, a.now(), audit.UsersExported, audit.Target{})
	e.Changes = []audit.Change{{Field: "accounts", After: strconv.Itoa(n)}}
	if failure != nil {
		e = e.Failed("interrupted")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := db.Record(ctx, e); err != nil {
		return errors.Join(failure, fmt.Errorf("record the export: %w", err))
	}
	return failure
}

// sayWithoutFactors says how many accounts were written without the second factor that they have.
func (a *app) sayWithoutFactors(guarded int) {
	if guarded > 0 {
		fmt.Fprintf(a.err, "signet: %s a second factor, which is not written: where the file is imported, "+
			"the password alone opens such an account. To move second factors along, move the database.\n",
			map[bool]string{true: "one account has", false: strconv.Itoa(guarded) + " accounts have"}[guarded == 1])
	}
}

// exportUsers writes all users, page by page, and returns their number, and that of users with a
// second factor. onTerminal says that out is a terminal.
func exportUsers(
	ctx context.Context, db *sqlstore.DB, out io.Writer, format string, onTerminal bool,
) (n, guarded int, err error) {
	w := userfile.NewWriter(out, userfile.Format(format))
	w.ForTerminal = onTerminal
	err = pages(0, func(after *userstore.User, size int) ([]userstore.User, error) {
		return userstore.FullPage(ctx, db, userstore.UserQuery{After: after, Limit: size})
	}, func(users []userstore.User) error {
		for i := range users {
			if err := w.Write(users[i]); err != nil {
				return err
			}
			n++
			if users[i].SecondFactor {
				guarded++
			}
		}
		return nil
	})
	if err == nil {
		err = w.Flush()
	}
	return n, guarded, err
}
