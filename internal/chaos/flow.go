package chaos

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// tokens are those of one session.
type tokens struct {
	app             *App // nil: the first-party client signet
	access, refresh string
	id              string
	user            string
}

// run loops until ctx ends: sign-up, login, code with PKCE, refreshes, userinfo, and one of several
// ends.
func (c *client) run(ctx context.Context) error {
	for round := 0; ; round++ {
		email := fmt.Sprintf("chaos-%d-%d-%d@example.com", c.Seed, c.number, round)
		err := c.life(ctx, email)
		switch {
		case errors.Is(err, errStopped):
			return nil
		case errors.Is(err, errBroken): // the checker tells
			c.rest(ctx, time.Second)
		case err != nil:
			return err
		}
	}
}

// life is that of one account.
func (c *client) life(ctx context.Context, email string) error {
	c.cookies = map[string]string{}
	app := &c.Apps[c.random.IntN(len(c.Apps))]
	if err := c.signUp(ctx, email); err != nil {
		return err
	}
	t, err := c.logIn(ctx, app, email, 1)
	if err != nil {
		return err
	}
	old := ""
	for n := range c.Refreshes {
		before := t.refresh
		if err := c.refresh(ctx, t); err != nil {
			return err
		}
		if old == "" && n > 0 {
			old = before
		}
	}
	if err := c.userInfo(ctx, t); err != nil {
		return err
	}
	switch c.random.IntN(20) {
	case 0: // a new password ends the other sessions
		if err := c.changePassword(ctx, t); err != nil {
			return err
		}
		return c.refused(ctx, t, t.refresh)
	case 1, 2: // a token that was used is used again
		if old == "" {
			return nil
		}
		if err := c.refused(ctx, t, old); err != nil {
			return err
		}
		return c.refused(ctx, t, t.refresh)
	case 3: // the session is left as it is, until the end of the run
		c.Live.keep(*t)
		return nil
	}
	if err := c.revoke(ctx, t); err != nil {
		return err
	}
	if c.random.IntN(4) > 0 {
		return nil
	}
	if err := c.refused(ctx, t, t.refresh); err != nil {
		return err
	}
	return c.introspect(ctx, t)
}

func (c *client) signUp(ctx context.Context, email string) error {
	a, _, err := c.act(ctx, Record{Act: SignUp, User: email, Version: 1}, request{
		method: http.MethodPost, path: "/v1/signup",
		json: map[string]string{"email": email, "password": passwordOf(email, 1), "given_name": "Kay", "family_name": "Oss"},
	}, nil)
	if err == nil && a.status != http.StatusCreated && a.status != http.StatusConflict {
		err = errBroken
	}
	c.think(ctx)
	return err
}

// logIn goes through the pages, and again for a new code where a lost answer ended one.
func (c *client) logIn(ctx context.Context, app *App, email string, version int) (*tokens, error) {
	for {
		verifier := rand.Text() + rand.Text()
		code, err := c.authorize(ctx, app, email, version, verifier)
		if err != nil {
			return nil, err
		}
		t, err := c.exchange(ctx, app, email, code, verifier)
		if t != nil || err != nil {
			return t, err
		}
	}
}

var (
	requestField = regexp.MustCompile(`name="request" value="([^"]*)"`)
	csrfField    = regexp.MustCompile(`name="csrf" value="([^"]*)"`)
)

