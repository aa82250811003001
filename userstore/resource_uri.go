package userstore

import (
	"slices"
	"strings"
)

// SameResource reports whether two resource indicators (RFC 8707) name one resource: they are equal
// byte for byte, or differ only in the slash after a host without a path, as in
// https://rs.example.com and https://rs.example.com/. RFC 3986 section 6.2.3 calls these two
// equivalent, and libraries write either.
func SameResource(a, b string) bool { return bareHost(a) == bareHost(b) }

// Registered returns the spelling of uri in a list of registered resources.
func Registered(list []string, uri string) (as string, ok bool) {
	n := slices.IndexFunc(list, func(r string) bool { return SameResource(r, uri) })
	if n < 0 {
		return "", false
	}
	return list[n], true
}

// bareHost returns uri without a slash that is its entire path.
func bareHost(uri string) string {
	_, authority, ok := strings.Cut(uri, "://")
	if host, slash := strings.CutSuffix(authority, "/"); ok && slash && host != "" && !strings.ContainsAny(host, "/?#") {
		return uri[:len(uri)-1]
	}
	return uri
}
