package dpop

import "testing"

// RFC 9449 section 4.3 asks for the normalization of RFC 3986 sections 6.2.2 and 6.2.3.
func TestAddressesAreCompared(t *testing.T) {
	for want, same := range map[string][]string{
		"https://api.example/a/b": {
			"https://api.example/a/b", "HTTPS://API.Example/a/b", "https://api.example:443/a/b", "https://api.example/a/b?c=d#e",
			"https://api.example/a/./b", "https://api.example/a/c/../b", "https://api.example/%61/b", "https://api.example/a/%2e/b",
			"https://api.example/../a/b", "https://api.example:/a/b",
		},
		"https://api.example/":              {"https://api.example", "https://api.example/", "https://api.example/.", "https://api.example?x", "https://api.example/.."},
		"http://api.example/":               {"http://api.example:80/", "http://api.example"},
		"http://api.example:443/":           {"http://api.example:443"},
		"https://api.example/%2Fa":          {"https://api.example/%2fa", "https://api.example/%2Fa"},
		"https://api.example/a/":            {"https://api.example/a/", "https://api.example/a/.", "https://api.example/a/b/.."},
		"https://api.example/~a%C3%A9":      {"https://api.example/%7Ea%c3%a9"},
		"http://[::1]:8080/a":               {"http://[::1]:8080/a"},
		"https://[::1]/a":                   {"https://[::1]:443/a", "https://[::1]/a"},
		"https://api.example/a//b":          {"https://api.example/a//b"},
		"https://api.example/.well-known/x": {"https://api.example/.well-known/x"},
	} {
		for _, text := range same {
			if got, err := normalized(text); got != want || err != nil {
				t.Errorf("%s: %q, %v, want %s", text, got, err, want)
			}
		}
	}
	for _, text := range []string{"", "/a", "api.example/a", "ftp://api.example/a", "https:///a", "http://:8080/", "https://a@api.example/", "https://api.example/%zz", "https:a", "://"} {
		if got, err := normalized(text); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func FuzzNormalized(f *testing.F) {
	f.Add("https://api.example/a/../%7e?b")
	f.Fuzz(func(t *testing.T, text string) {
		once, err := normalized(text)
		if err != nil {
			return
		}
		if twice, err := normalized(once); err != nil || twice != once {
			t.Errorf("%q is %q and then %q, %v", text, once, twice, err)
		}
	})
}
