package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/printable"
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

--search finds a part of an email address or username, however it is spelled, or an id.`,
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
			users := func(yield func([]userstore.User) error) error { return pages(ctx, db, q, limit, yield) }
			if a.asJSON {
				return listJSON(a, users, func(u userstore.User) any { return document(u) })
			}
			none := "No account is like that."
			if q == (userstore.UserQuery{}) {
				none = "There are no accounts yet; make one with `signet users create`."
			}
			return a.listTable(users, none)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&q.Text, "search", "", "those with this `text` in the email address or username, or as id")
	f.StringVar(&q.Role, "role", "", "those who have this `role`")
	f.BoolVar(&active, "active", false, "those who may log in")
	f.BoolVar(&disabled, "disabled", false, "those who may not")
	f.IntVar(&limit, "limit", 0, "the first `N` only")
	a.wideFlag(cmd)
	return cmd
}

// pageSize is how many entries of a list a command holds at a time.
const pageSize = 500

// pages reads at most limit users that match q (0: all), page by page, so that only one page is
// held in memory.
func pages(ctx context.Context, from userstore.Users, q userstore.UserQuery, limit int, yield func([]userstore.User) error) error {
	for left := limit; ; {
		q.Limit = pageSize
		if limit > 0 {
			q.Limit = min(left, pageSize)
		}
		users, err := from.ListUsers(ctx, q)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			if err := yield(users); err != nil {
				return err
			}
			q.After = &users[len(users)-1]
		}
		if left -= len(users); len(users) < q.Limit || limit > 0 && left == 0 {
			return nil
		}
	}
}

func (a *app) listTable(users func(func([]userstore.User) error) error, none string) error {
	c := a.list(2, 4)
	rows := [][]string{a.columnsOf("EMAIL", "USERNAME", "STATE", "ROLES", "LAST LOGIN").and("CREATED", "ID")}
	any := false
	err := users(func(page []userstore.User) error {
		any = true
		for _, u := range page {
			rows = append(rows,
				a.columnsOf(u.Email, dash(u.Username), state(u), dash(strings.Join(u.Roles, ",")), readable.Instant(u.LastLoginAt)).and(readable.Instant(u.CreatedAt), u.ID))
		}
		err := c.write(rows)
		rows = rows[:0]
		return err
	})
	if err == nil && !any {
		_, err = fmt.Fprintln(a.out, none)
	}
	return err
}

// listJSON writes one array in the form of printJSON. If the store fails in the middle, the array
// is left without its end: half a list must not be read as a whole one.
func listJSON[T any](a *app, list func(func([]T) error) error, show func(T) any) error {
	before := "[\n  "
	err := list(func(page []T) error {
		var text bytes.Buffer
		for _, entry := range page {
			text.WriteString(before)
			before = ",\n  "
			var one bytes.Buffer
			e := json.NewEncoder(&one)
			e.SetEscapeHTML(false)
			e.SetIndent("  ", "  ")
			if err := e.Encode(show(entry)); err != nil {
				return err
			}
			text.Write(bytes.TrimRight(one.Bytes(), "\n"))
		}
		_, err := a.out.Write(printable.JSON(text.Bytes()))
		return err
	})
	if err != nil {
		return err
	}
	end := "\n]\n"
	if before == "[\n  " {
		end = "[]\n"
	}
	_, err = io.WriteString(a.out, end)
	return err
}
