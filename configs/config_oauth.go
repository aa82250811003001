package configs

import (
	"strings"
	"time"

	"github.com/signet-id/signet/userstore"
)

// OAuth is the section `oauth`.
type OAuth struct {
	// Which clients must use PKCE in the authorization code flow: all, or public. Public
	// clients always must, and `signet clients update --pkce` decides for one of the others.
	RequirePKCE string `key:"require_pkce"`

	// Whether every client has to push its authorization requests (RFC 9126) before it sends
	// the browser. `signet clients update --require-pushed` demands it of a single client.
	RequirePushed bool `key:"require_pushed"`

	// Whether DPoP proofs (RFC 9449) need a nonce of this server. Proofs that somebody made
	// ahead, in the hour when he had the app's key, are then of no use to him later. It costs
	// each app one request more from time to time.
	DPoPNonce bool `key:"dpop_nonce"`

	// Response types of the authorization endpoint: code, and, for apps that cannot do without,
	// id_token, "id_token token", "code id_token", "code token", "code id_token token". A client
	// gets those that it is registered for.
	ResponseTypes []string `key:"response_types"`

	// Schemes of one word that the redirect URIs of public clients may have, such as cursor or
	// vscode. Any app on a device can claim such a scheme, so name only those you know; a
	// scheme that is a domain turned around (com.example.app) needs no entry.
	RedirectSchemes []string `key:"redirect_schemes"`

	// Whether clients may register themselves at /oauth2/register (RFC 7591): closed, token
	// (with an initial access token of `signet clients registration-token create`), or open
	// to anybody, as far as `throttle.registrations_per_network` and `throttle.registrations`
	// allow.
	Registration string `key:"registration"`

	// How long a client that registered itself may stay unused before it is deleted.
	UnusedClients time.Duration `key:"unused_clients"`

	// Whether an app may use the https address of its own metadata document as its client_id
	// (draft-ietf-oauth-client-id-metadata-document): apps that nobody registered, such as
	// editors and agents, can then ask people for access. The document is fetched from there.
	// `mcp.resources` turns it on, unless this says false.
	ClientIDMetadata bool `key:"client_id_metadata"`

	ClientIDMetadataHosts ClientIDMetadataHosts `key:"client_id_metadata_hosts"`

	// Whose software statements (RFC 7591) are believed when a client registers itself: a list
	// of {issuer, jwks_file or jwks_uri, software_ids}. software_ids lists the software that is
	// approved; without it all of that issuer is. In the environment: JSON.
	SoftwareStatements []SoftwareIssuer `key:"software_statements"`
}

// ClientIDMetadataHosts is the section `oauth.client_id_metadata_hosts`.
type ClientIDMetadataHosts struct {
	// Hosts whose metadata documents are taken, such as app.example.com, or .example.com for a
	// domain with everything below it. Empty: all hosts.
	Allow []string `key:"allow"`

	// Hosts whose metadata documents are not taken, whatever `allow` says. Their apps are refused
	// within a second, also those that people have allowed something.
	Deny []string `key:"deny"`
}

// SoftwareIssuer is one member of the list `oauth.software_statements`.
type SoftwareIssuer struct {
	Issuer      string   `key:"issuer"`
	JWKSFile    string   `key:"jwks_file"`
	JWKSURI     string   `key:"jwks_uri"`
	SoftwareIDs []string `key:"software_ids"`
}

// Types returns ResponseTypes in the spelling of userstore.ResponseTypes: their words have no order.
func (o OAuth) Types() []string {
	var out []string
	for _, t := range o.ResponseTypes {
		if known, ok := userstore.ResponseType(t); ok {
			t = known
		}
		out = append(out, t)
	}
	return out
}

// Schemes returns RedirectSchemes without the colon that some operators write after a scheme.
func (o OAuth) Schemes() []string {
	var out []string
	for _, s := range o.RedirectSchemes {
		out = append(out, strings.TrimSuffix(s, ":"))
	}
	return out
}

// ClientIDMetadata reports whether a client_id may be the address of a metadata document: as
// `oauth.client_id_metadata` says, and without it where there are `mcp.resources`, whose clients
// nobody registers.
func (c Config) ClientIDMetadata() bool {
	return c.OAuth.ClientIDMetadata || len(c.MCP.Resources) > 0 && c.Source("oauth.client_id_metadata") == ""
}
