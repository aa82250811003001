//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/interop/browser"
)

// mcpBundles are node/mcp_page.js with each SDK, as one script for a page.
var mcpBundles = sync.OnceValues(func() (map[string]string, error) {
	bundles := map[string]string{}
	for sdk, alias := range map[string]string{oldSDK: "./mcp_sdk_old.js", newSDK: "./mcp_sdk_new.js"} {
		script := filepath.Join(binaries.dir, path.Base(sdk)+".js")
		cmd := exec.Command("node_modules/.bin/esbuild", "mcp_page.js", "--bundle", "--log-level=warning",
			"--alias:sdk="+alias, "--outfile="+script)
		cmd.Dir = "node"
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
		bundles[sdk] = script
	}
	return bundles, nil
})

// agentPage is an MCP client in a page of its own origin.
type agentPage struct {
	*testing.T
	tab    *browser.Tab
	origin string
	given  string // JSON
}

func serveAgent(t *testing.T, sdk string) string {
	t.Helper()
	bundles, err := mcpBundles()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mcp_page.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, bundles[sdk]) })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "node/mcp.html") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// agent is an expression for a fresh client, as after the page was loaded again.
func (p *agentPage) agent() string { return "agent(" + p.given + ")" }

// leaves calls a tool for which the browser has to go to the issuer, and waits for its page.
func (p *agentPage) leaves(call string) {
	p.Helper()
	p.tab.Loads(func() { p.tab.Eval(p.agent()+"."+call+".catch(() => 0), 0", nil) })
}

// allows presses the button of the consent page, and has the client take the response.
func (p *agentPage) allows() {
	p.Helper()
	p.tab.Wait(`document.querySelector('#consent-approve')`)
	p.tab.Click("#consent-approve")
	p.tab.Wait(`location.pathname === '/back' && document.querySelector('#ready')`)
	p.tab.Eval(p.agent()+".back()", nil)
}

func (p *agentPage) whoami() (me whoami) {
	p.Helper()
	p.tab.Eval(p.agent()+".call('whoami')", &me)
	return me
}

func (p *agentPage) evalText(expression string) (text string) {
	p.Helper()
	p.tab.Eval(p.agent()+"."+expression, &text)
	return text
}

// Both SDKs for TypeScript in a page, where the browser's rules (CORS) hold for every request:
// those to the MCP server, for the metadata of it and of the issuer, the registration, and for
// tokens.
func TestMCPClientsInAPage(t *testing.T) {
	chromium := browser.Start(t)
	for _, store := range stores {
		for _, way := range mcpWays[1:] { // a page differs in nothing from a program that the operator registered
			t.Run(store+"/"+way.name, func(t *testing.T) {
				t.Parallel()
				s, known := way.start(t, store)
				for _, sdk := range []string{oldSDK, newSDK} {
					t.Run(sdk, func(t *testing.T) {
						t.Parallel()
						app := &agentPage{T: t, tab: chromium.Tab(t), origin: serveAgent(t, sdk)}
						c := mcpClient{
							Issuer: s.issuer, User: s.person(t, path.Base(sdk)), Server: s.URL, SDK: sdk, Name: "Agent",
							RedirectURI: app.origin + "/back",
						}
						known(t, &c)
						given, err := json.Marshal(c)
						if err != nil {
							t.Fatal(err)
						}
						app.given = string(given)

						app.tab.Open(app.origin)
						app.leaves("call('whoami')")
						app.tab.Loads(func() { logIn(app.tab, c.User.Email, c.User.Password) })
						app.allows()
						me := app.whoami()
						if id := app.evalText("clientID"); me.ClientID != id || me.Sub == "" ||
							!slices.Contains(strings.Fields(me.Scope), "tools:read") {
							t.Fatalf("the tool says %+v to %s", me, id)
						}

						before := app.evalText("accessToken")
						app.tab.Eval(app.agent()+".spoil()", nil)
						if again := app.whoami(); again != me || app.evalText("accessToken") == before {
							t.Errorf("after a refresh: %+v", again)
						}

						if sdk == newSDK { // the old one takes a refresh for the answer to a challenge
							app.leaves("call('note', {text: 'remember'})")
							app.allows()
							var kept struct{ Notes []string }
							app.tab.Eval(app.agent()+".call('note', {text: 'remember'})", &kept)
							if !slices.Equal(kept.Notes, []string{"remember"}) {
								t.Errorf("the notes are %q", kept.Notes)
							}
						}

						s.withdraw(t, c.User, me.ClientID)
						app.tab.Eval(app.agent()+".spoil()", nil)
						app.leaves("call('whoami')")
						app.allows() // without another login
						if again := app.whoami(); again.Sub != me.Sub || again.ClientID != me.ClientID {
							t.Errorf("after what was allowed was taken back: %+v", again)
						}

						// The server has no stream of events (405), demands a token and another scope; the issuer
						// refuses the refresh token of what was taken back.
						expected := regexp.MustCompile(`status of (40[135] \([A-Za-z ]+\) ` + s.URL +
							`|400 \(Bad Request\) ` + s.issuer + `/oauth2/token)$`)
						for _, said := range app.tab.Said() {
							if !expected.MatchString(said) {
								t.Errorf("the browser says: %s", said)
							}
						}
					})
				}
			})
		}
	}
}

// withdraw takes back, as the user does in an app of their own, what they allowed to a client.
func (s *tools) withdraw(t *testing.T, u user, client string) {
	t.Helper()
	body, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	var got tokens
	s.post(t, "/v1/login", http.StatusOK, string(body), &got)
	r, err := http.NewRequest(http.MethodDelete, s.issuer+"/v1/profile/consents/"+url.PathEscape(client), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+got.Access)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	s.read(t, resp, http.StatusNoContent, nil)
}
