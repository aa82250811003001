//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/testport"
)

// mcpProgram is docs/examples/mcp-server, built once.
var mcpProgram = sync.OnceValues(func() (string, error) {
	program := filepath.Join(binaries.dir, "mcp-server")
	build := exec.Command("go", "build", "-C", "../../docs/examples/mcp-server", "-o", program, ".") // a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	return program, nil
})

// tools is an issuer and a running MCP server that takes its tokens.
type tools struct {
	*server
	URL string // of the MCP server
}

// startTools starts an issuer with the given configuration, in which %s stands for the URL of the
// MCP server, and that server.
func startTools(t *testing.T, store, config string) *tools {
	t.Helper()
	program, err := mcpProgram()
	if err != nil {
		t.Fatal(err)
	}
	listen := testport.Address(t)
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		t.Fatal(err)
	}
	origin := "http://localhost:" + port
	s := &tools{URL: origin + "/mcp"}
	// The tokens expire soon for the client that looks at expires_in. The MCP server allows for clocks
	// that are a minute off.
	s.server = startOn(t, store, fmt.Sprintf(config, s.URL)+"tokens: {access_lifetime: 2s}\n")
	cmd := exec.Command(program, "-listen", listen, "-url", origin, "-issuer", s.issuer)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually(t, "the MCP server answers", func() bool {
		resp, err := http.Get(origin + "/.well-known/oauth-protected-resource/mcp")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return s
}

// person signs a new user up.
func (s *tools) person(t *testing.T, name string) user {
	t.Helper()
	u := user{Email: name + "@example.com", Password: "correct horse battery"}
	body, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	s.post(t, "/v1/signup", http.StatusCreated, string(body), nil)
	return u
}

// mcpClient is how a client is known to the issuer, in the input of a script: by an id that the
// operator gave it, by its metadata document, or, without either, by the registration that the
// client makes.
type mcpClient struct {
	Issuer      string `json:"issuer"`
	User        user   `json:"user"`
	Server      string `json:"server"`
	SDK         string `json:"sdk,omitempty"`
	Name        string `json:"name"`
	RedirectURI string `json:"redirect_uri"`
	ID          string `json:"client_id,omitempty"`
	Metadata    string `json:"client_id_metadata,omitempty"`
}

// whoami is the answer of the MCP server's tool of this name.
type whoami struct {
	Sub      string
	ClientID string `json:"client_id"`
	Scope    string
}

const (
	oldSDK = "@modelcontextprotocol/sdk"
	newSDK = "@modelcontextprotocol/client"
)

// mcpSDKs are programs with the OAuth client of an official SDK.
var mcpSDKs = []struct {
	name    string
	program func(*testing.T) *exec.Cmd
	steps   []string
}{
	{oldSDK, node("mcp.js"), []string{
		"the server of the URL names the issuer, and a person logs in",
		"a tool is called",
		"an access token that the server takes no longer is refreshed",
		"a tool that needs another scope is refused",
		"what was allowed is taken back, and the person is asked again",
		"a person who says no",
	}},
	{newSDK, node("mcp.js"), []string{
		"the server of the URL names the issuer, and a person logs in",
		"a tool is called",
		"an access token that the server takes no longer is refreshed",
		"a tool that needs another scope has the person asked for it",
		"what was allowed is taken back, and the person is asked again",
		"a person who says no",
	}},
	{"python-sdk", python("mcp_client.py"), []string{
		"the server of the URL names the issuer, and a person logs in",
		"a tool is called",
		"an access token that has expired is refreshed",
		"a tool that needs another scope has the person asked for it",
		"what was allowed is taken back, and the person is asked again",
		"a program that starts again needs no login",
		"a person who says no",
	}},
}

// mcpWays are the ways in which an MCP client becomes known to the issuer. start starts the issuer,
// and known makes a client known in that way.
var mcpWays = []struct {
	name  string
	start func(t *testing.T, store string) (s *tools, known func(*testing.T, *mcpClient))
}{
	{"by the operator", func(t *testing.T, store string) (*tools, func(*testing.T, *mcpClient)) {
		s := startTools(t, store, "resources: [{uri: %s, scopes: [tools:read, tools:write]}]\n")
		return s, func(t *testing.T, c *mcpClient) {
			c.ID = path.Base(c.SDK) // one for each
			s.register(t, c.ID, c.RedirectURI, "--auth-method", "none", "--grant-type", "authorization_code",
				"--grant-type", "refresh_token", "--resource", c.Server)
		}
	}},
	{"by registration", func(t *testing.T, store string) (*tools, func(*testing.T, *mcpClient)) {
		s := startTools(t, store,
			"mcp: {resources: [{uri: %s, scopes: [tools:read, tools:write]}], open_registration: true}\n")
		return s, func(*testing.T, *mcpClient) {}
	}},
	{"by metadata document", func(t *testing.T, store string) (*tools, func(*testing.T, *mcpClient)) {
		d := serveMetadata(t)
		s := startTools(t, store, "mcp: {resources: [{uri: %s, scopes: [tools:read, tools:write]}]}\n"+d.config)
		return s, d.publish
	}},
}

// A person logs in to an MCP server with the official SDKs, which know nothing but its URL.
func TestMCPClientsLogPeopleIn(t *testing.T) {
	for _, store := range stores {
		for _, way := range mcpWays {
			t.Run(store+"/"+way.name, func(t *testing.T) {
				t.Parallel()
				s, known := way.start(t, store)
				for _, sdk := range mcpSDKs {
					t.Run(sdk.name, func(t *testing.T) {
						t.Parallel()
						c := mcpClient{
							Issuer: s.issuer, User: s.person(t, path.Base(sdk.name)), Server: s.URL, SDK: sdk.name, Name: "Agent",
							RedirectURI: "http://localhost:4000/callback",
						}
						known(t, &c)
						if took := stepsOf(t, sdk.program(t), c); !slices.Equal(took, sdk.steps) {
							t.Errorf("the steps were %q, not %q", took, sdk.steps)
						}
					})
				}
			})
		}
	}
}
