package issuer

import (
	"context"

	"github.com/signet-id/signet/userstore"
)

// ClientAuth is what a request says of the client that sends it (RFC 6749 section 2.3, RFC 7523
// section 2.2), as it was sent. That exactly one way was used is AuthenticateClient's to check.
type ClientAuth struct {
	Basic                bool // there was an Authorization header of that scheme
	BasicID, BasicSecret string
	ClientID             string // of the body
	ClientSecret         string // of the body
	HasSecret            bool   // the body had one, be it empty
	Assertion            string
	AssertionType        string
	HasAssertion         bool
}

// TokenRequest is a request at the token endpoint, parsed once for all grants.
type TokenRequest struct {
	GrantType string
	Auth      ClientAuth

	Code         string
	RedirectURI  string
	CodeVerifier string

	RefreshToken string

	Scope    string
	Resource []string
}

// grantFunc proves a claim for an authenticated client and says what it is worth. It writes no
// HTTP, authenticates no client and mints nothing.
type grantFunc func(*Issuer, context.Context, userstore.Client, TokenRequest) (Authorization, error)

// Token is the token endpoint: it authenticates the client, finds the grant, checks that this client
// may use it, and mints what the grant is worth. Every error is an *Error.
func (i *Issuer) Token(ctx context.Context, r TokenRequest) (TokenResponse, error) {
	panic("contract")
}

// AuthenticateClient finds the client of a request and proves it by the one method that it is registered for; a
// public client only names itself. InvalidClient whether it is unknown, disabled or wrong.
func (i *Issuer) AuthenticateClient(ctx context.Context, a ClientAuth) (userstore.Client, error) {
	panic("contract")
}
