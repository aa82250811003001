package configs

import (
	"fmt"
	"slices"

	"github.com/signet-id/signet/userstore"
)

// badMCPResources adds to the rules of every resource those of one that strangers may ask for.
func badMCPResources(c Config) []string {
	faults := badResources(c, c.MCP.Resources)
	for i, r := range c.MCP.Resources {
		wrong := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("member %d: ", i+1)+fmt.Sprintf(format, args...))
		}
		named := func(o Resource) bool { return userstore.SameResource(o.URI, r.URI) }
		if slices.ContainsFunc(c.Resources, named) {
			wrong("uri %q is in resources as well; keep it in one of the two: here every client that came by itself may ask for it, there only clients that are registered for it", r.URI)
		}
		if c.Issuer != "" && userstore.SameResource(c.Issuer, r.URI) {
			wrong("uri %q is this issuer itself; write the address of the MCP server", r.URI)
		}
		if slices.Contains(r.Scopes, userstore.ScopeAdmin) {
			wrong("scopes: admin is for first-party clients only; take it out")
		}
	}
	return faults
}

func badOpenRegistration(c Config) string {
	if c.MCP.OpenRegistration && len(c.MCP.Resources) == 0 {
		return "is for clients of mcp.resources, which is empty; name your MCP server there, or set oauth.registration to open"
	}
	return ""
}
