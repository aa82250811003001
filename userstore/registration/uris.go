package registration

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// maxURI is the longest URI in bytes.
const maxURI = 2048

var (
	faultURI       = invalid("Write an absolute URI of RFC 3986, such as https://app.example.com/callback: visible ASCII, what is special percent-encoded.")
	faultURILength = tooLong("A URI has 2048 bytes at most.")
)

// memberOf returns the field name of a list member, as in the JSON.
func memberOf(field string, n int) string { return field + "." + strconv.Itoa(n) }

// reservedSchemes do not lead to the app that claims them, but to a browser, another program, or
// whichever app the rest of the URI names.
var reservedSchemes = []string{
	"about", "blob", "data", "file", "filesystem", "ftp", "http", "https", "intent", "javascript", "mailto",
	"sms", "tel", "urn",
	"vbscript", "view-source", "ws", "wss",
}

// ValidRedirectScheme reports whether oauth.redirect_schemes may contain scheme: it is one of RFC
// 3986 section 3.1, in lower case, that an app can claim.
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

// redirectURI checks an address that our answers are sent to. Requests are compared with it byte
// for byte, so everything that browsers, proxies and people would read differently is refused here
// (RFC 9700 section 4.1, RFC 8252 section 7). schemes are the allowed one-word schemes: no domain
// vouches for such a scheme, so any app can claim it.
func redirectURI(c userstore.Client, uri string, schemes []string) userstore.Fault {
	u, f := readURI(uri)
	switch {
	case f != (userstore.Fault{}):
		return f
	case strings.Contains(uri, "#"):
		return invalid("Leave the fragment out: responses would be lost behind it.")
	case strings.Contains(uri, "*"):
		return invalid("There are no wildcards: register each URI.")
	case dotSegments(u.EscapedPath()):
		return invalid("The path holds a dot segment, which browsers would resolve: write it without.")
	}
	switch u.Scheme {
	case "https":
		return authority(u)
	case "http":
		if !userstore.LoopbackName(u.Hostname()) {
			return invalid("http is for the user's own machine only (127.0.0.1, [::1] or localhost): use https.")
		}
		return authority(u)
	}
	switch {
	case !strings.Contains(u.Scheme, ".") && !slices.Contains(schemes, u.Scheme):
		return invalid("Use https, or for an app on a device a scheme of its own that is a domain turned around, such as com.example.app:/callback; a scheme of one word has to be in oauth.redirect_schemes.")
	case c.AuthMethod != userstore.AuthNone:
		return invalid("A scheme of its own is for public clients: an app on a device keeps no secret.")
	case u.User != nil:
		return invalid("Leave the user name out.")
	}
	return userstore.Fault{}
}

// webURI checks the address of a client's page, image or document.
func webURI(uri string) userstore.Fault {
	u, f := readURI(uri)
	switch {
	case f != (userstore.Fault{}):
		return f
	case u.Scheme != "https":
		return invalid("This has to begin with https://.")
	}
	return authority(u)
}

// readURI parses a URI, and refuses characters that RFC 3986 does not allow.
func readURI(uri string) (*url.URL, userstore.Fault) {
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
	return u, userstore.Fault{}
}

// authority checks the host and port of an https or http URI.
func authority(u *url.URL) userstore.Fault {
	host := u.Hostname()
	a, err := netip.ParseAddr(host)
	switch {
	case u.Opaque != "" || host == "":
		return faultURI // https:example.com, https:///path
	case u.User != nil:
		return invalid("Leave the user name out.")
	case err == nil && a.Zone() != "", err != nil && !domain(host):
		return invalid("The host is not a name of letters, digits, dots and hyphens (punycode for others), nor an address.")
	case strings.HasSuffix(u.Host, ":"):
		return invalid("The port is missing behind its colon.")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return invalid("The port is not a number from 1 to 65535.")
		}
	}
	return userstore.Fault{}
}

// domain reports whether the characters of host are those of a DNS name. Browsers read a name whose
// last label is a number as an IPv4 address (0x7f.1, 2130706433), which netip does not.
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

// dotSegments reports whether a path contains . or .. as a segment, also percent-encoded.
func dotSegments(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".", "..":
			return true
		}
	}
	return false
}
