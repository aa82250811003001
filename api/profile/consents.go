package profile

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/signet-id/signet/userstore"
)

// Consent is what the user has allowed a client.
type Consent struct {
	ClientID   string     `json:"client_id"`
	ClientName string     `json:"client_name,omitempty"`
	Scope      string     `json:"scope"` // of the user, and at the default audience
	Resources  []Resource `json:"resources,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

// Resource is what the user allowed at one resource.
type Resource struct {
	Resource string `json:"resource"`
	Scope    string `json:"scope"`
}

// Consents makes the list of a user's consents.
type Consents struct {
	Consents userstore.Consents
	Clients  userstore.Clients
}

// List is what the user allowed clients, newest first.
func (c Consents) List(ctx context.Context, userID string) ([]Consent, error) {
	consents, err := c.Consents.ListConsents(ctx, userID)
	if err != nil {
		return nil, err
	}
	list := make([]Consent, 0, len(consents))
	for _, consent := range consents {
		client, err := c.Clients.ClientByID(ctx, consent.ClientID)
		switch {
		case errors.Is(err, userstore.ErrNotFound): // the client was deleted a moment ago, and its consents too
			continue
		case err != nil:
			return nil, err
		}
		doc := Consent{ClientID: consent.ClientID, ClientName: client.Name, CreatedAt: consent.CreatedAt.UTC(), UpdatedAt: consent.UpdatedAt.UTC()}
		for _, a := range consent.Allowed {
			scope := strings.Join(a.Scopes, " ")
			if a.Resource == "" {
				doc.Scope = scope
				continue
			}
			doc.Resources = append(doc.Resources, Resource{a.Resource, scope})
		}
		list = append(list, doc)
	}
	return list, nil
}
