package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/internal/readable"
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

// tokensRemain says that no command can end access tokens that resource servers verify offline.
const tokensRemain = "Access tokens that are out already end within tokens.access_lifetime."

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

func (a *app) clientsShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show CLIENT_ID",
		Short: "Show one client",
		Args:  oneClient,
		RunE: action(func(ctx context.Context, args []string) error {
			return a.withClients(ctx, func(_ *registration.Registry, db *sqlstore.DB) error {
				c, err := db.ClientByID(ctx, args[0])
				if err != nil {
					return noSuchClient(err, args[0])
				}
				return a.showClient(c, "")
			})
		}),
	}
}

func (a *app) clientsList() *cobra.Command {
	var limit int
	var kind string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the clients, oldest first",
		Args:  cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			if limit < 0 {
				return misusef("--limit is a number of clients, and 0 for all of them")
			}
			if kind != "" && kind != kindOperator && kind != kindRegistered && kind != kindMetadata {
				return misusef("--kind is operator, registered or metadata")
			}
			_, db, err := a.store(ctx)
			if err != nil {
				return err
			}
			defer db.Close()
			clients := func(yield func([]userstore.Client) error) error {
				return pages(limit, clientsOfKind(ctx, db, kind), yield)
			}
			if a.asJSON {
				return listJSON(a, clients, func(c userstore.Client) any { return c.Document("") })
			}
			header := a.columnsOf("CLIENT ID", "NAME", "STATE", "AUTHENTICATION").and("GRANT TYPES", "CREATED", "KIND")
			return listTable(a, a.list(0, 2), header, clients, func(c userstore.Client) []string {
				return a.columnsOf(c.ID, dash(short(c.Name)), clientState(c), c.AuthMethod).and(dash(strings.Join(c.GrantTypes, ", ")), readable.Instant(c.CreatedAt), kindOf(c))
			}, "There are no clients.")
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "the first `N` only")
	cmd.Flags().StringVar(&kind, "kind", "", "only those of a `kind`: operator, registered (by itself), or metadata (by its document)")
	a.wideFlag(cmd)
	return cmd
}

