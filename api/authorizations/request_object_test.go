package authorizations_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
)

// signing is a client that signs request objects.
type signing struct {
	apitest.Client
	alg string
	key crypto.Signer
}

func newKey(t testing.TB, alg string) crypto.Signer {
	t.Helper()
	key, err := keystest.Generator()(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func jwks(t testing.TB, key crypto.Signer, alg string) json.RawMessage {
	t.Helper()
	jwk, err := jose.MarshalPublic(jose.PublicKey{ID: "k", Algorithm: alg, Key: key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(`{"keys":[` + string(jwk) + `]}`)
}

// signingClient registers a client with a key of its own.
func signingClient(s *apitest.Server, id, alg string, edit ...func(*userstore.Client)) signing {
	s.T.Helper()
	c := signing{alg: alg, key: newKey(s.T, alg)}
	of := userstore.Client{ID: id, ClientMetadata: userstore.ClientMetadata{JWKS: jwks(s.T, c.key, alg)}}
	for _, fn := range edit {
		fn(&of)
	}
	c.Client = s.Register(of)
	return c
}

// claims are those of a good object without parameters.
func (c signing) claims(s *apitest.Server) apitest.Fields {
	now := s.Clock.Now().Unix()
	return apitest.Fields{"iss": c.ID, "aud": apitest.IssuerURL, "exp": now + 60, "nbf": now, "iat": now, "jti": "an id",
		"client_id": c.ID, "state": "the state"}
}

func (c signing) header() apitest.Fields {
	return apitest.Fields{"alg": c.alg, "kid": "k", "typ": "oauth-authz-req+jwt"}
}

func (c signing) sign(header, claims apitest.Fields) string {
	return apitest.Sign(c.key, header.Text(), claims.Text())
}

// parameters are those of the request that authorizePath makes.
func parameters(c apitest.Client) apitest.Fields {
	sent, _ := url.ParseQuery(strings.TrimPrefix(authorizePath(c), "/oauth2/authorize?"))
	out := apitest.Fields{}
	for name := range sent {
		out[name] = sent.Get(name)
	}
	return out
}

func with(f, more apitest.Fields) apitest.Fields {
	for name, value := range more {
		f = f.With(name, value)
	}
	return f
}

// withoutSignature is a request object whose alg is none.
func withoutSignature(claims apitest.Fields) string {
	return apitest.Encode(`{"alg":"none"}`) + "." + apitest.Encode(claims.Text()) + "."
}

// onlyObject is a request whose parameters are in the object alone, but for the client.
func onlyObject(c apitest.Client, object string) string {
	return "/oauth2/authorize?" + url.Values{"client_id": {c.ID}, "request": {object}}.Encode()
}

// The parameters of the object and those beside it are one request; those of the object win (OIDC
// Core section 6.1).
func TestParametersOfARequestObjectCount(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		ed, rs := signingClient(s, "ed", jose.EdDSA), signingClient(s, "rs", jose.RS256, func(c *userstore.Client) {
			c.RequestObjectAlg = jose.RS256
		})
		ec := signingClient(s, "ec", jose.ES256)
		newer := signingClient(s, "newer", jose.EdDSA, func(c *userstore.Client) { c.RequestObjectAlg = jose.Ed25519 })
		strict := signingClient(s, "strict", jose.EdDSA, func(c *userstore.Client) { c.RequireSignedRequestObject = true })
		none := s.Register(userstore.Client{ID: "none",
			ClientMetadata: userstore.ClientMetadata{RequestObjectAlg: userstore.RequestObjectUnsigned}})
		public := signingClient(s, "public", jose.EdDSA, func(c *userstore.Client) { c.AuthMethod = userstore.AuthNone })

		whole := func(c signing) string { return c.sign(c.header(), with(c.claims(s), parameters(c.Client))) }
		inner := apitest.Fields{"state": "inner", "nonce": "inner", "scope": "openid email"}
		for _, row := range []struct {
			name, path  string
			client      apitest.Client
			state, mode string
			nonce       string
			scope       string
		}{
			{"everything in the object, EdDSA", onlyObject(ed.Client, whole(ed)), ed.Client, "the state", "", "the nonce", ""},
			{"RS256, as registered", onlyObject(rs.Client, whole(rs)), rs.Client, "the state", "", "the nonce", ""},
			{"ES256", onlyObject(ec.Client, whole(ec)), ec.Client, "the state", "", "the nonce", ""},
			{"by its newer name", onlyObject(newer.Client, newer.sign(newer.header().With("alg", "Ed25519"),
				with(newer.claims(s), parameters(newer.Client)))), newer.Client, "the state", "", "the nonce", ""},
			{"of a public client", onlyObject(public.Client, whole(public)), public.Client, "the state", "", "the nonce", ""},
			{"a client that has to sign", onlyObject(strict.Client, whole(strict)), strict.Client, "the state", "", "the nonce", ""},
			{"without a signature, as registered", onlyObject(none, withoutSignature(with(parameters(none), inner))), none,
				"inner", "", "inner", "openid email"},
			{"the object wins", authorizePath(ed.Client, set("request", ed.sign(ed.header(), with(ed.claims(s), inner)))),
				ed.Client, "inner", "", "inner", "openid email"},
			{"its redirect URI wins", authorizePath(ed.Client, set("redirect_uri", "https://evil.test/cb", "request",
				ed.sign(ed.header(), ed.claims(s).With("redirect_uri", ed.RedirectURIs[0])))), ed.Client,
				"the state", "", "the nonce", ""},
			{"its response mode counts", authorizePath(ed.Client, set("request",
				ed.sign(ed.header(), ed.claims(s).With("response_mode", "form_post")))), ed.Client,
				"the state", "form_post", "the nonce", ""},
			{"a claim that nobody knows", authorizePath(ed.Client, set("request",
				ed.sign(ed.header(), ed.claims(s).With("foo", apitest.Fields{"a": []int{1}})))), ed.Client,
				"the state", "", "the nonce", ""},
			{"without the claims about itself", authorizePath(ed.Client, set("request",
				ed.sign(apitest.Fields{"alg": ed.alg}, apitest.Fields{"nonce": "inner"}))), ed.Client, "the state", "", "inner", ""},
			{"typ JWT, aud a list, exp a second ago", authorizePath(ed.Client, set("request",
				ed.sign(ed.header().With("typ", "JWT"), with(ed.claims(s), apitest.Fields{
					"aud": []string{"https://other.test", apitest.IssuerURL}, "exp": s.Clock.Now().Unix() - 1})))), ed.Client,
				"the state", "", "the nonce", ""},
			{"max_age a number, claims an object, resource a list", authorizePath(ed.Client, set("request",
				ed.sign(ed.header(), with(ed.claims(s), apitest.Fields{"max_age": 10000, "resource": []string{},
					"claims": apitest.Fields{"userinfo": apitest.Fields{"name": nil}}})))), ed.Client,
				"the state", "", "the nonce", ""},
			{"empty text is no value", authorizePath(ed.Client, set("request",
				ed.sign(ed.header(), ed.claims(s).With("nonce", "")))), ed.Client, "the state", "", "the nonce", ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				b := s.Browser()
				p := b.SignIn(row.path, alice)
				if p.Has("consent-approve") {
					p = p.Submit("consent-approve", nil)
				}
				// The page may be loaded again, before and after: the same object is sent again.
				for range 2 {
					var values url.Values
					if row.mode == "form_post" {
						_, values = p.WantPage(http.StatusOK, "").Posted()
					} else if values = p.Query(); !strings.HasPrefix(p.To, row.client.RedirectURIs[0]+"?") {
						t.Fatalf("sent to %q: %s", p.To, p.Text())
					}
					if values.Get("state") != row.state || values.Get("code") == "" {
						t.Fatalf("the response has %v", values)
					}
					var tokens apitest.Tokens
					s.Do(s.CodeRequest(row.client, s.Secret(values.Get("code")))).Want(http.StatusOK, "").JSON(&tokens)
					if id := apitest.Claims(tokens.ID); id["nonce"] != row.nonce || row.scope != "" && tokens.Scope != row.scope {
						t.Errorf("nonce %v, scope %q", id["nonce"], tokens.Scope)
					}
					p = b.Open(row.path)
					if p.Has("consent-approve") { // of a public client, each time
						p = p.Submit("consent-approve", nil)
					}
				}
			})
		}
	})
}

func TestRequestObjectsThatAreRefused(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		web := s.WebClient()
		ed, rs := signingClient(s, "ed", jose.EdDSA), signingClient(s, "rs", jose.RS256, func(c *userstore.Client) {
			c.RequestObjectAlg = jose.PS256
		})
		strict := signingClient(s, "strict", jose.EdDSA, func(c *userstore.Client) { c.RequireSignedRequestObject = true })
		none := s.Register(userstore.Client{ID: "none",
			ClientMetadata: userstore.ClientMetadata{RequestObjectAlg: userstore.RequestObjectUnsigned}})
		now := s.Clock.Now().Unix()
		const refused = "invalid_request_object"

		request := func(object string) func(url.Values) { return set("request", object) }
		var rows []asking
		for name, more := range map[string]apitest.Fields{
			"request in it":              {"request": "a.b.c"},
			"request_uri in it":          {"request_uri": "https://ed.test/r"},
			"iss another":                {"iss": "web"},
			"iss empty":                  {"iss": ""},
			"iss no text":                {"iss": 1},
			"aud another":                {"aud": "https://evil.test"},
			"aud with a slash":           {"aud": apitest.IssuerURL + "/"},
			"aud empty":                  {"aud": []string{}},
			"aud a number":               {"aud": 1},
			"sub the client":             {"sub": "ed"},
			"expired":                    {"exp": now - 61},
			"exp zero":                   {"exp": 0},
			"exp negative":               {"exp": -1},
			"exp text":                   {"exp": "9999999999"},
			"not valid yet":              {"nbf": now + 61},
			"from the future":            {"iat": now + 61},
			"jti empty":                  {"jti": ""},
			"jti a number":               {"jti": 1},
			"jti beyond measure":         {"jti": strings.Repeat("j", 257)},
			"another client_id":          {"client_id": "web"},
			"another response_type":      {"response_type": "code token"},
			"scope a list":               {"scope": []string{"openid"}},
			"nonce a number":             {"nonce": 1},
			"max_age true":               {"max_age": true},
			"claims a list":              {"claims": []string{"name"}},
			"redirect_uri a list":        {"redirect_uri": []string{"https://ed.test/cb"}},
			"resource a list of numbers": {"resource": []int{1}},
			"resource an object":         {"resource": apitest.Fields{}},
		} {
			rows = append(rows, asking{name: name, edit: request(ed.sign(ed.header(), with(ed.claims(s), more))), want: refused})
		}
		for name, header := range map[string]apitest.Fields{
			"typ of an access token":     {"typ": "at+jwt"},
			"typ of an ID token's kind":  {"typ": "logout+jwt"},
			"another kid":                {"kid": "another"},
			"a key of its own":           {"jwk": apitest.Fields{"kty": "OKP"}},
			"an address of its own keys": {"jku": "https://evil.test/jwks"},
			"crit":                       {"crit": []string{"exp"}},
			"alg RS256":                  {"alg": "RS256"},
			"alg none":                   {"alg": "none"},
			"alg HS256":                  {"alg": "HS256"},
			"no alg":                     {"alg": nil},
		} {
			rows = append(rows, asking{name: name, edit: request(ed.sign(with(ed.header(), header), ed.claims(s))), want: refused})
		}
		good := ed.sign(ed.header(), ed.claims(s))
		segments := strings.Split(good, ".")
		twice := apitest.Sign(ed.key, ed.header().Text(), `{"state":"the state","nonce":"a","nonce":"b"}`)
		rows = append(rows,
			asking{name: "without a signature", edit: request(withoutSignature(ed.claims(s))), want: refused},
			asking{name: "the signature cut off", edit: request(segments[0] + "." + segments[1] + "."), want: refused},
			asking{name: "signed with another key", edit: request(rs.sign(rs.header().With("alg", "RS256"), ed.claims(s))), want: refused},
			asking{name: "the signature of another object",
				edit: request(segments[0] + "." + segments[1] + "." + strings.Split(ed.sign(ed.header(), apitest.Fields{}), ".")[2]),
				want: refused},
			asking{name: "encrypted", edit: request(good + ".a.b"), want: refused},
			asking{name: "no JWT", edit: request("a"), want: refused},
			asking{name: "claims that are no JSON", edit: request(apitest.Sign(ed.key, ed.header().Text(), "x")), want: refused},
			asking{name: "claims that are a list", edit: request(apitest.Sign(ed.key, ed.header().Text(), "[]")), want: refused},
			asking{name: "a claim twice", edit: request(twice), want: refused},
			asking{name: "more than an object may have", edit: request(ed.sign(ed.header(), ed.claims(s).With("x",
				strings.Repeat("x", 16<<10)))), want: refused},
			asking{name: "two objects", edit: request(good), more: "&request=" + url.QueryEscape(good), want: "invalid_request"},
			asking{name: "an object and a reference", edit: set("request", good, "request_uri", "https://ed.test/r"),
				want: "request_uri_not_supported"},

			// What is in the object is judged as if it stood beside it.
			asking{name: "a scope that nobody knows", edit: request(ed.sign(ed.header(), ed.claims(s).With("scope", "evil"))),
				want: "invalid_scope"},
			asking{name: "a max_age that is none", edit: request(ed.sign(ed.header(), ed.claims(s).With("max_age", -1))),
				want: "invalid_request"},
			asking{name: "A-25 a resource that nobody registered", edit: request(ed.sign(ed.header(),
				ed.claims(s).With("resource", []string{"https://evil.test"}))), want: "invalid_target"},
			asking{name: "A-12 PKCE plain", edit: request(ed.sign(ed.header(), ed.claims(s).With("code_challenge_method", "plain"))),
				want: "invalid_request"},
			asking{name: "A-01 a redirect URI that is not registered", edit: request(ed.sign(ed.header(),
				ed.claims(s).With("redirect_uri", "https://evil.test/cb"))), want: "page"},
			asking{name: "A-01 so it is where the object is refused", edit: request(ed.sign(ed.header(),
				with(ed.claims(s), apitest.Fields{"redirect_uri": "https://evil.test/cb", "exp": 0}))), want: "page"},
		)
		ask(t, s, ed.Client, rows)
		ask(t, s, rs.Client, []asking{
			{name: "another algorithm than registered", edit: request(rs.sign(rs.header(), rs.claims(s))), want: refused},
		})
		ask(t, s, none, []asking{
			{name: "signed, of a client whose objects are not", edit: request(ed.sign(ed.header(), apitest.Fields{"state": "the state"})), want: refused},
			{name: "alg none with a signature", edit: request(withoutSignature(apitest.Fields{"state": "the state"}) + "AA"), want: refused},
			{name: "checks of its claims", edit: request(withoutSignature(apitest.Fields{"state": "the state", "exp": 0})), want: refused},
		})
		ask(t, s, strict.Client, []asking{
			{name: "no object, of a client that has to sign", want: "invalid_request"},
			{name: "without a signature, of a client that has to sign",
				edit: request(withoutSignature(strict.claims(s))), want: refused},
			{name: "parameters beside the object do not count", edit: request(strict.sign(strict.header(),
				strict.claims(s).With("redirect_uri", strict.RedirectURIs[0]))), want: "invalid_request"},
			{name: "not even the redirect URI", edit: request(strict.sign(strict.header(), strict.claims(s))), want: "page"},
		})
		ask(t, s, web, []asking{
			{name: "a client without keys", edit: request(ed.sign(ed.header(), ed.claims(s))), want: "request_not_supported"},
		})
		t.Run("no address of the client's anywhere", func(t *testing.T) {
			s := s.With(t)
			s.Browser().Open(onlyObject(ed.Client, "a.b.c")).WantPage(http.StatusBadRequest, "")
		})
		t.Run("the refusal goes where a refused object wants it", func(t *testing.T) {
			s := s.With(t)
			p := s.Browser().Open(onlyObject(ed.Client, ed.sign(ed.header(), with(ed.claims(s), apitest.Fields{
				"redirect_uri": ed.RedirectURIs[0], "state": "inner", "exp": 0}))))
			wantError(t, p, refused)
			if p.Query().Get("state") != "inner" {
				t.Errorf("%v", p.Query())
			}
		})
	})
}

