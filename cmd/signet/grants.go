package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/internal/audit"
)

func (a *app) grantsCommand() *cobra.Command {
	return group("grants", "Revoke what clients were granted", a.grantsRevoke())
}

func (a *app) grantsRevoke() *cobra.Command {
	var all, yes bool
	cmd := &cobra.Command{
		Use:   "revoke --all",
		Short: "Revoke every grant and every access token of every client",
		Long: `Revoke every grant and every access token of every client, because they may be in wrong
hands: refresh tokens, authorization codes, and the tokens that clients got in their own
name. Signet refuses them at once. With status_lists.enabled, resource servers that check
status lists refuse the access tokens within seconds; others accept one until it expires.

People stay signed in at Signet's own pages, so that most apps get a new grant without a
question; "signet users revoke-sessions" and "signet recover" end that as well. Apps are
not told by back-channel logout. A terminal is asked first; programs say --yes.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			if !all {
				return misusef("say that you mean every grant: --all; `signet users revoke-sessions` ends those of one user")
			}
			if !isTerminal(a.in) && !yes {
				return misusef("there is no terminal to ask whether every grant shall end; give --yes if that is meant")
			}
			if !yes {
				sure, err := terminal.Confirm(a.in, a.err, "Revoke every grant and every access token of every client?")
				if err != nil {
					return err
				}
				if !sure {
					return errors.New("nothing was done")
				}
			}
			return a.revokeAllGrants(ctx)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "revoke every grant")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) revokeAllGrants(ctx context.Context) error {
	_, db, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	at, err := db.Now(ctx) // the clock that all replicas share
	if err != nil {
		return err
	}
	if err := db.RevokeAll(ctx, at, audit.New(ctx, at, audit.GrantsRevoked, audit.Target{})); err != nil {
		return fmt.Errorf("some grants may live on; run this again: %w", err)
	}
	// Tokens say in which second they were issued, so the whole second of the revocation counts.
	before := at.Add(time.Second - 1).UTC().Truncate(time.Second).Format(time.RFC3339)
	if a.asJSON {
		return a.printJSON(map[string]string{"revoked_before": before})
	}
	_, err = fmt.Fprintf(a.out, "Every grant and access token from before %s is revoked. %s\n", before, tokensRemain)
	return err
}
