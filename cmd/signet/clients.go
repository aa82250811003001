package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
	"github.com/signet-id/signet/userstore/sqlstore"
)

func (a *app) clientsCommand() *cobra.Command {
	return group("clients", "Register, show and change client apps",
		a.clientsCreate(), a.clientsList(), a.clientsShow(), a.clientsUpdate(),
		a.clientsActive("disable", "Refuse a client and end its sessions at once", false),
		a.clientsActive("enable", "Let a disabled client in again", true),
		a.clientsRotateSecret(), a.clientsDelete(), a.registrationTokenCommand(),
	)
}

// tokensRemain says that no command can end access tokens at resource servers which verify them offline
// and check no status lists.
const tokensRemain = "Services that check status lists refuse access tokens that are out already within seconds; " +
	"elsewhere they end within tokens.access_lifetime."

func (a *app) clientsCreate() *cobra.Command {
	var in clientFlags
	cmd := &cobra.Command{
		Use:   "create --name NAME",
		Short: "Register a client",
		Long: `Register a client. Without other flags it is a confidential web app of the authorization code flow:

  signet clients create --name Shop --redirect-uri https://shop.example.com/callback

An app in a browser or on a device keeps no secret:

  signet clients create --name Shop --auth-method none --redirect-uri https://shop.example.com/

A service that acts for itself:

  signet clients create --name Billing --grant-type client_credentials --resource https://api.example.com

A client that authenticates by a secret gets one, which is printed once: only its hash is kept. One
of your own comes from a file or standard input with --secret-file; it is never an argument,
which other users of the machine could see.`,
		Args: cobra.NoArgs,
	}
	in.add(cmd, true)
	cmd.RunE = action(func(ctx context.Context, _ []string) error {
		if in.client.Name == "" {
			return misusef("a client needs --name")
		}
		chosen, err := in.read(a)
		if err != nil {
			return err
		}
		return a.withClients(ctx, func(r *registration.Registry, _ *sqlstore.DB) error {
			var c userstore.Client
			in.apply(&c)
			if c.AuthMethod == "" && (c.JWKSURI != "" || c.JWKS != nil) {
				c.AuthMethod = userstore.AuthPrivateKeyJWT
			}
			made, secret, err := r.Create(ctx, c, chosen)
			if err != nil {
				return explainClient(err, c)
			}
			return a.showClient(made, secret)
		})
	})
	return cmd
}

func (a *app) clientsUpdate() *cobra.Command {
	var in clientFlags
	cmd := &cobra.Command{
		Use:   "update CLIENT_ID",
		Short: "Change what a client is registered for",
		Long: `Change what a client is registered for: what a flag names, and nothing else.

A flag that may be repeated replaces the whole list; an empty value takes away what is there. A
client that comes to need a secret gets one, which is printed once. Grants that were made
before stay, and are held to what the client is registered for from now on.`,
		Args: oneClient,
	}
	in.add(cmd, false)
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		if !in.changed() {
			return misusef("say what to change, such as --name NAME")
		}
		chosen, err := in.read(a)
		if err != nil {
			return err
		}
		return a.withClients(ctx, func(r *registration.Registry, _ *sqlstore.DB) error {
			var edited userstore.Client
			c, secret, err := r.Edit(ctx, args[0], chosen, func(c *userstore.Client) error {
				in.apply(c)
				edited = *c
				return nil
			})
			if err != nil {
				return noSuchClient(explainClient(err, edited), args[0])
			}
			return a.showClient(c, secret)
		})
	})
	return cmd
}

func (a *app) clientsActive(name, short string, active bool) *cobra.Command {
	long := short + `.

What was granted before does not come back: users log in again.`
	if !active {
		long = short + `.

Its refresh tokens, codes and browser requests are refused from now on, and introspection calls its
access tokens inactive; new tokens of client_credentials end within a second. Services that check
status lists refuse access tokens that are out already within seconds; elsewhere they end within
tokens.access_lifetime.`
	}
	return &cobra.Command{
		Use:   name + " CLIENT_ID",
		Short: short,
		Long:  long,
		Args:  oneClient,
		RunE: action(func(ctx context.Context, args []string) error {
			return a.withClients(ctx, func(r *registration.Registry, db *sqlstore.DB) error {
				if err := r.SetActive(ctx, args[0], active); err != nil {
					return noSuchClient(err, args[0])
				}
				c, err := db.ClientByID(ctx, args[0])
				if err != nil {
					return err
				}
				if a.asJSON {
					return a.printJSON(c.Document(""))
				}
				text := " is disabled, and everything that was granted to it has ended. " + tokensRemain
				if active {
					text = " may be used again."
				}
				_, err = fmt.Fprintln(a.out, c.ID+text)
				return err
			})
		}),
	}
}

