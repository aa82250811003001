package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/jose"
)

func (a *app) tokenCommand() *cobra.Command {
	return group("token", "Look into tokens", a.tokenInspect())
}

func (a *app) tokenInspect() *cobra.Command {
	var jwks, audience, issuerURL string
	cmd := &cobra.Command{
		Use:   "inspect [FILE]",
		Short: "Say what a token is and, claim by claim, why it would or would not be accepted",
		Long: `Say what a token is and, claim by claim, why it would or would not be accepted. The
token is read from FILE, or from standard input; it is never an argument, and its
signature is never shown.

The keys, and whether the session behind the token is still open, are taken from the
configured store. With --jwks the token is judged as a resource server would judge it,
without the store. Exits 0 when it would be accepted, and 1 when it would be refused or
when that cannot be told here, which the first line says.`,
		Args: cobra.MaximumNArgs(1),
		RunE: action(func(ctx context.Context, args []string) error {
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			if strings.HasPrefix(name, "ey") && strings.Count(name, ".") >= 2 {
				return misusef("this looks like a token and not like a file's name; give it on standard input, because others can see a command line")
			}
			text, err := a.readInput(name, 2*jose.MaxTokenBytes)
			if err != nil {
				return err
			}
			c, err := a.load(nil)
			if err != nil {
				return err
			}
			i := inspection{ctx: ctx, now: a.now(), skew: c.ClockSkew, audience: audience, issuer: issuerURL}
			i.raw = strings.TrimSpace(string(text))
			if i.issuer == "" {
				i.issuer = c.IssuerURL("")
			}
			if jwks != "" {
				if err := a.foreignKeys(&i, jwks); err != nil {
					return err
				}
			} else {
				done, err := a.ownKeys(&i)
				if err != nil {
					return err
				}
				defer done()
			}
			i.inspect()
			return a.showInspection(&i)
		}),
	}
	cmd.Flags().StringVar(&jwks, "jwks", "", "verify with the JWK set in this `file` or at this URL, and leave the store alone")
	cmd.Flags().StringVar(&audience, "audience", "", "who is to accept the token: a resource's `URI` or a client id (default: whoever it is for)")
	cmd.Flags().StringVar(&issuerURL, "issuer", "", "the `URL` that must have issued it (default: the configured issuer)")
	return cmd
}
