package userstore

import "testing"

func TestSameResource(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"https://rs.example.com", "https://rs.example.com", true},
		{"https://rs.example.com", "https://rs.example.com/", true},
		{"https://rs.example.com:8443", "https://rs.example.com:8443/", true},
		{"http://[::1]:80", "http://[::1]:80/", true},
		{"https://rs.example.com/", "https://rs.example.com//", false},
		{"https://rs.example.com", "https://rs.example.com//", false},
		{"https://rs.example.com/api", "https://rs.example.com/api/", false},
		{"https://rs.example.com", "https://rs.example.com/api", false},
		{"https://rs.example.com?a", "https://rs.example.com?a/", false},
		{"https://rs.example.com/?a", "https://rs.example.com?a", false},
		{"https://rs.example.com#a", "https://rs.example.com#a/", false},
		{"https://rs.example.com", "http://rs.example.com/", false},
		{"https://rs.example.com", "https://RS.example.com/", false},
		{"https://rs.example.com", "https://rs.example.com.", false},
		{"https://", "https:///", false},
		{"urn:example:rs", "urn:example:rs/", false},
		{"api", "api/", false},
		{"", "/", false},
	} {
		if SameResource(row.a, row.b) != row.same || SameResource(row.b, row.a) != row.same {
			t.Errorf("%q and %q: want one resource: %v", row.a, row.b, row.same)
		}
	}
	if as, ok := Registered([]string{"https://a.test/x", "https://rs.example.com/"},
		"https://rs.example.com"); as != "https://rs.example.com/" || !ok {
		t.Errorf("registered as %q, %v", as, ok)
	}
	if as, ok := Registered([]string{"https://a.test"}, "https://b.test/"); as != "" || ok {
		t.Errorf("registered as %q, %v", as, ok)
	}
}
