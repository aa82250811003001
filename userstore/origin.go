package userstore

import (
	"net/netip"
	"net/url"
	"strings"
)

// OriginOf returns the origin of a URI as browsers write it (RFC 6454 section 6.2): scheme and host
// in lower case, and the port unless it is the scheme's. It is empty for a URI without a host, such
// as one with a private-use scheme.
func OriginOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	host := strings.ToLower(u.Host)
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && a.Is6() && a.Zone() == "" {
		host = "[" + a.String() + "]"
		if port := u.Port(); port != "" {
			host += ":" + port
		}
	}
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, ":")
}

// LoopbackName reports whether host is the user's own machine.
func LoopbackName(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback() && a.Zone() == ""
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
