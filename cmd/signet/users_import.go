package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/userfile"
)

func (a *app) usersImport() *cobra.Command {
	var format string
	var dryRun, strict bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Make accounts of a file",
		Long: `Make accounts of a file, or of standard input when FILE is -. It may be

  JSON lines   as "signet users export" writes them
  CSV          as "signet users export --format csv" writes it, or of Django's table
               auth_user, with the header line (psql: \copy auth_user TO f CSV HEADER)

Passwords stay what they are: hashes of Django, bcrypt and scrypt are checked at the next login
and replaced then. Superusers get the role admin. Instants without a zone are UTC.

Authenticator apps and recovery codes come along, of django-otp and of Keycloak's export, and
need the key-encryption key, as "signet serve" does. What cannot be checked here is left out,
and a message names the line. An account that is there already keeps what it has.

A username that is not allowed here, such as one with an @, is left out, and a message names the
line; with --strict such a line is refused.

A line that cannot be taken is refused by its number, with the reason, and the others are
imported. Run again, it skips the accounts that are there already under the same names, so a
run that was interrupted is simply repeated.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one file, or - for standard input")
			}
			return nil
		},
		RunE: action(func(ctx context.Context, args []string) error {
			if format != "" && format != "jsonl" && format != "csv" {
				return misusef("--format is jsonl or csv")
			}
			in, size := a.in, int64(0)
			if args[0] != "-" {
				f, err := openFile(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
					size = info.Size()
				}
				in = f
			}
			return a.withAccounts(ctx, func(accounts *userstore.Accounts, db *sqlstore.DB) error {
				a.sealFactors(ctx, accounts, db)
				i := &importing{
					app:      a,
					importer: &userstore.Importer{Accounts: accounts, DryRun: dryRun, Strict: strict},
					progress: a.newProgress(size),
				}
				return i.run(ctx, in, format)
			})
		}),
	}
	cmd.Flags().StringVar(&format, "format", "", "`jsonl` or csv, when it cannot be seen from the first character")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be imported and refused")
	cmd.Flags().BoolVar(&strict, "strict", false, "refuse an account whose username is not allowed here, instead of leaving the username out")
	return cmd
}

// importBatch is how many accounts one transaction imports: enough to spread the cost of a
// transaction, and few enough that a running server does not wait long to write.
const importBatch = 500

// newProgress returns the progress of an import. Programs see it only where they show a terminal.
func (a *app) newProgress(size int64) *terminal.Progress {
	p := &terminal.Progress{Out: a.err, Bar: isTerminal(a.err), Size: size, Of: "accounts", Now: a.now}
	if a.asJSON && !p.Bar {
		p.Out = io.Discard
	}
	return p
}

// importing is one run of the command.
type importing struct {
	*app
	importer *userstore.Importer
	progress *terminal.Progress

	lines   []int // the line numbers of the batch
	batch   []userstore.User
	factors map[int]userstore.ImportedFactors // by the index in the batch
	leftOut [][]userfile.LeftOut              // for each account of the batch, its credentials that are not imported

	result importResult
}

// importResult is the result of an import, for programs.
type importResult struct {
	DryRun   bool      `json:"dry_run"`
	Imported int       `json:"imported"`
	There    int       `json:"already_there"`
	Refused  []refusal `json:"refused"`
	Unnamed  []refusal `json:"without_username"` // imported or already there, but without the username

	Factors int `json:"with_second_factor"` // of those imported

	// LeftOut lists the credentials that were not imported, of accounts that were or that were there
	// already.
	LeftOut []refusal `json:"without_credential"`
}

type refusal struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

func (i *importing) run(ctx context.Context, in io.Reader, format string) error {
	i.result = importResult{DryRun: i.importer.DryRun, Refused: []refusal{}, Unnamed: []refusal{},
		LeftOut: []refusal{}}
	i.factors = map[int]userstore.ImportedFactors{}
	users, unknown, err := userfile.Open(i.progress.Watch(in), userfile.Format(format))
	if err != nil {
		return errors.New(printable.Text(err.Error()))
	}
	if len(unknown) > 0 {
		fmt.Fprintln(i.err, "signet: not kept, because no account has it: "+columnList(unknown))
	}
	last := 0
	for {
		line, account, err := users.Next()
		var bad *userfile.LineError
		switch {
		case errors.Is(err, io.EOF):
			if err := i.flush(ctx); err != nil {
				return i.stopped(ctx, last, err)
			}
			i.progress.Hide()
			return i.report()
		case errors.As(err, &bad):
			i.refuse(line, bad.Reason)
		case err != nil:
			return fmt.Errorf("the file cannot be read after line %d: %w", last, err)
		default:
			if account.Factors.TOTP != nil {
				i.factors[len(i.batch)] = account.Factors
			}
			i.lines, i.batch = append(i.lines, line), append(i.batch, account.User)
			i.leftOut = append(i.leftOut, account.LeftOut)
		}
		last = line
		if len(i.batch) == importBatch {
			if err := i.flush(ctx); err != nil {
				return i.stopped(ctx, last, err)
			}
		}
	}
}

// flush imports the batch.
func (i *importing) flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done, err := i.importer.Import(ctx, i.batch, i.factors)
	if err != nil {
		return err
	}
	for n, d := range done {
		switch {
		case d.Err != nil:
			i.refuse(i.lines[n], refusedBecause(d.Err))
		case d.Existed:
			i.result.There++
		default:
			i.result.Imported++
			if d.User.SecondFactor {
				i.result.Factors++
			}
		}
		if _, ok := i.factors[n]; ok && d.Existed && !d.User.SecondFactor {
			i.withoutCredentials([]userfile.LeftOut{{Line: i.lines[n], Reason: "the authenticator app is left out: " +
				"the account is there already, without a second factor, and keeps what it has"}})
		}
		if d.Err == nil && d.UsernameFault != "" {
			i.unnamed(i.lines[n], d.UsernameFault)
		}
		if d.Err == nil && !d.Existed {
			i.withoutCredentials(i.leftOut[n])
		}
	}
	i.lines, i.batch, i.leftOut = i.lines[:0], i.batch[:0], i.leftOut[:0]
	clear(i.factors)
	i.progress.Show(i.result.Imported + i.result.There + len(i.result.Refused))
	return nil
}

func refusedBecause(err error) string {
	var exists *userstore.ExistsError
	if errors.As(err, &exists) {
		return fmt.Sprintf("another account has this %s already", exists.Field)
	}
	return explainUser(err).Error()
}

// columnList names columns by their numbers. It does not show their headers: in a file without a
// header these are the cells of an account.
func columnList(numbers []int) string {
	text := make([]string, len(numbers))
	for i, n := range numbers {
		text[i] = strconv.Itoa(n)
	}
	return "column " + strings.Join(text, ", ")
}

func (i *importing) refuse(line int, reason string) {
	i.result.Refused = append(i.result.Refused, refusal{line, printable.Text(reason)})
	i.say(line, reason)
}

// unnamed reports an account that was imported without its username.
func (i *importing) unnamed(line int, reason string) {
	i.result.Unnamed = append(i.result.Unnamed, refusal{line, printable.Text(reason)})
	i.say(line, "the username is left out: "+reason)
}

// withoutCredentials reports an account that was imported without some of its credentials.
func (i *importing) withoutCredentials(list []userfile.LeftOut) {
	for _, c := range list {
		i.result.LeftOut = append(i.result.LeftOut, refusal{c.Line, printable.Text(c.Reason)})
		i.say(c.Line, c.Reason)
	}
}

// say prints a text about a line of the file.
func (i *importing) say(line int, text string) {
	if !i.asJSON {
		i.progress.Hide()
		fmt.Fprintf(i.err, "line %d: %s\n", line, printable.Text(text))
	}
}

// stopped returns the error of an import that stopped early, and says how to go on.
func (i *importing) stopped(ctx context.Context, line int, err error) error {
	i.progress.Hide()
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	return fmt.Errorf("the import stopped before line %d: %w; run it again, what is there already will be skipped", line+1, err)
}

// report prints the result.
func (i *importing) report() error {
	r := i.result
	if i.asJSON {
		if err := i.printJSON(r); err != nil {
			return err
		}
	} else {
		done := "imported"
		if r.DryRun {
			done = "would be imported"
		}
		text := fmt.Sprintf("%d %s, %d there already, %d refused.", r.Imported, done, r.There, len(r.Refused))
		if r.Factors > 0 {
			text += fmt.Sprintf(" With a second factor: %d.", r.Factors)
		}
		if n := len(r.Unnamed); n > 0 {
			text += fmt.Sprintf(" Without a username: %d; these people log in by their email address.", n)
		}
		if n := len(r.LeftOut); n > 0 {
			text += fmt.Sprintf(" Credentials left out: %d.", n)
		}
		if _, err := fmt.Fprintln(i.out, text); err != nil {
			return err
		}
	}
	if r.Imported+r.There+len(r.Refused) == 0 {
		return errors.New("there is no account in the file, so nothing was imported; check that it is the right one")
	}
	if len(r.Refused) > 0 {
		return fmt.Errorf("%d lines were refused; mend them and run it again, the others will be skipped", len(r.Refused))
	}
	return nil
}
