package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/inspect"
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
			if holdsToken(name) {
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
			in := inspect.Input{Raw: strings.TrimSpace(string(text)), Now: a.now(), Skew: c.ClockSkew, Audience: audience, Issuer: issuerURL}
			if in.Issuer == "" {
				in.Issuer = c.IssuerURL("")
			}
			if jwks != "" {
				if err := a.foreignKeys(ctx, &in, jwks); err != nil {
					return err
				}
			} else {
				done, err := a.ownKeys(ctx, &in)
				if err != nil {
					return err
				}
				defer done()
			}
			return a.showInspection(inspect.Token(ctx, in))
		}),
	}
	cmd.Flags().StringVar(&jwks, "jwks", "", "verify with the JWK set in this `file` or at this URL, and leave the store alone")
	cmd.Flags().StringVar(&audience, "audience", "", "who is to accept the token: a resource's `URI` or a client id (default: whoever it is for)")
	cmd.Flags().StringVar(&issuerURL, "issuer", "", "the `URL` that must have issued it (default: the configured issuer)")
	return cmd
}

// holdsToken reports whether an argument is a token, or holds one ("Bearer …"). Then no message repeats it.
func holdsToken(arg string) bool { return strings.Contains(arg, "eyJ") && strings.Count(arg, ".") >= 2 }

func (a *app) showInspection(r inspect.Report) error {
	result := r.Verdict()
	verdict := map[string]string{
		inspect.Accepted: "It would be accepted.",
		inspect.Refused:  "It would be refused.",
		inspect.Unknown:  "Whether it would be accepted cannot be told here.",
	}[result]
	if a.asJSON {
		claims := map[string]json.RawMessage{}
		for name, value := range r.Claims {
			claims[name] = value
		}
		if r.Kind == inspect.KindRefresh && claims["jti"] != nil {
			claims["jti"] = json.RawMessage(`"[redacted]"`)
		}
		err := a.printJSON(map[string]any{
			"kind": r.Kind, "accepted": result == inspect.Accepted, "verdict": result, "checks": r.Checks, "claims": claims,
			"header": map[string]string{"alg": r.Header.Algorithm, "kid": r.Header.KeyID, "typ": r.Header.Type},
		})
		if err != nil {
			return err
		}
	} else {
		article := "a"
		if strings.HasPrefix(r.Kind, "access") || strings.HasPrefix(r.Kind, "ID") {
			article = "an"
		}
		if strings.HasPrefix(r.Kind, "not ") {
			fmt.Fprintf(a.out, "This is %s. %s\n\n", r.Kind, verdict)
		} else {
			fmt.Fprintf(a.out, "This is %s %s. %s\n\n", article, r.Kind, verdict)
		}
		var rows [][]string
		for _, c := range r.Checks {
			mark := " "
			switch {
			case c.Unknown:
				mark = "?"
			case c.OK != nil:
				mark = map[bool]string{true: "✓", false: "✗"}[*c.OK]
			}
			rows = append(rows, []string{mark, c.Name, c.Value, c.Detail})
		}
		if err := a.table(nil, rows); err != nil {
			return err
		}
	}
	if result != inspect.Accepted {
		return &failure{}
	}
	return nil
}
