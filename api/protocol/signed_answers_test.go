package protocol_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

var allAlgorithms = []string{jose.RS256, jose.EdDSA, jose.ES256, jose.PS256}

// withAllAlgorithms turns every algorithm on, and gives the fixtures a resource server.
func withAllAlgorithms(o *apitest.Options) {
	withIntrospection(o)
	apitest.Configured(func(r *apitest.Replica) { r.Keys.Policy.Algorithms = allAlgorithms })(o)
}

// signedAnswer verifies an answer of that media type and typ under a published key of alg, and
// returns its claims.
func signedAnswer(s *apitest.Server, a *apitest.Response, media, typ, alg string) apitest.Fields {
	s.T.Helper()
	compact := string(a.Body)
	if got := a.Header.Get("Content-Type"); a.Status != http.StatusOK || got != media || a.Header.Get("Cache-Control") != "no-store" {
		s.T.Fatalf("answered %d %s %s: %.200s", a.Status, got, a.Header.Get("Cache-Control"), compact)
	}
	header := apitest.Header(compact)
	kid, _ := header["kid"].(string)
	if want := (apitest.Fields{"alg": alg, "kid": kid, "typ": typ}); header.Text() != want.Text() {
		s.T.Errorf("the header is %s, want %s", header.Text(), want.Text())
	}
	published, _, err := jose.ParseKeySet(s.Do(apitest.Request{Path: "/.well-known/jwks.json"}).Want(200, "").Body)
	if err != nil {
		s.T.Fatal(err)
	}
	token, err := jose.Parse(compact)
	if err != nil {
		s.T.Fatal(err)
	}
	if !slices.ContainsFunc(published, func(k jose.PublicKey) bool { return k.ID == kid && token.Verify(k) == nil }) {
		s.T.Errorf("no published key verifies the answer under kid %q", kid)
	}
	return apitest.Claims(compact)
}

// userinfo_signed_response_alg (OIDC Core section 5.3.2).
func TestSignedUserinfo(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		ask := func(s *apitest.Server, tokens apitest.Tokens) *apitest.Response {
			s.T.Helper()
			return s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access})
		}
		named := func(c *userstore.Code) {
			c.Scopes, c.Claims = []string{"openid", "email"}, `{"userinfo":{"updated_at":{"value":7}}}`
		}
		var plain apitest.Fields
		ask(s, s.Redeem(f.alice, f.web, named)).Want(200, "").JSON(&plain)
		if len(plain) != 4 || plain["email"] != f.alice.Email || plain["updated_at"] == nil {
			t.Fatalf("without a registration userinfo says %s", plain.Text())
		}
		for _, alg := range allAlgorithms {
			t.Run(alg, func(t *testing.T) {
				s := s.With(t)
				c := s.Register(userstore.Client{ID: "u-" + alg, ClientMetadata: userstore.ClientMetadata{UserinfoAlg: alg}})
				tokens := s.Redeem(f.alice, c, named)
				want := apitest.Fields{"iss": apitest.IssuerURL, "aud": c.ID, "iat": s.Clock.Now().Unix(), "sub": f.alice.ID,
					"email": f.alice.Email, "email_verified": false, "updated_at": plain["updated_at"]}
				form := url.Values{"access_token": {tokens.Access}}
				for name, q := range map[string]apitest.Request{
					"GET": {Token: tokens.Access}, "POST, header": {Method: "POST", Token: tokens.Access},
					"POST, body": {Method: "POST", Form: form},
					"GET, Accept": {Token: tokens.Access, Header: http.Header{"Accept": {"application/json"},
						"Authorization": {"Bearer " + tokens.Access}}},
				} {
					q.Path = "/oauth2/userinfo"
					if got := signedAnswer(s, s.Do(q), "application/jwt", "JWT", alg); got.Text() != want.Text() {
						t.Errorf("%s says %s, want %s", name, got.Text(), want.Text())
					}
				}
				head := s.Do(apitest.Request{Method: "HEAD", Path: "/oauth2/userinfo", Token: tokens.Access})
				if head.Status != 200 || head.Header.Get("Content-Type") != "application/jwt" || len(head.Body) != 0 {
					t.Errorf("HEAD: %d %v", head.Status, head.Header)
				}
				// The ID token is signed as it was.
				if id := apitest.Header(tokens.ID); id["alg"] != "RS256" {
					t.Errorf("the ID token is signed with %v", id["alg"])
				}
			})
		}
		t.Run("refusals are JSON", func(t *testing.T) {
			s := s.With(t)
			c := s.Register(userstore.Client{ID: "refused", ClientMetadata: userstore.ClientMetadata{UserinfoAlg: jose.EdDSA}})
			s.Do(apitest.Request{Path: "/oauth2/userinfo"}).Want(401, "invalid_token")
			without := s.Redeem(f.alice, c, func(c *userstore.Code) { c.Scopes = []string{"profile"} })
			ask(s, without).Want(403, "insufficient_scope")
		})
		t.Run("a client that is registered anew", func(t *testing.T) {
			s := s.With(t)
			tokens := s.Redeem(f.alice, f.web)
			c, err := s.DB.ClientByID(t.Context(), "web")
			if err != nil {
				t.Fatal(err)
			}
			c.UserinfoAlg = jose.PS256
			if err := s.DB.UpdateClient(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			s.Clock.Move(2 * time.Second) // the client is cached so long
			signedAnswer(s, ask(s, tokens), "application/jwt", "JWT", jose.PS256)
		})
	}, withAllAlgorithms)
}