func (a *app) clientsRotateSecret() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "rotate-secret CLIENT_ID",
		Short: "Replace a client's secret",
		Long: `Replace a client's secret: by a new one, which is printed once, or with --secret-file by one of
your own. The one before is refused within a second; what was granted stays.`,
		Args: oneClient,
		RunE: action(func(ctx context.Context, args []string) error {
			chosen, err := a.readSecret(file)
			if err != nil {
				return err
			}
			return a.withClients(ctx, func(r *registration.Registry, _ *sqlstore.DB) error {
				c, secret, err := r.RotateSecret(ctx, args[0], chosen)
				if err != nil {
					return noSuchClient(explainClient(err, userstore.Client{}), args[0])
				}
				if a.asJSON || secret != "" {
					return a.showClient(c, secret)
				}
				_, err = fmt.Fprintln(a.out, c.ID+" has the secret of the file.")
				return err
			})
		}),
	}
	cmd.Flags().StringVar(&file, "secret-file", "", "read the secret from this `file`; - is standard input")
	return cmd
}

func (a *app) clientsDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete CLIENT_ID",
		Short: "Delete a client for good, with everything granted to it",
		Long: `Delete a client for good, with everything granted to it but the audit log. A client that is
registered again under its id inherits nothing. To keep it out for a while there is "signet
clients disable". A terminal is asked first; programs say --yes.`,
		Args: oneClient,
		RunE: action(func(ctx context.Context, args []string) error {
			if !isTerminal(a.in) && !yes {
				return misusef("there is no terminal to ask whether to delete the client; give --yes if that is meant")
			}
			return a.withClients(ctx, func(r *registration.Registry, db *sqlstore.DB) error {
				c, err := db.ClientByID(ctx, args[0])
				if err != nil {
					return noSuchClient(err, args[0])
				}
				if !yes {
					sure, err := terminal.Confirm(a.in, a.err, fmt.Sprintf("Delete %s (%s) and everything granted to it?", printable.Text(c.Name), c.ID))
					if err != nil {
						return err
					}
					if !sure {
						return errors.New("nothing was done")
					}
				}
				if err := r.Delete(ctx, c.ID); err != nil {
					return noSuchClient(explainClient(err, c), c.ID)
				}
				if a.asJSON {
					return a.printJSON(struct {
						Deleted string `json:"deleted"`
					}{c.ID})
				}
				_, err = fmt.Fprintln(a.out, c.ID+" is deleted. "+tokensRemain)
				return err
			})
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func oneClient(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one client, by its client_id")
	}
	return nil
}

// withClients runs fn with a client registry over the configured store.
func (a *app) withClients(ctx context.Context, fn func(*registration.Registry, *sqlstore.DB) error) error {
	c, db, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	var unfetched error
	clients := clientSettings(c, func(ctx context.Context, uri string) (document []byte, err error) {
		defer func() { unfetched = err }()
		files, err := readServeFiles(c)
		if err != nil {
			return nil, err
		}
		fetcher, err := newOutbound(c, files)
		if err != nil {
			return nil, err
		}
		return sectorsBy(fetcher)(ctx, uri)
	})
	clients.Store, clients.Hasher, clients.Now, clients.NewID = db, newHasher(c, 1), a.now, server.NewID
	clients.Algorithms = func(ctx context.Context) ([]string, error) {
		ring, err := db.LoadRing(ctx)
		if err != nil || ring.Version > 0 {
			return ring.ActiveAlgorithms(a.now()), err
		}
		return c.Keys.Algorithms, nil // no server has run yet; the first start makes an active key for each algorithm
	}
	err = fn(clients, db)
	if err != nil && unfetched != nil { // an operator may know the cause
		err = fmt.Errorf("%w The cause: %s", err, printable.Text(unfetched.Error()))
	}
	return err
}
