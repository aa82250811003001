//go:build interop

package interop

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The key timeline is short enough to test in real time, and long enough for a busy machine: a
// successor is published 10 s before it signs, and a retired key stays published a little longer
// than its last token lives.
const timeline = `
clock_skew: 4s
keys: {algorithms: [%s], propagation: 10s, jwks_max_age: 1s, rotation: 24h}
tokens: {access_alg: %s, access_lifetime: 25s, id_lifetime: 25s}
`

func TestForeignLibrariesVerifyThroughTheLifeOfAKey(t *testing.T) {
	for _, c := range []struct {
		name, algorithms, access, id string
	}{
		{"as it comes", "RS256, EdDSA", "RS256", "RS256"},
		{"EdDSA access tokens beside RS256 ID tokens", "RS256, EdDSA", "EdDSA", "RS256"},
		{"EdDSA only", "EdDSA", "EdDSA", "EdDSA"},
		{"ES256 only", "ES256", "ES256", "ES256"},
		{"PS256 only", "PS256", "PS256", "PS256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, fmt.Sprintf(timeline, c.algorithms, c.access))
			verifiers := startForeign(t, s.issuer)
			live := &session{server: s, verifiers: verifiers, tokens: s.signUp(t)}

			t.Log("before: the first token makes every verifier fetch the key set once")
			if got := algorithm(t, live.tokens.Access); got != c.access {
				t.Fatalf("access token signed with %s, want %s", got, c.access)
			}
			if got := algorithm(t, live.tokens.ID); got != c.id {
				t.Fatalf("ID token signed with %s, want %s", got, c.id)
			}
			live.accepted(t, live.tokens)
			live.hostileRefused(t)
			fetches := live.fetches()
			for name, n := range fetches {
				if n != 1 {
					t.Fatalf("%s fetched the key set %d times, want once", name, n)
				}
			}

			t.Log("during: verifiers that fetched before the rotation verify old and new tokens, cut off from us")
			old, fresh := live.rotate(t, "keys", "rotate")
			s.cut.Store(true)
			live.accepted(t, old)
			live.accepted(t, fresh)
			s.cut.Store(false)
			live.fetchesAre(t, fetches)
			if published := s.published(t); !published[keyID(t, old.Access)] || !published[keyID(t, fresh.Access)] {
				t.Fatalf("the retiring and the active key must both be published; the key set has %v", published)
			}

			t.Log("after: the old key leaves the key set when its last token is dead, and nobody notices")
			eventually(t, "the retired key is no longer published", func() bool {
				return !s.published(t)[keyID(t, old.Access)]
			})
			live.expire(t)
			live.tokens = s.refresh(t, live.tokens)
			live.accepted(t, live.tokens)
			live.refused(t, old)

			t.Log("emergency: a revoked key's tokens die with the verifiers' caches; sessions live on")
			stolen, fresh := live.rotate(t, "keys", "revoke", keyID(t, live.tokens.Access))
			live.accepted(t, fresh) // the successor was published long ago, so no fetch is needed
			live.expire(t)
			live.refused(t, stolen)
			live.accepted(t, fresh)

			t.Log("worst case: every key revoked; the fresh key's first token makes verifiers fetch by themselves")
			stolen, fresh = live.rotate(t, "keys", "revoke", "--all")
			live.accepted(t, fresh)
			live.refused(t, stolen)
		})
	}
}

// session is a signed-in user and the verifiers of her tokens.
type session struct {
	server    *server
	verifiers []*foreign
	tokens    tokens
}

// rotate runs a keys command and refreshes until the access token's key changes. It returns the
// last tokens under the old key and the first ones under the new key.
func (l *session) rotate(t *testing.T, command ...string) (old, fresh tokens) {
	t.Helper()
	t.Log(l.server.signet(t, command...))
	before := keyID(t, l.tokens.Access)
	eventually(t, "tokens are signed with another key", func() bool {
		old = l.tokens
		l.tokens = l.server.refresh(t, old)
		return keyID(t, l.tokens.Access) != before
	})
	return old, l.tokens
}

