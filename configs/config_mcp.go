package configs

import "slices"

// MCP is the section `mcp`: apps of the Model Context Protocol, which no operator registers.
type MCP struct {
	// Resource servers that every client may ask for which came by itself, with their scopes
	// and without being registered for each: MCP servers, as a list with the members of
	// `resources`. Other clients may ask for those that they are registered for. In the
	// environment: JSON.
	Resources []Resource `key:"resources"`

	// Whether anybody may register a public client at /oauth2/register, whatever
	// `oauth.registration` allows beyond that. A client that asks for a secret is registered
	// without one.
	OpenRegistration bool `key:"open_registration"`
}

// AllResources returns the members of `resources` and of `mcp.resources`.
func (c Config) AllResources() []Resource { return slices.Concat(c.Resources, c.MCP.Resources) }
