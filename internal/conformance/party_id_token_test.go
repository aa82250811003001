package conformance

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

func decode(t *testing.T, part string, into any) []byte {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%v: %.40s", err, part)
	}
	return text
}

// idToken verifies the ID token as OIDC Core section 3.1.3.7 demands.
func (p *party) idToken(l *login) {
	p.t.Helper()
	parts := strings.Split(l.raw, ".")
	if len(parts) != 3 {
		p.t.Fatalf("the ID token has %d parts", len(parts))
	}
	var header map[string]any
	decode(p.t, parts[0], &header)
	l.id = map[string]any{}
	decode(p.t, parts[1], &l.id)
	p.verify(header, parts)

	now := p.s.Clock.Now()
	when := func(name string, must bool) time.Time {
		p.t.Helper()
		seconds, ok := l.id[name].(float64)
		if must && !ok {
			p.t.Errorf("the ID token's %s is %v", name, l.id[name])
		}
		return time.Unix(int64(seconds), 0)
	}
	if exp := when("exp", true); !exp.After(now) || exp.After(now.AddDate(1, 0, 0)) {
		p.t.Errorf("the ID token is good until %s", exp)
	}
	if iat := when("iat", true); iat.After(now) || now.Sub(iat) > 5*time.Minute {
		p.t.Errorf("the ID token was issued at %s, and it is %s", iat, now)
	}
	if at := when("auth_time", false); l.id["auth_time"] != nil && (at.After(now) || now.Sub(at) > 365*24*time.Hour) {
		p.t.Errorf("auth_time is %s", at)
	}
	if l.id["iss"] != p.op["issuer"] || l.id["aud"] != p.client.ID {
		p.t.Errorf("the ID token is from %v for %v", l.id["iss"], l.id["aud"])
	}
	if sub, _ := l.id["sub"].(string); sub == "" || len(sub) > 255 {
		p.t.Errorf("sub is %v", l.id["sub"])
	}
	// A refreshed ID token should have no nonce (OIDC Core section 12.2).
	if nonce := asText(l.id["nonce"]); nonce != l.sent.Get("nonce") && (!l.refreshed || l.id["nonce"] != nil) {
		p.t.Errorf("nonce %q came back as %q", l.sent.Get("nonce"), nonce)
	}
	if acr, sent := l.id["acr"]; sent && (acr == "" || acr != any(asText(acr))) {
		p.t.Errorf("acr is %v", acr)
	}
	if hash, sent := l.id["at_hash"]; sent {
		sum := sha256.Sum256([]byte(l.access))
		if hash != base64.RawURLEncoding.EncodeToString(sum[:16]) {
			p.t.Errorf("at_hash is %v", hash)
		}
	}
	p.claims("the ID token", l.id)
	// Claims belong into userinfo where there is an access token (OIDC Core section 5.4).
	alone := !p.includes("code") && !p.includes("token")
	for name := range l.id {
		if _, about := l.claims()[name]; about && alone {
			continue
		}
		if !slices.Contains(idTokenClaims, name) {
			p.t.Errorf("the ID token holds %s, which nobody asked to find there", name)
		}
	}
}

// idTokenClaims are the claims that an ID token may have without a request for them.
var idTokenClaims = []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash",
	"c_hash", "s_hash", "nbf", "jti", "sid"}

func asText(v any) string { text, _ := v.(string); return text }

// verify demands the default signature, by a key of the JWK set that the header names.
func (p *party) verify(header map[string]any, parts []string) {
	p.t.Helper()
	kid, _ := header["kid"].(string)
	if header["alg"] != "RS256" || kid == "" {
		p.t.Fatalf("the ID token is signed with %v by %q", header["alg"], kid)
	}
	keys := p.keys()
	at := slices.IndexFunc(keys, func(k map[string]any) bool { return k["kid"] == kid })
	if at < 0 || keys[at]["kty"] != "RSA" {
		p.t.Fatalf("no RSA key %s in the JWK set", kid)
	}
	n, e := decode(p.t, asText(keys[at]["n"]), nil), decode(p.t, asText(keys[at]["e"]), nil)
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], decode(p.t, parts[2], nil)); err != nil {
		p.t.Errorf("the ID token: %v", err)
	}
}
