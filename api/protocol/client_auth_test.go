package protocol_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// unauthenticated is the one answer to every client that is not proved.
func unauthenticated(s *apitest.Server, q apitest.Request) string {
	s.T.Helper()
	var res *apitest.Response
	s.Unchanged(func() { s.T.Helper(); res = s.Do(q).Want(401, "invalid_client") })
	if got := res.Header.Get("WWW-Authenticate"); got != `Basic realm="`+apitest.IssuerURL+`"` {
		s.T.Errorf("WWW-Authenticate %q", got)
	}
	return string(res.Body)
}

func machineRequest(form url.Values) apitest.Request {
	if form == nil {
		form = url.Values{}
	}
	form.Set("grant_type", "client_credentials")
	return apitest.Request{Method: "POST", Path: "/oauth2/token", Form: form}
}

func TestT10T12ClientsThatAreNotProved(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		pk, _ := newAssertive(s, "pk", jose.EdDSA)
		off := s.Register(userstore.Client{ID: "off"})
		if err := s.DB.SetClientActive(t.Context(), "off", false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		basic := func(id, secret string) apitest.Request {
			q := machineRequest(nil)
			q.Basic = [2]string{id, secret}
			return q
		}
		header := func(value string) apitest.Request {
			q := machineRequest(nil)
			q.Header = http.Header{"Authorization": {value}}
			return q
		}
		post := func(id, secret string) apitest.Request {
			return machineRequest(url.Values{"client_id": {id}, "client_secret": {secret}})
		}
		answers := map[string]string{}
		for name, q := range map[string]apitest.Request{
			"T-10 a wrong secret":                                basic("web", "wrong"),
			"T-10 no secret":                                     basic("web", ""),
			"T-10 a secret of another client":                    basic("web", f.other.Secret),
			"T-10 an unknown client":                             basic("nobody", "wrong"),
			"T-10 a disabled client with the right secret":       basic("off", off.Secret),
			"T-10 a confidential client that only names itself":  machineRequest(url.Values{"client_id": {"web"}}),
			"T-10 nobody at all":                                 machineRequest(nil),
			"T-12 a client of private_key_jwt with a secret":     basic(pk.ID, "x"),
			"T-12 the same in the body":                          post(pk.ID, "x"),
			"T-12 a client of private_key_jwt that names itself": machineRequest(url.Values{"client_id": {pk.ID}}),
			"T-12 a public client with a secret":                 basic("spa", "x"),
			"T-12 a public client with a secret in the body":     post("spa", "x"),
			"an empty secret in the body":                        post("post", ""),
			"a secret without a client":                          machineRequest(url.Values{"client_secret": {f.post.Secret}}),
			"a secret with a NUL":                                basic("web", f.web.Secret+"\x00"),
			"a client id that no store can hold":                 basic("a\x00b", "x"),
			"a very long secret":                                 basic("web", strings.Repeat("x", 5000)),
			"a secret in another case":                           basic("web", strings.ToUpper(f.web.Secret)),
			"an Authorization header of another scheme":          header("Bearer abc"),
			"a Basic header that is not base64":                  header("Basic ***"),
			"a Basic header without a colon":                     header("Basic " + base64.StdEncoding.EncodeToString([]byte("web"))),
			"a Basic header with a broken escape":                header("Basic " + base64.StdEncoding.EncodeToString([]byte("web:%zz"))),
			"a Basic header of nobody":                           header("Basic " + base64.StdEncoding.EncodeToString([]byte(":x"))),
			"an assertion without its type":                      machineRequest(url.Values{"client_assertion": {"x"}}),
			"an assertion of another type":                       machineRequest(url.Values{"client_assertion": {"x"}, "client_assertion_type": {"urn:x"}}),
			"a type without an assertion":                        machineRequest(url.Values{"client_assertion_type": {jwtBearer}}),
			"an assertion that is none":                          machineRequest(url.Values{"client_assertion": {"a.b.c"}, "client_assertion_type": {jwtBearer}}),
		} {
			t.Run(name, func(t *testing.T) { answers[name] = unauthenticated(s.With(t), q) })
		}
		// T-10: what is the matter is not said, unless the header itself cannot be read.
		for name, body := range answers {
			if !strings.Contains(name, "header") && body != answers["T-10 a wrong secret"] {
				t.Errorf("%s: %s", name, body)
			}
		}
		two := "invalid_request"
		for name, q := range map[string]apitest.Request{
			"two methods: header and body": func() apitest.Request {
				q := post("post", f.post.Secret)
				q.Basic = [2]string{"web", f.web.Secret}
				return q
			}(),
			"two methods: secret and assertion": machineRequest(url.Values{"client_id": {"post"}, "client_secret": {f.post.Secret}, "client_assertion": {"x"}, "client_assertion_type": {jwtBearer}}),
			"two clients": func() apitest.Request {
				q := basic("web", f.web.Secret)
				q.Form.Set("client_id", "other")
				return q
			}(),
			"two Authorization headers": func() apitest.Request {
				one := "Basic " + base64.StdEncoding.EncodeToString([]byte("web:"+f.web.Secret))
				q := machineRequest(nil)
				q.Header = http.Header{"Authorization": {one, one}}
				return q
			}(),
		} {
			t.Run(name, func(t *testing.T) { s := s.With(t); s.Unchanged(func() { s.Do(q).Want(400, two) }) })
		}
		t.Run("the same client in header and body is one", func(t *testing.T) {
			s := s.With(t)
			q := basic("web", f.web.Secret)
			q.Form.Set("client_id", "web")
			s.Do(q).Want(200, "")
		})
		t.Run("the scheme's case does not matter", func(t *testing.T) {
			s := s.With(t)
			s.Do(header("bAsIc "+base64.StdEncoding.EncodeToString([]byte("web:"+f.web.Secret)))).Want(200, "")
		})
	})
}

