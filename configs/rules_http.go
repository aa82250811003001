package configs

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

func badListen(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("%q is not an address; write host:port, such as 127.0.0.1:8080 or :8080", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Sprintf("%q is not a port; write a number from 0 to 65535", port)
	}
	if strings.ContainsAny(host, "/ @") {
		return fmt.Sprintf("%q is not a host; write host:port without a scheme", host)
	}
	return ""
}

// badIssuer has the rules of OIDC Discovery section 3 and RFC 8414 section 2, and one more: the
// text must be in normal form, because verifiers compare it byte for byte.
func badIssuer(issuer string) string {
	if issuer == "" {
		return ""
	}
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Opaque != "" || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Sprintf("%q is not a URL; write one such as https://id.example.com", issuer)
	case u.User != nil:
		return "holds a user name or password; write the URL without"
	case strings.ContainsAny(issuer, "?#"):
		before := issuer[:strings.IndexAny(issuer, "?#")]
		return fmt.Sprintf("has a query or fragment; write %q", strings.TrimRight(before, "/"))
	}
	rest := issuer[strings.Index(issuer, "://")+3+len(u.Host):]
	if right := u.Scheme + "://" + strings.ToLower(u.Host) + rest; right != issuer {
		return fmt.Sprintf("%q has upper-case letters in its scheme or host, and tokens are compared byte for byte; write %q",
			issuer, right)
	}
	if right := strings.TrimRight(issuer, "/"); right != issuer {
		return fmt.Sprintf("%q ends with a slash, and tokens are compared byte for byte; write %q", issuer, right)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return fmt.Sprintf("%q is not safe: tokens and passwords would cross the network in clear; write %q, and put a TLS proxy before the server or give http.tls_cert",
			issuer, "https"+strings.TrimPrefix(issuer, "http"))
	}
	usual := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	if right := strings.TrimSuffix(u.Host, usual); right != u.Host {
		return fmt.Sprintf("%q names the port that %s has anyway; write %q",
			issuer, u.Scheme, u.Scheme+"://"+right+u.EscapedPath())
	}
	if strings.HasSuffix(u.Host, ":") || !issuerHost.MatchString(u.Hostname()) {
		return fmt.Sprintf("%q has no proper host; write a name of letters, digits, dots and hyphens (punycode for others)",
			issuer)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return fmt.Sprintf("%q has no proper port; write a number from 1 to 65535", issuer)
		}
	}
	if u.Path != "" && !issuerPath.MatchString(issuer[strings.Index(issuer, u.Host)+len(u.Host):]) {
		return fmt.Sprintf("%q has a path that proxies would rewrite; use segments of letters, digits, . _ ~ and - only",
			issuer)
	}
	return ""
}

var (
	issuerHost = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_.-]*[a-z0-9])?|[0-9a-f:.]+)$`)
	issuerPath = regexp.MustCompile(`^(/([A-Za-z0-9_~-]|\.[A-Za-z0-9_~-])[A-Za-z0-9._~-]*)+$`)
)

func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// badHost refuses a text that is neither a host nor host:port. Package outbound compares the text
// with the host that it dials.
func badHost(text string) string {
	host := text
	if h, port, err := net.SplitHostPort(text); err == nil && !strings.Contains(text, "/") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Sprintf("%q has no proper port; write a number from 1 to 65535", text)
		}
		host = h
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	if !hostName.MatchString(host) || len(host) > 253 {
		return fmt.Sprintf("%q is not a host; write a name or an address, or host:port, without a scheme and without *",
			text)
	}
	return ""
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$`)

func badProxies(c Config) []string {
	return eachOf(c.HTTP.TrustedProxies, func(p string) string {
		if _, err := netip.ParseAddr(p); err == nil {
			return ""
		}
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return fmt.Sprintf("%q is neither an address nor a network; write 10.0.0.7 or 10.0.0.0/8", p)
		}
		if prefix.Masked() != prefix {
			return fmt.Sprintf("%q has bits outside its mask; write %s", p, prefix.Masked())
		}
		return ""
	})
}
