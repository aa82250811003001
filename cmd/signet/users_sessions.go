package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// session is a session for programs, with the names of the account API.
type session struct {
	ID         string    `json:"id"`
	ClientID   string    `json:"client_id"`
	UserAgent  string    `json:"user_agent,omitempty"`
	Address    string    `json:"address,omitempty"`
	Scope      string    `json:"scope"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}

func (a *app) usersSessions() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions USER",
		Short: "Show what a user is signed in with, newest first",
		Long: `Show what a user is signed in with, newest first: through which client, on which device and
network, since when, and when it was last used, to the hour. ` + userHelp,
		Args: oneUser,
		RunE: action(func(ctx context.Context, args []string) error {
			return a.withUser(ctx, args[0], func(_ *userstore.Accounts, db *sqlstore.DB, u userstore.User) error {
				c, err := a.load(nil)
				if err != nil {
					return err
				}
				now := a.now()
				grants, err := db.ListGrants(ctx, u.ID, now, now.Add(-c.Refresh.Idle))
				if err != nil {
					return err
				}
				sessions := make([]session, len(grants))
				rows := [][]string{a.columnsOf("CLIENT", "DEVICE", "NETWORK", "LAST USED").and("SIGNED IN", "ENDS", "ID")}
				for i, g := range grants {
					used, ends := g.Seen(c.Refresh.Idle)
					sessions[i] = session{g.SessionID, g.ClientID, g.UserAgent, g.Address, strings.Join(g.Scopes, " "), g.CreatedAt.UTC(), used.UTC(), ends.UTC()}
					rows = append(rows,
						a.columnsOf(g.ClientID, dash(short(g.UserAgent)), dash(g.Address), readable.Instant(used)).and(readable.Instant(g.CreatedAt), readable.Instant(ends), g.SessionID))
				}
				if a.asJSON {
					return a.printJSON(sessions)
				}
				if len(sessions) == 0 {
					_, err := fmt.Fprintln(a.out, "There is no session: nothing is signed in as this user.")
					return err
				}
				table := a.list(3)
				return table.Write(rows)
			})
		}),
	}
	a.wideFlag(cmd)
	return cmd
}

// short returns as much of a stranger's text as fits into a table.
func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

func (a *app) usersRevokeSessions() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:   "revoke-sessions USER",
		Short: "Sign a user out everywhere, or end one session",
		Long: `Sign a user out everywhere, or end one session with --session. ` + userHelp + `

Refresh tokens are refused at once. Services that check status lists refuse access tokens
that are out already within seconds; elsewhere they end within tokens.access_lifetime.
Whoever knows the password can log in again: see "signet users set-password" and "signet
users disable".`,
		Args: oneUser,
	}
	cmd.Flags().StringVar(&id, "session", "", "only the session with this `id`, of \"signet users sessions\"")
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		one := cmd.Flags().Changed("session")
		if one && id == "" {
			return misusef("--session is the id of a session; `signet users sessions USER` shows them")
		}
		return a.withUser(ctx, args[0], func(accounts *userstore.Accounts, _ *sqlstore.DB, u userstore.User) error {
			revoked := 1
			var err error
			if one {
				err = accounts.RevokeSession(ctx, u.ID, id)
			} else {
				revoked, err = accounts.RevokeSessions(ctx, u.ID, "")
			}
			switch {
			case one && errors.Is(err, userstore.ErrNotFound):
				return errors.New("this user has no such session; `signet users sessions USER` shows those there are")
			case err != nil:
				return explainUser(err)
			case a.asJSON:
				return a.printJSON(struct {
					Revoked int `json:"revoked"`
				}{revoked})
			}
			_, err = fmt.Fprintf(a.out, "%s revoked. %s\n", count(revoked, "session"), tokensRemain)
			return err
		})
	})
	return cmd
}
