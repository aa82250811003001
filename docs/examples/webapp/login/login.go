// Package login logs people in to a web app by OpenID Connect, at any provider: the authorization
// code flow with PKCE (RFC 7636), state and nonce, refresh, and RP-initiated logout.
//
//	GET /login      sends the browser to the provider
//	GET /callback   takes the code, gets the tokens and begins a session
//	POST /logout    ends the session here, then at the provider
//
// The browser has nothing but a random session id in a cookie. Tokens stay in the app's memory: a
// script that gets into a page finds none. Session.Do calls an API for the person who is logged in.
//
// The protocol is that of golang.org/x/oauth2 and github.com/coreos/go-oidc. This package adds what
// an app has to decide itself.
package login

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Config says who the app is, and at which provider people log in.
type Config struct {
	Issuer       string // the provider's identifier, byte for byte as in its discovery document
	ClientID     string
	ClientSecret string // empty: the client is public, and PKCE alone protects the code

	// URL is where browsers find the app, without a path: https://shop.example.com. The provider has
	// to know URL/callback as a redirect URI, and URL/ as a redirect URI after logout.
	URL string

	Scopes   []string // beside openid
	Resource string   // the API whose access tokens the app needs (RFC 8707); empty: the provider's default

	// Problem answers a request with a sentence for a person. Default: a page of plain text.
	Problem func(w http.ResponseWriter, r *http.Request, status int, text string)
	Log     *slog.Logger     // default: slog.Default(); tokens are never logged
	Now     func() time.Time // default: time.Now
}

// App logs people in. Make it with New.
type App struct {
	c        Config
	client   *http.Client
	sessions sessions

	mu       sync.Mutex
	provider *provider // nil: not discovered yet
}

// provider is what the discovery document says.
type provider struct {
	oauth2      oauth2.Config
	idTokens    *oidc.IDTokenVerifier
	endSession  string // end_session_endpoint; empty: the provider has no logout
	namesItself bool   // it sends `iss` with each authorization response (RFC 9207)
}

// New returns an App. It does not call the provider: an app starts while its provider is down.
func New(c Config) (*App, error) {
	for name, address := range map[string]string{"Issuer": c.Issuer, "URL": c.URL} {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, fmt.Errorf("login: %s must be an http or https URL (got %q)", name, address)
		}
	}
	if u, _ := url.Parse(c.URL); u.Path != "" {
		return nil, fmt.Errorf("login: URL must have no path (got %q)", c.URL)
	}
	if c.ClientID == "" {
		return nil, errors.New("login: ClientID is empty")
	}
	if c.Problem == nil {
		c.Problem = func(w http.ResponseWriter, _ *http.Request, status int, text string) {
			http.Error(w, text, status)
		}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &App{c: c, client: &http.Client{Timeout: 10 * time.Second}}, nil
}

// Register adds the routes of the package comment to mux. POST /logout has to be protected against
// requests of other sites: see http.CrossOriginProtection.
func (a *App) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /login", a.begin)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("POST /logout", a.logout)
}

// discovered returns the provider. The first call fetches its discovery document; one that fails is
// tried again by the next call.
func (a *App) discovered(ctx context.Context) (*provider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.provider != nil {
		return a.provider, nil
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, a.client), a.c.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		EndSession  string `json:"end_session_endpoint"`
		NamesItself bool   `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, err
	}
	a.provider = &provider{
		oauth2: oauth2.Config{
			ClientID: a.c.ClientID, ClientSecret: a.c.ClientSecret, RedirectURL: a.c.URL + "/callback",
			Endpoint: found.Endpoint(), Scopes: append([]string{oidc.ScopeOpenID}, a.c.Scopes...),
		},
		idTokens:    found.VerifierContext(oidc.ClientContext(context.Background(), a.client), &oidc.Config{ClientID: a.c.ClientID}),
		endSession:  more.EndSession,
		namesItself: more.NamesItself,
	}
	return a.provider, nil
}

// begin sends the browser to the provider (OpenID Connect Core section 3.1.2.1).
func (a *App) begin(w http.ResponseWriter, r *http.Request) {
	p, err := a.discovered(r.Context())
	if err != nil {
		a.c.Log.Error("the provider cannot be reached", "issuer", a.c.Issuer, "error", err)
		w.Header().Set("Retry-After", "5")
		a.c.Problem(w, r, http.StatusServiceUnavailable, "Logging in does not work at the moment. Try again in a few seconds.")
		return
	}
	l := newAttempt(r.URL.Query().Get("next"))
	a.remember(w, l)
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(l.Verifier), oidc.Nonce(l.Nonce)}
	if a.c.Resource != "" {
		options = append(options, oauth2.SetAuthURLParam("resource", a.c.Resource))
	}
	http.Redirect(w, r, p.oauth2.AuthCodeURL(l.State, options...), http.StatusSeeOther)
}

// callback takes the authorization response (OpenID Connect Core sections 3.1.2.5 to 3.1.3.8).
func (a *App) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	l, ok := a.recall(w, r, q.Get("state"))
	if !ok {
		// Another site sent this response, or the login took longer than its cookie lives.
		a.c.Problem(w, r, http.StatusBadRequest, "This login was not begun here, or it took too long. Please log in again.")
		return
	}
	p, err := a.discovered(r.Context())
	if err == nil && p.namesItself && q.Get("iss") != a.c.Issuer {
		err = errors.New("the response is of another issuer (RFC 9207)")
	}
	if code := q.Get("error"); err == nil && code != "" {
		a.c.Log.Info("a login was refused", "error", code)
		text := "The login did not succeed. Please try again."
		if code == "access_denied" {
			text = "You did not allow the login, so you are not logged in."
		}
		a.c.Problem(w, r, http.StatusForbidden, text)
		return
	}
	var s *Session
	if err == nil {
		s, err = a.redeem(r.Context(), p, l, q.Get("code"))
	}
	if err != nil {
		a.c.Log.Error("a login failed", "error", err)
		a.c.Problem(w, r, http.StatusBadGateway, "The login did not succeed. Please try again.")
		return
	}
	a.begun(w, r, s)
	http.Redirect(w, r, l.Next, http.StatusSeeOther)
}

// redeem exchanges the code for tokens and checks the ID token.
func (a *App) redeem(ctx context.Context, p *provider, l attempt, code string) (*Session, error) {
	ctx = oidc.ClientContext(ctx, a.client)
	token, err := p.oauth2.Exchange(ctx, code, oauth2.VerifierOption(l.Verifier))
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.idTokens.Verify(ctx, raw) // signature, iss, aud and exp
	if err != nil {
		return nil, err
	}
	if id.Nonce != l.Nonce {
		return nil, errors.New("the ID token was made for another login: its nonce differs")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, err
		}
	}
	return &Session{app: a, subject: id.Subject, id: id, rawID: raw, token: token}, nil
}

// logout ends the session here, and then the one at the provider (OpenID Connect RP-Initiated
// Logout). Without the second step the next login would succeed without a question.
func (a *App) logout(w http.ResponseWriter, r *http.Request) {
	s := a.Session(r)
	a.forget(w, r)
	p, err := a.discovered(r.Context())
	if s == nil || err != nil || p.endSession == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	q := url.Values{
		"client_id": {a.c.ClientID}, "id_token_hint": {s.IDToken()}, "post_logout_redirect_uri": {a.c.URL + "/"},
	}
	separator := "?"
	if strings.Contains(p.endSession, "?") {
		separator = "&"
	}
	http.Redirect(w, r, p.endSession+separator+q.Encode(), http.StatusSeeOther)
}
