//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// oidc-client-ts runs in a page, so the browser's rules (CORS) hold for every request of its own.
// As in production, the page is on another site than the issuer: the page on localhost, the issuer
// on 127.0.0.1.
func TestOIDCClientTSInAPage(t *testing.T) {
	chromium := browser.Start(t)
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, "")
			s.post(t, "/v1/signup", http.StatusCreated,
				`{"email":"ada@example.com","password":"correct horse battery","given_name":"Ada"}`, nil)
			app := &page{tab: chromium.Tab(t), origin: servePage(t)}
			s.signet(t, "clients", "create", "--client-id", "page", "--name", "Page", "--auth-method", "none",
				"--redirect-uri", app.origin+"/back",
				"--post-logout-redirect-uri", app.origin+"/bye", "--grant-type", "authorization_code",
				"--grant-type", "refresh_token")
			settings, err := json.Marshal(map[string]any{
				"authority": s.issuer, "client_id": "page", "redirect_uri": app.origin + "/back",
				"post_logout_redirect_uri": app.origin + "/bye",
				"scope":                    "openid profile email offline_access", "loadUserInfo": true,
				"automaticSilentRenew": false,
			})
			if err != nil {
				t.Fatal(err)
			}
			app.settings = string(settings)

			app.open("/")
			app.tab.Eval(app.manager()+`.signinRedirect({state: 'kept'}), 0`, nil)
			logIn(app.tab, "ada@example.com", "correct horse battery")
			app.tab.Wait(`document.querySelector('#consent-approve')`)
			app.tab.Click("#consent-approve")
			app.tab.Wait(`location.pathname === '/back' && document.querySelector('#ready')`)

			var first signedIn
			app.tab.Eval(app.manager()+`.signinCallback()`, &first)
			if first.Profile["email"] != "ada@example.com" || first.Profile["given_name"] != "Ada" || first.State != "kept" ||
				first.Refresh == "" {
				t.Fatalf("the login, with userinfo over CORS: %+v", first)
			}

			var renewed signedIn
			app.tab.Eval(app.manager()+`.signinSilent()`, &renewed)
			if renewed.Access == first.Access || renewed.Refresh == first.Refresh ||
				renewed.Profile["sub"] != first.Profile["sub"] || renewed.Profile["email"] != "ada@example.com" {
				t.Fatalf("silent renewal by the refresh token: %+v", renewed)
			}
			// Two tabs renew the same tokens at once. Both get the same new refresh token, and the
			// user stays logged in.
			var both []signedIn
			app.tab.Eval(`Promise.all([`+app.manager()+`.signinSilent(), `+app.manager()+`.signinSilent()])`, &both)
			if len(both) != 2 || both[0].Refresh != both[1].Refresh || both[0].Refresh == renewed.Refresh {
				t.Fatalf("two renewals at once: %+v", both)
			}

			var alive string
			check := `fetch('` + s.issuer +
				`/oauth2/userinfo', {headers: {Authorization: 'Bearer %s'}}).then(r => r.status + ' ' + (r.headers.get('WWW-Authenticate') ?? ''))`
			app.tab.Eval(fmt.Sprintf(check, both[0].Access), &alive)
			if alive != "200 " {
				t.Errorf("userinfo answers %q", alive)
			}
			// A grant with offline_access outlives the logout, so the app must revoke it first. The
			// library does so when it is asked to.
			app.tab.Eval(`(async m => { await m.revokeTokens(['access_token', 'refresh_token']) })(`+app.manager()+`)`, nil)
			app.tab.Eval(fmt.Sprintf(check, both[0].Access), &alive)
			if !strings.HasPrefix(alive, "401 ") || !strings.Contains(alive, `error="invalid_token"`) {
				t.Errorf("after the revocation, userinfo answers %q, which the page may read", alive)
			}

			app.tab.Eval(app.manager()+`.signoutRedirect({state: 'bye'}), 0`, nil)
			app.tab.Wait(`location.pathname === '/bye' && document.querySelector('#ready')`)
			var left struct{ UserState string }
			app.tab.Eval(app.manager()+`.signoutCallback()`, &left)
			if left.UserState != "bye" {
				t.Errorf("the logout's answer: %+v", left)
			}
			app.tab.Eval(app.manager()+`.signinRedirect({prompt: 'none'}), 0`, nil)
			app.tab.Wait(`location.pathname === '/back' && document.querySelector('#ready')`)
			var refused string
			app.tab.Eval(app.manager()+`.signinCallback().then(() => '', err => err.error)`, &refused)
			if refused != "login_required" {
				t.Errorf("prompt=none after the logout: %q", refused)
			}
			for _, said := range app.tab.Said() {
				if !strings.Contains(said, "status of 401") { // for the token that the test revoked
					t.Errorf("the browser says: %s", said)
				}
			}
		})
	}
}

// signedIn returns the library's data about the logged-in user.
type signedIn struct {
	Access  string         `json:"access_token"`
	Refresh string         `json:"refresh_token"`
	Profile map[string]any `json:"profile"`
	State   any            `json:"state"`
}

// page serves a page with only the library.
type page struct {
	tab      *browser.Tab
	origin   string
	settings string
}

func servePage(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oidc-client-ts.min.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "node/node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js")
	})
	mux.HandleFunc("GET /frame", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "node/frame.html") })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "node/page.html") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

func (p *page) open(path string) {
	p.tab.Open(p.origin + path)
	p.tab.Wait(`document.querySelector('#ready')`)
}

// manager returns a fresh UserManager, as in another tab: all state is in the browser.
func (p *page) manager() string {
	return `(new oidc.UserManager({...` + p.settings +
		`, userStore: new oidc.WebStorageStateStore({store: sessionStorage})}))`
}
