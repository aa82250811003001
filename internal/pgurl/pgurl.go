// Package pgurl reads the addresses of PostgreSQL that Go's URL parser does not take. libpq and most
// frameworks write the folder of a Unix socket as a percent-encoded host:
//
//	postgres://user@%2Fvar%2Frun%2Fpostgresql/database
//
// net/url, and so the driver, allows %2F in no host.
package pgurl

import (
	"net/url"
	"strings"
)

// Plain is the address with the folders of sockets in the query parameter host, where the driver
// takes them. Any other address is returned as it is, and so is one that cannot be read: the parser
// behind it says what is wrong.
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
	user, places := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, places = authority[:at+1], authority[at+1:]
	}
	if !strings.Contains(strings.ToUpper(places), "%2F") {
		return address
	}
	path, query, hasQuery := strings.Cut(tail, "?")
	if strings.Contains(tail, "#") {
		return address
	}
	var hosts, ports []string
	anyPort := false
	for place := range strings.SplitSeq(places, ",") {
		host, port, found := strings.Cut(place, ":")
		if strings.HasPrefix(place, "[") { // an IPv6 address beside the socket
			closing := strings.IndexByte(place, ']')
			if closing < 0 {
				return address
			}
			host = place[1:closing]
			port, found = strings.CutPrefix(place[closing+1:], ":")
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
	given := "host=" + escape(strings.Join(hosts, ","))
	if anyPort {
		given += "&port=" + escape(strings.Join(ports, ","))
	}
	if hasQuery && query != "" {
		given = query + "&" + given
	}
	if path == "" {
		path = "/"
	}
	return scheme + "://" + user + path + "?" + given
}

// escape makes a value of a query, whose spaces the driver does not read as +.
func escape(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }
