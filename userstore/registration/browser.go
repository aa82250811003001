package registration

import (
	"regexp"
	"slices"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// policyHost is what a content security policy can name (CSP Level 3 section 2.3.1): no IPv6 address,
// and no underscore.
var policyHost = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]+)?$`)

// checkBrowserURIs checks the addresses that our pages load in frames or link to.
func checkBrowserURIs(c *userstore.Client, fs *userstore.Faults) {
	if uri := c.FrontchannelLogoutURI; uri != "" {
		fs.Add("frontchannel_logout_uri", frontchannelURI(c, uri))
	}
	if uri := c.InitiateLoginURI; uri != "" {
		f := webURI(uri)
		if f == (userstore.Fault{}) && strings.Contains(uri, "#") {
			f = faultFragment
		}
		fs.Add("initiate_login_uri", f)
	}
}

var faultFragment = invalid("Leave the fragment out.")

// frontchannelURI checks an address that a page of ours loads in a frame. It is at the origin of a
// redirect URI (OpenID Connect Front-Channel Logout 1.0 section 2), so that nobody can have our page
// load the pages of others. So http is possible where a redirect URI has it, on the user's own machine.
func frontchannelURI(c *userstore.Client, uri string) userstore.Fault {
	u, f := readURI(uri)
	if f == (userstore.Fault{}) {
		switch {
		case u.Scheme != "https" && u.Scheme != "http":
			f = invalid("This has to begin with https://.")
		case strings.Contains(uri, "#"):
			f = faultFragment
		default:
			f = authority(u)
		}
	}
	at := userstore.OriginOf(uri)
	switch {
	case f != (userstore.Fault{}):
		return f
	case !policyHost.MatchString(at):
		return invalid("The host has to be a name of letters, digits, dots and hyphens: our page has to name it to browsers.")
	case !slices.ContainsFunc(c.RedirectURIs, func(r string) bool { return userstore.OriginOf(r) == at }):
		return invalid("Scheme, host and port have to be those of one of its redirect_uris.")
	}
	return userstore.Fault{}
}