// An answer may be longer than any token: no verifier has to bear it.
func TestASignedAnswerMayBeLong(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "long", ClientMetadata: userstore.ClientMetadata{UserinfoAlg: jose.EdDSA}})
		res := s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: s.Redeem(s.SignUp("alice"), c).Access})
		if got := apitest.Claims(string(res.Want(200, "").Body)); got["long"] != long {
			t.Errorf("answered %d bytes", len(res.Body))
		}
	}, apitest.Configured(func(r *apitest.Replica) {
		r.Issuer.Claims = []issuer.CustomClaim{{Name: "long", Value: long, In: []string{issuer.InUserinfo}}}
	}))
}

// RFC 9701: which form an answer has, what it holds, and who gets it.
func TestSignedIntrospection(t *testing.T) {
	const jwt, plain = "application/token-introspection+jwt", "application/json"
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		own := s.Register(userstore.Client{ID: "own", Resources: []string{"https://api.test"},
			ClientMetadata: userstore.ClientMetadata{IntrospectionAlg: jose.ES256}})
		tokens := s.Redeem(f.alice, f.web, forAPI)
		ask := func(s *apitest.Server, c apitest.Client, token string, accept ...string) *apitest.Response {
			s.T.Helper()
			q := s.Authenticated(c, "/oauth2/introspect", url.Values{"token": {token}})
			if q.Header == nil {
				q.Header = http.Header{}
			}
			q.Header["Accept"] = accept
			return s.Do(q)
		}
		owns := s.Redeem(f.alice, own)
		for name, row := range map[string]struct {
			by     apitest.Client
			accept []string
			alg    string // empty: JSON
		}{
			"nothing is said":               {f.web, nil, ""},
			"JSON":                          {f.web, []string{plain}, ""},
			"anything":                      {f.web, []string{"*/*"}, ""},
			"the JWT":                       {f.web, []string{jwt}, "RS256"},
			"the JWT, in another case":      {f.web, []string{"Application/Token-Introspection+JWT"}, "RS256"},
			"the JWT rather than JSON":      {f.web, []string{plain + ";q=0.5, " + jwt}, "RS256"},
			"the JWT rather than JSON, too": {f.web, []string{plain + ";q=0.5", jwt + " ; q=0.9"}, "RS256"},
			"JSON rather than the JWT":      {f.web, []string{plain, jwt + ";q=0.1"}, ""},
			"both alike":                    {f.web, []string{plain + ", " + jwt}, ""},
			"not the JWT":                   {f.web, []string{jwt + ";q=0"}, ""},
			"any other":                     {f.web, []string{"application/jwt, text/html"}, ""},
			"what cannot be read":           {f.web, []string{jwt + ";q=x, ;;,/"}, ""},
			"registered, nothing is said":   {own, nil, "ES256"},
			"registered, anything":          {own, []string{"*/*"}, "ES256"},
			"registered, the JWT":           {own, []string{jwt}, "ES256"},
			"registered, both alike":        {own, []string{plain + "," + jwt}, "ES256"},
			"registered, JSON":              {own, []string{plain}, ""},
			"registered, JSON first":        {own, []string{jwt + ";q=0.1," + plain + ";q=0.2"}, ""},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				token := tokens.Access
				if row.by.ID == own.ID {
					token = owns.Access
				}
				a := ask(s, row.by, token, row.accept...).Want(200, "")
				if row.alg == "" {
					var told apitest.Fields
					if a.JSON(&told); a.Header.Get("Content-Type") != plain || told["active"] != true {
						t.Errorf("answered %s: %.200s", a.Header.Get("Content-Type"), a.Body)
					}
					return
				}
				got := signedAnswer(s, a, jwt, "token-introspection+jwt", row.alg)
				want := apitest.Fields{"iss": apitest.IssuerURL, "aud": row.by.ID, "iat": s.Clock.Now().Unix(),
					"token_introspection": apitest.Claims(token).With("active", true).With("token_type", "Bearer")}
				if got.Text() != want.Text() {
					t.Errorf("says %s, want %s", got.Text(), want.Text())
				}
			})
		}
		t.Run("the resource server, which is the audience", func(t *testing.T) {
			s := s.With(t)
			got := signedAnswer(s, ask(s, f.rs, tokens.Access, jwt), jwt, "token-introspection+jwt", "RS256")
			if told, _ := got["token_introspection"].(map[string]any); got["aud"] != "rs" || told["active"] != true ||
				told["aud"] != "https://api.test" || told["client_id"] != "web" {
				t.Errorf("says %s", got.Text())
			}
		})
		t.Run("a refresh token", func(t *testing.T) {
			s := s.With(t)
			got := signedAnswer(s, ask(s, f.web, tokens.Refresh, jwt), jwt, "token-introspection+jwt", "RS256")
			if told, _ := got["token_introspection"].(map[string]any); told["active"] != true || told["sub"] != f.alice.ID {
				t.Errorf("says %s", got.Text())
			}
		})
		for name, row := range map[string]struct {
			by    apitest.Client
			token string
		}{
			"another client's":                  {f.other, tokens.Access},
			"another client's refresh token":    {f.rs, tokens.Refresh},
			"an ID token":                       {f.web, tokens.ID},
			"nonsense":                          {f.web, "nonsense"},
			"its own answer":                    {f.web, string(ask(s, f.web, tokens.Access, jwt).Body)},
			"its own answer, by the other form": {own, string(ask(s, own, owns.Access).Body)},
		} {
			t.Run("inactive: "+name, func(t *testing.T) { // RFC 9701 section 5: nothing else is said
				s := s.With(t)
				alg := map[bool]string{true: "ES256", false: "RS256"}[row.by.ID == own.ID]
				got := signedAnswer(s, ask(s, row.by, row.token, jwt), jwt, "token-introspection+jwt", alg)
				want := apitest.Fields{"iss": apitest.IssuerURL, "aud": row.by.ID, "iat": s.Clock.Now().Unix(),
					"token_introspection": apitest.Fields{"active": false}}
				if got.Text() != want.Text() {
					t.Errorf("says %s, want %s", got.Text(), want.Text())
				}
			})
		}
		t.Run("D-19 a caller that is not authenticated gets no answer of any form", func(t *testing.T) {
			s := s.With(t)
			form := url.Values{"token": {tokens.Access}}
			accept := http.Header{"Accept": {jwt}}
			unauthenticated(s, apitest.Request{Method: "POST", Path: "/oauth2/introspect", Form: form, Header: accept})
			unauthenticated(s, apitest.Request{Method: "POST", Path: "/oauth2/introspect", Form: form, Header: accept,
				Basic: [2]string{"web", "wrong"}})
			public := url.Values{"token": {tokens.Access}, "client_id": {"spa"}}
			unauthenticated(s, apitest.Request{Method: "POST", Path: "/oauth2/introspect", Form: public, Header: accept})
			ask(s, f.web, "", jwt).Want(400, "invalid_request")
		})
	}, withAllAlgorithms)
}

