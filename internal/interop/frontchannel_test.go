//go:build interop

package interop

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// A code verifier and its challenge (RFC 7636 appendix B).
const (
	codeVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// receivers are apps, each at an origin of its own, that keep a session in a cookie for frames and end
// it in a frame of the issuer's page.
type receivers struct {
	mu      sync.Mutex
	visits  []string // in the order of their ends
	held    chan struct{}
	origins []string
}

func startReceivers(t *testing.T, n int) *receivers {
	t.Helper()
	r := &receivers{held: make(chan struct{})}
	for i := range n {
		mux, cookie := http.NewServeMux(), fmt.Sprint("app", i) // the apps differ in their ports, which cookies do not know
		mux.HandleFunc("GET /back", func(w http.ResponseWriter, q *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: cookie, Value: "in", Secure: true, SameSite: http.SameSiteNoneMode})
			r.visit(i, "back", "")
			appPage(w, "back")
		})
		mux.HandleFunc("GET /out", func(w http.ResponseWriter, q *http.Request) {
			session := "without its cookie"
			if c, err := q.Cookie(cookie); err == nil {
				session = "with its cookie " + c.Value
			}
			// A script ends the session, as that of an app which keeps its tokens in the browser. The frame
			// has loaded when the script is over.
			fmt.Fprintf(w, `<!doctype html><script>
				document.cookie = '%s=; max-age=0; secure; samesite=none'
				const done = new XMLHttpRequest()
				done.open('GET', '/done?%s', false)
				done.send()
			</script>`, cookie, q.URL.RawQuery)
			r.visit(i, "out", session)
		})
		mux.HandleFunc("GET /done", func(_ http.ResponseWriter, q *http.Request) { r.visit(i, "done", q.URL.RawQuery) })
		mux.HandleFunc("GET /hangs", func(_ http.ResponseWriter, q *http.Request) {
			r.visit(i, "hangs", "")
			select {
			case <-r.held:
			case <-q.Context().Done():
			}
		})
		mux.HandleFunc("GET /bye", func(w http.ResponseWriter, q *http.Request) {
			r.visit(i, "bye", q.URL.RawQuery)
			appPage(w, "bye")
		})
		server := httptest.NewServer(mux)
		t.Cleanup(server.Close)
		r.origins = append(r.origins, strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	}
	t.Cleanup(func() { close(r.held) })
	return r
}

func appPage(w io.Writer, id string) {
	fmt.Fprintf(w, `<!doctype html><title>App</title><link rel="icon" href="data:,"><p id="%s">App</p>`, id)
}

func (r *receivers) visit(app int, what, more string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.visits = append(r.visits, strings.TrimSpace(fmt.Sprint(app, " ", what, " ", more)))
}

// take returns the visits since the last call.
func (r *receivers) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	visits := r.visits
	r.visits = nil
	return visits
}

