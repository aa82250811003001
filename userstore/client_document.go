package userstore

import (
	"encoding/json"
	"strings"
)

// ClientDocument is the JSON form of a client: client information by RFC 7591 section 3.2.1, and
// members of our own. It holds the secret only in the answer that created the secret.
type ClientDocument struct {
	ClientID        string `json:"client_id"`
	ClientSecret    string `json:"client_secret,omitempty"`
	IssuedAt        int64  `json:"client_id_issued_at"`                // seconds since 1970
	SecretExpiresAt *int64 `json:"client_secret_expires_at,omitempty"` // 0: never; absent without a secret
	Name            string `json:"client_name"`
	AuthMethod      string `json:"token_endpoint_auth_method"`
	GrantTypes      List   `json:"grant_types"`
	ResponseTypes   List   `json:"response_types"`  // in the place of the one in ClientMetadata: [] if it is empty
	RedirectURIs    List   `json:"redirect_uris"`   // the same
	Scope           string `json:"scope,omitempty"` // absent: any
	IDTokenAlg      string `json:"id_token_signed_response_alg,omitempty"`
	IDTokenClaims   bool   `json:"id_token_claims,omitempty"` // absent: no

	ClientMetadata

	Resources  List `json:"resources"`
	FirstParty bool `json:"first_party"`
	Disabled   bool `json:"disabled"`

	Kind string `json:"kind,omitempty"` // registered: by itself; absent: by an operator or an admin
}

// List is a list of strings that is [] in JSON when it is empty.
type List []string

// MarshalJSON writes the list.
func (l List) MarshalJSON() ([]byte, error) { return json.Marshal(append([]string{}, l...)) }

// Document returns the client's document. secret is the secret that was just created, if any.
func (c Client) Document(secret string) ClientDocument {
	d := ClientDocument{
		ClientID: c.ID, ClientSecret: secret, IssuedAt: c.CreatedAt.Unix(), Name: c.Name, AuthMethod: c.AuthMethod,
		GrantTypes: c.GrantTypes, ResponseTypes: c.ResponseTypes, RedirectURIs: c.RedirectURIs,
		Scope: strings.Join(c.Scopes, " "), IDTokenAlg: c.IDTokenAlg, IDTokenClaims: c.IDTokenClaims,
		ClientMetadata: c.ClientMetadata,
		Resources:      c.Resources, FirstParty: c.FirstParty, Disabled: !c.DisabledAt.IsZero(), Kind: c.Kind,
	}
	if c.CreatedAt.IsZero() { // the built-in client has no time of creation
		d.IssuedAt = 0
	}
	if c.SecretHash != "" {
		d.SecretExpiresAt = new(int64)
	}
	return d
}
