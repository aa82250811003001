package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// lossReasons are the reasons of the audit entry.
var lossReasons = map[keys.Loss]string{keys.Restored: "restored", keys.KEKLost: "kek_lost"}

func (a *app) recoverCommand() *cobra.Command {
	var restored, lost, yes bool
	cmd := &cobra.Command{
		Use:   "recover --restored | --kek-lost",
		Short: "Make a restored database, or one whose key-encryption key is lost, safe to serve",
		Long: `Make a database safe to serve that was restored from a backup, or whose key-encryption key
is lost for good. Either way every session ends, of browsers and of apps, and so do links and
codes in messages, recovery codes and trusted browsers: people sign in again, with everything
that their account asks for. Fresh signing keys sign at once.

--restored   The backup may bring back keys, sessions and messages that had ended since. All
             signing keys of the backup are revoked.
--kek-lost   Nothing that was sealed can be opened any more. The signing keys retire: what they
             signed verifies until it expires. Authenticator apps are of no use; the accounts
             that have one are listed. No password alone opens such an account: its owner signs
             in with a passkey, or you remove its factors when you know who asks.

Stop the servers first. Run it again when it was interrupted. A terminal is asked first;
programs say --yes.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			if restored == lost {
				return misusef("say what happened to the database: --restored, or --kek-lost")
			}
			loss := keys.Restored
			if lost {
				loss = keys.KEKLost
			}
			if !isTerminal(a.in) && !yes {
				return misusef("there is no terminal to ask whether every session shall end; give --yes if that is meant")
			}
			if !yes {
				sure, err := terminal.Confirm(a.in, a.err,
					"End every session, link and recovery code of every account, and replace the signing keys?")
				if err != nil {
					return err
				}
				if !sure {
					return errors.New("nothing was done")
				}
			}
			return a.recover(ctx, loss)
		}),
	}
	cmd.Flags().BoolVar(&restored, "restored", false, "the database was restored from a backup")
	cmd.Flags().BoolVar(&lost, "kek-lost", false, "the key-encryption key is lost for good")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) recover(ctx context.Context, loss keys.Loss) error {
	return a.withAccounts(ctx, func(accounts *userstore.Accounts, db *sqlstore.DB) error {
		c, err := a.load(nil)
		if err != nil {
			return err
		}
		if err := db.Lock(); err != nil {
			return err
		}
		log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
		m := &keys.Manager{Store: db, Policy: c.KeyPolicy(), Now: a.now, DatabaseNow: db.Now, Generate: keys.GenerateKey}
		if m.KEKs, err = a.recoveryKEKs(ctx, c, db, loss, log); err != nil {
			return err
		}
		var done userstore.Recovered
		report, err := m.Recover(ctx, loss, func() (err error) {
			p := &terminal.Progress{Out: a.err, Bar: isTerminal(a.err), Of: "accounts", Now: time.Now}
			p.Begin()
			defer p.Hide()
			done, err = accounts.Recover(ctx, userstore.Recovery{
				Restored: loss == keys.Restored, Reason: lossReasons[loss], Report: func(n int64) { p.Show(int(n)) },
			})
			if err != nil {
				err = fmt.Errorf("only the sessions of %s have ended; run this again: %w",
					count(int(done.Accounts), "account"), err)
			}
			return err
		})
		if err != nil {
			return err
		}
		return a.showRecovered(loss, report, done)
	})
}

// recoveryKEKs returns the key-encryption keys to seal under. If the one beside the embedded
// database is lost, it makes another.
func (a *app) recoveryKEKs(
	ctx context.Context, c configs.Config, db *sqlstore.DB, loss keys.Loss, log *slog.Logger,
) ([]jose.KEK, error) {
	ring, err := db.LoadRing(ctx)
	if err != nil {
		return nil, err
	}
	_, missing := os.Lstat(c.KEKPath())
	makes := loss == keys.KEKLost && ring.Version > 0 && !c.IsPostgres() && c.Keys.EncryptionKey == "" &&
		errors.Is(missing, fs.ErrNotExist)
	if !makes {
		return commandKEKs(c, log)
	}
	keks, err := embeddedKEKs(c, true, log)
	if err == nil {
		fmt.Fprintf(a.err, "signet: a new key-encryption key is in %s; keep a copy apart from the database's backups\n", printable.Text(c.KEKPath()))
	}
	return keks, err
}

// accountWithApp is an account whose authenticator app is of no use any more.
type accountWithApp struct {
	Sub   string `json:"sub"`
	Email string `json:"email"`
	// Passkey says that the account opens without its app.
	Passkey bool `json:"passkey"`
}

func (a *app) showRecovered(loss keys.Loss, report keys.Report, done userstore.Recovered) error {
	dead := []accountWithApp{}
	if loss == keys.KEKLost {
		only := map[string]bool{}
		for _, u := range done.OnlyApps {
			only[u.ID] = true
		}
		for _, u := range done.Apps {
			dead = append(dead, accountWithApp{u.ID, u.Email, !only[u.ID]})
		}
	}
	if a.asJSON {
		return a.printJSON(map[string]any{
			"reason": lossReasons[loss], "accounts": done.Accounts, "without_second_factor": done.WithoutFactor,
			"authenticator_apps_lost": dead, "keys": report,
		})
	}
	w := &strings.Builder{}
	sayReport(w, report)
	fmt.Fprintf(w, "Every session of %s has ended. People sign in again, with everything that their account asks for.\n",
		count(int(done.Accounts), "account"))
	switch {
	case loss == keys.Restored && done.WithoutFactor > 0:
		fmt.Fprintln(w, wrapLines(fmt.Sprintf("%s without a second factor: if one was set up after the backup, it is gone, and the "+
			"password alone opens that account. Tell the owners whom that may concern.", count(int(done.WithoutFactor), "account")+" "+isAre(done.WithoutFactor)), 110))
	case len(dead) > 0:
		fmt.Fprintln(w, wrapLines(fmt.Sprintf("%s of no use any more. Their owners sign in with a passkey where they have one, and set up "+
			"the app anew. For the others: when you know who asks, `signet users remove-factors USER`; until then nobody gets in.",
			count(len(dead), "authenticator app")+" "+isAre(int64(len(dead)))), 110))
		fmt.Fprintln(w)
	}
	if _, err := fmt.Fprint(a.out, w.String()); err != nil || len(dead) == 0 {
		return err
	}
	rows := [][]string{}
	for _, d := range dead {
		passkey := "none: locked out"
		if d.Passkey {
			passkey = "yes"
		}
		rows = append(rows, []string{printable.Text(d.Email), passkey, d.Sub})
	}
	return a.table([]string{"EMAIL", "PASSKEY", "ID"}, rows)
}

func isAre(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
