package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

type stand struct {
	issuer *issuertest.Issuer
	url    string
}

func newStand(t *testing.T) stand {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	url := "http://" + server.Listener.Addr().String()
	issuer := issuertest.New(t)
	config := issuer.Config()
	config.Resource = verifier.Resource{URI: url + "/mcp", ScopesSupported: []string{readScope}}
	v, err := verifier.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = handler(v)
	server.Start()
	t.Cleanup(server.Close)
	return stand{issuer, url}
}

func (s stand) token(sub, scope string) string {
	return s.issuer.Token(map[string]any{"sub": sub, "client_id": "app", "aud": s.url + "/mcp", "scope": scope})
}

// send sends a JSON-RPC body as a client does that writes HTTP by hand.
func (s stand) send(t *testing.T, method, path, token, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(answer)
}

type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

func (s stand) connect(t *testing.T, token string) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil)
	session, err := client.Connect(context.Background(), &mcp.StreamableClientTransport{
		Endpoint: s.url + "/mcp", HTTPClient: &http.Client{Transport: bearer{token, http.DefaultTransport}}, MaxRetries: -1,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

func structured(t *testing.T, result *mcp.CallToolResult, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(result.StructuredContent)
	if err != nil || result.IsError {
		t.Fatalf("%v, %v", result.Content, err)
	}
	return string(out)
}

func TestAClientOfTheSDKCallsTheTools(t *testing.T) {
	s := newStand(t)
	ctx := context.Background()
	ada := s.connect(t, s.token("ada", "tools:read tools:write"))
	bob := s.connect(t, s.token("bob", "tools:write tools:read"))
	result, err := ada.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"})
	if got := structured(t, result, err); got != `{"client_id":"app","scope":"tools:read tools:write","sub":"ada"}` {
		t.Errorf("%s", got)
	}
	for _, c := range []struct {
		session    *mcp.ClientSession
		text, want string
	}{{ada, "one", `{"notes":["one"]}`}, {bob, "his", `{"notes":["his"]}`}, {ada, "two", `{"notes":["one","two"]}`}} {
		result, err := c.session.CallTool(ctx, &mcp.CallToolParams{Name: "note", Arguments: map[string]any{"text": c.text}})
		if got := structured(t, result, err); got != c.want {
			t.Errorf("%s, not %s", got, c.want)
		}
	}
	reader := s.connect(t, s.token("ada", "tools:read"))
	if _, err := reader.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"}); err != nil {
		t.Error(err)
	}
	if result, err := reader.CallTool(ctx, &mcp.CallToolParams{Name: "note",
		Arguments: map[string]any{"text": "x"}}); err == nil {
		t.Errorf("a reader wrote: %v", result.Content)
	}
}

func TestWhatStrangersLearn(t *testing.T) {
	s := newStand(t)
	meta := `resource_metadata="` + s.url + `/.well-known/oauth-protected-resource/mcp"`
	for _, token := range []string{"", "x", s.issuer.Token(map[string]any{"aud": "https://other.example.com"})} {
		resp, _ := s.send(t, "POST", "/mcp", token, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
		challenge := resp.Header.Get("WWW-Authenticate")
		if resp.StatusCode != 401 || !strings.HasSuffix(challenge, `, scope="tools:read", `+meta) ||
			!strings.Contains(strings.Join(resp.Header.Values("WWW-Authenticate"), "\n"), "\nDPoP algs=") ||
			!strings.Contains(resp.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
			t.Errorf("%q: %d %v", token, resp.StatusCode, resp.Header)
		}
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"} {
		resp, document := s.send(t, "GET", path, "", "")
		want := `{"resource":"` + s.url + `/mcp","authorization_servers":["` + s.issuer.URL +
			`"],"scopes_supported":["tools:read"],"bearer_methods_supported":["header"],` +
			`"dpop_signing_alg_values_supported":["RS256","PS256","ES256","EdDSA","Ed25519"]}`
		if document != want || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %s %v", path, document, resp.Header)
		}
	}
	if resp, _ := s.send(t, "OPTIONS", "/mcp", "", ""); resp.StatusCode != 204 ||
		!strings.HasPrefix(resp.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if resp, _ := s.send(t, "GET", "/", "", ""); resp.StatusCode != 404 {
		t.Errorf("%d", resp.StatusCode)
	}
}

// However a body writes the call of a tool, a token without the tool's scope does not run it. Where
// it is a call as clients write it, the answer is the challenge.
func TestATokenWithoutTheScopeWritesNothing(t *testing.T) {
	s := newStand(t)
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"note","arguments":{"text":"stolen"}}}`
	const other = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`
	named := func(name string) string { return strings.Replace(call, `"name":"note"`, name, 1) }
	for _, c := range []struct {
		name, body string
		challenged bool
	}{
		{"as clients write it", call, true},
		{"with spaces", " \r\n\t" + call + "\n", true},
		{"with an escaped name", strings.Replace(call, "note", `n\u006fte`, 1), true},
		{"in a batch", "[" + call + "]", true},
		{"second in a batch", "[" + other + "," + call + "]", true},
		{"with a second name", named(`"name":"note","name":"whoami"`), false},
		{"with a second name before", named(`"name":"whoami","name":"note"`), false},
		{"with a second name in another case", named(`"name":"note","Name":"whoami"`), false},
		{"with a second method", strings.Replace(call, `"method"`, `"method":"tools/list","method"`, 1), false},
		{"with a second method in another case", strings.Replace(call, `"params"`, `"Method":"tools/list","params"`, 1), false},
		{"with second params", strings.Replace(call, `"params"`, `"Params":{"name":"whoami"},"params"`, 1), false},
		{"two bodies", other + call, false},
		{"a text", `"note"`, false},
		{"null", `null`, false},
		{"an empty batch", `[]`, false},
		{"nothing", ``, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, answer := s.send(t, "POST", "/mcp", s.token("ada", "tools:read"), c.body)
			if strings.Contains(answer, "stolen") {
				t.Errorf("%d %s", resp.StatusCode, answer)
			}
			want := `scope="tools:read tools:write", resource_metadata="` + s.url + `/.well-known/oauth-protected-resource/mcp"`
			if challenge := resp.Header.Get("WWW-Authenticate"); c.challenged && (resp.StatusCode != 403 ||
				!strings.HasPrefix(challenge, `Bearer error="insufficient_scope", `) || !strings.HasSuffix(challenge, want)) {
				t.Errorf("%d %s", resp.StatusCode, challenge)
			}
		})
	}
	result, err := s.connect(t, s.token("ada", "tools:read tools:write")).CallTool(context.Background(),
		&mcp.CallToolParams{Name: "note", Arguments: map[string]any{"text": "mine"}})
	if got := structured(t, result, err); got != `{"notes":["mine"]}` {
		t.Errorf("%s", got)
	}
	long := strings.Repeat(" ", 5<<20)
	if resp, _ := s.send(t, "POST", "/mcp", s.token("ada", "tools:read"), long); resp.StatusCode != 413 {
		t.Errorf("%d", resp.StatusCode)
	}
	if resp, _ := s.send(t, "POST", "/mcp", s.token("ada", "tools:write"), other); resp.StatusCode != 403 {
		t.Errorf("without tools:read: %d", resp.StatusCode)
	}
}
