package pages

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
)

// AccountAppsPage shows what the user allowed apps.
func (h *Handlers) AccountAppsPage(w http.ResponseWriter, r *http.Request, o owner) error {
	list, err := h.Export.Consents.List(r.Context(), o.User.ID)
	if err != nil {
		return err
	}
	shown := make([]web.AccountApp, 0, len(list))
	for _, c := range list {
		app := web.AccountApp{ClientID: c.ClientID, Name: c.ClientName, Scopes: strings.Fields(c.Scope), Claims: h.Issuer.ClaimScopes(), Since: c.UpdatedAt}
		client, err := h.Export.Consents.Clients.ClientByID(r.Context(), c.ClientID)
		if err != nil && problem.From(err).Code != problem.NotFound {
			return err
		}
		app.StartURI = h.Issuer.InitiateLogin(client)
		if client.SelfMade() && len(client.RedirectURIs) > 0 {
			shown := h.webClient(client, client.RedirectURIs[0])
			app.Host = cmp.Or(shown.IDHost, shown.Host)
		}
		for _, at := range c.Resources {
			app.Resources = append(app.Resources, at.Resource)
			for _, scope := range strings.Fields(at.Scope) {
				if !slices.Contains(app.Scopes, scope) {
					app.Scopes = append(app.Scopes, scope)
				}
			}
		}
		shown = append(shown, app)
	}
	return h.showAccount(w, r, o, web.AccountApps, http.StatusOK, func(p *web.AccountPage) { p.Apps = shown })
}

// AccountAppsForm takes back what the user allowed an app.
func (h *Handlers) AccountAppsForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountApps, "client")
	if err != nil {
		return err
	}
	if err := h.Accounts.RevokeConsent(r.Context(), o.User.ID, f.Get("client")); err != nil && problem.From(err).Code != problem.NotFound {
		return err
	}
	return h.accountDone(w, web.AccountApps, web.DoneRemoved)
}

// appNames looks up how people know an app, each app once.
func (h *Handlers) appNames(ctx context.Context) func(clientID string) (string, error) {
	known := map[string]string{}
	return func(clientID string) (string, error) {
		if name, ok := known[clientID]; ok {
			return name, nil
		}
		client, err := h.Export.Consents.Clients.ClientByID(ctx, clientID)
		switch {
		case problem.From(err).Code == problem.NotFound:
			client.Name = ""
		case err != nil:
			return "", err
		}
		if known[clientID] = client.Name; client.Name == "" {
			known[clientID] = clientID
		}
		return known[clientID], nil
	}
}