// A signed answer is no token: not even one with all claims of a token.
func TestJ13SignedAnswersAreNoTokens(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		c := s.Register(userstore.Client{ID: "signed", ClientMetadata: userstore.ClientMetadata{
			UserinfoAlg: jose.RS256, IntrospectionAlg: jose.RS256}})
		tokens := s.Redeem(f.alice, c)
		userinfo := string(s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "").Body)
		introspection := string(s.Do(s.Authenticated(c, "/oauth2/introspect",
			url.Values{"token": {tokens.Access}})).Want(200, "").Body)
		kid, key := s.Key(jose.RS256)
		forged := func(typ string, token string) string {
			return apitest.Sign(key, apitest.Fields{"alg": "RS256", "kid": kid, "typ": typ}.Text(), apitest.Claims(token).Text())
		}
		for name, token := range map[string]string{
			"userinfo": userinfo, "introspection": introspection,
			"introspection with the claims of an access token":  forged("token-introspection+jwt", tokens.Access),
			"introspection with the claims of a refresh token":  forged("token-introspection+jwt", tokens.Refresh),
			"introspection with the claims of an ID token":      forged("token-introspection+jwt", tokens.ID),
			"introspection's type in full, of an access token":  forged("application/token-introspection+jwt", tokens.Access),
			"userinfo's claims under the type of access tokens": forged("at+jwt", userinfo),
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: token}).Want(401, "invalid_token")
				s.Do(apitest.Request{Path: "/v1/profile", Token: token}).Want(401, "token_invalid")
				s.Do(s.RefreshRequest(c, token)).Want(400, "invalid_grant")
				res := s.Do(s.Authenticated(c, "/oauth2/introspect", url.Values{"token": {token}})).Want(200, "")
				if told := apitest.Claims(string(res.Body))["token_introspection"]; len(told.(map[string]any)) != 1 {
					t.Errorf("introspection tells %v", told)
				}
				hint := url.Values{"client_id": {c.ID}, "redirect_uri": {c.RedirectURIs[0]}, "response_type": {"code"},
					"scope": {"openid"}, "prompt": {"none"}, "code_challenge_method": {"S256"},
					"code_challenge": {apitest.ChallengeOf(strings.Repeat("v", 43))}, "id_token_hint": {token}}
				page := s.Browser().Open("/oauth2/authorize?" + hint.Encode())
				if got := page.Query().Get("error"); got != "invalid_request" {
					t.Errorf("as id_token_hint: %q", got)
				}
			})
		}
	})
}

