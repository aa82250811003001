package apitest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"time"

	"github.com/signet-id/signet/internal/server"

	"github.com/signet-id/signet/userstore"
)

// Client is a registered client, and the secret that it keeps.
type Client struct {
	userstore.Client
	Secret string
}

// Verifier and Challenge are PKCE's two halves that Code uses unless told otherwise.
const Verifier = "a-verifier-of-sixty-four-characters-that-nobody-guesses-in-a-test"

// Challenge is S256 of Verifier.
var Challenge = ChallengeOf(Verifier)

// ChallengeOf is the S256 challenge of a verifier (RFC 7636 section 4.2).
func ChallengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Register makes a client: of what is left out, one that authenticates by HTTP Basic, may use every
// grant and goes back to https://ID.test/cb. A metadata document, if it is known by one, was fetched now.
func (s *Server) Register(c userstore.Client) Client {
	s.T.Helper()
	if c.AuthMethod == "" {
		c.AuthMethod = userstore.AuthBasic
	}
	if c.Name == "" {
		c.Name = c.ID
	}
	if c.GrantTypes == nil {
		c.GrantTypes = []string{userstore.GrantAuthorizationCode, userstore.GrantRefreshToken}
		if c.AuthMethod != userstore.AuthNone {
			c.GrantTypes = append(c.GrantTypes, userstore.GrantClientCredentials)
		}
	}
	if c.RedirectURIs == nil {
		c.RedirectURIs = []string{"https://" + c.ID + ".test/cb"}
	}
	if c.Kind == userstore.KindMetadata && c.DocumentAt.IsZero() {
		c.DocumentAt = s.Clock.Now()
	}
	out := Client{Client: c}
	if c.AuthMethod == userstore.AuthBasic || c.AuthMethod == userstore.AuthPost {
		a, b := random(), random()
		out.Secret = s.Secret(base64.RawURLEncoding.EncodeToString(append(a[:], b[:]...)))
		if c.SecretHash == "" {
			out.SecretHash = userstore.ClientSecretHash(out.Secret)
		}
	}
	out.CreatedAt, out.UpdatedAt = s.Clock.Now(), s.Clock.Now()
	if err := s.DB.CreateClient(context.Background(), out.Client); err != nil {
		s.T.Fatalf("register %s: %v", c.ID, err)
	}
	return out
}

// Code is a fresh authorization code of a user for a client, as the authorization endpoint would
// have made it; edit may change what is stored of it.
func (s *Server) Code(u User, c Client, edit ...func(*userstore.Code)) string {
	s.T.Helper()
	now := s.Clock.Now()
	user, err := s.DB.UserByID(context.Background(), u.ID)
	if err != nil {
		s.T.Fatalf("code: %v", err)
	}
	session := userstore.BrowserSession{
		Hash: sha256.Sum256([]byte(server.NewID())), ID: server.NewID(), UserID: u.ID, AuthTime: now, AMR: []string{"pwd"}, ACR: "1",
		CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(720 * time.Hour),
	}
	if err := s.DB.StartSession(context.Background(), userstore.StartSession{Session: session, PasswordHash: user.PasswordHash}); err != nil {
		s.T.Fatalf("code: start a browser session: %v", err)
	}
	secret := server.NewID() + server.NewID()
	code := userstore.Code{
		Hash: sha256.Sum256([]byte(secret)), ClientID: c.ID, UserID: u.ID, BrowserSession: session.ID, RedirectURI: c.RedirectURIs[0],
		CodeChallenge: Challenge, Scopes: []string{"openid", "profile", "email"}, Nonce: "the nonce", AuthTime: now, AMR: []string{"pwd"},
		ACR: "1", CreatedAt: now, ExpiresAt: now.Add(time.Minute),
	}
	for _, fn := range edit {
		fn(&code)
	}
	if err := s.DB.SaveCode(context.Background(), code, nil, time.Time{}); err != nil {
		s.T.Fatalf("save a code: %v", err)
	}
	return s.Secret(secret)
}

// CodeRequest redeems a code as its client should.
func (s *Server) CodeRequest(c Client, code string) Request {
	return s.Authenticated(c, "/oauth2/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.RedirectURIs[0]}, "code_verifier": {Verifier},
	})
}

// RefreshRequest presents a refresh token at the token endpoint.
func (s *Server) RefreshRequest(c Client, token string) Request {
	return s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// Authenticated is a request to a protocol endpoint in the name of c, by its registered method.
func (s *Server) Authenticated(c Client, path string, form url.Values) Request {
	q := Request{Method: http.MethodPost, Path: path, Form: url.Values{}}
	for name, values := range form {
		q.Form[name] = values
	}
	switch c.AuthMethod {
	case userstore.AuthBasic:
		q.Basic = [2]string{c.ID, c.Secret}
	case userstore.AuthPost:
		q.Form.Set("client_id", c.ID)
		q.Form.Set("client_secret", c.Secret)
	case userstore.AuthNone:
		q.Form.Set("client_id", c.ID)
	}
	return q
}

// Redeem is a whole login of a user through a client, short of the pages.
func (s *Server) Redeem(u User, c Client, edit ...func(*userstore.Code)) Tokens {
	s.T.Helper()
	var tokens Tokens
	s.Do(s.CodeRequest(c, s.Code(u, c, edit...))).Want(http.StatusOK, "").JSON(&tokens)
	return tokens
}

// Introspect asks about a token in the name of c.
func (s *Server) Introspect(c Client, token string) Fields {
	s.T.Helper()
	var out Fields
	s.Do(s.Authenticated(c, "/oauth2/introspect", url.Values{"token": {token}})).Want(http.StatusOK, "").JSON(&out)
	return out
}
