package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// The values of --kind.
const (
	kindOperator   = "operator"
	kindRegistered = "registered"
	kindMetadata   = "metadata"
)

// kindOf says how a client came.
func kindOf(c userstore.Client) string {
	switch c.Kind {
	case userstore.KindRegistered:
		return kindRegistered
	case userstore.KindMetadata:
		return kindMetadata
	}
	return kindOperator
}

// clientsOfKind returns a function that reads a page of the clients of one kind; an empty kind is any.
func clientsOfKind(
	ctx context.Context, db *sqlstore.DB, kind string,
) func(after *userstore.Client, size int) ([]userstore.Client, error) {
	return func(after *userstore.Client, size int) (page []userstore.Client, err error) {
		for {
			found, err := db.ListClients(ctx, after, size)
			if err != nil {
				return nil, err
			}
			for _, c := range found {
				if kind == "" || kindOf(c) == kind {
					page = append(page, c)
				}
				if len(page) == size {
					return page, nil
				}
			}
			if len(found) < size {
				return page, nil
			}
			after = &found[len(found)-1]
		}
	}
}

func (a *app) registrationTokenCommand() *cobra.Command {
	return group("registration-token", "Let clients register themselves: make, list and end initial access tokens",
		a.registrationTokenCreate(), a.registrationTokenList(), a.registrationTokenRevoke(),
	)
}

func (a *app) registrationTokenCreate() *cobra.Command {
	var n registration.NewToken
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make an initial access token",
		Long: `Make an initial access token (RFC 7591). Whoever holds it may register clients at
/oauth2/register, unless oauth.registration is closed:

  signet clients registration-token create --uses 10 --expires 24h --note "the build of the shop"

The token is printed once: only its hash is kept.`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.Int64Var(&n.Uses, "uses", registration.UsualTokenUses, "how many clients it registers, `N`")
	flags.DurationVar(&n.Lasts, "expires", registration.UsualTokenLasts, "how long it is good, a `time` such as 30m or 24h")
	flags.StringVar(&n.Note, "note", "", "`text` that says what it is for")
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		if n.Uses < 1 {
			return misusef("--uses is a number from 1")
		}
		if n.Lasts <= 0 {
			return misusef("--expires is a duration such as 30m or 24h")
		}
		return a.withClients(ctx, func(r *registration.Registry, _ *sqlstore.DB) error {
			t, token, err := r.CreateRegistrationToken(ctx, n)
			var invalid *userstore.ValidationError
			if errors.As(err, &invalid) {
				return refusedFields(invalid, func(field string) string {
					return map[string]string{"note": "--note", "uses": "--uses", "expires_in": "--expires"}[field]
				})
			}
			if err != nil {
				return err
			}
			if a.asJSON {
				return a.printJSON(t.Document(token))
			}
			return a.table(nil, [][]string{
				{"id", t.ID}, {"token", token}, {"", "(shown this once; only its hash is kept)"},
				{"uses", strconv.FormatInt(t.Uses, 10)}, {"expires", readable.Instant(t.ExpiresAt)},
			})
		})
	})
	return cmd
}

func (a *app) registrationTokenList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the initial access tokens, oldest first",
		Args:  cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			_, db, err := a.store(ctx)
			if err != nil {
				return err
			}
			defer db.Close()
			tokens := func(yield func([]userstore.RegistrationToken) error) error {
				return pages(0, func(after *userstore.RegistrationToken, size int) ([]userstore.RegistrationToken, error) {
					return db.ListRegistrationTokens(ctx, after, size)
				}, yield)
			}
			if a.asJSON {
				return listJSON(a, tokens, func(t userstore.RegistrationToken) any { return t.Document("") })
			}
			header := a.columnsOf("ID", "STATE", "USES LEFT", "EXPIRES").and("NOTE", "CREATED")
			return listTable(a, a.list(0, 1), header, tokens, func(t userstore.RegistrationToken) []string {
				uses := fmt.Sprintf("%d of %d", t.UsesLeft, t.Uses)
				return a.columnsOf(t.ID, tokenState(t, a.now()), uses, readable.Instant(t.ExpiresAt)).
					and(dash(short(t.Note)), readable.Instant(t.CreatedAt))
			}, "There are no initial access tokens.")
		}),
	}
	a.wideFlag(cmd)
	return cmd
}

func (a *app) registrationTokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke TOKEN_ID",
		Short: "End an initial access token; clients that were registered with it stay",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one initial access token, by its id")
			}
			return nil
		},
		RunE: action(func(ctx context.Context, args []string) error {
			return a.withClients(ctx, func(r *registration.Registry, _ *sqlstore.DB) error {
				err := r.RevokeRegistrationToken(ctx, args[0])
				if errors.Is(err, userstore.ErrNotFound) {
					return fmt.Errorf("there is no initial access token %q; `signet clients registration-token list` shows those there are", printable.Text(args[0]))
				}
				if err != nil {
					return err
				}
				if a.asJSON {
					return a.printJSON(struct {
						Revoked string `json:"revoked"`
					}{args[0]})
				}
				_, err = fmt.Fprintln(a.out, args[0]+" registers no client any more.")
				return err
			})
		}),
	}
}

func tokenState(t userstore.RegistrationToken, now time.Time) string {
	switch {
	case t.UsesLeft <= 0:
		return "used up"
	case !now.Before(t.ExpiresAt):
		return "expired"
	}
	return "active"
}
