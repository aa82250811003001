package issuer

import "context"

// Userinfo answers the claims about the user behind an access token with scope openid (OIDC Core
// section 5.3). Every error is an *Error.
func (i *Issuer) Userinfo(ctx context.Context, raw string) (map[string]any, error) { panic("contract") }

// TokenQuery asks about, or revokes, a token (RFC 7662 section 2.1, RFC 7009 section 2.1).
type TokenQuery struct {
	Auth  ClientAuth
	Token string
	Hint  string // token_type_hint; only a hint
}

// Introspect answers RFC 7662: {"active": false} for everything that is not both live and the caller's to
// ask about.
func (i *Issuer) Introspect(ctx context.Context, q TokenQuery) (map[string]any, error) {
	panic("contract")
}

// RevokeToken ends the grant of a refresh or access token of the calling client (RFC 7009). What is no
// token of the client's is no error.
func (i *Issuer) RevokeToken(ctx context.Context, q TokenQuery) error { panic("contract") }
