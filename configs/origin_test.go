package configs

import (
	"strings"
	"testing"
)

// An origin that no browser sends would never match, so the start is refused with the right
// spelling.
func TestOriginsThatNoBrowserSends(t *testing.T) {
	for written, right := range map[string]string{
		"https://app.example.com:443":                     "https://app.example.com",
		"http://app.example.com:80":                       "http://app.example.com",
		"https://app.example.com/":                        "https://app.example.com",
		"https://app.example.com//":                       "https://app.example.com",
		"https://app.example.com/app":                     "https://app.example.com",
		"https://app.example.com/*":                       "",
		"https://app.example.com?x=1":                     "https://app.example.com",
		"https://app.example.com#x":                       "https://app.example.com",
		"https://user:pw@app.example.com":                 "https://app.example.com",
		"https://APP.example.com":                         "https://app.example.com",
		"HTTPS://app.example.com":                         "https://app.example.com",
		" https://app.example.com":                        "https://app.example.com",
		"https://app.example.com:":                        "https://app.example.com",
		"https://app.example.com:0443":                    "https://app.example.com",
		"https://app.example.com:08443":                   "https://app.example.com:8443",
		"https://bücher.example":                          "https://xn--bcher-kva.example",
		"https://BÜCHER.example:443/":                     "https://xn--bcher-kva.example",
		"https://straße.example":                          "https://xn--strae-oqa.example",
		"https://ｅｘａｍｐｌｅ.com":                             "https://example.com",
		"https://例え。テスト":                                  "https://xn--r8jz45g.xn--zckzah",
		"app.example.com":                                 "https://app.example.com",
		"https://[0:0:0:0:0:0:0:1]:3000":                  "https://[::1]:3000",
		"https://[::FFFF:192.0.2.1]":                      "https://[::ffff:c000:201]",
		"http://[2001:DB8::1]:80":                         "http://[2001:db8::1]",
		"*":                                               "",
		"https://*":                                       "",
		"https://*.example.org":                           "",
		"https://app.*.example.org":                       "",
		"null":                                            "",
		"":                                                "",
		"https://":                                        "",
		"https:app.example.com":                           "",
		"//app.example.com":                               "",
		"ftp://app.example.com":                           "",
		"chrome-extension://abcdefghijklmno":              "",
		"https://app.example.com:99999":                   "",
		"https://app.example.com:0":                       "",
		"https://app.example.com:x":                       "",
		"https://127.1":                                   "",
		"https://0x7f.0.0.1":                              "",
		"https://2130706433":                              "",
		"https://[fe80::1%25eth0]":                        "",
		"https://a..example":                              "",
		"https://a b.example":                             "",
		"https://a,https://b":                             "",
		"https://xn--a.example":                           "",
		"https://" + strings.Repeat("a", 64) + ".example": "",
	} {
		var c Config
		c.HTTP.CORSOrigins = []string{"https://first.example", written}
		faults := badOrigins(c)
		if len(faults) != 1 {
			t.Errorf("%q: faults %q, want one", written, faults)
			continue
		}
		example := "such as https://app.example."
		if strings.Contains(written, "*.example.org") {
			example = "such as https://app." // of the pattern's own domain
		}
		if right != "" && !strings.HasSuffix(faults[0], "; write "+right) ||
			right == "" && !strings.Contains(faults[0], example) {
			t.Errorf("%q: %s, want it to say %q", written, faults[0], right)
		}
		if right != "" {
			c.HTTP.CORSOrigins = []string{right}
			if faults := badOrigins(c); len(faults) != 0 {
				t.Errorf("%q, which was said to be right: %q", right, faults)
			}
		}
	}
	var c Config
	c.HTTP.CORSOrigins = []string{
		"https://app.example.com", "https://app.example.com:8443", "http://app.example.com:443", "https://app.example.com:80",
		"http://localhost:3000",
		"http://127.0.0.1:5173", "http://[::1]:3000", "https://xn--bcher-kva.example", "https://my_app.example.com",
		"https://intranet", "https://app.example.com.",
	}
	if faults := badOrigins(c); len(faults) != 0 {
		t.Errorf("origins that browsers send: %q", faults)
	}
}