// authorize is what a browser does. It returns the code.
func (c *client) authorize(ctx context.Context, app *App, email string, version int, verifier string) (string, error) {
	sum := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {app.ID}, "redirect_uri": {redirectURI},
		"scope": {"openid profile email offline_access"}, "state": {"s"}, "nonce": {"n"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
		"prompt": {"consent"},
	}
	if app.Resource != "" {
		query.Set("resource", app.Resource)
	}
	r := Record{Act: Authorize, User: email, App: app.ID}
	q := request{method: http.MethodGet, path: "/oauth2/authorize?" + query.Encode(), browser: true}
	for range 20 {
		a, _, err := c.act(ctx, r, q, func(a answer, r *Record) {
			if code := codeOf(a.location); code != "" {
				r.Out = digest(code)
			}
		})
		if err != nil {
			return "", err
		}
		if code := codeOf(a.location); code != "" {
			return code, nil
		}
		page := string(a.body)
		switch {
		case a.status == http.StatusSeeOther && strings.HasPrefix(a.location, "/"):
			q = request{method: http.MethodGet, path: a.location, browser: true}
			if r.Act = LoginPage; strings.HasPrefix(a.location, "/consent") {
				r.Act = ConsentPage
			}
		case a.status == http.StatusOK && strings.Contains(page, `id="login-submit"`):
			r.Act = LoginForm
			q = request{method: http.MethodPost, path: "/login", browser: true,
				form: url.Values{"request": {field(requestField, page)},
					"csrf": {field(csrfField, page)}, "email": {email}, "password": {passwordOf(email, version)}}}
			c.think(ctx)
		case a.status == http.StatusOK && strings.Contains(page, `id="consent-approve"`):
			r.Act = ConsentForm
			q = request{method: http.MethodPost, path: "/consent", browser: true,
				form: url.Values{"request": {field(requestField, page)},
					"csrf": {field(csrfField, page)}, "decision": {"approve"}}}
			c.think(ctx)
		default:
			return "", errBroken
		}
	}
	return "", errBroken
}

func field(f *regexp.Regexp, page string) string {
	if m := f.FindStringSubmatch(page); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

// codeOf returns the code of an authorization response.
func codeOf(location string) string {
	if !strings.HasPrefix(location, redirectURI+"?") {
		return ""
	}
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	return u.Query().Get("code")
}

// exchange redeems a code. Without tokens and without an error the code ended with a lost answer.
func (c *client) exchange(ctx context.Context, app *App, email, code, verifier string) (*tokens, error) {
	a, ambiguous, err := c.act(ctx, Record{Act: Exchange, User: email, App: app.ID, In: digest(code)},
		c.tokenRequest(app, url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier},
		}), noteTokens)
	if err != nil {
		return nil, err
	}
	f := a.fields()
	if a.status != http.StatusOK || f.Refresh == "" {
		if ambiguous && f.Error == "invalid_grant" {
			return nil, nil
		}
		return nil, errBroken
	}
	t := &tokens{app: app, user: email, access: f.Access, refresh: f.Refresh, id: f.ID}
	c.check(t)
	c.think(ctx)
	return t, nil
}

func (c *client) tokenRequest(app *App, form url.Values) request {
	q := request{method: http.MethodPost, path: "/oauth2/token", form: form}
	c.authenticate(app, &q)
	return q
}

func (c *client) authenticate(app *App, q *request) {
	if app.Secret == "" {
		q.form.Set("client_id", app.ID)
		return
	}
	q.basic = app
}

// refresh takes one step. Now and then the answer to the same token is asked for again, as racing
// tabs do.
func (c *client) refresh(ctx context.Context, t *tokens) error {
	f, err := c.refreshOnce(ctx, t)
	if err == nil && c.random.IntN(50) == 0 {
		f, err = c.refreshOnce(ctx, t)
	}
	if err != nil {
		return err
	}
	t.access, t.refresh, t.id = f.Access, f.Refresh, f.ID
	c.check(t)
	c.think(ctx)
	return nil
}

// refreshed are the tokens of an answer.
type refreshed struct{ Access, Refresh, ID string }

func (c *client) refreshOnce(ctx context.Context, t *tokens) (refreshed, error) {
	grant, gen, in := readRefresh(t.refresh)
	r := Record{Act: Refresh, User: t.user, In: in, Grant: grant, Gen: gen}
	var q request
	if t.app == nil {
		r.Act = FirstRefresh
		q = request{method: http.MethodPost, path: "/v1/refresh", json: map[string]string{"refresh_token": t.refresh}}
	} else {
		r.App = t.app.ID
		q = c.tokenRequest(t.app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {t.refresh}})
	}
	a, _, err := c.act(ctx, r, q, noteTokens)
	if err != nil {
		return refreshed{}, err
	}
	f := a.fields()
	if a.status != http.StatusOK || f.Refresh == "" {
		return refreshed{}, errBroken
	}
	return refreshed{f.Access, f.Refresh, f.ID}, nil
}

// refused sends a token that must not be accepted any more.
func (c *client) refused(ctx context.Context, t *tokens, refresh string) error {
	grant, gen, in := readRefresh(refresh)
	_, _, err := c.act(ctx, Record{Act: Refresh, Want: Refused, User: t.user, App: t.app.ID, In: in, Grant: grant,
		Gen: gen},
		c.tokenRequest(t.app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}), nil)
	return err
}

