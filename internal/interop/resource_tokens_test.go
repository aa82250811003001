//go:build interop

package interop

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// judged is a token and the answer that it must get. column names the column of
// docs/resource-servers/compatibility.md that says it, where verifiers differ.
type judged struct {
	name, token, column string
	want                int
}

// What a resource server does with a request, as RFC 6750 says it.
const lets, refuses, lacks = http.StatusOK, http.StatusUnauthorized, http.StatusForbidden

// honestTokens are access tokens as Signet issues them, or may issue them.
func (r *trial) honestTokens(t *testing.T) []judged {
	t.Helper()
	m, rs, es, ed := r.mint, r.rs, r.es, r.ed
	claims := m.accessToken()
	now := time.Now()
	return []judged{
		{name: "an access token", token: rs.sign(t, rs.header(nil), claims), want: lets},
		{name: "an access token for this API alone", want: lets,
			token: rs.sign(t, rs.header(nil), claims.with(members{"aud": m.audience}))},
		{name: "one for several APIs", want: lets,
			token: rs.sign(t, rs.header(nil), claims.with(members{"aud": []string{"https://other.example.com", m.audience}}))},
		{name: "one of the key that was published in advance, after a rotation", want: lets,
			token: r.prepublished.sign(t, r.prepublished.header(nil), claims)},
		{name: "one of a client that acts for itself", want: lets,
			token: rs.sign(t, rs.header(nil), claims.with(members{"sub": "lantern"}))},
		{name: "one with claims that the API does not know", want: lets,
			token: rs.sign(t, rs.header(nil), claims.with(members{"acr": "2", "roles": []string{"a", "b"}, "amr": []string{"pwd", "otp"},
				"auth_time": now.Unix(), "sid": "a session", "cnf_of_tomorrow": members{"a": 1}}))},
		{name: "one of an issuer whose clock is 20 seconds ahead", want: lets,
			token: rs.sign(t, rs.header(nil), claims.with(members{"iat": now.Add(20 * time.Second).Unix()}))},
		{name: "EdDSA", column: "EdDSA", token: ed.sign(t, ed.header(nil), claims)},
		{name: "ES256", column: "ES256", token: es.sign(t, es.header(nil), claims)},
		{name: "the type in capitals", column: "`AT+JWT`", token: rs.sign(t, rs.header(members{"typ": "AT+JWT"}), claims)},
		{name: "the type as a whole media type", column: "`application/at+jwt`",
			token: rs.sign(t, rs.header(members{"typ": "application/at+jwt"}), claims)},
	}
}

// hostileTokens are tokens that must be refused, each for one reason alone.
func (r *trial) hostileTokens(t *testing.T) []judged {
	t.Helper()
	m, rs, ed, stranger := r.mint, r.rs, r.ed, r.stranger
	claims, now := m.accessToken(), time.Now()
	good := rs.sign(t, rs.header(nil), claims)
	signed, signature := good[:strings.LastIndexByte(good, '.')], good[strings.LastIndexByte(good, '.')+1:]
	flipped := map[bool]string{true: "B", false: "A"}[signature[0] == 'A'] + signature[1:]
	of := func(header, changed members) string { return rs.sign(t, rs.header(header), claims.with(changed)) }
	idToken := claims.with(members{"client_id": nil, "scope": nil, "jti": nil, "nonce": "n", "auth_time": now.Unix(),
		"email": "ada@example.com", "email_verified": true})
	duplicates := func(name, first string) string {
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		return rs.sign(t, rs.header(nil), `{"`+name+`":"`+first+`",`+string(text[1:]))
	}

	all := []judged{
		{name: "no token", want: refuses},
		{name: "something that is no token", token: "x", want: refuses},
		{name: "a token without its signature", token: signed + ".", want: refuses},
		{name: "an altered signature", token: signed + "." + flipped, want: refuses},
		{name: "a fourth part", token: good + ".x", want: refuses},
		{name: "another audience", token: of(nil, members{"aud": "https://other.example.com"}), want: refuses},
		{name: "an audience that begins with ours", token: of(nil, members{"aud": m.audience + ".evil.example"}), want: refuses},
		{name: "our audience with a slash", token: of(nil, members{"aud": []string{m.audience + "/"}}), want: refuses},
		{name: "no audience", token: of(nil, members{"aud": nil}), want: refuses},
		{name: "another issuer", token: of(nil, members{"iss": "https://evil.example"}), want: refuses},
		{name: "the issuer with a slash", token: of(nil, members{"iss": m.issuer + "/"}), want: refuses},
		{name: "no issuer", token: of(nil, members{"iss": nil}), want: refuses},
		{name: "expired an hour ago", token: of(nil, members{"iat": now.Add(-70 * time.Minute).Unix(), "exp": now.Add(-time.Hour).Unix()}), want: refuses},
		{name: "no expiry", token: of(nil, members{"exp": nil}), want: refuses},
		{name: "an ID token for this audience", column: "an ID token", token: rs.sign(t, rs.header(members{"typ": "JWT"}), idToken)},
		{name: "a refresh token's type", column: "another type", token: of(members{"typ": "rt+jwt"}, nil)},
		{name: "an ID token's type", column: "another type", token: of(members{"typ": "JWT"}, nil)},
		{name: "no type", column: "another type", token: of(members{"typ": nil}, nil)},
		{name: "no scope that reaches", want: lacks, token: of(nil, members{"scope": "email"})},
		{name: "a scope that ours begins with", want: lacks, token: of(nil, members{"scope": "profile:write profiles"})},
		{name: "a name twice: the audience", column: "duplicate members", token: duplicates("aud", "https://other.example.com")},
		{name: "a name twice: the user", column: "duplicate members", token: duplicates("sub", "eve")},
		{name: "an unknown kid", want: refuses, token: stranger.sign(t, stranger.header(nil), claims)},
		{name: "a known kid, but a stranger's key", want: refuses, token: stranger.sign(t, rs.header(nil), claims)},
		{name: "a key that the token brings along", want: refuses,
			token: stranger.sign(t, stranger.header(members{"jwk": stranger.public(t), "kid": nil}), claims)},
		{name: "EdDSA's kid, but RS256", want: refuses, token: rs.sign(t, rs.header(members{"kid": ed.id}), claims)},
		{name: "an extension that must be understood", want: refuses,
			token: rs.sign(t, rs.header(members{"crit": []string{"https://example.com/x"}, "https://example.com/x": 1}), claims)},
	}
	for _, none := range []string{"none", "None", "NONE"} {
		all = append(all, judged{name: "alg " + none, want: refuses,
			token: signWith(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, rs.header(members{"alg": none}), claims)})
	}
	der, err := x509.MarshalPKIXPublicKey(rs.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"DER": der,
		"JWK": rs.public(t),
	} {
		all = append(all, judged{name: "HS256 with the public key as " + name, want: refuses,
			token: signWith(t, jwt.SigningMethodHS256, secret, rs.header(members{"alg": "HS256"}), claims)})
	}
	return all
}