// RFC 6749 section 2.3.1: both halves are form-encoded, so that every secret has one spelling.
func TestT13SecretsAreFormEncoded(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for n, secret := range []string{"per%3Acent", "a+b c", "sch\u00f6n:\u4e16\u754c", "a:b:c", "100%", "a&b=c"} {
			c := userstore.Client{ID: fmt.Sprintf("client:%d", n), GrantTypes: []string{userstore.GrantClientCredentials}, SecretHash: userstore.ClientSecretHash(secret), AuthMethod: userstore.AuthBasic}
			s.Register(c)
			q := machineRequest(nil)
			q.Basic = [2]string{c.ID, secret}
			s.Do(q).Want(200, "")
			if strings.ContainsAny(secret, "%+") { // as it is it would be another one, or none
				raw := machineRequest(nil)
				raw.Header = http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ID)+":"+secret))}}
				unauthenticated(s, raw)
			}
		}
	})
}

// A secret that an operator chose is kept like a password: hashed, and counted.
func TestChosenSecrets(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		hasher := s.Replicas[0].Accounts.Hasher
		secret := s.Secret("an operator chose this one")
		hash, err := hasher.Hash(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		s.Register(userstore.Client{ID: "chosen", GrantTypes: []string{userstore.GrantClientCredentials}, SecretHash: hash})
		q := machineRequest(nil)
		q.Basic = [2]string{"chosen", secret}
		s.Do(q).Want(200, "")
		before := hasher.Secrets.Stats().Started
		if before == 0 {
			t.Error("the secret was never hashed")
		}
		for range 20 {
			s.Do(q).Want(200, "")
		}
		if after := hasher.Secrets.Stats().Started; after != before {
			t.Errorf("a proved secret was hashed %d times more", after-before)
		}
		wrong := q
		wrong.Basic[1] = "another one"
		unauthenticated(s, wrong)
	})
}

