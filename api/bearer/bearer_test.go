package bearer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
)

// TestBearer is the J rows of the attack cases against /v1/profile. Each token
// starts from a genuine one and changes only what the row says.
func TestBearer(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		tokens := s.Login(alice, apitest.Fields{"scope": "openid profile email"})
		at := tokens.Access
		header, claims := apitest.Header(at), apitest.Claims(at)
		kid, key := s.Key("RS256")
		edKid, edKey := s.Key("EdDSA")
		public := key.Public().(*rsa.PublicKey)
		genuine := func(c apitest.Fields) string { return apitest.Sign(key, header.Text(), c.Text()) }
		headed := func(h apitest.Fields) string { return apitest.Sign(key, h.Text(), claims.Text()) }
		now := s.Clock.Now().Unix()

		// The tools are right: what is changed nowhere is accepted.
		s.Do(apitest.Request{Path: "/v1/profile", Token: genuine(claims)}).Want(200, "")

		hmacked := func(key []byte, h string) string {
			input := apitest.Encode(h) + "." + apitest.Encode(claims.Text())
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(input))
			return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		}
		der := must(x509.MarshalPKIXPublicKey(public))
		jwk := must(jose.MarshalPublic(jose.PublicKey{ID: kid, Algorithm: "RS256", Key: public}))
		_, attacker, _ := ed25519.GenerateKey(rand.Reader)
		attackerJWK := string(must(jose.MarshalPublic(jose.PublicKey{ID: "x", Algorithm: "EdDSA", Key: attacker.Public()})))
		p256 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		second := apitest.New(t, apitest.Options{})
		_, foreign := second.Key("RS256")

		raw := func(text string) string { return apitest.Sign(key, header.Text(), text) }
		member := func(name, value string) string { // replaces a member by text that is not quoted
			marker := apitest.Fields{}
			for n, v := range claims {
				marker[n] = v
			}
			marker[name] = "MARKER"
			return raw(strings.Replace(marker.Text(), `"MARKER"`, value, 1))
		}
		signature := at[strings.LastIndexByte(at, '.')+1:]
		unsigned := at[:strings.LastIndexByte(at, '.')+1]
		parts := strings.Split(at, ".")

		for _, row := range []struct{ name, token, code string }{
			{"J-01 alg none, no signature", apitest.Encode(header.With("alg", "none").Text()) + "." + parts[1] + ".",
				"token_invalid"},
			{"J-01 alg None", apitest.Encode(header.With("alg", "None").Text()) + "." + parts[1] + ".", "token_invalid"},
			{"J-01 alg none, the old signature",
				apitest.Encode(header.With("alg", "none").Text()) + "." + parts[1] + "." + signature, "token_invalid"},
			{"J-03 HS256 with the PEM of the public key",
				hmacked(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), header.With("alg", "HS256").Text()),
				"token_invalid"},
			{"J-03 HS256 with its DER", hmacked(der, header.With("alg", "HS256").Text()), "token_invalid"},
			{"J-03 HS256 with its JWK", hmacked(jwk, header.With("alg", "HS256").Text()), "token_invalid"},
			{"J-03 HS256 with its modulus", hmacked(public.N.Bytes(), header.With("alg", "HS256").Text()), "token_invalid"},
			{"J-03 HS256 with nothing", hmacked(nil, header.With("alg", "HS256").Text()), "token_invalid"},
			{"J-06 the kid of EdDSA, signed RS256", headed(header.With("kid", edKid)), "token_invalid"},
			{"J-06 the kid of EdDSA and its alg, signed RS256", headed(header.With("kid", edKid).With("alg", "EdDSA")),
				"token_invalid"},
			{"J-06 the kid of RS256, signed EdDSA", apitest.Sign(edKey, header.With("alg", "EdDSA").Text(), claims.Text()),
				"token_invalid"},
			{"J-06 PS256 said of the RS256 key", headed(header.With("alg", "PS256")), "token_invalid"},
			{"J-07 a key in the header, no kid",
				apitest.Sign(attacker, `{"alg":"EdDSA","typ":"at+jwt","jwk":`+attackerJWK+`}`, claims.Text()), "token_invalid"},
			{"J-07 a key in the header, a genuine kid",
				apitest.Sign(attacker, `{"alg":"EdDSA","typ":"at+jwt","kid":"`+edKid+`","jwk":`+attackerJWK+`}`, claims.Text()),
				"token_invalid"},
			{"J-07 a key elsewhere", apitest.Sign(attacker,
				`{"alg":"EdDSA","typ":"at+jwt","kid":"`+edKid+`","jku":"https://evil.test/jwks.json"}`, claims.Text()),
				"token_invalid"},
			{"J-07 crit", headed(header.With("crit", []string{"exp"})), "token_invalid"},
			{"J-09 kid ../../dev/null", hmacked(nil, header.With("alg", "HS256").With("kid", "../../../../dev/null").Text()),
				"token_invalid"},
			{"J-09 kid /proc/self/environ", headed(header.With("kid", "/proc/self/environ")), "token_invalid"},
			{"J-09 kid keys/../../etc/passwd", headed(header.With("kid", "keys/../../etc/passwd")), "token_invalid"},
			{"J-10 kid ' OR '1'='1", headed(header.With("kid", "' OR '1'='1")), "token_invalid"},
			{"J-10 kid UNION SELECT", headed(header.With("kid", "x' UNION SELECT 'AAAA'--")), "token_invalid"},
			{"J-10 kid %", headed(header.With("kid", "%")), "token_invalid"},
			{"J-10 kid of 64 KiB", headed(header.With("kid", strings.Repeat("k", 64<<10))), "token_invalid"},
			{"J-10 kid a number", headed(header.With("kid", 1)), "token_invalid"},
			{"J-10 kid null", apitest.Sign(key, strings.Replace(header.Text(), `"`+kid+`"`, "null", 1), claims.Text()),
				"token_invalid"},
			{"J-10 kid an array", headed(header.With("kid", []string{kid})), "token_invalid"},
			{"J-10 no kid", headed(header.With("kid", nil)), "token_invalid"},
			{"J-13 the ID token", tokens.ID, "token_invalid"},
			{"J-13 the refresh token", tokens.Refresh, "token_invalid"},
			{"J-15 typ JWT", headed(header.With("typ", "JWT")), "token_invalid"},
			{"J-15 no typ", headed(header.With("typ", nil)), "token_invalid"},
			{"J-15 typ rt+jwt", headed(header.With("typ", "rt+jwt")), "token_invalid"},
			{"J-15 typ AT+JWT", headed(header.With("typ", "AT+JWT")), ""},
			{"J-15 typ application/at+jwt", headed(header.With("typ", "application/at+jwt")), ""},
			{"J-18 iss with a slash", genuine(claims.With("iss", apitest.IssuerURL+"/")), "token_invalid"},
			{"J-18 iss over http", genuine(claims.With("iss", "http://id.test")), "token_invalid"},
			{"J-18 iss in upper case", genuine(claims.With("iss", "https://ID.test")), "token_invalid"},
			{"J-18 iss of a longer host", genuine(claims.With("iss", apitest.IssuerURL+".evil.test")), "token_invalid"},
			{"J-18 no iss", genuine(claims.With("iss", nil)), "token_invalid"},
			{"J-18 the key of a second issuer", apitest.Sign(foreign, header.Text(), claims.Text()), "token_invalid"},
			{"J-19 exp beyond the skew", genuine(claims.With("exp", now-61)), "token_expired"},
			{"J-19 exp within the skew", genuine(claims.With("exp", now-59)), ""},
			{"J-19 no exp", genuine(claims.With("exp", nil)), "token_invalid"},
			{"J-19 exp negative", genuine(claims.With("exp", -1)), "token_invalid"},
			{"J-19 exp text", genuine(claims.With("exp", "1999999999")), "token_invalid"},
			{"J-19 exp 1e400", member("exp", "1e400"), "token_invalid"},
			{"J-19 exp 2^63", member("exp", "9223372036854775808"), "token_invalid"},
			{"J-19 exp NaN", member("exp", "NaN"), "token_invalid"},
			{"J-21 sub twice", raw(strings.Replace(claims.Text(), "{", `{"sub":"`+bob.ID+`",`, 1)), "token_invalid"},
			{"J-21 alg twice", apitest.Sign(key, strings.Replace(header.Text(), "{", `{"alg":"none",`, 1), claims.Text()),
				"token_invalid"},
			{"J-22 ALG none besides", apitest.Sign(key, strings.Replace(header.Text(), "{", `{"ALG":"none",`, 1), claims.Text()),
				"token_invalid"},
			{"J-22 AUD in the place of aud", raw(strings.Replace(claims.Text(), `"aud"`, `"AUD"`, 1)), "token_invalid"},
			{"J-22 AUD besides aud", raw(strings.Replace(claims.With("aud", "x").Text(), "{", `{"AUD":"`+apitest.IssuerURL+`",`,
				1)), "token_invalid"},
			{"J-24 a fourth segment", at + ".x", "token_invalid"},
			{"J-24 something after a space", at + " x", "token_invalid"},
			{"J-24 a tab before", "\t" + at, "token_invalid"},
			{"J-24 two segments", parts[0] + "." + parts[1], "token_invalid"},
			{"J-24 five segments", at + ".x.y", "token_invalid"},
			{"J-24 the flattened JSON", apitest.Flattened(at), "token_invalid"},
			{"J-24 the general JSON", apitest.Fields{"payload": parts[1],
				"signatures": []apitest.Fields{{"protected": parts[0], "signature": parts[2]}}}.Text(), "token_invalid"},
			{"J-24 ..", "..", "token_invalid"},
			{"J-24 100 KiB of dots", strings.Repeat(".", 100<<10), "token_invalid"},
			{"J-24 a non-canonical ending", apitest.FlipLastBit(at), "token_invalid"},
			{"J-24 padding", at + "=", "token_invalid"},
			{"J-24 no signature", unsigned, "token_invalid"},
			{"J-27 JWE PBES2 with a huge count",
				jwe(apitest.Fields{"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2147483647, "p2s": "AAAAAAAAAAA"}),
				"token_invalid"},
			{"J-28 JWE compressed", jwe(apitest.Fields{"alg": "dir", "enc": "A256GCM", "zip": "DEF"}), "token_invalid"},
			{"J-31 ES256 with r=0, s=0", apitest.Encode(header.With("alg",
				"ES256").Text()) + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), "token_invalid"},
			{"J-31 ES256 in DER", derSigned(p256, header.With("alg", "ES256").Text(), claims.Text()), "token_invalid"},
			{"J-31 Ed25519, S not reduced",
				edMalleable(edKey.(ed25519.PrivateKey), header.With("alg", "EdDSA").With("kid", edKid).Text(), claims.Text()),
				"token_invalid"},
			{"U-24 another audience", genuine(claims.With("aud", "https://api.test")), "token_invalid"},
			{"U-24 no audience", genuine(claims.With("aud", nil)), "token_invalid"},
			{"another user's subject", genuine(claims.With("sub", bob.ID)), "token_invalid"},
			{"another client", genuine(claims.With("client_id", "other")), "token_invalid"},
			{"a session that never was", genuine(claims.With("sid", "AAAAAAAAAAAAAAAAAAAAAA")), "token_invalid"},
			{"bound to a key (RFC 7800)", genuine(claims.With("cnf", apitest.Fields{"jkt": "x"})), "token_invalid"},
			{"a payload that is a list", raw("[]"), "token_invalid"},
			{"a payload with data after it", raw(claims.Text() + "{}"), "token_invalid"},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() {
					status := map[string]int{"": 200, "token_invalid": 401, "token_expired": 401}[row.code]
					res := s.Do(apitest.Request{Path: "/v1/profile", Token: row.token}).Want(status, row.code)
					if got := res.Header.Get("WWW-Authenticate"); row.code != "" &&
						!strings.HasPrefix(got, `Bearer error="invalid_token", `) {
						t.Errorf("challenge %q", got)
					}
				})
			})
		}
		t.Run("no user behind the token: 403", func(t *testing.T) {
			s.With(t).Do(apitest.Request{Path: "/v1/profile",
				Token: genuine(claims.With("sid", nil))}).Want(403, "insufficient_scope")
		})
		t.Run("J-12 one bit of the signature flipped, here and there", func(t *testing.T) {
			s := s.With(t)
			for i := 0; i < len(must(base64.RawURLEncoding.DecodeString(signature))); i += 3 {
				b := must(base64.RawURLEncoding.DecodeString(signature))
				b[i] ^= 1 << (i % 8)
				s.Do(apitest.Request{Path: "/v1/profile",
					Token: unsigned + base64.RawURLEncoding.EncodeToString(b)}).Want(401, "token_invalid")
			}
		})
	})
}