// A request object is no client assertion, and a client assertion no request object (RFC 9101
// section 10.8).
func TestRequestObjectsAndAssertionsAreNotTakenForEachOther(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := signingClient(s, "pk", jose.EdDSA, func(c *userstore.Client) { c.AuthMethod = userstore.AuthPrivateKeyJWT })
		assert := func(token string) apitest.Request {
			return apitest.Request{Method: "POST", Path: "/oauth2/token", Form: url.Values{"grant_type": {"client_credentials"},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {token}}}
		}
		assertion := c.claims(s).With("sub", "pk")
		s.Do(assert(c.sign(apitest.Fields{"alg": c.alg}, assertion))).Want(200, "")
		s.Do(assert(c.sign(c.header().With("typ", "JWT"), c.claims(s).With("jti", "b")))).Want(401, "invalid_client")
		s.Do(assert(c.sign(c.header(), assertion.With("jti", "c")))).Want(401, "invalid_client")
		wantError(t, s.Browser().Open(authorizePath(c.Client, set("request", c.sign(apitest.Fields{"alg": c.alg},
			assertion.With("jti", "d"))))), "invalid_request_object")
	})
}

// The keys at jwks_uri verify request objects as they verify assertions: an unknown kid has them
// fetched, and a failure of the client's server decides nothing.
func TestRequestObjectsUnderKeysAtAnAddress(t *testing.T) {
	var body json.RawMessage
	fetched, failing := 0, false
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		fetched, failing = 0, true
		c := signing{alg: jose.EdDSA, key: newKey(t, jose.EdDSA)}
		body = jwks(t, c.key, c.alg)
		c.Client = s.Register(userstore.Client{ID: "far",
			ClientMetadata: userstore.ClientMetadata{JWKSURI: "https://far.test/jwks"}})
		path := authorizePath(c.Client, set("request", c.sign(c.header(), c.claims(s))))

		s.Browser().Open(path).WantPage(http.StatusServiceUnavailable, "")
		failing = false
		s.Advance(20e9)
		for range 3 {
			s.Browser().Open(authorizePath(c.Client, set("request", c.sign(c.header(), c.claims(s))))).
				WantPage(http.StatusOK, "login-submit")
		}
		if fetched != 2 {
			t.Errorf("fetched %d times", fetched)
		}
	}, apitest.Configured(func(r *apitest.Replica) {
		r.Issuer.ClientKeys = &issuer.ClientKeys{Fetch: func(context.Context, string) ([]byte, error) {
			if fetched++; failing {
				return nil, errors.New("no answer")
			}
			return body, nil
		}}
	}))
}
