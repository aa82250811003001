package issuertest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// User is somebody with an account.
type User struct {
	Email, Password string
	Subject         string // sub
}

// SignUp makes an account for name@example.com.
func (i *Issuer) SignUp(name string) User {
	i.tb.Helper()
	u := User{Email: name + "@example.com", Password: "password of " + name + " " + rand.Text()}
	made, err := i.signet.Accounts.Register(context.Background(), userstore.NewUser{Email: u.Email, Password: u.Password})
	i.must(err)
	u.Subject = made.ID
	return u
}

// Client is a registered client and its secret.
type Client struct {
	ID     string
	Secret string // empty: the client is public
}

// Client registers a confidential client that may log users in and refresh, with its redirect URIs.
func (i *Issuer) Client(redirectURI ...string) Client {
	i.tb.Helper()
	return i.register(userstore.Client{
		Name: "An app under test", AuthMethod: userstore.AuthBasic,
		GrantTypes:     []string{userstore.GrantAuthorizationCode, userstore.GrantRefreshToken},
		ClientMetadata: userstore.ClientMetadata{RedirectURIs: redirectURI},
	})
}

// Service registers a confidential client that acts for itself (client_credentials).
func (i *Issuer) Service() Client {
	i.tb.Helper()
	return i.register(userstore.Client{
		Name: "A service under test", AuthMethod: userstore.AuthBasic,
		GrantTypes: []string{userstore.GrantClientCredentials},
	})
}

func (i *Issuer) register(c userstore.Client) Client {
	i.tb.Helper()
	made, secret, err := i.signet.Clients.Create(context.Background(), c, "")
	i.must(err)
	return Client{ID: made.ID, Secret: secret}
}

// Tokens is a token response (RFC 6749 section 5.1).
type Tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Scope   string `json:"scope"`
}

// Login logs a user in through the pages, by the authorization code flow of a public client of the
// issuer's own, and returns the tokens. Without a scope they are for openid, profile and email.
func (i *Issuer) Login(u User, scope ...string) Tokens {
	i.tb.Helper()
	if len(scope) == 0 {
		scope = []string{"openid", "profile", "email"}
	}
	app, verifier := i.ownApp(), rand.Text()+rand.Text()
	query := url.Values{
		"response_type": {"code"}, "client_id": {app.ID}, "redirect_uri": {callback}, "scope": {strings.Join(scope, " ")},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
	browser := i.Browser(u)
	var code string
	browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) {
			code = r.URL.Query().Get("code")
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, err := browser.Get(i.URL + "/oauth2/authorize?" + query.Encode())
	i.must(err)
	resp.Body.Close()
	if code == "" {
		i.tb.Fatalf("issuertest: the login of %s ended at %s with status %d and no code", u.Email, resp.Request.URL.Path,
			resp.StatusCode)
	}
	return i.tokens("the code of "+u.Email, app, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {app.ID}, "redirect_uri": {callback}, "code": {code},
		"code_verifier": {verifier},
	})
}

// ServiceLogin gets the tokens of a Service, by the client credentials grant: an access token without a
// user. It has no scope, because this issuer knows those of users alone: ClientToken makes a token with
// any other.
func (i *Issuer) ServiceLogin(c Client) Tokens {
	i.tb.Helper()
	return i.tokens("the client "+c.ID, c, url.Values{"grant_type": {"client_credentials"}})
}

// tokens asks the token endpoint, which must grant; what names the request where it does not.
func (i *Issuer) tokens(what string, c Client, form url.Values) Tokens {
	i.tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, i.URL+"/oauth2/token",
		strings.NewReader(form.Encode()))
	i.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.Secret != "" {
		r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret)) // RFC 6749 section 2.3.1
	}
	resp, err := i.client.Do(r)
	i.must(err)
	defer resp.Body.Close()
	var answer struct {
		Tokens
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	i.must(json.NewDecoder(resp.Body).Decode(&answer))
	if resp.StatusCode != http.StatusOK {
		i.tb.Fatalf("issuertest: %s was answered with status %d: %s: %s", what, resp.StatusCode, answer.Error,
			answer.Description)
	}
	return answer.Tokens
}

// EndSessions revokes all sessions of a user, as `signet users revoke-sessions` does. Refreshing is
// refused at once. Verifiers do not notice before the access tokens expire, unless the issuer has
// StatusLists: then once the clock has moved by 15 seconds.
func (i *Issuer) EndSessions(u User) {
	i.tb.Helper()
	i.must(i.signet.EndSessions(context.Background(), u.Subject))
}

// callback is where the issuer's own app waits for codes; nothing listens there.
const callback = "http://127.0.0.1/callback"

// ownApp returns the client of Login, which is registered at its first call.
func (i *Issuer) ownApp() Client {
	i.tb.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.app == nil {
		app := i.register(userstore.Client{
			ID: "test-client", Name: "Tests", AuthMethod: userstore.AuthNone,
			GrantTypes:     []string{userstore.GrantAuthorizationCode, userstore.GrantRefreshToken},
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{callback}},
		})
		i.app = &app
	}
	return *i.app
}

// challengeOf returns the S256 challenge of a verifier (RFC 7636 section 4.2).
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
