// Command goclient does everything that a web app in Go does with a provider, with
// github.com/coreos/go-oidc and golang.org/x/oauth2. It speaks the protocol of ../doc.go: it reads
// the issuer, the user and the clients from standard input, and prints each step that succeeded.
//
// It is a module of its own, so that users of Signet's packages do not get its dependencies.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

type client struct {
	ID                    string `json:"client_id"`
	Secret                string `json:"client_secret"`
	RedirectURI           string `json:"redirect_uri"`
	PostLogoutRedirectURI string `json:"post_logout_redirect_uri"`
}

// input is what the command reads from standard input.
type input struct {
	Issuer   string            `json:"issuer"`
	Resource string            `json:"resource"`
	User     user              `json:"user"`
	Clients  map[string]client `json:"clients"`
}

func main() {
	var g input
	if err := json.NewDecoder(os.Stdin).Decode(&g); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := run(context.Background(), g); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// party is one client of the provider.
type party struct {
	oauth2.Config
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
}

func newParty(ctx context.Context, g input, name string, scopes ...string) (*party, error) {
	provider, err := oidc.NewProvider(ctx, g.Issuer)
	if err != nil {
		return nil, err
	}
	c := g.Clients[name]
	return &party{
		Config: oauth2.Config{ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: c.RedirectURI, Endpoint: provider.Endpoint(),
			Scopes: append([]string{oidc.ScopeOpenID, "profile", "email"}, scopes...)},
		provider: provider,
		verifier: provider.Verifier(&oidc.Config{ClientID: c.ID}),
	}, nil
}

// login runs a whole login: the request, the person, the response, the code, the ID token.
func (p *party) login(ctx context.Context, b *browser, options ...oauth2.AuthCodeOption) (*oauth2.Token, *oidc.IDToken, error) {
	verifier, state, nonce := oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	response, err := b.open(p.AuthCodeURL(state, append(options, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce))...))
	if err != nil {
		return nil, nil, err
	}
	q := response.Query()
	if q.Get("error") != "" {
		return nil, nil, fmt.Errorf("refused: %s", q.Get("error"))
	}
	if q.Get("state") != state {
		return nil, nil, fmt.Errorf("another state came back: %s", response)
	}
	token, err := p.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.verifier.Verify(ctx, raw)
	switch {
	case err != nil:
		return nil, nil, err
	case id.Nonce != nonce:
		return nil, nil, errors.New("another nonce came back")
	}
	return token, id, nil
}

func run(ctx context.Context, g input) error {
	ada := newBrowser(g.Issuer, g.User)
	web, err := newParty(ctx, g, "basic", oidc.ScopeOfflineAccess)
	if err != nil {
		return err
	}
	step("discovery")

	token, id, err := web.login(ctx, ada)
	if err != nil {
		return err
	}
	step("login with a code, PKCE, state and nonce")

	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		return fmt.Errorf("at_hash: %w", err)
	}
	step("the access token belongs to the ID token")

	info, err := web.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return err
	}
	var claims struct {
		GivenName string `json:"given_name"`
	}
	if err := info.Claims(&claims); err != nil {
		return err
	}
	if info.Subject != id.Subject || info.Email != g.User.Email || claims.GivenName != "Ada" {
		return fmt.Errorf("userinfo: %+v %+v", info, claims)
	}
	step("userinfo")

	old := *token
	old.Expiry = time.Unix(1, 0) // long ago
	fresh, err := web.TokenSource(ctx, &old).Token()
	if err != nil {
		return err
	}
	if fresh.AccessToken == token.AccessToken || fresh.RefreshToken == token.RefreshToken {
		return errors.New("an expired token was not refreshed")
	}
	again, _ := fresh.Extra("id_token").(string)
	if refreshed, err := web.verifier.Verify(ctx, again); err != nil || refreshed.Subject != id.Subject {
		return fmt.Errorf("the ID token of a refresh: %w", err)
	}
	step("a token that has expired is refreshed by itself")

	if _, _, err := web.login(ctx, ada); err != nil || len(ada.pressed) > 0 {
		return fmt.Errorf("a second login pressed %q: %w", ada.pressed, err)
	}
	step("a second login shows no page")

	// The library tries the client's authentication methods and remembers the one that was not
	// refused. A wrong guess must not use up the code.
	post, err := newParty(ctx, g, "post")
	if err != nil {
		return err
	}
	post.Endpoint.AuthStyle = oauth2.AuthStyleAutoDetect
	if _, _, err := post.login(ctx, ada); err != nil {
		return err
	}
	step("client_secret_post, found out by trying")

	own := clientcredentials.Config{ClientID: web.ClientID, ClientSecret: web.ClientSecret, TokenURL: web.Endpoint.TokenURL,
		Scopes: []string{"orders:read"}, EndpointParams: url.Values{"resource": {g.Resource}}}
	machine, err := own.Token(ctx)
	if err != nil {
		return err
	}
	// A resource server in Go verifies the token with the same verifier, for its own name.
	access, err := web.provider.Verifier(&oidc.Config{ClientID: g.Resource}).Verify(ctx, machine.AccessToken)
	if err != nil || access.Subject != web.ClientID || !slices.Equal(access.Audience, []string{g.Resource}) {
		return fmt.Errorf("the token of client_credentials: %+v, %w", access, err)
	}
	step("client_credentials")

	if _, _, err := web.login(ctx, newBrowser(g.Issuer, g.User), oauth2.SetAuthURLParam("prompt", "none")); err == nil || err.Error() != "refused: login_required" {
		return fmt.Errorf("prompt=none without a session: %w", err)
	}
	step("prompt=none without a session")

	var more struct {
		EndSession string `json:"end_session_endpoint"`
		Revocation string `json:"revocation_endpoint"`
	}
	if err := web.provider.Claims(&more); err != nil {
		return err
	}
	revoke, err := http.NewRequestWithContext(ctx, http.MethodPost, more.Revocation, strings.NewReader(url.Values{"token": {fresh.RefreshToken}}.Encode()))
	if err != nil {
		return err
	}
	revoke.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	revoke.SetBasicAuth(web.ClientID, web.ClientSecret)
	answer, err := http.DefaultClient.Do(revoke)
	if err != nil {
		return err
	}
	answer.Body.Close()
	gone := *fresh
	gone.Expiry = time.Unix(1, 0)
	var refused *oauth2.RetrieveError
	if _, err := web.TokenSource(ctx, &gone).Token(); answer.StatusCode != http.StatusOK || !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
		return fmt.Errorf("revocation answered %s; the refresh token afterwards: %w", answer.Status, err)
	}
	step("revocation")

	raw, _ := token.Extra("id_token").(string)
	bye := g.Clients["basic"].PostLogoutRedirectURI
	left, err := ada.open(more.EndSession + "?" + url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {bye}, "state": {"s"}}.Encode())
	if err != nil || left.String() != bye+"?state=s" {
		return fmt.Errorf("logout led to %v: %w", left, err)
	}
	step("logout by the app")
	return nil
}

func step(name string) { fmt.Println(name) }
