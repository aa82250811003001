package protocol_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
)

// forAPI makes a code for the resource whose introspection client is rs.
func forAPI(c *userstore.Code) {
	c.Resources = []string{"https://api.test"}
	c.Scopes = []string{"openid", "profile", "api.read"}
}

func TestIntrospection(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		tokens := s.Redeem(f.alice, f.web, forAPI)
		t.Run("its own client and the resource's server see what it says", func(t *testing.T) {
			s := s.With(t)
			for _, c := range []apitest.Client{f.web, f.rs} {
				got := s.Introspect(c, tokens.Access)
				want := apitest.Claims(tokens.Access).With("active", true).With("token_type", "Bearer")
				if got.Text() != want.Text() {
					t.Errorf("%s sees %s, want %s", c.ID, got.Text(), want.Text())
				}
			}
		})
		t.Run("a refresh token is its own client's to ask about", func(t *testing.T) {
			s := s.With(t)
			got := s.Introspect(f.web, tokens.Refresh)
			if got["active"] != true || got["sub"] != f.alice.ID || got["client_id"] != "web" || got["token_type"] != nil {
				t.Errorf("%v", got)
			}
		})
		inactive := func(s *apitest.Server, c apitest.Client, token string) {
			s.T.Helper()
			if got := s.Introspect(c, token); got.Text() != `{"active":false}` {
				s.T.Errorf("%s hears %s", c.ID, got.Text())
			}
		}
		key, signer := s.Key(jose.RS256)
		header := apitest.Fields{"alg": "RS256", "kid": key, "typ": "at+jwt"}
		claims := apitest.Claims(tokens.Access)
		forge := func(header, claims apitest.Fields) string { return apitest.Sign(signer, header.Text(), claims.Text()) }
		for name, row := range map[string]struct {
			by    apitest.Client
			token string
		}{
			"D-19 another client":                           {f.other, tokens.Access},
			"D-19 another client, about a refresh token":    {f.other, tokens.Refresh},
			"the resource's server, about a refresh token":  {f.rs, tokens.Refresh},
			"the resource's server, about another resource": {f.rs, s.Redeem(f.alice, f.web).Access},
			"an ID token": {f.web, tokens.ID},
			"nonsense":    {f.web, "nonsense"},
			"J-01 alg none": {f.web,
				apitest.Encode(`{"alg":"none","typ":"at+jwt"}`) + "." + apitest.Encode(claims.Text()) + "."},
			"J-04 signed with the client's secret": {f.web, hmacToken(f.web.Secret, claims)},
			"a signature of another token": {f.web,
				tokens.Access[:strings.LastIndex(tokens.Access, ".")] + tokens.Refresh[strings.LastIndex(tokens.Refresh, "."):]},
			"J-15 typ JWT":                         {f.web, forge(header.With("typ", "JWT"), claims)},
			"J-15 no typ":                          {f.web, forge(header.With("typ", nil), claims)},
			"J-18 another issuer":                  {f.web, forge(header, claims.With("iss", apitest.IssuerURL+"/"))},
			"J-19 no exp":                          {f.web, forge(header, claims.With("exp", nil))},
			"J-19 long over":                       {f.web, forge(header, claims.With("exp", s.Clock.Now().Unix()-61))},
			"J-19 just over":                       {f.web, forge(header, claims.With("exp", s.Clock.Now().Unix()))},
			"J-19 over, for the resource's server": {f.rs, forge(header, claims.With("exp", s.Clock.Now().Unix()-1))},
			"J-21 a member twice": {f.web,
				apitest.Sign(signer, header.Text(), strings.Replace(claims.Text(), `{`, `{"sub":"bob",`, 1))},
			"another user's sub":          {f.web, forge(header, claims.With("sub", "bob"))},
			"another client's client_id":  {f.other, forge(header, claims.With("client_id", "other"))},
			"a session that there is not": {f.web, forge(header, claims.With("sid", "nothing"))},
			"bound to a key": {f.web,
				forge(header, claims.With("cnf", apitest.Fields{"jkt": "x"}))},
			"a client's own token whose subject is somebody": {f.web, forge(header, claims.With("sid", nil))},
			"1 KiB of dots": {f.web, strings.Repeat(".", 1<<10)},
		} {
			t.Run(name, func(t *testing.T) { s := s.With(t); s.Unchanged(func() { inactive(s, row.by, row.token) }) })
		}
		t.Run("J-19 active until the end and not beyond, where the account API has patience", func(t *testing.T) {
			s := s.With(t)
			if s.Introspect(f.web, forge(header, claims.With("exp", s.Clock.Now().Unix()+1)))["active"] != true {
				t.Error("not active a second before its end")
			}
			over := forge(header, claims.With("exp", s.Clock.Now().Unix()))
			inactive(s, f.web, over)
			s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: over}).Want(200, "")
		})
		t.Run("J-15 the media type in full", func(t *testing.T) {
			s := s.With(t)
			for _, typ := range []string{"AT+JWT", "application/at+jwt"} {
				if s.Introspect(f.web, forge(header.With("typ", typ), claims))["active"] != true {
					t.Errorf("%s is not active", typ)
				}
			}
		})
		t.Run("D-19 who may not ask at all", func(t *testing.T) {
			s := s.With(t)
			form := url.Values{"token": {tokens.Access}}
			unauthenticated(s, apitest.Request{Method: "POST", Path: "/oauth2/introspect", Form: form})
			unauthenticated(s, apitest.Request{Method: "POST", Path: "/oauth2/introspect", Form: form,
				Basic: [2]string{"web", "wrong"}})
			unauthenticated(s, apitest.Request{Method: "POST", Path: "/oauth2/introspect", Form: form, Token: tokens.Access})
			unauthenticated(s, s.Authenticated(f.spa, "/oauth2/introspect", form))
			unauthenticated(s, s.Authenticated(f.spa, "/oauth2/introspect", url.Values{}))
		})
		t.Run("malformed", func(t *testing.T) {
			s := s.With(t)
			s.Do(s.Authenticated(f.web, "/oauth2/introspect", url.Values{})).Want(400, "invalid_request")
			s.Do(s.Authenticated(f.web, "/oauth2/introspect", url.Values{"token": {"a", "b"}})).Want(400, "invalid_request")
			q := s.Authenticated(f.web, "/oauth2/introspect", nil)
			q.Path += "?token=" + tokens.Access
			s.Do(q).Want(400, "invalid_request")
			s.Do(apitest.Request{Path: "/oauth2/introspect",
				Basic: [2]string{f.web.ID, f.web.Secret}}).Want(405, "invalid_request")
		})
		t.Run("D-21 nobody may keep the answer", func(t *testing.T) {
			s := s.With(t)
			if got := s.Do(s.Authenticated(f.web, "/oauth2/introspect",
				url.Values{"token": {tokens.Access}})).Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
		})
		t.Run("what changed since", func(t *testing.T) {
			s := s.With(t)
			bob := s.SignUp("bob")
			first := s.Redeem(bob, f.web, forAPI)
			u, err := s.DB.UserByID(t.Context(), bob.ID)
			if err != nil {
				t.Fatal(err)
			}
			u.Roles = []string{"auditor"}
			if err := s.DB.UpdateUser(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			if roles, _ := s.Introspect(f.rs, first.Access)["roles"].([]any); !slices.Equal(roles, []any{"auditor"}) {
				t.Errorf("roles %v", roles)
			}
			if err := s.DB.SetActive(t.Context(), bob.ID, false, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			inactive(s, f.rs, first.Access)
			inactive(s, f.web, first.Refresh)
		})
		t.Run("a refresh token that was followed by two is no longer one", func(t *testing.T) {
			s := s.With(t)
			first := s.Redeem(f.alice, f.web)
			var second, third apitest.Tokens
			s.Do(s.RefreshRequest(f.web, first.Refresh)).Want(200, "").JSON(&second)
			if s.Introspect(f.web, first.Refresh)["active"] != true { // it would be answered again
				t.Error("not active")
			}
			s.Do(s.RefreshRequest(f.web, second.Refresh)).Want(200, "").JSON(&third)
			s.Unchanged(func() { inactive(s, f.web, first.Refresh) }) // asking is not presenting
			if s.Introspect(f.web, third.Refresh)["active"] != true {
				t.Error("not active")
			}
		})
		t.Run("after its time", func(t *testing.T) {
			s := s.With(t)
			s.Advance(12 * time.Minute)
			inactive(s, f.web, tokens.Access)
		})
	}, withIntrospection)
}
