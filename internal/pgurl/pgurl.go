// Package pgurl rewrites addresses of PostgreSQL that Go's URL parser refuses. libpq and most
// frameworks write the folder of a Unix socket as a percent-encoded host:
//
//	postgres://user@%2Fvar%2Frun%2Fpostgresql/database
//
// net/url, and therefore the driver, does not allow %2F in a host.
package pgurl

import (
	"net/url"
	"strings"
)

// Plain returns the address with the folders of sockets moved to the query parameter host, where
// the driver accepts them. It returns any other address unchanged. An invalid address is unchanged
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
	if !strings.Contains(strings.ToUpper(hostPorts), "%2F") {
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
