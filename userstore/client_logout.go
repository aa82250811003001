package userstore

import "strings"

// HasLogoutURI reports whether the client hears of logouts, by its server or by a frame in a
// browser.
func (c *Client) HasLogoutURI() bool {
	return c.BackchannelLogoutURI != "" || c.FrontchannelLogoutURI != ""
}

// checkBackchannelLogout checks where a client hears of logouts (OpenID Connect Back-Channel Logout
// section 2.2). The guarded client that sends to the address speaks https only.
func (c *Client) checkBackchannelLogout(fs *faults) {
	uri := c.BackchannelLogoutURI
	switch {
	case uri == "" && c.BackchannelLogoutSessionRequired:
		fs.add("backchannel_logout_uri", fault{CodeRequired, "A client that needs sid in logout tokens needs an address that they go to."})
	case uri == "":
	case strings.Contains(uri, "#"):
		fs.add("backchannel_logout_uri", fault{CodeInvalid, "Leave the fragment out."})
	case len(c.RedirectURIs) == 0 && !c.FirstParty:
		fs.add("backchannel_logout_uri", fault{CodeInvalid, "Nobody logs in at a client without a redirect URI, so it has no sessions that end."})
	default:
		fs.add("backchannel_logout_uri", webURI(uri))
	}
}
