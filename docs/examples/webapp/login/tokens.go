package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// ErrEnded says that the provider refused to refresh the tokens: the person, an operator or a limit
// has ended the session, and the person has to log in again.
var ErrEnded = errors.New("the session has ended at the provider; log in again")

// early is how long before its end an access token is refreshed, so that none expires on its way.
const early = 10 * time.Second

// Session is a person who is logged in with one browser. It is safe for concurrent use.
type Session struct {
	app     *App
	begunAt time.Time
	subject string

	mu    sync.Mutex // held during a refresh, so that requests at one time refresh once
	token *oauth2.Token
	id    *oidc.IDToken
	rawID string

	ended atomic.Bool
}

// Subject returns the provider's name of the person, `sub`: the key of an account. An email address
// is none, for it can pass to another person.
func (s *Session) Subject() string { return s.subject }

// Claims decodes the claims of the last ID token into v.
func (s *Session) Claims(v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id.Claims(v)
}

// IDToken returns the last ID token.
func (s *Session) IDToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rawID
}

// AccessToken returns an access token that is valid for a while, and refreshes it if need be. The
// error is ErrEnded, or says why the provider cannot be asked now.
func (s *Session) AccessToken(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() {
		return "", ErrEnded
	}
	if e := s.token.Expiry; e.IsZero() || e.Sub(s.app.c.Now()) > early {
		return s.token.AccessToken, nil
	}
	return s.refresh(ctx)
}

// Renew returns another access token than refused, which an API did not take. If a request beside
// this one has renewed it, that token is returned: the session is refreshed once.
func (s *Session) Renew(ctx context.Context, refused string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() {
		return "", ErrEnded
	}
	if s.token.AccessToken != refused {
		return s.token.AccessToken, nil
	}
	return s.refresh(ctx)
}

// refresh gets new tokens (RFC 6749 section 6, OpenID Connect Core section 12). Only a refusal ends
// the session: a provider that is down has refused nothing.
func (s *Session) refresh(ctx context.Context) (string, error) {
	if s.token.RefreshToken == "" {
		s.ended.Store(true)
		return "", ErrEnded
	}
	p, err := s.app.discovered(ctx)
	if err != nil {
		return "", err
	}
	// A refresh that has begun is finished, even if the browser leaves: the provider may have
	// replaced the refresh token already.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), s.app.client)
	fresh, err := p.oauth2.TokenSource(ctx, &oauth2.Token{RefreshToken: s.token.RefreshToken}).Token()
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.ErrorCode == "invalid_grant" {
		s.ended.Store(true)
		return "", ErrEnded
	}
	if err != nil {
		return "", err
	}
	if raw, _ := fresh.Extra("id_token").(string); raw != "" {
		id, err := p.idTokens.Verify(ctx, raw)
		if err != nil {
			return "", err
		}
		if id.Subject != s.subject {
			return "", fmt.Errorf("a refresh answered the ID token of another person (%q)", id.Subject)
		}
		s.id, s.rawID = id, raw
	}
	s.token = fresh
	return fresh.AccessToken, nil
}

// Do sends a request to an API with an access token. If the API does not take the token, because its
// key was revoked for example, Do gets another one and sends the request again, once.
func (s *Session) Do(r *http.Request) (*http.Response, error) {
	token, err := s.AccessToken(r.Context())
	if err != nil {
		return nil, err
	}
	resp, err := s.send(r, token)
	if err != nil || !refusesToken(resp) || r.Body != nil && r.GetBody == nil {
		return resp, err
	}
	renewed, err := s.Renew(r.Context(), token)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	resp.Body.Close()
	return s.send(r, renewed)
}

// send sends a copy of r.
func (s *Session) send(r *http.Request, token string) (*http.Response, error) {
	r2 := r.Clone(r.Context())
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		r2.Body = body
	}
	r2.Header.Set("Authorization", "Bearer "+token)
	return s.app.client.Do(r2)
}

// refusesToken reports whether an API says that the token is the reason (RFC 6750 section 3.1).
func refusesToken(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized &&
		strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
}

// over reports whether the session has ended. It does not wait for a refresh.
func (s *Session) over(now time.Time) bool {
	return s.ended.Load() || now.Sub(s.begunAt) > sessionLifetime
}

// queryNext returns the query of a login that leads back to the page of r.
func queryNext(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return ""
	}
	return url.Values{"next": {r.URL.RequestURI()}}.Encode()
}
