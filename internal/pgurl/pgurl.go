// Package pgurl rewrites addresses of PostgreSQL that Go's URL parser refuses. libpq and most
// frameworks write the folder of a Unix socket as a percent-encoded host:
//
//	postgres://user@%2Fvar%2Frun%2Fpostgresql/database
//
// net/url does not allow %2F in a host. Neither does it allow several hosts of which one is an IPv6
// address, or of which the last one has no port:
//
//	postgres://user@[fd00::11]:5432,[fd00::12]:5432/database
//	postgres://user@pg1:5433,pg2:5433,pg3/database
package pgurl

import (
	"net/url"
	"strconv"
	"strings"
)

// Plain returns the address with such hosts moved to the query parameters host and port, where the
// driver accepts them. It returns any other address unchanged. An invalid address is unchanged
// too, and the driver's parser reports the error.
func Plain(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		return address
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	user, hostPorts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, hostPorts = authority[:at+1], authority[at+1:]
	}
	last := hostPorts[strings.LastIndexByte(hostPorts, ',')+1:]
	severalOdd := last != hostPorts && (strings.Contains(hostPorts, "[") || strings.Contains(hostPorts, ":") && !strings.Contains(last, ":"))
	if !strings.Contains(strings.ToUpper(hostPorts), "%2F") && !severalOdd {
		return address
	}
	path, query, hasQuery := strings.Cut(tail, "?")
	if strings.Contains(tail, "#") {
		return address
	}
	var hosts, ports []string
	anyPort := false
	for hostPort := range strings.SplitSeq(hostPorts, ",") {
		host, port, found := strings.Cut(hostPort, ":")
		if strings.HasPrefix(hostPort, "[") { // an IPv6 address beside the socket
			closing := strings.IndexByte(hostPort, ']')
			if closing < 0 {
				return address
			}
			host = hostPort[1:closing]
			port, found = strings.CutPrefix(hostPort[closing+1:], ":")
		}
		host, err := url.PathUnescape(host)
		if err != nil || strings.ContainsAny(host, ",\x00") {
			return address
		}
		if !found || port == "" {
			port = "5432"
		} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return address
		} else {
			anyPort = true
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	parameters := "host=" + escape(strings.Join(hosts, ","))
	if anyPort {
		parameters += "&port=" + escape(strings.Join(ports, ","))
	}
	if hasQuery && query != "" {
		parameters = query + "&" + parameters
	}
	if path == "" {
		path = "/"
	}
	return scheme + "://" + user + path + "?" + parameters
}

// escape escapes a value of a query. The driver does not read + as a space.
func escape(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }
