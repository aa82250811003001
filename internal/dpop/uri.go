package dpop

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

const maxURIBytes = 2 << 10

// normalized returns the address of a request in the one spelling of all its spellings (RFC 9449 section
// 4.3, RFC 3986 sections 6.2.2 and 6.2.3), without query and fragment: scheme and host in lower case,
// without the scheme's own port, nothing escaped that needs no escaping, no segments of dots.
func normalized(text string) (string, error) {
	if len(text) > maxURIBytes {
		return "", errors.New("it is too long")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return "", errors.New("it is not an absolute http or https URL without user name")
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	switch {
	case u.Scheme != "https" && u.Scheme != "http": // url.Parse has lowered the case
		return "", errors.New("it is not an absolute http or https URL without user name")
	case host == "":
		return "", errors.New("it has no host")
	case u.Scheme == "https" && port == "443", u.Scheme == "http" && port == "80":
		port = ""
	}
	authority := host
	switch {
	case port != "":
		authority = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"): // an IPv6 address
		authority = "[" + host + "]"
	}
	return u.Scheme + "://" + authority + withoutDots(reescaped(u.EscapedPath())), nil
}

// reescaped writes the escapes of a path in one way: those of unreserved characters as the characters,
// and all others in capitals. The path comes from url.Parse, which has refused broken escapes.
func reescaped(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for n := 0; n < len(path); n++ {
		if path[n] != '%' || n+2 >= len(path) {
			b.WriteByte(path[n])
			continue
		}
		c := digit(path[n+1])<<4 | digit(path[n+2])
		if n += 2; unreserved(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func digit(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// unreserved reports whether c is a character of RFC 3986 section 2.3.
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// withoutDots removes the segments . and .. of a path (RFC 3986 section 5.2.4). An empty path is / (section
// 6.2.3).
func withoutDots(path string) string {
	if !strings.Contains(path, "/.") {
		if path == "" {
			return "/"
		}
		return path
	}
	var kept []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for n, segment := range segments {
		last := n == len(segments)-1
		switch segment {
		case ".", "..":
			if segment == ".." && len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, segment)
		}
	}
	return "/" + strings.Join(kept, "/")
}
