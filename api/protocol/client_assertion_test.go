package protocol_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
)

// assertive is a client that proves itself by signatures.
type assertive struct {
	apitest.Client
	key crypto.Signer
	alg string
	kid string
}

var clientKeyring = keystest.Generator()

var clientKeyringMu sync.Mutex

func clientKey(t testing.TB, alg string) crypto.Signer {
	t.Helper()
	clientKeyringMu.Lock()
	defer clientKeyringMu.Unlock()
	key, err := clientKeyring(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func jwkOf(t testing.TB, key crypto.Signer, kid, alg string) string {
	t.Helper()
	text, err := jose.MarshalPublic(jose.PublicKey{ID: kid, Algorithm: alg, Key: key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func newAssertive(s *apitest.Server, id, alg string) (apitest.Client, assertive) {
	s.T.Helper()
	a := assertive{key: clientKey(s.T, alg), alg: alg, kid: "k-" + id}
	a.Client = s.Register(userstore.Client{ID: id, AuthMethod: userstore.AuthPrivateKeyJWT,
		ClientMetadata: userstore.ClientMetadata{
			JWKS: json.RawMessage(`{"keys":[` + jwkOf(s.T, a.key, a.kid, alg) + `]}`),
		}})
	return a.Client, a
}

var assertionCount atomic.Int64

// claims are those of a good assertion; more replaces some, nil removes.
func (a assertive) claims(s *apitest.Server, more apitest.Fields) apitest.Fields {
	now := s.Clock.Now().Unix()
	c := apitest.Fields{"iss": a.ID, "sub": a.ID, "aud": apitest.IssuerURL, "exp": now + 60, "iat": now,
		"jti": fmt.Sprint("jti ", assertionCount.Add(1))}
	for name, value := range more {
		c = c.With(name, value)
	}
	return c
}

func (a assertive) header() apitest.Fields { return apitest.Fields{"alg": a.alg, "kid": a.kid} }

func (a assertive) request(header, claims apitest.Fields) apitest.Request {
	return machineRequest(url.Values{"client_assertion_type": {jwtBearer},
		"client_assertion": {apitest.Sign(a.key, header.Text(), claims.Text())}})
}

func TestT15ClientAssertions(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, pk := newAssertive(s, "pk", jose.RS256)
		_, ed := newAssertive(s, "ed", jose.EdDSA)
		_, ec := newAssertive(s, "ec", jose.ES256)
		now := s.Clock.Now().Unix()
		for _, a := range []assertive{pk, ed, ec} {
			for name, more := range map[string]apitest.Fields{
				"aud is the issuer":                 nil,
				"aud is the token endpoint":         {"aud": apitest.IssuerURL + "/oauth2/token"},
				"aud is a list of the issuer alone": {"aud": []string{apitest.IssuerURL}},
				"iat and nbf a few seconds ahead":   {"iat": now + 8, "nbf": now + 8},
				"exp is not whole":                  {"exp": float64(now) + 30.5},
				"exp is an hour ahead":              {"exp": now + 3600},
				"exp is an hour and our skew ahead": {"exp": now + 3660},
				"without iat":                       {"iat": nil},
				"with claims that nobody asked for": {"foo": "bar"},
			} {
				t.Run(a.alg+": "+name, func(t *testing.T) {
					s := s.With(t)
					s.Do(a.request(a.header(),
						a.claims(s, more))).Want(200, "")
				})
			}
		}
		t.Run("with typ", func(t *testing.T) {
			s := s.With(t)
			for _, typ := range []string{"JWT", "jwt", "client-authentication+jwt"} {
				s.Do(ed.request(ed.header().With("typ", typ), ed.claims(s, nil))).Want(200, "")
			}
		})
		t.Run("EdDSA by its newer name", func(t *testing.T) {
			s := s.With(t)
			s.Do(ed.request(ed.header().With("alg", "Ed25519"), ed.claims(s, nil))).Want(200, "")
			unauthenticated(s, pk.request(pk.header().With("alg", "Ed25519"), pk.claims(s, nil)))
		})
		for name, header := range map[string]apitest.Fields{
			"with the thumbprint of a certificate": ed.header().With("x5t", "dGh1bWI").With("x5t#S256", "dGh1bWI"),
			"with a chain of certificates":         ed.header().With("x5c", []string{strings.Repeat("MIIB", 1000)}),
			"with a media type":                    ed.header().With("cty", "json"),
			"with members of one's own": ed.header().With("https://example.test/trace",
				apitest.Fields{"a": []int{1}}),
			"with claims replicated":                 ed.header().With("iss", ed.ID).With("sub", ed.ID),
			"with another case of a member we know":  ed.header().With("Alg", "none"),
			"with a nonce that was not asked for":    ed.header().With("nonce", "x").With("iat", 1),
			"with a url, as ACME's libraries set it": ed.header().With("url", "https://id.test/oauth2/token"),
		} {
			t.Run(name, func(t *testing.T) { s := s.With(t); s.Do(ed.request(header, ed.claims(s, nil))).Want(200, "") })
		}
		t.Run("without kid", func(t *testing.T) {
			s := s.With(t)
			s.Do(ed.request(ed.header().With("kid", nil), ed.claims(s, nil))).Want(200, "")
		})
		t.Run("with its own client_id", func(t *testing.T) {
			s := s.With(t)
			q := ed.request(ed.header(), ed.claims(s, nil))
			q.Form.Set("client_id", "ed")
			s.Do(q).Want(200, "")
		})
		t.Run("with another client's client_id", func(t *testing.T) {
			s := s.With(t)
			q := ed.request(ed.header(), ed.claims(s, nil))
			q.Form.Set("client_id", "pk")
			s.Do(q).Want(400, "invalid_request")
		})
		for name, more := range map[string]apitest.Fields{
			"aud is another server":                     {"aud": "https://evil.test"},
			"aud holds others, too":                     {"aud": []string{apitest.IssuerURL, "https://evil.test"}},
			"aud is missing":                            {"aud": nil},
			"aud is empty":                              {"aud": []string{}},
			"aud has a slash at the end":                {"aud": apitest.IssuerURL + "/"},
			"exp is missing":                            {"exp": nil},
			"exp is past":                               {"exp": now - 61},
			"exp is in a year":                          {"exp": now + 365*86400},
			"exp is in 62 minutes":                      {"exp": now + 62*60},
			"exp is a string":                           {"exp": "9999999999"},
			"exp is negative":                           {"exp": -1},
			"nbf is in two minutes":                     {"nbf": now + 120},
			"iat is in two minutes":                     {"iat": now + 120},
			"iss is another client":                     {"iss": "pk"},
			"sub is another client":                     {"sub": "pk"},
			"iss and sub are another client":            {"iss": "pk", "sub": "pk"},
			"iss and sub are a client that there isn't": {"iss": "nobody", "sub": "nobody"},
			"iss is missing":                            {"iss": nil},
			"sub is missing":                            {"sub": nil},
			"jti is missing":                            {"jti": nil},
			"jti is a number":                           {"jti": 1},
			"jti is too long":                           {"jti": strings.Repeat("x", 257)},
		} {
			t.Run(name, func(t *testing.T) { s := s.With(t); unauthenticated(s, ed.request(ed.header(), ed.claims(s, more))) })
		}
		for name, header := range map[string]apitest.Fields{
			"the kid of another client":          ed.header().With("kid", pk.kid),
			"the alg of another key":             ed.header().With("alg", "RS256"),
			"alg none":                           ed.header().With("alg", "none"),
			"alg HS256":                          ed.header().With("alg", "HS256"),
			"typ of an access token":             ed.header().With("typ", "at+jwt"),
			"a key of its own":                   ed.header().With("jwk", apitest.Fields{"kty": "OKP"}),
			"the address of a key":               ed.header().With("jku", "https://evil.test/jwks.json"),
			"the address of a certificate":       ed.header().With("x5u", "https://evil.test/cert.pem"),
			"a payload of another encoding":      ed.header().With("b64", false),
			"a header that has to be understood": ed.header().With("crit", []string{"x"}),
			"one that is there as well":          ed.header().With("crit", []string{"x"}).With("x", 1),
			"crit of nothing":                    ed.header().With("crit", []string{}),
		} {
			t.Run(name, func(t *testing.T) { s := s.With(t); unauthenticated(s, ed.request(header, ed.claims(s, nil))) })
		}
		t.Run("signed by another client", func(t *testing.T) {
			s := s.With(t)
			thief := ed
			thief.key = clientKey(t, jose.EdDSA)
			for string(mustPublic(t, thief.key)) == string(mustPublic(t, ed.key)) {
				thief.key = clientKey(t, jose.EdDSA)
			}
			unauthenticated(s, thief.request(ed.header(), ed.claims(s, nil)))
		})
		t.Run("a signature of nothing", func(t *testing.T) {
			s := s.With(t)
			q := ed.request(ed.header(), ed.claims(s, nil))
			parts := strings.Split(q.Form.Get("client_assertion"), ".")
			q.Form.Set("client_assertion", parts[0]+"."+parts[1]+".")
			unauthenticated(s, q)
		})
		t.Run("a client of basic with an assertion", func(t *testing.T) {
			s := s.With(t)
			s.Register(userstore.Client{ID: "web"})
			unauthenticated(s, ed.request(ed.header(), ed.claims(s, apitest.Fields{"iss": "web", "sub": "web"})))
		})
		t.Run("replayed", func(t *testing.T) {
			s := s.With(t)
			q := ed.request(ed.header(), ed.claims(s, nil))
			s.Do(q).Want(200, "")
			q.Replica = 1
			unauthenticated(s, q)
			s.Advance(59 * time.Second)
			unauthenticated(s, q)
			s.Advance(2 * time.Minute)
			unauthenticated(s, q)
			// Another client may use the same jti.
			jti := apitest.Claims(q.Form.Get("client_assertion"))["jti"]
			s.Do(pk.request(pk.header(), pk.claims(s, apitest.Fields{"jti": jti}))).Want(200, "")
		})
		t.Run("replayed 24 times at once on three replicas", func(t *testing.T) {
			s := s.With(t)
			q := ed.request(ed.header(), ed.claims(s, nil))
			var good atomic.Int64
			var group sync.WaitGroup
			for n := range 24 {
				group.Go(func() {
					q := q
					q.Replica = n % 3
					if s.Do(q).Status == 200 {
						good.Add(1)
					}
				})
			}
			group.Wait()
			if good.Load() != 1 {
				t.Errorf("%d were accepted", good.Load())
			}
		})
	}, func(o *apitest.Options) { o.Replicas = 3 })
}

func mustPublic(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	return []byte(jwkOf(t, key, "x", jose.EdDSA))
}

// An RSA key that names no algorithm signs by both; one that names one, by that.
func TestAssertionsByPS256(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	key := clientKey(t, jose.PS256)
	for id, want := range map[string]int{"free": 200, "bound": 401} {
		jwk := jwkOf(t, key, "k", jose.RS256)
		if id == "free" {
			var members apitest.Fields
			_ = json.Unmarshal([]byte(jwk), &members)
			jwk = members.With("alg", nil).Text()
		}
		c := s.Register(userstore.Client{ID: id, AuthMethod: userstore.AuthPrivateKeyJWT,
			ClientMetadata: userstore.ClientMetadata{JWKS: json.RawMessage(`{"keys":[` + jwk + `]}`)}})
		signer, err := jose.NewSigner(key, "k", jose.PS256, "JWT")
		if err != nil {
			t.Fatal(err)
		}
		a := assertive{Client: c}
		token, err := signer.Sign("JWT", []byte(a.claims(s, nil).Text()))
		if err != nil {
			t.Fatal(err)
		}
		if res := s.Do(machineRequest(url.Values{"client_assertion_type": {jwtBearer},
			"client_assertion": {token}})); res.Status != want {
			t.Errorf("%s: %d, want %d", id, res.Status, want)
		}
	}
}

// Clocks differ. A replica that is ahead must not forget an assertion that one behind it still
// takes.
func TestT15AReplicaThatIsAheadForgetsNoAssertion(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, pk := newAssertive(s, "pk", jose.RS256)
		q := pk.request(pk.header(), pk.claims(s, apitest.Fields{"exp": float64(s.Clock.Now().Unix()) + 60.5}))
		s.Do(q).Want(200, "")
		s.Advance(119 * time.Second) // exp has passed, the leeway has not
		if _, err := s.DB.RemoveExpiredCodes(t.Context(), s.Clock.Now().Add(30*time.Second), 1000); err != nil {
			t.Fatal(err)
		}
		s.Do(q).Want(401, "invalid_client")
	})
}

// hmacToken is an access token signed with what a client knows (J-04): never acceptable, for
// whoever could check it could make it.
func hmacToken(secret string, claims apitest.Fields) string {
	input := apitest.Encode(`{"alg":"HS256","typ":"at+jwt"}`) + "." + apitest.Encode(claims.Text())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
