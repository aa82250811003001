package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

func (a *app) usersFactors() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "factors USER",
		Short: "Show a user's authenticator app, passkeys and recovery codes",
		Long: `Show a user's second factors: the authenticator app and the passkeys, since when each lets
the user in, and when it was last used; and how many recovery codes are left. No secret is shown.
` + userHelp,
		Args: oneUser,
		RunE: action(func(ctx context.Context, args []string) error {
			return a.withUser(ctx, args[0], func(_ *userstore.Accounts, db *sqlstore.DB, u userstore.User) error {
				have, err := db.SecondFactors(ctx, u.ID)
				if err != nil {
					return err
				}
				trusted, err := db.ListTrustedBrowsers(ctx, u.ID, a.now())
				if err != nil {
					return err
				}
				if a.asJSON {
					return a.printJSON(profile.FactorsOf(have, trusted))
				}
				return a.showFactors(have, len(trusted))
			})
		}),
	}
	a.wideFlag(cmd)
	return cmd
}

func (a *app) showFactors(have userstore.SecondFactors, trusted int) error {
	if have.App == nil && len(have.Passkeys) == 0 {
		_, err := fmt.Fprintln(a.out, "There is no second factor: the password alone lets this user in.")
		return err
	}
	rows := [][]string{{"FACTOR", "NAME", "SET UP", "LAST USED", "ID"}}
	row := func(kind, name string, made, used time.Time, id string) {
		rows = append(rows, []string{kind, dash(name), readable.Instant(made), readable.Instant(used), id})
	}
	if app := have.App; app != nil {
		row("authenticator app", "", app.CreatedAt, app.LastUsedAt, app.ID)
	}
	for _, p := range have.Passkeys {
		kind := "passkey"
		if p.BackedUp {
			kind = "synced passkey"
		}
		row(kind, p.Name, p.CreatedAt, p.LastUsedAt, p.ID)
	}
	table := a.list(0, 4)
	if err := table.Write(rows); err != nil {
		return err
	}
	text := count(have.RecoveryCodes, "recovery code") + " left."
	if trusted > 0 {
		text += " " + count(trusted, "trusted browser") + ", where the password does."
	}
	if have.App != nil && have.WrongCodes >= userstore.MaxWrongCodes {
		text += " The authenticator app is blocked after too many wrong codes: its user comes in by a passkey or a recovery " +
			"code and sets it up anew, or remove it."
	}
	_, err := fmt.Fprintln(a.out, text)
	return err
}

func (a *app) usersRemoveFactors() *cobra.Command {
	var id string
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove-factors USER",
		Short: "Remove a user's second factors, or one of them, for a device that is lost",
		Long: `Remove a user's second factors, or one of them with --factor, for a device that is lost. ` + userHelp + `

Without a second factor the password alone lets its owner in, so make sure who asks. The user is
signed out everywhere and, where there is mail, is sent a notice. Recovery codes go with the last
second factor. A terminal is asked first; programs say --yes.`,
		Args: oneUser,
	}
	cmd.Flags().StringVar(&id, "factor", "", "only the factor with this `id`, of \"signet users factors\"")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		if cmd.Flags().Changed("factor") && id == "" {
			return misusef("--factor is the id of a second factor; `signet users factors USER` shows them")
		}
		if !isTerminal(a.in) && !yes {
			return misusef("there is no terminal to ask whether to remove the second factors; give --yes if that is meant")
		}
		return a.withUser(ctx, args[0], func(accounts *userstore.Accounts, _ *sqlstore.DB, u userstore.User) error {
			what, done := "all second factors", "%s has no second factor now, and is signed out everywhere."
			if id != "" {
				what, done = "the second factor "+printable.Text(id), "%s has one second factor less, and is signed out everywhere."
			}
			if !yes {
				sure, err := terminal.Confirm(a.in, a.err, fmt.Sprintf("Remove %s of %s (%s)?", what, printable.Text(u.Email), u.ID))
				if err != nil {
					return err
				}
				if !sure {
					return errors.New("nothing was done")
				}
			}
			err := accounts.RemoveFactorsByOperator(ctx, u.ID, id)
			switch {
			case errors.Is(err, userstore.ErrNoSuchFactor) && id != "":
				return errors.New("this user has no such second factor; `signet users factors USER` shows those there are")
			case errors.Is(err, userstore.ErrNoSuchFactor):
				return errors.New("this user has no second factor, so nothing was done")
			case err != nil:
				return explainUser(err)
			}
			return a.showChanged(ctx, accounts, u.ID, done)
		})
	})
	return cmd
}