// T-33, with the budget of ten in a quarter of an hour: from one network many wrong ones are
// refused unseen, while the client itself goes on, from there and from elsewhere.
func TestT33WrongSecretsAreThrottled(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		from := func(address string, q apitest.Request) apitest.Request {
			q.Header = http.Header{"X-Forwarded-For": {address}}
			return q
		}
		wrong := machineRequest(nil)
		wrong.Basic = [2]string{"web", "wrong"}
		unknown := machineRequest(nil)
		unknown.Basic = [2]string{"nobody", "wrong"}
		right := machineRequest(nil)
		right.Basic = [2]string{"web", f.web.Secret}
		for name, q := range map[string]apitest.Request{"of a client": wrong, "of nobody": unknown} {
			for n := range 10 {
				if res := s.Do(from("192.0.2.1", q)); res.Status != 401 {
					t.Fatalf("%s: wrong secret %d: %d", name, n, res.Status)
				}
			}
			started := s.Replicas[0].Accounts.Hasher.Secrets.Stats().Started
			if started < 10 {
				t.Errorf("%s: only %d were hashed", name, started)
			}
			for range 50 {
				if res := s.Do(from("192.0.2.1", q)).Want(429, "temporarily_unavailable"); res.Header.Get("Retry-After") == "" {
					t.Fatal("no Retry-After")
				}
			}
			if now := s.Replicas[0].Accounts.Hasher.Secrets.Stats().Started; now != started {
				t.Errorf("%s: %d were hashed all the same", name, now-started)
			}
		}
		s.Do(from("192.0.2.1", right)).Want(200, "")
		s.Do(from("198.51.100.7", right)).Want(200, "")
		if res := s.Do(from("198.51.100.7", wrong)); res.Status != 401 {
			t.Errorf("from another network: %d", res.Status)
		}
		s.Advance(16 * time.Minute)
		if res := s.Do(from("192.0.2.1", wrong)); res.Status != 401 {
			t.Errorf("after a quarter of an hour: %d", res.Status)
		}
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.API.TrustedProxies = []string{"127.0.0.1"} }
	})
}

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
	a.Client = s.Register(userstore.Client{ID: id, AuthMethod: userstore.AuthPrivateKeyJWT, ClientMetadata: userstore.ClientMetadata{
		JWKS: json.RawMessage(`{"keys":[` + jwkOf(s.T, a.key, a.kid, alg) + `]}`),
	}})
	return a.Client, a
}

var assertionCount atomic.Int64

// claims are those of a good assertion; more replaces some, nil removes.
func (a assertive) claims(s *apitest.Server, more apitest.Fields) apitest.Fields {
	now := s.Clock.Now().Unix()
	c := apitest.Fields{"iss": a.ID, "sub": a.ID, "aud": apitest.IssuerURL, "exp": now + 60, "iat": now, "jti": fmt.Sprint("jti ", assertionCount.Add(1))}
	for name, value := range more {
		c = c.With(name, value)
	}
	return c
}

func (a assertive) header() apitest.Fields { return apitest.Fields{"alg": a.alg, "kid": a.kid} }

func (a assertive) request(header, claims apitest.Fields) apitest.Request {
	return machineRequest(url.Values{"client_assertion_type": {jwtBearer}, "client_assertion": {apitest.Sign(a.key, header.Text(), claims.Text())}})
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
				t.Run(a.alg+": "+name, func(t *testing.T) { s := s.With(t); s.Do(a.request(a.header(), a.claims(s, more))).Want(200, "") })
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
			"with the thumbprint of a certificate":   ed.header().With("x5t", "dGh1bWI").With("x5t#S256", "dGh1bWI"),
			"with a chain of certificates":           ed.header().With("x5c", []string{strings.Repeat("MIIB", 1000)}),
			"with a media type":                      ed.header().With("cty", "json"),
			"with members of one's own":              ed.header().With("https://example.test/trace", apitest.Fields{"a": []int{1}}),
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
		c := s.Register(userstore.Client{ID: id, AuthMethod: userstore.AuthPrivateKeyJWT, ClientMetadata: userstore.ClientMetadata{JWKS: json.RawMessage(`{"keys":[` + jwk + `]}`)}})
		signer, err := jose.NewSigner(key, "k", jose.PS256, "JWT")
		if err != nil {
			t.Fatal(err)
		}
		a := assertive{Client: c}
		token, err := signer.Sign("JWT", []byte(a.claims(s, nil).Text()))
		if err != nil {
			t.Fatal(err)
		}
		if res := s.Do(machineRequest(url.Values{"client_assertion_type": {jwtBearer}, "client_assertion": {token}})); res.Status != want {
			t.Errorf("%s: %d, want %d", id, res.Status, want)
		}
	}
}