func (l *session) accepted(t *testing.T, k tokens) {
	t.Helper()
	for _, v := range l.verifiers {
		access, refusal := v.ask(t, request{Token: k.Access, Audience: l.server.issuer, Typ: "at+jwt"})
		if refusal != "" {
			t.Fatalf("%s refused an access token: %s", v.name, refusal)
		}
		id, refusal := v.ask(t, request{Token: k.ID, Audience: "signet", Typ: "JWT"})
		if refusal != "" {
			t.Fatalf("%s refused an ID token: %s", v.name, refusal)
		}
		if access["client_id"] != "signet" || access["sub"] == "" || access["sub"] != id["sub"] ||
			access["iss"] != l.server.issuer {
			t.Fatalf("%s read other claims than we signed: %v and %v", v.name, access, id)
		}
	}
}

func (l *session) refused(t *testing.T, k tokens) {
	t.Helper()
	for _, v := range l.verifiers {
		if claims, refusal := v.ask(t, request{Token: k.Access, Audience: l.server.issuer, Typ: "at+jwt"}); refusal == "" {
			t.Fatalf("%s accepted an access token that must be dead: %v", v.name, claims)
		}
	}
}

// hostileRefused checks that the verifiers refuse hostile tokens: otherwise their acceptance of
// good tokens would prove nothing.
func (l *session) hostileRefused(t *testing.T) {
	t.Helper()
	k := l.tokens
	head, signature := k.Access[:strings.LastIndexByte(k.Access, '.')+1], k.Access[strings.LastIndexByte(k.Access, '.')+1:]
	flipped := "A"
	if signature[:1] == flipped {
		flipped = "B"
	}
	for name, r := range map[string]request{
		"an altered signature": {Token: head + flipped + signature[1:], Audience: l.server.issuer,
			Typ: "at+jwt"},
		"a foreign audience":                {Token: k.Access, Audience: "https://api.test", Typ: "at+jwt"},
		"an ID token as access token":       {Token: k.ID, Audience: l.server.issuer, Typ: "at+jwt"},
		"an access token as ID token":       {Token: k.Access, Audience: l.server.issuer, Typ: "JWT"},
		"a refresh token as access token":   {Token: k.Refresh, Audience: l.server.issuer, Typ: "at+jwt"},
		"a token without its signature":     {Token: head, Audience: l.server.issuer, Typ: "at+jwt"},
		"something that is no token at all": {Token: "x", Audience: l.server.issuer, Typ: "at+jwt"},
	} {
		for _, v := range l.verifiers {
			if claims, refusal := v.ask(t, r); refusal == "" {
				t.Fatalf("%s accepted %s: %v", v.name, name, claims)
			}
		}
	}
}

func (l *session) expire(t *testing.T) {
	t.Helper()
	for _, v := range l.verifiers {
		v.expire(t)
	}
}

func (l *session) fetches() map[string]int {
	n := make(map[string]int)
	for _, v := range l.verifiers {
		n[v.name] = l.server.fetched(v.agent)
	}
	return n
}

func (l *session) fetchesAre(t *testing.T, want map[string]int) {
	t.Helper()
	for name, n := range l.fetches() {
		if n != want[name] {
			t.Fatalf("%s fetched the key set %d times, want %d", name, n, want[name])
		}
	}
}

func TestDiscoveryHasWhatClientLibrariesRead(t *testing.T) {
	s := start(t, "")
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		var got struct {
			Issuer     string   `json:"issuer"`
			JWKSURI    string   `json:"jwks_uri"`
			Algorithms []string `json:"id_token_signing_alg_values_supported"`
		}
		s.get(t, path, &got)
		if got.Issuer != s.issuer || got.JWKSURI != s.issuer+"/.well-known/jwks.json" {
			t.Errorf("%s: %+v", path, got)
		}
		if !strings.Contains(strings.Join(got.Algorithms, " "), "RS256") {
			t.Errorf("%s: OpenID Connect demands RS256; the document lists %v", path, got.Algorithms)
		}
	}
}

func header(t *testing.T, token string) map[string]string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(token[:strings.IndexByte(token, '.')])
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]string
	if err := json.Unmarshal(text, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

func keyID(t *testing.T, token string) string     { return header(t, token)["kid"] }
func algorithm(t *testing.T, token string) string { return header(t, token)["alg"] }
