//go:build interop

package interop

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// The response types with tokens in the response itself, where the configuration has turned them on.
const fronted = "oauth: {response_types: [code, id_token, id_token token, code id_token]}\n"

func TestOpenIDClientWithHybridAndImplicitResponses(t *testing.T) {
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, fronted)
			g := scriptInput{Issuer: s.issuer, Clients: map[string]registered{
				"hybrid": s.register(t, "hybrid", "https://hybrid.test/callback", "--response-type", "code id_token",
					"--grant-type", "authorization_code", "--grant-type", "implicit", "--grant-type", "refresh_token"),
				"implicit": s.register(t, "implicit", "https://implicit.test/callback", "--auth-method", "none",
					"--response-type", "id_token"),
				"basic": s.register(t, "basic", "https://basic.test/callback"),
			}, User: user{Email: "ada@example.com", Password: "correct horse battery"}}
			s.post(t, "/v1/signup", http.StatusCreated,
				`{"email":"ada@example.com","password":"correct horse battery","given_name":"Ada"}`, nil)
			want := []string{
				"discovery lists the response types",
				"code id_token in the fragment",
				"code id_token by form_post",
				"a code in the place of another does not fit its ID token",
				"id_token in the fragment, with the claims of the scopes",
				"id_token by form_post",
				"a silent renewal, and one without a session",
				"a client that is not registered for it is refused in the fragment",
			}
			if took := stepsOf(t, exec.Command("node", "node/hybrid.js"), g); !slices.Equal(took, want) {
				t.Errorf("took the steps %q, not %q", took, want)
			}
		})
	}
}

// oidc-client, which oidc-client-ts has come from, is the last widely used library for id_token
// token. It runs in a page of Chromium: there the fragment reaches the page and no server.
func TestOIDCClientInAPageWithTokensInTheFragment(t *testing.T) {
	chromium := browser.Start(t)
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, fronted)
			s.post(t, "/v1/signup", http.StatusCreated,
				`{"email":"ada@example.com","password":"correct horse battery","given_name":"Ada"}`, nil)
			var asked []string // what the page's own server was asked for
			mux := http.NewServeMux()
			mux.HandleFunc("GET /oidc-client.min.js", func(w http.ResponseWriter, r *http.Request) {
				http.ServeFile(w, r, "node/node_modules/oidc-client/dist/oidc-client.min.js")
			})
			mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.RequestURI+" "+r.Referer())
				http.ServeFile(w, r, "node/implicit.html")
			})
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			origin := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
			s.signet(t, "clients", "create", "--client-id", "page", "--name", "Page", "--auth-method", "none",
				"--redirect-uri", origin+"/back", "--response-type", "id_token token")
			settings, err := json.Marshal(map[string]any{
				"authority": s.issuer, "client_id": "page", "redirect_uri": origin + "/back",
				"response_type": "id_token token", "scope": "openid profile email", "loadUserInfo": true,
			})
			if err != nil {
				t.Fatal(err)
			}
			manager := `(new Oidc.UserManager({...` + string(settings) +
				`, userStore: new Oidc.WebStorageStateStore({store: sessionStorage})}))`
			tab := chromium.Tab(t)
			tab.Open(origin + "/")
			tab.Wait(`document.querySelector('#ready')`)
			tab.Eval(manager+`.signinRedirect({state: 'kept'}), 0`, nil)
			logIn(tab, "ada@example.com", "correct horse battery")
			tab.Wait(`document.querySelector('#consent-approve')`)
			tab.Click("#consent-approve")
			tab.Wait(`location.pathname === '/back' && document.querySelector('#ready')`)
			var first signedIn
			tab.Eval(manager+`.signinRedirectCallback()`, &first)
			if first.Profile["email"] != "ada@example.com" || first.Profile["given_name"] != "Ada" || first.State != "kept" ||
				first.Access == "" || first.Refresh != "" {
				t.Fatalf("the login, with userinfo over CORS: %+v", first)
			}
			// On the user's own machine any program can pose as the page, so that a person is asked each time.
			tab.Eval(manager+`.signinRedirect({prompt: 'none'}), 0`, nil)
			tab.Wait(`location.pathname === '/back' && location.hash.includes('error=') && document.querySelector('#ready')`)
			var refused string
			tab.Eval(manager+`.signinRedirectCallback().then(() => '', err => err.error)`, &refused)
			if refused != "consent_required" {
				t.Errorf("prompt=none: %q", refused)
			}
			for _, line := range asked {
				if strings.Contains(line, "eyJ") || strings.Contains(line, "access_token") {
					t.Error("tokens reached the server of the page")
				}
			}
			for _, said := range tab.Said() {
				t.Errorf("the browser says: %s", said)
			}
		})
	}
}
