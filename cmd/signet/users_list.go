package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/userstore"
)

func (a *app) usersList() *cobra.Command {
	var q userstore.UserQuery
	var active, disabled bool
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the accounts, oldest first",
		Long: `List the accounts, oldest first, or those that every flag which is given is true of.

--search finds a part of an email address or username, however it is spelled, or a
whole id, or a whole sub by which a pairwise client knows the user.
An account in the state "invited" has no password yet, and an open invitation to set one.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			switch {
			case active && disabled:
				return misusef("give --active or --disabled, and neither for both")
			case limit < 0:
				return misusef("--limit is a number of accounts, and 0 for all of them")
			case active:
				q.State = userstore.Enabled
			case disabled:
				q.State = userstore.Disabled
			}
			_, db, err := a.store(ctx)
			if err != nil {
				return err
			}
			defer db.Close()
			accounts := &userstore.Accounts{Store: db, Now: a.now}
			var invited invitations // of the present page
			users := func(yield func([]userstore.User) error) error {
				return pages(limit, func(after *userstore.User, size int) (page []userstore.User, err error) {
					q.After, q.Limit = after, size
					if page, err = userstore.FullPage(ctx, db, q); err == nil {
						invited, err = invitationsOf(ctx, accounts, page...)
					}
					return page, err
				}, yield)
			}
			if a.asJSON {
				return listJSON(a, users, func(u userstore.User) any { return invited.document(u) })
			}
			none := "No account is like that."
			if q == (userstore.UserQuery{}) {
				none = "There are no accounts yet; make one with `signet users create`."
			}
			header := a.columnsOf("EMAIL", "USERNAME", "STATE", "ROLES", "LAST LOGIN").and("CREATED", "ID")
			return listTable(a, a.list(2, 4), header, users, func(u userstore.User) []string {
				return a.columnsOf(u.Email, dash(u.Username), invited.state(u), dash(strings.Join(u.Roles, ",")),
					readable.Instant(u.LastLoginAt)).and(readable.Instant(u.CreatedAt), u.ID)
			}, none)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&q.Text, "search", "", "those with this `text` in the email address or username, or as id or pairwise sub")
	f.StringVar(&q.Role, "role", "", "those who have this `role`")
	f.BoolVar(&active, "active", false, "those who may log in")
	f.BoolVar(&disabled, "disabled", false, "those who may not")
	f.IntVar(&limit, "limit", 0, "the first `N` only")
	a.wideFlag(cmd)
	return cmd
}
