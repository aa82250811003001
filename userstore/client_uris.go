package userstore

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxURI is in bytes.
const maxURI = 2048

var (
	faultURI       = fault{CodeInvalid, "Write an absolute URI of RFC 3986, such as https://app.example.com/callback: visible ASCII, what is special percent-encoded."}
	faultURILength = fault{CodeTooLong, "A URI has 2048 bytes at most."}
)

// memberOf names a member of a list as the JSON has it.
func memberOf(field string, n int) string { return field + "." + strconv.Itoa(n) }

// reservedSchemes lead to something else than an app that asked for them, or to whichever app the rest of the
// address names.
var reservedSchemes = []string{
	"about", "blob", "data", "file", "filesystem", "ftp", "http", "https", "intent", "javascript", "mailto", "sms", "tel", "urn",
	"vbscript", "view-source", "ws", "wss",
}

// ValidRedirectScheme tells whether oauth.redirect_schemes may name a scheme: one of RFC 3986 section 3.1 in lower
// case that an app can claim.
func ValidRedirectScheme(scheme string) bool {
	for n := range len(scheme) {
		c := scheme[n]
		letter := c >= 'a' && c <= 'z'
		if !letter && (n == 0 || !(c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return scheme != "" && len(scheme) <= 64 && !slices.Contains(reservedSchemes, scheme)
}

// redirectURI judges an address that answers of ours are sent to. It is compared byte for byte with what requests
// name, so whatever browsers, proxies and people would read as something else is refused here
// (RFC 9700 section 4.1, RFC 8252 section 7). schemes are the one-word schemes that apps may have: a word that no
// domain vouches for can be claimed by any app.
func (c *Client) redirectURI(uri string, schemes []string) fault {
	u, f := readURI(uri)
	switch {
	case f != (fault{}):
		return f
	case strings.Contains(uri, "#"):
		return fault{CodeInvalid, "Leave the fragment out: responses would be lost behind it."}
	case strings.Contains(uri, "*"):
		return fault{CodeInvalid, "There are no wildcards: register each URI."}
	case dotSegments(u.EscapedPath()):
		return fault{CodeInvalid, "The path holds a dot segment, which browsers would resolve: write it without."}
	}
	switch u.Scheme {
	case "https":
		return authority(u)
	case "http":
		if !loopbackName(u.Hostname()) {
			return fault{CodeInvalid, "http is for the user's own machine only (127.0.0.1, [::1] or localhost): use https."}
		}
		return authority(u)
	}
	switch {
	case !strings.Contains(u.Scheme, ".") && !slices.Contains(schemes, u.Scheme):
		return fault{CodeInvalid, "Use https, or for an app on a device a scheme of its own that is a domain turned around, such as com.example.app:/callback; a scheme of one word has to be in oauth.redirect_schemes."}
	case c.AuthMethod != AuthNone:
		return fault{CodeInvalid, "A scheme of its own is for public clients: an app on a device keeps no secret."}
	case u.User != nil:
		return fault{CodeInvalid, "Leave the user name out."}
	}
	return fault{}
}

// webURI judges the address of a page, an image or a document of the client's.
func webURI(uri string) fault {
	u, f := readURI(uri)
	switch {
	case f != (fault{}):
		return f
	case u.Scheme != "https":
		return fault{CodeInvalid, "This has to begin with https://."}
	}
	return authority(u)
}

// readURI takes a URI apart whose every character RFC 3986 knows.
func readURI(uri string) (*url.URL, fault) {
	if len(uri) > maxURI {
		return nil, faultURILength
	}
	for n := range len(uri) {
		c := uri[n]
		if c <= ' ' || c > '~' || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return nil, faultURI
		}
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || u.Host == "" && u.Path == "" && u.Opaque == "" {
		return nil, faultURI
	}
	return u, fault{}
}

// authority judges the host of an https or http URI.
func authority(u *url.URL) fault {
	host := u.Hostname()
	a, err := netip.ParseAddr(host)
	switch {
	case u.Opaque != "" || host == "":
		return faultURI // https:example.com, https:///path
	case u.User != nil:
		return fault{CodeInvalid, "Leave the user name out."}
	case err == nil && a.Zone() != "", err != nil && !domain(host):
		return fault{CodeInvalid, "The host is not a name of letters, digits, dots and hyphens (punycode for others), nor an address."}
	case strings.HasSuffix(u.Host, ":"):
		return fault{CodeInvalid, "The port is missing behind its colon."}
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return fault{CodeInvalid, "The port is not a number from 1 to 65535."}
		}
	}
	return fault{}
}

// domain tells a DNS name, as far as its letters go. A name whose last label is a number browsers read as an
// IPv4 address (0x7f.1, 2130706433), and netip did not.
func domain(host string) bool {
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for n := range len(label) {
			c := label[n]
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	last := strings.ToLower(labels[len(labels)-1])
	_, err := strconv.ParseUint(last, 0, 64)
	return len(host) <= 253 && err != nil && strings.Trim(last, "0123456789") != ""
}

// loopbackName tells a host that is the user's own machine.
func loopbackName(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback() && a.Zone() == ""
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// dotSegments tells whether a path holds . or .., also percent-encoded.
func dotSegments(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".", "..":
			return true
		}
	}
	return false
}
