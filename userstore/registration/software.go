package registration

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/userstore"
)

const (
	maxContact  = 254 // characters
	maxSoftware = 256
)

// checkSoftware checks what a client says of the software that it is and of the people behind it
// (RFC 7591 section 2, OIDC Registration section 2).
func checkSoftware(c *userstore.Client, fs *userstore.Faults) {
	fs.Add("application_type", oneOf(c.ApplicationType, "", userstore.ApplicationWeb, userstore.ApplicationNative))
	web := c.ApplicationType == userstore.ApplicationWeb || c.ApplicationType == "" && c.SelfMade() // its default
	if web && c.Allows(userstore.GrantImplicit) {
		for n, uri := range c.RedirectURIs {
			if u, err := url.Parse(uri); err == nil && (u.Scheme != "https" || userstore.LoopbackName(u.Hostname())) {
				fs.Add(memberOf("redirect_uris", n), invalid("A web app of the implicit grant has https addresses only, and none of the user's own machine."))
			}
		}
	}
	fs.Add("token_endpoint_auth_signing_alg", oneOf(c.AssertionAlg, append([]string{""}, assertionAlgorithms...)...))
	if c.AssertionAlg != "" && c.AuthMethod != userstore.AuthPrivateKeyJWT {
		fs.Add("token_endpoint_auth_signing_alg", notAllowed("Only a client that authenticates by private_key_jwt signs assertions."))
	}
	if c.DefaultMaxAge != nil && *c.DefaultMaxAge < 0 {
		fs.Add("default_max_age", invalid("This is a number of seconds, and 0 for a login each time."))
	}
	addList(fs, "default_acr_values", c.DefaultACRValues, func(acr string) userstore.Fault {
		if strings.ContainsAny(acr, " \t") {
			return invalid("A value has no spaces.")
		}
		return line(acr, maxScopeName)
	})
	addList(fs, "contacts", c.Contacts, func(contact string) userstore.Fault { return line(contact, maxContact) })
	for _, m := range []struct{ field, text string }{
		{"software_id", c.SoftwareID}, {"software_version", c.SoftwareVersion},
	} {
		if m.text != "" {
			fs.Add(m.field, line(m.text, maxSoftware))
		}
	}
}

// assertionAlgorithms are the values that AssertionAlg may have.
var assertionAlgorithms = []string{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA, jose.Ed25519}

// line checks a text of one line.
func line(text string, most int) userstore.Fault {
	switch {
	case text == "" || !utf8.ValidString(text) || printable.Text(text) != text || strings.TrimSpace(text) != text:
		return invalid("This is one line of visible characters.")
	case utf8.RuneCountInString(text) > most:
		return tooLong("This is too long.")
	}
	return userstore.Fault{}
}
