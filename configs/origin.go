package configs

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// badOrigins refuses origins that no browser sends.
func badOrigins(c Config) []string { return eachOf(c.HTTP.CORSOrigins, badOrigin) }

// badOrigin refuses an origin that no browser sends. Origins are compared byte for byte with the
// browser's header, so such an origin would never match and the operator would not learn why. The
// fault gives the right spelling.
func badOrigin(o string) string {
	if o == "*" {
		return "does not take *; name each origin, such as https://app.example.com"
	}
	if strings.Contains(o, "*") {
		one, ok := browserOrigin(strings.ReplaceAll(o, "*", "app"))
		if !ok || !strings.Contains(one, ".") {
			one = "https://app.example.com"
		}
		return fmt.Sprintf("%q is a pattern, and there are none; name each origin, such as %s", o, one)
	}
	switch sent, ok := browserOrigin(o); {
	case !ok:
		return fmt.Sprintf("%q is not an origin; write scheme, host and port only, in lower case, such as https://app.example.com", o)
	case sent != o:
		return fmt.Sprintf("%q is not an origin as browsers send it; write %s", o, sent)
	}
	return ""
}

// browserOrigin returns the origin of an http or https address as a browser serialises it (WHATWG
// URL sections 3.5 and 4.7): scheme and host in lower case, the host in punycode, no default port,
// and nothing else. ok is false if the text has no such origin.
func browserOrigin(text string) (origin string, ok bool) {
	if text = strings.TrimSpace(text); text == "null" { // the origin of sandboxed documents, which anybody can make
		return "", false
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "" {
		return "", false
	}
	host, ok := browserHost(u.Hostname(), strings.HasPrefix(u.Host, "["))
	if !ok {
		return "", false
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return "", false
		}
		if n != map[string]uint64{"https": 443, "http": 80}[u.Scheme] {
			host += ":" + strconv.FormatUint(n, 10)
		}
	}
	return u.Scheme + "://" + host, true
}

// hostProfile maps a host as browsers do (UTS 46, not transitional). It allows underscores, which
// occur in practice.
var hostProfile = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule())

// browserHost returns a host as a browser writes it. brackets says that it stood in brackets.
func browserHost(host string, brackets bool) (string, bool) {
	if address, err := netip.ParseAddr(host); brackets || err == nil {
		switch {
		case err != nil || address.Zone() != "" || brackets != address.Is6():
			return "", false
		case address.Is4In6(): // browsers write no dots here
			b := address.As16()
			return fmt.Sprintf("[::ffff:%x:%x]", uint(b[12])<<8|uint(b[13]), uint(b[14])<<8|uint(b[15])), true
		case address.Is6():
			return "[" + address.String() + "]", true
		}
		return address.String(), true
	}
	ascii, err := hostProfile.ToASCII(host)
	if err != nil || ascii == "" || len(ascii) > 254 {
		return "", false
	}
	for _, c := range []byte(ascii) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._", c) >= 0) {
			return "", false
		}
	}
	labels := strings.Split(strings.TrimSuffix(ascii, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return "", false
		}
	}
	// A browser reads a name that ends in a number as an IPv4 address, and this is not a valid one.
	last := labels[len(labels)-1]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" {
		return "", false
	}
	return ascii, true
}