func (a *app) clientsActive(name, short string, active bool) *cobra.Command {
	long := short + `.

What was granted before does not come back: users log in again.`
	if !active {
		long = short + `.

Its refresh tokens, codes and browser requests are refused from now on, and introspection calls its
access tokens inactive; new tokens of client_credentials end within a second. ` + tokensRemain
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

func noSuchClient(err error, id string) error {
	if errors.Is(err, userstore.ErrNotFound) {
		if registration.NamesDocument(id) {
			return fmt.Errorf("nobody has allowed %q anything, so there is no client of that id; "+
				"oauth.client_id_metadata_hosts.deny keeps a host out", printable.Text(id))
		}
		return fmt.Errorf("there is no client %q; `signet clients list` shows those there are", printable.Text(id))
	}
	return err
}

// explainClient turns an error of the client registry into one sentence that names the flags.
func explainClient(err error, c userstore.Client) error {
	var invalid *userstore.ValidationError
	var exists *userstore.ExistsError
	switch {
	case errors.As(err, &invalid):
		return refusedFields(invalid, func(field string) string { return flagOf(field, c) }, "jwks", "client_secret")
	case errors.As(err, &exists):
		return errors.New("there is a client with this client_id already; `signet clients show` shows it")
	case errors.Is(err, registration.ErrBuiltIn):
		return errors.New("the built-in client cannot be deleted: logins that name no client use it; `signet clients disable` keeps it out")
	}
	return err
}

// flagOf returns the flag of a faulty field, and for a list the faulty member.
func flagOf(field string, c userstore.Client) string {
	root, index, _ := strings.Cut(field, ".")
	for _, f := range listFlags {
		if f.field != root {
			continue
		}
		list := *f.of(&c)
		if n, err := strconv.Atoi(index); err == nil && n < len(list) {
			return "--" + f.name + " " + printable.Text(short(list[n]))
		}
		return "--" + f.name
	}
	for _, f := range textFlags {
		if f.field == root {
			return "--" + f.name
		}
	}
	for _, f := range boolFlags {
		if f.field == root {
			return "--" + f.name
		}
	}
	switch root {
	case "jwks":
		return strings.TrimSuffix("--jwks-file "+index, " ")
	case "client_secret":
		return "--secret-file"
	}
	return field
}

func clientState(c userstore.Client) string {
	if c.DisabledAt.IsZero() {
		return "active"
	}
	return "disabled"
}

func (a *app) showClient(c userstore.Client, secret string) error {
	if a.asJSON {
		return a.printJSON(c.Document(secret))
	}
	rows := [][]string{{"client_id", c.ID}}
	if secret != "" {
		rows = append(rows, []string{"client_secret", secret}, []string{"", "(shown this once; only its hash is kept)"})
	}
	rows = append(rows, []string{"name", c.Name}, []string{"state", clientState(c)}, []string{"authentication", c.AuthMethod},
		[]string{"grant types", dash(strings.Join(c.GrantTypes, ", "))})
	several := func(name string, values []string) {
		for _, v := range values {
			rows = append(rows, []string{name, v})
			name = ""
		}
	}
	if !slices.Equal(c.ResponseTypes, []string{userstore.ResponseTypeCode}) {
		several("response types", c.ResponseTypes)
	}
	several("redirect URIs", c.RedirectURIs)
	several("after logout", c.PostLogoutRedirectURIs)
	several("request URIs", c.RequestURIs)
	scopes := strings.Join(c.Scopes, " ")
	if scopes == "" {
		scopes = "any"
	}
	rows = append(rows, []string{"scopes", scopes})
	several("resources", c.Resources)
	several("contacts", c.Contacts)
	for _, f := range []struct{ name, value string }{
		{"PKCE", c.PKCE}, {"ID tokens", c.IDTokenAlg}, {"userinfo", signedWith(c.UserinfoAlg)},
		{"introspection", signedWith(c.IntrospectionAlg)}, {"keys", keysOf(c)}, {"request objects", objectsOf(c)},
		{"subjects", subjectsOf(c)}, {"sector from", c.SectorIdentifierURI},
		{"told of logouts", c.BackchannelLogoutURI}, {"told by a frame", c.FrontchannelLogoutURI}, {"logins begin at", c.InitiateLoginURI},
		{"website", c.ClientURI}, {"logo", c.LogoURI}, {"privacy policy", c.PolicyURI}, {"terms", c.TOSURI},
		{"software", strings.TrimSpace(c.SoftwareID + " " + c.SoftwareVersion)}, {"kind of app", c.ApplicationType},
	} {
		if f.value != "" {
			rows = append(rows, []string{f.name, f.value})
		}
	}
	if c.RequirePushed {
		rows = append(rows, []string{"authorization", "pushed requests only"})
	}
	if c.IDTokenClaims {
		rows = append(rows, []string{"claims", "also in its ID tokens"})
	}
	if c.Kind == userstore.KindRegistered {
		rows = append(rows, []string{"registered", "by itself" + unusedUntil(c)})
	}
	if c.Kind == userstore.KindMetadata {
		rows = append(rows, []string{"described by", "its document, last good at " + readable.Instant(c.DocumentAt)})
	}
	rows = append(rows, []string{"first party", map[bool]string{true: "yes", false: "no"}[c.FirstParty]},
		[]string{"created", readable.Instant(c.CreatedAt)}, []string{"changed", readable.Instant(c.UpdatedAt)})
	return a.table(nil, rows)
}

// signedWith says how answers to the client are signed; empty: they are not.
func signedWith(alg string) string {
	if alg == "" {
		return ""
	}
	return "signed with " + alg
}

// unusedUntil says until when an unused client stays.
func unusedUntil(c userstore.Client) string {
	if c.UnusedUntil.IsZero() {
		return ""
	}
	return "; never used, and deleted after " + readable.Instant(c.UnusedUntil)
}

// objectsOf says how the client signs its request objects; empty: as its keys allow.
func objectsOf(c userstore.Client) string {
	if c.RequireSignedRequestObject {
		return strings.TrimPrefix(c.RequestObjectAlg+", required", ", ")
	}
	return c.RequestObjectAlg
}

func keysOf(c userstore.Client) string {
	if len(c.JWKS) > 0 {
		return "registered; --json shows them"
	}
	return c.JWKSURI
}

// subjectsOf says by what sub a pairwise client knows people; empty: by the ids of accounts.
func subjectsOf(c userstore.Client) string {
	if !c.Pairwise() {
		return ""
	}
	return "pairwise, sector " + c.Sector()
}
