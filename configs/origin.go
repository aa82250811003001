package configs

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Origins are compared byte for byte with what browsers send. So one that no browser writes like this
// would never match, and nobody would learn why: it stops the start, with the spelling that is right.

func badOrigins(c Config) []string {
	return eachOf(c.HTTP.CORSOrigins, func(o string) string {
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
	})
}

// browserOrigin is the origin of an http or https address as a browser serialises it (WHATWG URL sections 3.5 and 4.7):
// scheme and host in lower case, the host in punycode, no port that is the scheme's own, and nothing else. false: there
// is none to be guessed.
func browserOrigin(text string) (origin string, ok bool) {
	if text = strings.TrimSpace(text); text == "null" { // of sandboxed documents, which anybody can make
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

// names is how browsers write a host (UTS 46, not transitional); underscores occur in practice.
var names = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule())

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
	ascii, err := names.ToASCII(host)
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
	// A browser reads a name that ends in a number as an IPv4 address, which it was not.
	last := labels[len(labels)-1]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" {
		return "", false
	}
	return ascii, true
}
