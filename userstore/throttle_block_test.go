package userstore

import "testing"

func TestTheBlockOfAnAddress(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.77":              "192.0.2.0/24",
		"192.0.2.255":             "192.0.2.0/24",
		"192.0.3.0":               "192.0.3.0/24",
		"::ffff:192.0.2.77":       "192.0.2.0/24",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1::/48",
		"2001:db8:1:ffff::":       "2001:db8:1::/48",
		"2001:db8:2::1":           "2001:db8:2::/48",
		"fe80::1%eth0":            "fe80::/48",
		"":                        "unknown",
		"192.0.2.1, 198.51.100.1": "unknown",
	} {
		if got := block(address); got != want {
			t.Errorf("block(%q) is %s, want %s", address, got, want)
		}
	}
}
