package issuer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/span"
	"github.com/signet-id/signet/userstore"
)

// Types of token (RFC 9068 section 2.1; the refresh token's is our own).
const (
	TypeAccessToken  = "at+jwt"
	TypeIDToken      = "JWT"
	TypeRefreshToken = "rt+jwt"
	TypeLogoutToken  = "logout+jwt" // OpenID Connect Back-Channel Logout section 2.4
)

// TokenTypes lists the types of what a signing key signs: tokens, and answers about them. A signed
// answer of userinfo has the type of an ID token.
var TokenTypes = []string{TypeAccessToken, TypeIDToken, TypeRefreshToken, TypeLogoutToken, TypeIntrospection, TypeStatusList}

// TokenResponse is the successful response of RFC 6749 section 5.1.
type TokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// Authorization is what a grant function has verified, and everything that minting needs.
type Authorization struct {
	Grant   userstore.Grant // without a UserID: the client acts on its own behalf, without a grant
	Client  userstore.Client
	User    userstore.User // zero: not read, because no claim needs it; see completeUser
	Roles   []string       // of the user, now
	Scopes  []string       // of this access token
	Targets []Resource     // of the request, or else of the grant; empty: the default audience
	Nonce   string         // of the ID token; empty: none

	// NoAccess says that there never is an access token, so that the claims of the scopes are in the
	// ID token (OIDC Core section 5.4).
	NoAccess bool

	// AccessJTI is the jti of the access token; empty: a new one.
	AccessJTI string

	// JKT is the thumbprint of the key that the access token is bound to (RFC 9449 section 6.1); empty: whoever
	// has the token may use it.
	JKT string

	// RefreshJTI proves that the refresh token of the grant's generation is ours; empty: no refresh
	// token is issued. It is computed before the write, as signers are taken.
	RefreshJTI string
}

// wantsClaims reports whether the ID token carries the claims of the scopes.
func (a *Authorization) wantsClaims() bool { return a.Client.IDTokenClaims || a.NoAccess }

// signers are the active signers of every algorithm that a client, a resource or the configuration
// can name. They are taken together, before the write and after the instant that the tokens count
// from. So a token that one of them signs expires before its key leaves the key set, however long
// the store took in between.
type signers struct {
	names   [4]string
	signers [4]*jose.Signer
}

func (i *Issuer) signers() (s signers, err error) {
	s.names = [4]string{jose.RS256, jose.EdDSA, jose.ES256, jose.PS256}
	for n, alg := range s.names {
		if s.signers[n], err = i.Keys.Signer(alg); err != nil {
			return signers{}, unready(fmt.Errorf("take a signer: %w", err))
		}
	}
	return s, nil
}

// of returns the signer of alg; empty means RS256, as everywhere in OIDC.
func (s *signers) of(alg string) *jose.Signer {
	return s.signers[max(slices.Index(s.names[:], alg), 0)]
}

// mint signs the tokens that a authorizes. now is the instant at which the request was checked.
func (i *Issuer) mint(ctx context.Context, now time.Time, s signers, a Authorization) (_ TokenResponse, err error) {
	ctx, signing := span.Begin(ctx, "sign tokens")
	defer func() { signing.End(err) }()
	scope := strings.Join(a.Scopes, " ")
	access, expires, err := i.mintAccess(ctx, now, &s, &a, scope)
	if err != nil {
		return TokenResponse{}, err
	}
	r := TokenResponse{AccessToken: access, TokenType: tokenType(a.JKT), ExpiresIn: expires - now.Unix(), Scope: scope}
	if slices.Contains(a.Scopes, userstore.ScopeOpenID) {
		if r.IDToken, err = i.mintID(now, &s, &a, access, ""); err != nil {
			return TokenResponse{}, err
		}
	}
	if a.RefreshJTI != "" {
		if r.RefreshToken, err = i.mintRefresh(&s, &a); err != nil {
			return TokenResponse{}, err
		}
	}
	return r, nil
}

// tokenType returns the type of an access token that is bound to the key jkt (RFC 9449 section 5), or to
// none (RFC 6750).
func tokenType(jkt string) string {
	if jkt != "" {
		return "DPoP"
	}
	return "Bearer"
}

