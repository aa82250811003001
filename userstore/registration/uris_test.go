package registration

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// FuzzRedirectURI: every accepted URI means the same to all its readers, and leads by https, to the
// user's own machine, or to an app by a scheme that browsers do not use themselves.
func FuzzRedirectURI(f *testing.F) {
	for _, uri := range []string{
		"https://app.test/cb?x=1", "http://127.0.0.1:5/cb", "http://[::1]/", "http://localhost/", "com.example.app:/cb",
		"com.example.app:cb",
		"https://a@b/", "https:///x", "https:x", "javascript:alert(1)", "//x", "https://x\\@y/", "https://x/%2e%2e/",
		"https://x:/", "https://0x7f.1/",
		"https://[fe80::1%25eth0]/", "http://127.0.0.1.nip.test/", "https://x/#", "https://x/*", "a.b:", "http://localhost./",
		"https://1/", "HTTPS://X.test/",
		"cursor://app/cb", "Cursor:x", "cursor://a@b/", "cursors:/x", "cursor:",
	} {
		f.Add(uri, true)
	}
	f.Fuzz(func(t *testing.T, uri string, public bool) {
		c := userstore.Client{AuthMethod: userstore.AuthBasic}
		if public {
			c.AuthMethod = userstore.AuthNone
		}
		if redirectURI(c, uri, []string{"cursor"}) != (userstore.Fault{}) {
			return
		}
		u, err := url.Parse(uri)
		if err != nil || u.User != nil || u.Fragment != "" || strings.ContainsAny(uri, "#*\\\"<> \t\r\n\x00") ||
			len(uri) > maxURI {
			t.Fatalf("%q is registered: %+v %v", uri, u, err)
		}
		host := strings.ToLower(u.Hostname())
		switch u.Scheme {
		case "https":
			if host == "" || strings.ContainsAny(host, "%/@?") {
				t.Errorf("%q leads to the host %q", uri, host)
			}
		case "http":
			if a, err := netip.ParseAddr(host); err == nil && !a.IsLoopback() ||
				err != nil && host != "localhost" && !strings.HasSuffix(host, ".localhost") {
				t.Errorf("%q leads to the host %q in clear", uri, host)
			}
		default:
			if !public || !strings.Contains(u.Scheme, ".") && u.Scheme != "cursor" {
				t.Errorf("%q has the scheme %q", uri, u.Scheme)
			}
		}
		if !strings.HasPrefix(strings.ToLower(uri), u.Scheme+":") {
			t.Errorf("%q is read as %q", uri, u)
		}
	})
}