// Encryption is refused by name (userinfo_encrypted_response_alg and its like), and an algorithm
// without a key where a client is registered.
func TestAlgorithmsOfARegistration(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		do := s.AdminOf(admin.Access)
		good := apitest.Fields{"client_name": "App", "redirect_uris": []string{"https://app.test/cb"}}
		for _, member := range registration.EncryptionMembers {
			s.Unchanged(func() {
				res := do("POST", "", good.With(member, "RSA-OAEP-256")).Want(400, "validation_error")
				if got := res.Faults(); got != member+":not_allowed" {
					t.Errorf("%s: %s", member, got)
				}
			})
		}
		for _, member := range []string{"userinfo_signed_response_alg", "introspection_signed_response_alg"} {
			for _, alg := range []string{"ES256", "none", "HS256", "rs256", "RS256 "} {
				s.Unchanged(func() {
					if got := do("POST", "", good.With(member, alg)).Want(400, "validation_error").Faults(); got != member+":not_allowed" {
						t.Errorf("%s %q: %s", member, alg, got)
					}
				})
			}
			var made apitest.Fields
			do("POST", "", good.With(member, "EdDSA")).Want(201, "").JSON(&made)
			id, _ := made["client_id"].(string)
			if made[member] != "EdDSA" {
				t.Errorf("made %s", made.Text())
			}
			do("PATCH", "/"+id, apitest.Fields{member: "ES256"}).Want(400, "validation_error")
			made = nil
			do("PATCH", "/"+id, apitest.Fields{member: "RS256"}).Want(200, "").JSON(&made)
			if made[member] != "RS256" {
				t.Errorf("changed to %s", made.Text())
			}
			made = nil
			do("PATCH", "/"+id, apitest.Fields{member: nil}).Want(200, "").JSON(&made)
			if made[member] != nil {
				t.Errorf("emptied to %s", made.Text())
			}
		}
	})
}
