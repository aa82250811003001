package issuer

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// FuzzRedirects checks that an accepted URI is the registered one, or differs only in the port of a
// loopback address.
func FuzzRedirects(f *testing.F) {
	registered := []string{"https://web.test/cb", "http://127.0.0.1/cb", "http://[::1]:7000/x?y=1", "com.example.app:/cb"}
	for _, uri := range append(registered, "http://127.0.0.1:5@evil.test/cb", "http://127.0.0.1:80/cb",
		"http://127.0.0.1:5/cb#x", "http://[::1]:1/x?y=1", "http://127.0.0.1:+5/cb") {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		c := userstore.Client{AuthMethod: userstore.AuthNone,
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: registered}}
		exact := slices.Contains(registered, uri)
		if private := (userstore.Client{AuthMethod: userstore.AuthBasic,
			ClientMetadata: c.ClientMetadata}); redirects(private, uri) != exact {
			t.Fatalf("%q of a confidential client", uri)
		}
		if !redirects(c, uri) || exact {
			return
		}
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "http" || u.User != nil || u.Fragment != "" ||
			u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" {
			t.Fatalf("%q was accepted", uri)
		}
		u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
		if without := u.String(); without != "http://127.0.0.1/cb" && without != "http://[::1]/x?y=1" {
			t.Fatalf("%q was accepted for its port", uri)
		}
	})
}

// FuzzParseClaims checks that an accepted request is stored in one form, which has the same
// meaning.
func FuzzParseClaims(f *testing.F) {
	for _, text := range []string{
		`{"userinfo":{"name":{"essential":true},"email":null},"id_token":{"acr":{"values":["1","2"]},"sub":{"value":"x"}}}`,
		`{"userinfo":{"a":{"value":{"b":[1,2,{"c":null}]}}}}`, `{"id_token":{}}`, `{"x":1}`,
		`{"userinfo":{"a":{"value":null}}}`, `[]`, `{`, `{"id_token":{"sub":{"values":["x","y"],"value":"x","z":0}}}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseClaims(text)
		if err != nil {
			return
		}
		kept := c.canonical()
		if kept == "" {
			return
		}
		if !json.Valid([]byte(kept)) || !storable(kept, 1<<20) {
			t.Fatalf("%q is kept as %q", text, kept)
		}
		again, err := parseClaims(kept)
		if len(kept) <= maxClaims && (err != nil || again.canonical() != kept || again.reachable() != c.reachable() ||
			again.admitsSubject("x") != c.admitsSubject("x")) {
			t.Fatalf("%q is kept as %q, which is read as %q (%v)", text, kept, again.canonical(), err)
		}
	})
}
