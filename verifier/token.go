package verifier

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
)

// Token is a verified access token (RFC 9068). A function that returns an error returns no Token.
type Token struct {
	Issuer    string
	Subject   string // the user, or the client that acts for itself
	Audience  []string
	ClientID  string
	ID        string // jti
	Scopes    []string
	Expiry    time.Time
	IssuedAt  time.Time
	NotBefore time.Time // zero: the token has no nbf

	// Set when a user logged in for the token; empty when a client acts for itself.
	SessionID             string    // sid
	AuthenticatedAt       time.Time // auth_time
	AuthenticationContext string    // acr: "1" for one factor, "2" for two factors or a passkey
	AuthenticationMethods []string  // amr
	Roles                 []string

	// KeyThumbprint is the thumbprint of the key that the token is bound to (cnf.jkt, RFC 9449 section 6.1);
	// empty: a bearer token.
	KeyThumbprint string

	KeyID     string
	Algorithm string

	payload []byte
}

// HasScope reports whether the token was granted scope.
func (t *Token) HasScope(scope string) bool { return slices.Contains(t.Scopes, scope) }

// HasRole reports whether the user has role.
func (t *Token) HasRole(role string) bool { return slices.Contains(t.Roles, role) }

// Claim decodes any claim of the token into v, matching its name exactly. It reports whether the
// token has the claim.
func (t *Token) Claim(name string, v any) (bool, error) {
	members, err := strictjson.Members(t.payload)
	if err != nil {
		return false, errors.New("this token was not made by Verify")
	}
	for _, m := range members {
		if m.Name == name {
			if err := strictjson.Unmarshal(m.Value, v, strictjson.IgnoreUnknown); err != nil {
				return true, fmt.Errorf("the claim %q: %w", name, err)
			}
			return true, nil
		}
	}
	return false, nil
}

// Claims returns the token's payload, a JSON object without duplicate members.
func (t *Token) Claims() json.RawMessage { return slices.Clone(t.payload) }

func newToken(c jose.AccessClaims, payload []byte) *Token {
	return &Token{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience, ClientID: c.ClientID, ID: c.ID, Scopes: c.Scopes,
		Expiry: c.Expiry, IssuedAt: c.IssuedAt, NotBefore: c.NotBefore,
		SessionID: c.SessionID, AuthenticatedAt: c.AuthenticatedAt, AuthenticationContext: c.ACR,
		AuthenticationMethods: c.AMR, Roles: c.Roles, KeyThumbprint: c.KeyThumbprint,
		payload: payload,
	}
}
