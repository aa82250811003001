package configs

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMCPIsOffByDefault(t *testing.T) {
	c, _, err := Load(Input{File: write(t, "")})
	if err != nil || len(c.MCP.Resources) != 0 || c.MCP.OpenRegistration {
		t.Errorf("%+v, %v", c.MCP, err)
	}
}

func TestMCPResources(t *testing.T) {
	file := write(t, `
resources: [{uri: "https://api.example", scopes: [read]}]
mcp:
  resources:
    - {uri: "https://mcp.example/mcp", scopes: ["tools:read", "read"], access_token_lifetime: 2h}
    - {uri: "http://localhost:7070/mcp"}
  open_registration: true
`)
	c, _, err := Load(Input{File: file})
	if err != nil || !c.MCP.OpenRegistration || len(c.MCP.Resources) != 2 ||
		!slices.Equal(c.MCP.Resources[0].Scopes, []string{"tools:read", "read"}) {
		t.Fatalf("%+v, %v", c.MCP, err)
	}
	var uris []string
	for _, r := range c.AllResources() {
		uris = append(uris, r.URI)
	}
	if want := []string{"https://api.example", "https://mcp.example/mcp", "http://localhost:7070/mcp"}; !slices.Equal(uris, want) {
		t.Errorf("all resources are %v, want %v", uris, want)
	}
	if got := c.LongestLifetime(); got != 2*time.Hour {
		t.Errorf("keys are kept for tokens of %v", got)
	}
	c, _, err = Load(Input{File: write(t, ""), Env: []string{
		`SIGNET_MCP_RESOURCES=[{"uri": "https://mcp.example/mcp", "scopes": ["tools:read"]}]`, "SIGNET_MCP_OPEN_REGISTRATION=true",
	}})
	if err != nil || len(c.MCP.Resources) != 1 || c.MCP.Resources[0].URI != "https://mcp.example/mcp" || !c.MCP.OpenRegistration {
		t.Errorf("from the environment: %+v, %v", c.MCP, err)
	}
}

func TestMCPRefusals(t *testing.T) {
	for _, row := range []struct {
		name, file string
		want       []string // parts of the refusal
	}{
		{"one that is a resource as well",
			"resources: [{uri: \"https://a.example\"}]\nmcp: {resources: [{uri: \"https://a.example/\"}]}\n",
			[]string{`mcp.resources (`, `member 1: uri "https://a.example/" is in resources as well; keep it in one of the two`}},
		{"the issuer", "issuer: https://id.example\nmcp: {resources: [{uri: \"https://id.example/\"}]}\n",
			[]string{"is this issuer itself"}},
		{"admin", "mcp: {resources: [{uri: \"https://a.example\", scopes: [read, admin]}]}\n",
			[]string{"member 1: scopes: admin is for first-party clients only"}},
		{"what every resource is refused for",
			"mcp: {resources: [{uri: /mcp}, {uri: \"https://a.example#x\"}, {uri: \"https://a.example\", scopes: [\"a b\"]}, {uri: \"https://a.example\"}]}\n",
			[]string{`member 1: uri "/mcp"`, `member 2: uri "https://a.example#x"`, `member 3: scopes: "a b"`, "names https://a.example twice"}},
		{"open registration for nothing", "mcp: {open_registration: true}\n",
			[]string{"mcp.open_registration (", "is for clients of mcp.resources, which is empty"}},
		{"an unknown key", "mcp: {enabled: true}\n", []string{"mcp.enabled"}},
		{"a switch that is none", "mcp: {open_registration: maybe}\n", []string{"mcp.open_registration"}},
		{"resources that are texts", "mcp: {resources: [\"https://a.example\"]}\n", []string{"mcp.resources"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, text := faultsOf(t, row.file)
			for _, part := range row.want {
				if !strings.Contains(text, part) {
					t.Errorf("%q is not in: %s", part, text)
				}
			}
		})
	}
}
