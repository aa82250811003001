package issuer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
)

func TestParseScope(t *testing.T) {
	for scope, want := range map[string][]string{
		"":                          nil,
		"   ":                       nil,
		"a":                         {"a"},
		" b  a b ":                  {"b", "a"},
		"https://x.test/a!#[]~ a:b": {"https://x.test/a!#[]~", "a:b"},
	} {
		got, err := parseScope(scope)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("parseScope(%q) = %v, %v; want %v", scope, got, err, want)
		}
	}
	for _, scope := range []string{"a\tb", "a\nb", `a"`, `a\b`, "a\x00", "é", "a\x7f",
		strings.Repeat("a", maxScopeBytes+1)} {
		if got, err := parseScope(scope); err == nil {
			t.Errorf("parseScope(%q) = %v, want a refusal", scope, got)
		}
	}
}

func FuzzParseScope(f *testing.F) {
	f.Add("openid profile")
	f.Add(" a  a\xff")
	f.Fuzz(func(t *testing.T, scope string) {
		got, err := parseScope(scope)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, s := range got {
			if seen[s] || !userstore.IsScopeToken(s) || strings.Contains(s, " ") {
				t.Fatalf("parseScope(%q) = %q", scope, got)
			}
			seen[s] = true
		}
		again, err := parseScope(strings.Join(got, " "))
		if err != nil || !slices.Equal(again, got) {
			t.Fatalf("%q parses to %q, which parses to %q (%v)", scope, got, again, err)
		}
	})
}

func TestGrantable(t *testing.T) {
	user := "openid profile email address phone offline_access"
	i := &Issuer{Resources: []Resource{
		{URI: "a", Scopes: []string{"a.read", "a.write"}}, {URI: "b", Scopes: []string{"b", "bad scope", `"`}}, {URI: "any"},
	}}
	first := userstore.Client{FirstParty: true}
	for name, c := range map[string]struct {
		client  userstore.Client
		targets []Resource
		want    string
	}{
		"a client without a list at the default audience": {userstore.Client{}, nil, user},
		"a first-party client may ask for admin":          {first, nil, user + " admin"},
		"a listed scope is known": {userstore.Client{Scopes: []string{"email", "own"}},
			nil, "email own"},
		"a third party that lists admin does not get it": {userstore.Client{Scopes: []string{"email", "admin"}},
			nil, "email"},
		"a first party that does not list admin neither": {userstore.Client{FirstParty: true, Scopes: []string{"email"}},
			nil, "email"},
		"a resource's scopes": {userstore.Client{}, i.Resources[:1], user + " a.read a.write"},
		"two resources' scopes, those that are none apart": {userstore.Client{}, i.Resources[:2],
			user + " a.read a.write b"},
		"a resource's scopes that the client lists": {userstore.Client{Scopes: []string{"a.read", "b", "own"}},
			i.Resources[:1], "a.read"},
		"a resource without a list takes all that is known": {userstore.Client{Scopes: []string{"a.read", "own"}},
			i.Resources[2:], "a.read own"},
	} {
		if got := strings.Join(i.grantable(c.client, c.targets), " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAudienceOnTheWire(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{`"x"`, `"x"`}, {`["x"]`, `"x"`}, {`["x","y"]`, `["x","y"]`},
	} {
		var a audience
		if err := json.Unmarshal([]byte(c.in), &a); err != nil {
			t.Errorf("%s: %v", c.in, err)
		}
		if out, err := json.Marshal(a); err != nil || string(out) != c.out {
			t.Errorf("%s came out as %s (%v)", c.in, out, err)
		}
	}
	for _, in := range []string{`null`, `1`, `{}`, `[1]`, `[["x"]]`} {
		var a audience
		if err := json.Unmarshal([]byte(in), &a); err == nil {
			t.Errorf("%s was taken as %v", in, a)
		}
	}
}

// The value of OIDC Core appendix A.3; and for Ed25519 the first half of SHA-512.
func TestAccessTokenHash(t *testing.T) {
	const token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
	for alg, want := range map[string]string{
		jose.RS256: "77QmUPtjPfzWtF2AnpK9RQ", jose.ES256: "77QmUPtjPfzWtF2AnpK9RQ", jose.PS256: "77QmUPtjPfzWtF2AnpK9RQ",
		jose.EdDSA: "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM",
	} {
		if got := accessTokenHash(alg, token); got != want {
			t.Errorf("%s: at_hash %s, want %s", alg, got, want)
		}
	}
}

// Codes reach an OAuth client in a JSON string and sentences in a challenge: both
// are plain ASCII without quotation marks (RFC 6749 section 5.2).
func TestSentencesAreSafe(t *testing.T) {
	for _, e := range []*Error{
		errUnavailable, errServer, errNotAdmin, errTarget, errMixedAlgs, errTargetGrant, errTargetGone, errNoClient,
		errClientDisabled, errNotFirstParty,
		errNoRefreshClient, errRefreshToken, errRefreshExpired, errAccessToken, errAccessExpired, errNoUser,
		errClient, errManyMethods, errTwoClients, errTooManyWrong, errNoGrantType, errGrantType, errNotAllowed,
		errPublicCredentials, errUserScope,
		errNoCode, errCode, errVerifier, errNoRefreshToken, errNoOpenID, errNoToken, errNoRow, errKeySet, errOverloaded,
	} {
		for _, c := range []byte(e.Description) {
			if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
				t.Errorf("%q holds %q", e.Description, c)
			}
		}
	}
}