// Chromium loads the frames of a logout, lets the apps end their sessions in them, and is led back
// after that, with scripts and without; a frame that does not answer stops nobody.
func TestTheBrowserTellsAppsOfALogout(t *testing.T) {
	chromium := browser.Start(t, browser.FrameCookies(t))
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := startOn(t, store, "")
			s.post(t, "/v1/signup", http.StatusCreated, `{"email":"ada@example.com","password":"correct horse battery"}`, nil)
			apps := startReceivers(t, 3)
			for i, path := range []string{"/out?tenant=a", "/out", "/hangs"} {
				s.signet(t, "clients", "create", "--client-id", fmt.Sprint("app", i), "--name", fmt.Sprint("App ", i),
					"--auth-method", "none",
					"--redirect-uri", apps.origins[i]+"/back", "--post-logout-redirect-uri", apps.origins[i]+"/bye",
					"--frontchannel-logout-uri", apps.origins[i]+path, fmt.Sprintf("--frontchannel-logout-session-required=%v", i == 0))
			}
			tab := chromium.Tab(t)
			// login logs in to apps, and returns the ID token and the sid of the first.
			login := func(which ...int) (hint, sid string) {
				t.Helper()
				for n, i := range which {
					tab.Open(s.issuer + "/oauth2/authorize?response_type=code&scope=openid&client_id=" + fmt.Sprint("app", i) +
						"&redirect_uri=" + apps.origins[i] + "/back&code_challenge_method=S256&code_challenge=" + codeChallenge)
					if n == 0 {
						logIn(tab, "ada@example.com", "correct horse battery")
					}
					tab.Wait(`document.querySelector('#consent-approve') || document.querySelector('#back')`)
					if strings.HasPrefix(tab.URL(), s.issuer) {
						tab.Click("#consent-approve")
						tab.Wait(`document.querySelector('#back')`)
					}
					u, err := url.Parse(tab.URL())
					if err != nil {
						t.Fatal(err)
					}
					var got tokens
					answer, err := http.PostForm(s.issuer+"/oauth2/token", url.Values{
						"grant_type": {"authorization_code"}, "client_id": {fmt.Sprint("app", i)}, "code": {u.Query().Get("code")},
						"redirect_uri": {apps.origins[i] + "/back"}, "code_verifier": {codeVerifier},
					})
					if err != nil {
						t.Fatal(err)
					}
					s.read(t, answer, http.StatusOK, &got)
					if n == 0 {
						hint, sid = got.ID, sidOf(t, got.ID)
					}
				}
				apps.take()
				return hint, sid
			}
			logout := func(hint string) {
				tab.Do("Page.navigate", map[string]any{"url": s.issuer + "/oauth2/logout?id_token_hint=" + hint +
					"&state=x&post_logout_redirect_uri=" + apps.origins[0] + "/bye"}, nil)
				tab.Wait(`document.querySelector('#bye')`)
			}

			hint, sid := login(0, 1)
			logout(hint)
			first := "0 done tenant=a&iss=" + url.QueryEscape(s.issuer) + "&sid=" + url.QueryEscape(sid)
			got := apps.take()
			if len(got) != 5 || got[4] != "0 bye state=x" || !slices.Contains(got, "0 out with its cookie in") ||
				!slices.Contains(got, "1 out with its cookie in") || !slices.Contains(got, first) || !slices.Contains(got, "1 done") {
				t.Errorf("the apps saw %q; the browser says %q", got, tab.Said())
			}
			if said := tab.Said(); len(said) > 0 {
				t.Errorf("the browser says %q", said)
			}

			t.Log("an app that does not answer")
			hint, _ = login(0, 2)
			logout(hint)
			if got := apps.take(); !slices.Contains(got, "2 hangs") || got[len(got)-1] != "0 bye state=x" {
				t.Errorf("the apps saw %q", got)
			}

			t.Log("without scripts on our page; those of the frames are not turned off by this")
			hint, _ = login(0, 1)
			tab.Do("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
			logout(hint)
			tab.Do("Emulation.setScriptExecutionDisabled", map[string]any{"value": false}, nil)
			if got := apps.take(); len(got) == 0 || got[len(got)-1] != "0 bye state=x" || !slices.Contains(got, "0 out with its cookie in") ||
				!slices.Contains(got, "1 out with its cookie in") {
				t.Errorf("without scripts the apps saw %q", got)
			}

			t.Log("a logout that no app began")
			login(0, 1)
			tab.Open(s.issuer + "/account/sessions")
			tab.Open(s.issuer + "/logout")
			tab.Loads(func() { tab.Click("#logout-confirm") })
			tab.Wait(`document.querySelectorAll('iframe').length === 2`)
			if got := apps.take(); !slices.Contains(got, "0 out with its cookie in") || !slices.Contains(got, "1 out with its cookie in") {
				t.Errorf("the apps saw %q", got)
			}
			if !strings.Contains(tab.Text("main"), "You are signed out") {
				t.Errorf("the page says %q", tab.Text("main"))
			}
		})
	}
}

func sidOf(t *testing.T, id string) string {
	t.Helper()
	var claims struct {
		SID string `json:"sid"`
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(id, ".")[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil || claims.SID == "" {
		t.Fatalf("no sid: %v", err)
	}
	return claims.SID
}