// mintAccess makes the access token of RFC 9068. The token never outlives its grant. If a client
// acts on its own behalf, the client is the subject (section 2.2).
func (i *Issuer) mintAccess(
	ctx context.Context, now time.Time, s *signers, a *Authorization, scope string,
) (token string, expires int64, err error) {
	status, err := i.statusOf(ctx, a)
	if err != nil {
		return "", 0, err
	}
	alg, lifetime := i.access(i.targetsOrDefaults(a.Targets))
	end := now.Add(lifetime)
	claims := accessClaims{
		Issuer:   i.URL,
		Subject:  a.Client.ID,
		Audience: i.audience(a.Targets, &a.Client),
		IssuedAt: now.Unix(),
		ID:       a.AccessJTI,
		ClientID: a.Client.ID,
		Scope:    scope,
		Status:   status,
	}
	if claims.ID == "" {
		claims.ID = i.NewID()
	}
	if a.JKT != "" {
		claims.Confirmation = &confirmation{a.JKT}
	}
	if a.Grant.UserID != "" {
		if last := i.end(a.Grant); last.Before(end) {
			end = last
		}
		claims.Subject, claims.ClientID, claims.SessionID = subjectOf(&a.Grant), a.Grant.ClientID, a.Grant.SessionID
		claims.AuthTime, claims.ACR, claims.AMR, claims.Roles = a.Grant.AuthTime.Unix(), a.Grant.ACR, a.Grant.AMR, a.Roles
	}
	claims.Expires = end.Unix()
	token, err = i.sign(s.of(alg), TypeAccessToken, &claims, i.customClaims(InAccessToken, &a.User, a.Roles, a.Scopes))
	if err == nil {
		i.Counts.token(kindAccess, &a.Client)
	}
	return token, claims.Expires, err
}

// mintID makes an ID token. access and code are what comes with it; empty: it comes without.
func (i *Issuer) mintID(now time.Time, s *signers, a *Authorization, access, code string) (string, error) {
	signer := s.of(a.Client.IDTokenAlg)
	more := i.customClaims(InIDToken, &a.User, a.Roles, a.Scopes)
	if a.wantsClaims() {
		i.scopedClaims(&a.User, a.Roles, a.Scopes, more)
	}
	i.requestedClaims(InIDToken, &a.Grant, &a.User, a.Roles, &a.Client, more)
	token, err := i.sign(signer, TypeIDToken, &idClaims{
		Issuer:          i.URL,
		Subject:         subjectOf(&a.Grant),
		Audience:        a.Grant.ClientID,
		Expires:         now.Add(i.IDLifetime).Unix(),
		IssuedAt:        now.Unix(),
		AuthTime:        a.Grant.AuthTime.Unix(),
		Nonce:           a.Nonce,
		ACR:             a.Grant.ACR,
		AMR:             a.Grant.AMR,
		AccessTokenHash: accessTokenHash(signer.Algorithm(), access),
		CodeHash:        codeHash(signer.Algorithm(), code),
		SessionID:       a.Grant.SessionID,
	}, more)
	if err == nil {
		i.Counts.token(kindID, &a.Client)
	}
	return token, err
}

// payloads are kept for reuse: a token keeps no part of its payload.
var payloads = sync.Pool{New: func() any { return new([]byte) }}

// sign is the only function that has a token signed. Its failure is never the caller's fault, and after
// the commit there is nothing left to refuse. more holds claims beside those of the set, with other
// names.
func (i *Issuer) sign(s *jose.Signer, typ string, claims claimSet, more map[string]any) (string, error) {
	room := payloads.Get().(*[]byte)
	defer func() {
		if cap(*room) <= jose.MaxTokenBytes {
			payloads.Put(room)
		}
	}()
	payload, err := appendClaims(claims.append((*room)[:0]), more)
	if err != nil {
		return "", errServer.because(fmt.Errorf("encode %s claims: %w", typ, err))
	}
	*room = payload
	token, err := i.Admission.sign(s, typ, payload)
	if err != nil {
		return "", errServer.because(fmt.Errorf("sign %s: %w", typ, err))
	}
	return token, nil
}