func jwe(header apitest.Fields) string {
	return apitest.Encode(header.Text()) + ".AAAA.AAAAAAAAAAAAAAAA." + strings.Repeat("A",
		4000) + ".AAAAAAAAAAAAAAAAAAAAAA"
}

func derSigned(key *ecdsa.PrivateKey, header, payload string) string {
	input := apitest.Encode(header) + "." + apitest.Encode(payload)
	digest := sha256.Sum256([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(must(key.Sign(rand.Reader, digest[:], crypto.SHA256)))
}

// edMalleable adds the group order to S: a signature that lax verifiers take for another good one.
func edMalleable(key ed25519.PrivateKey, header, payload string) string {
	token := apitest.Sign(key, header, payload)
	i := strings.LastIndexByte(token, '.') + 1
	sig := must(base64.RawURLEncoding.DecodeString(token[i:]))
	order := [32]byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
		31: 0x10}
	carry := 0
	for n := range 32 {
		sum := int(sig[32+n]) + int(order[n]) + carry
		sig[32+n], carry = byte(sum), sum>>8
	}
	return token[:i] + base64.RawURLEncoding.EncodeToString(sig)
}

func TestJ33ARevokedKeyIsNotBelievedAnyMore(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		old := s.Login(alice)
		kid := apitest.Header(old.Access)["kid"].(string)
		if _, err := s.Replicas[0].Keys.Revoke(t.Context(), []string{kid}, false); err != nil {
			t.Fatal(err)
		}
		s.Advance(time.Second)
		for replica := range s.Replicas {
			s.Do(apitest.Request{Path: "/v1/profile", Token: old.Access, Replica: replica}).Want(401, "token_invalid")
			var set struct{ Keys []struct{ Kid string } }
			s.Do(apitest.Request{Path: "/.well-known/jwks.json", Replica: replica}).Want(200, "").JSON(&set)
			for _, k := range set.Keys {
				if k.Kid == kid {
					t.Error("the revoked key is still published")
				}
			}
		}
		var next apitest.Tokens // revoking keys logs nobody out
		s.Refresh(old.Refresh).Want(200, "").JSON(&next)
		s.Do(apitest.Request{Path: "/v1/profile", Token: next.Access, Replica: 1}).Want(200, "")
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

func TestJ34WaysOfSendingAToken(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	token := s.Login(s.SignUp("alice")).Access
	form := "access_token=" + token
	for _, row := range []struct {
		name, method, path string
		header             http.Header
		body               any
		media              string
		status             int
		code               string
	}{
		{name: "bearer in lower case", header: http.Header{"Authorization": {"bearer " + token}}, status: 200},
		{name: "bearer in upper case", header: http.Header{"Authorization": {"BEARER " + token}}, status: 200},
		{name: "two spaces", header: http.Header{"Authorization": {"Bearer  " + token}}, status: 200},
		{name: "five spaces", header: http.Header{"Authorization": {"bearer     " + token}}, status: 200},
		{name: "a space and a tab", header: http.Header{"Authorization": {"Bearer \t" + token}}, status: 401,
			code: "token_invalid"},
		{name: "a tab", header: http.Header{"Authorization": {"Bearer\t" + token}}, status: 401, code: "missing_token"},
		{name: "two Authorization headers", header: http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}},
			status: 400, code: "invalid_request"},
		{name: "two Authorization headers of two schemes",
			header: http.Header{"Authorization": {"Basic eDp5", "Bearer " + token}}, status: 400, code: "invalid_request"},
		{name: "two tokens in one header", header: http.Header{"Authorization": {"Bearer " + token + ", Bearer " + token}},
			status: 401, code: "token_invalid"},
		{name: "in the query", path: "/v1/profile?access_token=" + token, status: 401, code: "missing_token"},
		{name: "in the query and the header", path: "/v1/profile?access_token=x",
			header: http.Header{"Authorization": {"Bearer " + token}}, status: 200},
		{name: "in the form body of a GET", body: form, media: "application/x-www-form-urlencoded", status: 401,
			code: "missing_token"},
		{name: "in header and form body of a GET", header: http.Header{"Authorization": {"Bearer " + token}}, body: form,
			media: "application/x-www-form-urlencoded", status: 400, code: "invalid_request"},
		{name: "in header and form body of a POST", method: "POST", path: "/v1/logout",
			header: http.Header{"Authorization": {"Bearer " + token}}, body: form, media: "application/x-www-form-urlencoded",
			status: 400, code: "invalid_request"},
		{name: "in the form body of a POST", method: "POST", path: "/v1/logout", body: form,
			media: "application/x-www-form-urlencoded", status: 401, code: "missing_token"},
		{name: "no token", status: 401, code: "missing_token"},
		{name: "Basic", header: http.Header{"Authorization": {"Basic eDp5"}}, status: 401, code: "missing_token"},
		{name: "DPoP", header: http.Header{"Authorization": {"DPoP " + token}}, status: 401, code: "token_invalid"},
		{name: "the scheme alone", header: http.Header{"Authorization": {"Bearer"}}, status: 401, code: "missing_token"},
		{name: "the token alone", header: http.Header{"Authorization": {token}}, status: 401, code: "missing_token"},
		{name: "a cookie", header: http.Header{"Cookie": {"access_token=" + token}}, status: 401, code: "missing_token"},
	} {
		t.Run("J-34 "+row.name, func(t *testing.T) {
			s := s.With(t)
			path := row.path
			if path == "" {
				path = "/v1/profile"
			}
			s.Unchanged(func() {
				res := s.Do(apitest.Request{Method: row.method, Path: path, Header: row.header, Body: row.body,
					Type: row.media}).Want(row.status, row.code)
				want := map[string]string{"missing_token": `Bearer realm=`, "token_invalid": `Bearer error="invalid_token"`,
					"invalid_request": `Bearer error="invalid_request"`}[row.code]
				if row.name == "DPoP" {
					want = `DPoP error="invalid_token"`
				}
				if got := res.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, want) || (want == "") != (got == "") {
					t.Errorf("challenge %q, want %q…", got, want)
				}
			})
		})
	}
}

func TestJ25HugeTokensInParallel(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			size := []int{8 << 10, 64 << 10, 256 << 10, 900 << 10}[i%4]
			res := s.Do(apitest.Request{Path: "/v1/profile", Token: strings.Repeat("a.", size/2)})
			if res.Status != 401 {
				t.Errorf("%d bytes: %d", size, res.Status)
			}
		})
	}
	wg.Wait()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
