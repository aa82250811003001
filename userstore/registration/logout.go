package registration

import (
	"strings"

	"github.com/signet-id/signet/userstore"
)

// checkBackchannelLogout checks where a client hears of logouts (OpenID Connect Back-Channel Logout
// section 2.2). The guarded client that sends to the address speaks https only.
func checkBackchannelLogout(c *userstore.Client, fs *userstore.Faults) {
	uri := c.BackchannelLogoutURI
	switch {
	case uri == "" && c.BackchannelLogoutSessionRequired:
		fs.Add("backchannel_logout_uri", required("A client that needs sid in logout tokens needs an address that they go to."))
	case uri == "":
	case strings.Contains(uri, "#"):
		fs.Add("backchannel_logout_uri", invalid("Leave the fragment out."))
	case len(c.RedirectURIs) == 0 && !c.FirstParty:
		fs.Add("backchannel_logout_uri", invalid("Nobody logs in at a client without a redirect URI, so it has no sessions that end."))
	default:
		fs.Add("backchannel_logout_uri", webURI(uri))
	}
}
