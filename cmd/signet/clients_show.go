package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
	"github.com/signet-id/signet/userstore/sqlstore"
)

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
	if c.DPoPBoundAccessTokens {
		rows = append(rows, []string{"access tokens", "bound to its key (DPoP)"})
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