// jwks_uri: fetched once, again for a key that is not known, and not more often than each ten
// seconds.
func TestKeysOfAClientThatMoved(t *testing.T) {
	var fetched atomic.Int64
	var mu sync.Mutex
	var body string
	var failure error
	set := func(text string, err error) { mu.Lock(); defer mu.Unlock(); body, failure = text, err }
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		fetched.Store(0)
		a := assertive{key: clientKey(t, jose.EdDSA), alg: jose.EdDSA, kid: "one"}
		a.Client = s.Register(userstore.Client{ID: "far", AuthMethod: userstore.AuthPrivateKeyJWT, ClientMetadata: userstore.ClientMetadata{JWKSURI: "https://far.test/jwks"}})
		document := func(kids ...string) string {
			var list []string
			for _, kid := range kids {
				list = append(list, jwkOf(t, a.key, kid, a.alg))
			}
			return `{"keys":[` + strings.Join(list, ",") + `]}`
		}
		ask := func(kid string) *apitest.Response {
			return s.Do(a.request(a.header().With("kid", kid), a.claims(s, nil)))
		}
		set("", errors.New("planted: connection refused"))
		if res := ask("one").Want(503, "temporarily_unavailable"); res.Header.Get("Retry-After") == "" || strings.Contains(string(res.Body), "planted") {
			t.Errorf("%v %s", res.Header, res.Body)
		}
		set(document("one"), nil)
		ask("one").Want(503, "temporarily_unavailable") // too soon to look again
		s.Advance(11 * time.Second)
		for range 5 {
			ask("one").Want(200, "")
		}
		if n := fetched.Load(); n != 2 {
			t.Errorf("fetched %d times, want 2", n)
		}
		set(document("one", "two"), nil)
		ask("two").Want(401, "invalid_client")
		s.Advance(11 * time.Second)
		ask("two").Want(200, "")
		before := fetched.Load()
		for n := range 20 {
			ask(fmt.Sprint("unknown ", n)).Want(401, "invalid_client")
		}
		if n := fetched.Load() - before; n > 1 {
			t.Errorf("20 unknown keys made us look %d times", n)
		}
		// A key that was withdrawn is believed for ten minutes at most; when its server is down,
		// for an hour.
		set(document("two"), nil)
		s.Advance(11 * time.Minute)
		ask("one").Want(401, "invalid_client")
		set("", errors.New("planted: connection refused"))
		s.Advance(11 * time.Minute)
		ask("two").Want(200, "")
		s.Advance(50 * time.Minute)
		ask("two").Want(503, "temporarily_unavailable")
		set("<html>", nil)
		s.Advance(time.Minute)
		ask("two").Want(503, "temporarily_unavailable")
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) {
			r.Issuer.ClientKeys = &issuer.ClientKeys{Fetch: func(_ context.Context, address string) ([]byte, error) {
				fetched.Add(1)
				mu.Lock()
				defer mu.Unlock()
				if address != "https://far.test/jwks" {
					return nil, errors.New("another address: " + address)
				}
				return []byte(body), failure
			}}
		}
	})
}

