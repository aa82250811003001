package configs

import (
	"strings"
	"testing"
)

func TestIssuer(t *testing.T) {
	for _, row := range []struct{ name, issuer, want string }{
		{"O-06 https", "https://id.example.com", ""},
		{"O-06 with a path", "https://id.example.com/tenants/a-1", ""},
		{"O-06 with a port", "https://id.example.com:8443", ""},
		{"O-06 http on localhost", "http://localhost:8080", ""},
		{"O-06 http on a loopback address", "http://127.0.0.1:8080", ""},
		{"O-06 http on IPv6 loopback", "http://[::1]:8080", ""},
		{"O-06 http elsewhere", "http://id.example.com", `write "https://id.example.com"`},
		{"O-06 trailing slash", "https://id.example.com/", `write "https://id.example.com"`},
		{"O-06 trailing slash after a path", "https://id.example.com/p/", `write "https://id.example.com/p"`},
		{"O-06 query", "https://id.example.com?x=1", `write "https://id.example.com"`},
		{"O-06 empty query", "https://id.example.com?", "query or fragment"},
		{"O-06 fragment", "https://id.example.com/p#f", `write "https://id.example.com/p"`},
		{"O-06 upper-case host", "https://ID.example.com/P", `write "https://id.example.com/P"`},
		{"O-06 upper-case scheme", "HTTPS://id.example.com", `write "https://id.example.com"`},
		{"O-06 default port", "https://id.example.com:443/p", `write "https://id.example.com/p"`},
		{"O-06 user name", "https://u:p@id.example.com", "without"},
		{"O-06 no scheme", "id.example.com", "not a URL"},
		{"O-06 another scheme", "ftp://id.example.com", "not a URL"},
		{"O-06 letters beyond ASCII", "https://ü.example.com", "punycode"},
		{"O-06 empty port", "https://id.example.com:", "proper host"},
		{"O-06 port zero", "https://id.example.com:0", "proper port"},
		{"O-06 dot segments", "https://id.example.com/a/../b", "proxies would rewrite"},
		{"O-06 double slash", "https://id.example.com//p", "proxies would rewrite"},
		{"O-06 escapes", "https://id.example.com/%70", "proxies would rewrite"},
		{"O-06 space", "https://id.example.com/a b", "proxies would rewrite"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, _, err := Load(Input{File: write(t, ""), Env: []string{"SIGNET_ISSUER=" + row.issuer}})
			switch {
			case row.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case row.want == "" && c.IssuerURL("127.0.0.1:9") != row.issuer:
				t.Errorf("not byte for byte: %s", c.IssuerURL(""))
			case row.want != "" && err == nil:
				t.Error("accepted")
			case row.want != "" && !strings.Contains(err.Error(), row.want):
				t.Errorf("%q is not in: %v", row.want, err)
			}
		})
	}
	c := Default()
	c.Listen = "127.0.0.1:0"
	if got := c.IssuerURL("127.0.0.1:4711"); got != "http://localhost:4711" {
		t.Errorf("the default issuer follows the port: %s", got)
	}
}
