package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys"
)

func (a *app) keysCommand() *cobra.Command {
	return group("keys", "Show, rotate and revoke signing keys",
		a.keysList(), a.keysRotate(), a.keysRevoke(), a.keysRewrap(), a.keysNewKEK(), a.keysExport(), a.keysBundle())
}

func (a *app) keysList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Draw the timeline of the signing keys and tell what happens next",
		Args:  cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			return a.withKeys(ctx, false, func(m *keys.Manager) error {
				report, err := m.Timeline(ctx)
				if err != nil {
					return err
				}
				return a.showReport(report)
			})
		}),
	}
	a.wideFlag(cmd)
	return cmd
}

func (a *app) keysRotate() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Let the next keys sign as soon as every verifier can know them",
		Long: `Let the next keys sign as soon as every verifier can know them: at once, or when
they have been published for keys.propagation. No token stops verifying and nobody is
signed out. Run again before that instant it changes nothing and says so.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			return a.withKeys(ctx, true, func(m *keys.Manager) error {
				report, err := m.Rotate(ctx, dryRun)
				if err != nil {
					return err
				}
				return a.showReport(report)
			})
		}),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only tell what would happen")
	return cmd
}

func (a *app) keysRevoke() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "revoke KID…",
		Short: "Take keys out of use at once, because they may have leaked",
		Long: `Take keys out of use at once, because they may have leaked. Their private halves are
wiped, and tokens that they signed are refused as soon as verifiers have read the key
set again. Nobody is signed out: a refresh gets tokens of another key.`,
		Args: func(_ *cobra.Command, args []string) error {
			if (len(args) > 0) == all {
				return errors.New("name the keys to revoke by their kid, or give --all; `signet keys list` shows them")
			}
			return nil
		},
		RunE: action(func(ctx context.Context, args []string) error {
			return a.withKeys(ctx, true, func(m *keys.Manager) error {
				report, err := m.Revoke(ctx, args, all)
				if err != nil {
					return err
				}
				return a.showReport(report)
			})
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "revoke every key and make fresh ones")
	return cmd
}

func (a *app) keysRewrap() *cobra.Command {
	return &cobra.Command{
		Use:   "rewrap",
		Short: "Seal everything under the present key-encryption key",
		Long: `Seal everything under the present key-encryption key, keys.encryption_key, while
keys.encryption_key_previous still opens what is there. Running servers are not
disturbed, if they have been started with both.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			return a.withKeys(ctx, true, func(m *keys.Manager) error {
				report, err := m.Rewrap(ctx)
				if err != nil {
					return err
				}
				if a.asJSON {
					return a.printJSON(report)
				}
				_, err = fmt.Fprintln(a.out, report.Message)
				return err
			})
		}),
	}
}

func (a *app) keysNewKEK() *cobra.Command {
	return &cobra.Command{
		Use:   "new-kek",
		Short: "Make a key-encryption key and print it",
		Long: `Make a key-encryption key and print it as the only line of standard output. It is
stored nowhere: keep it, apart from the database's backups, and give it to the server
as SIGNET_KEYS_ENCRYPTION_KEY, or in a file named by SIGNET_KEYS_ENCRYPTION_KEY_FILE.

This needs no configuration. For a file that only you can read:

  (umask 077; signet keys new-kek > kek)`,
		Args: cobra.NoArgs,
		RunE: action(func(context.Context, []string) error {
			text := jose.NewKEK()
			if a.asJSON {
				kek, err := jose.ParseKEK(text)
				if err != nil {
					return err
				}
				return a.printJSON(map[string]string{"id": kek.ID, "key": text})
			}
			_, err := fmt.Fprintln(a.out, text)
			return err
		}),
	}
}

func (a *app) keysExport() *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Print the published public keys as a JWK set",
		Long: `Print the published public keys as a JWK set (RFC 7517): what /.well-known/jwks.json
answers. There is no command that prints a private key.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			return a.withKeys(ctx, false, func(m *keys.Manager) error {
				document, err := m.Export(ctx)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(a.out, "%s\n", strings.TrimRight(string(document.Body), "\n"))
				return err
			})
		}),
	}
}

func (a *app) keysBundle() *cobra.Command {
	var validFor time.Duration
	var alg string
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Print the published public keys, signed, for resource servers without network",
		Long: `Print the published public keys as a JWT that one of them signed: for resource servers
that cannot fetch the key set. Bring it there by a way that you trust, and make another
one before it expires. Until then they accept tokens of every key in it, so a bundle that
lasts long is a revocation that comes late.

A bundle does not outlast the instant at which a key that it lacks may begin to sign. After
signet keys rotate or revoke, make another one.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			if validFor < time.Minute {
				return misusef("--valid-for is at least a minute, such as 24h")
			}
			c, err := a.load(nil)
			if err != nil {
				return err
			}
			return a.withKeys(ctx, true, func(m *keys.Manager) error {
				b, err := m.Bundle(ctx, c.IssuerURL(""), alg, validFor)
				if err != nil {
					return err
				}
				if b.Expiry.Before(b.IssuedAt.Add(validFor)) {
					fmt.Fprintf(a.err, "signet: NOTICE: The bundle expires on %s: from then on a key that it lacks may sign.\n",
						b.Expiry.UTC().Format("2006-01-02 15:04:05 UTC"))
				}
				if a.asJSON {
					return a.printJSON(b)
				}
				_, err = fmt.Fprintln(a.out, b.Text)
				return err
			})
		}),
	}
	cmd.Flags().DurationVar(&validFor, "valid-for", 7*24*time.Hour, "how long it is good, a `time` such as 24h or 168h")
	cmd.Flags().StringVar(&alg, "alg", "", "sign with the key of this `algorithm` (default: the first of keys.algorithms)")
	return cmd
}

// withKeys runs fn with a key manager that is not started: the manager's commands read the store
// themselves. sealing says that fn may make or open private keys.
func (a *app) withKeys(ctx context.Context, sealing bool, fn func(*keys.Manager) error) error {
	c, db, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	m := &keys.Manager{
		Store:       db,
		Policy:      c.KeyPolicy(),
		Now:         a.now,
		DatabaseNow: db.Now,
		Generate:    keys.GenerateKey,
	}
	if sealing {
		ring, err := db.LoadRing(ctx)
		if err != nil {
			return err
		}
		// A warning about the key file's mode is for the operator who runs the command.
		log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
		if ring.Version > 0 {
			if m.KEKs, err = commandKEKs(c, log); err != nil {
				return err
			}
		}
	}
	return fn(m)
}

// showReport prints what was just done, if anything, and the timeline.
func (a *app) showReport(r keys.Report) error {
	if r.Notice != "" {
		fmt.Fprintln(a.err, "signet: NOTICE: "+r.Notice)
	}
	if a.asJSON {
		return a.printJSON(r)
	}
	w := &strings.Builder{}
	if r.Message != "" {
		sayReport(w, r)
		if len(r.Keys) > 0 {
			fmt.Fprintln(w)
		}
	}
	drawTimeline(w, r, a.wide)
	_, err := io.WriteString(a.out, w.String())
	return err
}

// sayReport prints what was done, each sentence on a line of its own.
func sayReport(w io.Writer, r keys.Report) {
	for line := range strings.SplitSeq(strings.ReplaceAll(r.Message, ". ", ".\n"), "\n") {
		fmt.Fprintln(w, wrapLines(line, 110))
	}
}

// wrapLines breaks text between words.
func wrapLines(text string, width int) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}