// With the cache that serve has: what was read is believed for a second, and nobody is refused on
// its word.
func TestTheClientCache(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "web"})
		ask := func(secret string) *apitest.Response {
			q := machineRequest(nil)
			q.Basic = [2]string{"web", secret}
			return s.Do(q)
		}
		ask(c.Secret).Want(200, "")
		row, err := s.DB.ClientByID(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		next := s.Secret("the next secret that we made")
		row.SecretHash = userstore.ClientSecretHash(next)
		if err := s.DB.UpdateClient(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		ask(next).Want(200, "") // at once
		ask(c.Secret).Want(401, "invalid_client")
		if err := s.DB.SetClientActive(t.Context(), "web", false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		ask(next).Want(200, "") // within the second
		s.Advance(time.Second)
		ask(next).Want(401, "invalid_client")
		if err := s.DB.SetClientActive(t.Context(), "web", true, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		ask(next).Want(200, "") // at once
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.Issuer.Cache = &issuer.ClientCache{For: time.Second} }
	})
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

// Wrong proofs leave one entry in the audit log in a quarter of an hour: of each client, network and reason.
func TestClientsThatAreNotProvedAreRecorded(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.Register(userstore.Client{ID: "web"})
		_, ed := newAssertive(s, "ed", jose.EdDSA)
		off := s.Register(userstore.Client{ID: "off"})
		if err := s.DB.SetClientActive(t.Context(), "off", false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		basic := func(id, secret string) apitest.Request {
			q := machineRequest(nil)
			q.Basic = [2]string{id, secret}
			return q
		}
		wrong := func() {
			for range 12 {
				s.Do(basic("web", "wrong"))
				s.Do(basic("ed", "a secret where an assertion is due"))
				s.Do(basic("off", off.Secret))
				s.Do(ed.request(ed.header(), ed.claims(s, apitest.Fields{"aud": "https://evil.test"})))
				s.Do(ed.request(ed.header().With("alg", "HS256"), ed.claims(s, nil)))
			}
			for n := range 30 {
				s.Do(basic(fmt.Sprint("nobody", n), "wrong")) // strangers can name any number of clients
			}
			s.Replicas[0].Accounts.Throttle.Drain()
		}
		reasons := func() map[string]int {
			t.Helper()
			events, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 100, Name: audit.ClientAuthFailed})
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]int{}
			for _, e := range events {
				if out[e.Reason+" of "+e.Target.ID]++; e.Outcome != audit.Failure || e.Address == "" || e.RequestID == "" || e.Target.ID != "" && e.Target.Type != audit.OnClient {
					t.Errorf("%+v", e)
				}
			}
			return out
		}
		for n := 1; n <= 2; n++ {
			wrong()
			want := map[string]int{"wrong_secret of web": n, "wrong_method of ed": n, "client_disabled of off": n, "unknown_client of ": n}
			got := reasons()
			// The budget of ten is one for all that a client does wrong, so that of an assertion comes in as long as it lasts.
			for _, reason := range []string{"assertion_aud of ed", "assertion_unreadable of ed"} {
				if got[reason] != n {
					t.Errorf("%s: %d entries, want %d", reason, got[reason], n)
				}
				delete(got, reason)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("recorded %v, want %v", got, want)
			}
			s.Do(ed.request(ed.header(), ed.claims(s, nil))).Want(200, "")
			s.Advance(16 * time.Minute)
		}
	})
}

// A wrong proof that could not be counted is no verdict: whoever guesses would do so without end.
func TestF03AWrongAssertionThatCannotBeRecorded(t *testing.T) {
	var store *deaf
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, ed := newAssertive(s, "ed", jose.EdDSA)
		wrong := func() *apitest.Response {
			t.Helper()
			return s.Do(ed.request(ed.header(), ed.claims(s, apitest.Fields{"aud": "https://evil.test"})))
		}
		wrong().Want(401, "invalid_client")
		for what, broken := range map[string]*atomic.Bool{"to count it": &store.reserve, "to settle it": &store.settle} {
			broken.Store(true)
			res := wrong().Want(503, "temporarily_unavailable")
			if res.Header.Get("Retry-After") == "" || res.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("%s: %v", what, res.Header)
			}
			if n := recorded(t, s); n != 1 {
				t.Errorf("%s: %d entries, want the one from before", what, n)
			}
			// Who is proved needs none of that.
			s.Do(ed.request(ed.header(), ed.claims(s, nil))).Want(200, "")
			broken.Store(false)
		}
		wrong().Want(401, "invalid_client")
		if n := recorded(t, s); n != 1 {
			t.Errorf("%d entries within a quarter of an hour, want 1", n)
		}
		s.Advance(16 * time.Minute)
		wrong().Want(401, "invalid_client")
		if n := recorded(t, s); n != 2 {
			t.Errorf("%d entries, want 2", n)
		}
	}, func(o *apitest.Options) {
		o.Store = func(db *sqlstore.DB) apitest.Store { store = &deaf{DB: db}; return store }
	})
}

// recorded counts the proofs of clients that were refused.
func recorded(t *testing.T, s *apitest.Server) int {
	t.Helper()
	s.Replicas[0].Accounts.Throttle.Drain()
	events, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 100, Name: audit.ClientAuthFailed})
	if err != nil {
		t.Fatal(err)
	}
	return len(events)
}

// deaf is a store that, when told so, takes no attempts, or no word of how one ended.
type deaf struct {
	*sqlstore.DB
	reserve, settle atomic.Bool
}

func (d *deaf) ReserveAttempt(ctx context.Context, r userstore.Reserve) error {
	if d.reserve.Load() {
		return userstore.ErrUnavailable
	}
	return d.DB.ReserveAttempt(ctx, r)
}

func (d *deaf) FailAttempt(ctx context.Context, a userstore.Attempt, events ...audit.Event) error {
	if d.settle.Load() {
		return userstore.ErrUnavailable
	}
	return d.DB.FailAttempt(ctx, a, events...)
}
