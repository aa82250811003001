package configs

import (
	"time"

	"github.com/signet-id/signet/issuer"
)

// Tokens is the section `tokens`.
type Tokens struct {
	// `aud` of access tokens that name no resource. Not given: the issuer.
	Audience []string `key:"audience"`

	// Algorithm of access tokens, one of `keys.algorithms`.
	AccessAlg string `key:"access_alg"`

	// How long an access token is valid. From 1s to 24h.
	AccessLifetime time.Duration `key:"access_lifetime"`

	// How long an ID token is valid. From 1s to 24h.
	IDLifetime time.Duration `key:"id_lifetime"`
}

// Refresh is the section `refresh`: how long somebody stays signed in.
type Refresh struct {
	// From the login, however often it is refreshed. At most 5 years (43800h).
	Absolute time.Duration `key:"absolute"`

	// Without a refresh. At most `refresh.absolute`.
	Idle time.Duration `key:"idle"`

	// How long after a rotation the refresh token before it still gets the same
	// answer: racing tabs and lost answers. At most 10m, and less than `refresh.idle`.
	ReuseWindow time.Duration `key:"reuse_window"`
}

// Resource is one member of the lists `resources` and `mcp.resources`.
type Resource struct {
	URI            string        `key:"uri"`                   // absolute, without a fragment
	Scopes         []string      `key:"scopes"`                // that may be asked for with it; empty: any
	AccessAlg      string        `key:"access_token_alg"`      // empty: tokens.access_alg
	AccessLifetime time.Duration `key:"access_token_lifetime"` // zero: tokens.access_lifetime
	Introspection  []string      `key:"introspection_clients"` // clients that may ask about every token for it (RFC 7662)
}

// Claim is one member of the list `claims`.
type Claim struct {
	Name  string   `key:"name"`
	From  string   `key:"from"`  // roles, is_staff, or a standard claim of the user; or else
	Value any      `key:"value"` // what it is for everybody: a text, a number, true or false, a list or a section
	In    []string `key:"in"`    // access_token, id_token, userinfo
	Scope string   `key:"scope"` // empty: whatever was granted
}

// LongestLifetime returns the longest lifetime of any signed token except refresh tokens; status lists
// count. Logout tokens live no longer than ID tokens. Signed answers of userinfo and introspection have
// no lifetime: they are verified when they arrive.
func (c Config) LongestLifetime() time.Duration {
	d := max(c.Tokens.AccessLifetime, c.Tokens.IDLifetime)
	for _, r := range c.AllResources() {
		d = max(d, r.AccessLifetime)
	}
	if c.StatusLists.Enabled {
		d = max(d, issuer.StatusListLifetime)
	}
	return d
}

// StatusLists holds the keys under `status_lists`.
type StatusLists struct {
	// Let access tokens name a token status list, by which resource servers that verify by themselves
	// learn within seconds that a session, a user or a client is revoked.
	Enabled bool `key:"enabled"`
}