func (c *client) userInfo(ctx context.Context, t *tokens) error {
	for {
		a, _, err := c.act(ctx, Record{Act: UserInfo, User: t.user, Key: kidOf(t.access)}, request{method: http.MethodGet,
			path: "/oauth2/userinfo", bearer: t.access}, nil)
		switch {
		case err != nil:
			return err
		case a.status == http.StatusOK:
			c.think(ctx)
			return nil
		case a.status == http.StatusUnauthorized: // it may have expired meanwhile, or its key was revoked
			if err := c.refresh(ctx, t); err != nil {
				return err
			}
		default:
			return errBroken
		}
	}
}

func (c *client) revoke(ctx context.Context, t *tokens) error {
	grant, gen, in := readRefresh(t.refresh)
	q := request{method: http.MethodPost, path: "/oauth2/revoke", form: url.Values{"token": {t.refresh}}}
	c.authenticate(t.app, &q)
	_, _, err := c.act(ctx, Record{Act: Revoke, User: t.user, App: t.app.ID, In: in, Grant: grant, Gen: gen}, q, nil)
	c.think(ctx)
	return err
}

// introspect asks about a refresh token of a client that has a secret.
func (c *client) introspect(ctx context.Context, t *tokens) error {
	if t.app.Secret == "" {
		return nil
	}
	grant, gen, _ := readRefresh(t.refresh)
	q := request{method: http.MethodPost, path: "/oauth2/introspect", form: url.Values{"token": {t.refresh}}}
	c.authenticate(t.app, &q)
	_, _, err := c.act(ctx, Record{Act: Introspect, User: t.user, App: t.app.ID, Grant: grant, Gen: gen}, q,
		func(a answer, r *Record) { r.Active = a.fields().Active })
	return err
}

// changePassword logs in to the first-party client, which may change it, and proves the outcome with
// logins.
func (c *client) changePassword(ctx context.Context, t *tokens) error {
	first, _, err := c.firstLogin(ctx, t.user, 1, Granted)
	if err != nil {
		return err
	}
	if err := c.refresh(ctx, first); err != nil {
		return err
	}
	unsure := false // an earlier try may have changed it
	for {
		grant, _, _ := readRefresh(first.refresh)
		a, ambiguous, err := c.act(ctx, Record{Act: Password, User: t.user, Version: 2, Grant: grant,
			Key: kidOf(first.access)}, request{
			method: http.MethodPost, path: "/v1/profile/password", bearer: first.access,
			json: map[string]string{"current_password": passwordOf(t.user, 1), "new_password": passwordOf(t.user, 2)},
		}, nil)
		if err != nil {
			return err
		}
		code := a.fields().Code
		unsure = unsure || ambiguous
		switch {
		case a.status == http.StatusNoContent || unsure && a.status == http.StatusForbidden && code == "wrong_password":
			c.Live.changed(t.user)
			if _, _, err := c.firstLogin(ctx, t.user, 2, Granted); err != nil {
				return err
			}
			_, _, err := c.firstLogin(ctx, t.user, 1, Refused)
			return err
		case a.status == http.StatusUnauthorized && (code == "token_expired" || code == "token_invalid"):
			if err := c.refresh(ctx, first); err != nil {
				return err
			}
		default:
			return errBroken
		}
	}
}

// firstLogin is /v1/login.
func (c *client) firstLogin(ctx context.Context, email string, version int, want Want) (*tokens, answer, error) {
	a, _, err := c.act(ctx, Record{Act: Login, Want: want, User: email, Version: version}, request{
		method: http.MethodPost, path: "/v1/login", json: map[string]string{"email": email, "password": passwordOf(email,
			version)},
	}, noteTokens)
	if err != nil {
		return nil, a, err
	}
	f := a.fields()
	if want == Granted && (a.status != http.StatusOK || f.Refresh == "") {
		return nil, a, errBroken
	}
	t := &tokens{user: email, access: f.Access, refresh: f.Refresh}
	if want == Granted {
		c.check(t)
	}
	c.think(ctx)
	return t, a, nil
}

// think is the pause between two acts.
func (c *client) think(ctx context.Context) {
	if c.Think > 0 {
		c.rest(ctx, time.Duration(float64(c.Think)*(0.5+c.random.Float64())))
	}
}
