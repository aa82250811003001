package protocol_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
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

// outage is a store of which one call fails.
type outage struct {
	*sqlstore.DB
	revoke, read bool
}

func (o *outage) RevokeGrant(ctx context.Context, id userstore.GrantID, now time.Time, events ...audit.Event) error {
	if o.revoke {
		return userstore.ErrUnavailable
	}
	return o.DB.RevokeGrant(ctx, id, now, events...)
}

func (o *outage) GrantBySession(ctx context.Context, id string) (userstore.GrantView, error) {
	if o.read {
		return userstore.GrantView{}, userstore.ErrUnavailable
	}
	return o.DB.GrantBySession(ctx, id)
}

func TestRevocation(t *testing.T) {
	var store *outage
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		revoke := func(s *apitest.Server, c apitest.Client, form url.Values) *apitest.Response {
			return s.Do(s.Authenticated(c, "/oauth2/revoke", form))
		}
		dead := func(s *apitest.Server, c apitest.Client, tokens apitest.Tokens) {
			s.T.Helper()
			s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(401, "invalid_token")
			s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
		}
		for name, pick := range map[string]func(apitest.Tokens) url.Values{
			"by its refresh token": func(x apitest.Tokens) url.Values { return url.Values{"token": {x.Refresh}} },
			"by its access token":  func(x apitest.Tokens) url.Values { return url.Values{"token": {x.Access}} },
			"D-22 with a wrong hint": func(x apitest.Tokens) url.Values {
				return url.Values{"token": {x.Refresh}, "token_type_hint": {"access_token"}}
			},
			"D-22 with the other wrong hint": func(x apitest.Tokens) url.Values {
				return url.Values{"token": {x.Access}, "token_type_hint": {"refresh_token"}}
			},
			"D-22 with a hint that nobody knows": func(x apitest.Tokens) url.Values {
				return url.Values{"token": {x.Access},
					"token_type_hint": {"x"}}
			},
			"with a parameter that is of no interest": func(x apitest.Tokens) url.Values {
				return url.Values{"token": {x.Access},
					"x": {"1", "2"}}
			},
		} {
			for _, c := range []apitest.Client{f.web, f.spa} {
				t.Run(name+", of "+c.ID, func(t *testing.T) {
					s := s.With(t)
					tokens, others := s.Redeem(f.alice, c), s.Redeem(f.alice, c)
					if res := revoke(s, c, pick(tokens)).Want(200, ""); len(res.Body) != 0 {
						t.Errorf("answered %s", res.Body)
					}
					dead(s, c, tokens)
					revoke(s, c, pick(tokens)).Want(200, "") // once more
					s.Do(s.RefreshRequest(c, others.Refresh)).Want(200, "")
				})
			}
		}
		tokens := s.Redeem(f.alice, f.web)
		for name, row := range map[string]struct {
			by    apitest.Client
			token string
		}{
			"D-22 an unknown token":                  {f.web, "unknown"},
			"D-22 garbage":                           {f.web, "a.b.c"},
			"D-22 another client's refresh token":    {f.other, tokens.Refresh},
			"D-22 another client's access token":     {f.other, tokens.Access},
			"D-22 another client's, by a public one": {f.spa, tokens.Refresh},
			"an ID token":                            {f.web, tokens.ID},
			"a truncated one":                        {f.web, tokens.Refresh[:len(tokens.Refresh)-1]},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() { revoke(s, row.by, url.Values{"token": {row.token}}).Want(200, "") })
			})
		}
		t.Run("refused", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() {
				revoke(s, f.web, url.Values{}).Want(400, "invalid_request")
				unauthenticated(s, apitest.Request{Method: "POST", Path: "/oauth2/revoke",
					Form: url.Values{"token": {tokens.Refresh}}})
				unauthenticated(s, apitest.Request{Method: "POST", Path: "/oauth2/revoke",
					Form: url.Values{"token": {tokens.Refresh}}, Basic: [2]string{"web", "wrong"}})
				unauthenticated(s, apitest.Request{Method: "POST", Path: "/oauth2/revoke",
					Form: url.Values{"token": {tokens.Refresh}, "client_id": {"web"}}})
			})
		})
		t.Run("a client's token in its own name cannot be, and that is said", func(t *testing.T) {
			s := s.With(t)
			var own apitest.Tokens
			s.Do(s.Authenticated(f.web, "/oauth2/token",
				url.Values{"grant_type": {"client_credentials"}})).Want(200, "").JSON(&own)
			revoke(s, f.web, url.Values{"token": {own.Access}}).Want(400, "unsupported_token_type")
			revoke(s, f.other, url.Values{"token": {own.Access}}).Want(200, "") // not its own: nothing is said of it
		})
		t.Run("D-24 never 200 while the store fails", func(t *testing.T) {
			s := s.With(t)
			defer func() { store.revoke, store.read = false, false }()
			store.revoke = true
			for _, token := range []string{tokens.Refresh, tokens.Access} {
				if res := revoke(s, f.web, url.Values{"token": {token}}).Want(503,
					"temporarily_unavailable"); res.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}
			store.revoke, store.read = false, true
			revoke(s, f.web, url.Values{"token": {tokens.Access}}).Want(503, "temporarily_unavailable")
			s.Do(s.Authenticated(f.web, "/oauth2/introspect",
				url.Values{"token": {tokens.Access}})).Want(503, "temporarily_unavailable")
			s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(503, "temporarily_unavailable")
			store.read = false
			s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
		})
	}, func(o *apitest.Options) {
		o.Store = func(db *sqlstore.DB) apitest.Store { store = &outage{DB: db}; return store }
	})
}

func TestUserinfo(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		u, err := s.DB.UserByID(t.Context(), f.alice.ID)
		if err != nil {
			t.Fatal(err)
		}
		u.Username, u.UsernameKey = "alice", "alice"
		u.Claims = userstore.Claims{
			Name: "Alice A", GivenName: "Alice", FamilyName: "A", MiddleName: "M", Nickname: "Al", Profile: "https://a.test/p",
			Picture: "https://a.test/i",
			Website: "https://a.test", Gender: "female", Birthdate: "1984-02-29", Zoneinfo: "Europe/Paris", Locale: "fr",
			PhoneNumber: "+4930123456",
			Address:     &userstore.Address{Formatted: "1 Street\nTown", Country: "FR"},
		}
		u.Roles = []string{"editor"}
		if err := s.DB.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		scoped := func(scopes ...string) func(*userstore.Code) {
			return func(c *userstore.Code) { c.Scopes = append([]string{"openid"}, scopes...) }
		}
		ask := func(s *apitest.Server, token string) apitest.Fields {
			s.T.Helper()
			var out apitest.Fields
			s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: token}).Want(200, "").JSON(&out)
			return out
		}
		profile := apitest.Fields{"name": "Alice A", "given_name": "Alice", "family_name": "A", "middle_name": "M",
			"nickname": "Al", "preferred_username": "alice",
			"profile": "https://a.test/p", "picture": "https://a.test/i", "website": "https://a.test", "gender": "female",
			"birthdate": "1984-02-29",
			"zoneinfo":  "Europe/Paris", "locale": "fr", "updated_at": u.UpdatedAt.Unix()}
		for _, row := range []struct {
			name   string
			scopes []string
			want   apitest.Fields
		}{
			{"openid alone", nil, apitest.Fields{}},
			{"profile: all fourteen", []string{"profile"}, profile},
			{"email", []string{"email"}, apitest.Fields{"email": f.alice.Email, "email_verified": false}},
			{"phone", []string{"phone"}, apitest.Fields{"phone_number": "+4930123456", "phone_number_verified": false}},
			{"address, an object", []string{"address"},
				apitest.Fields{"address": apitest.Fields{"formatted": "1 Street\nTown", "country": "FR"}}},
		} {
			t.Run("scope "+row.name, func(t *testing.T) {
				s := s.With(t)
				got := ask(s, s.Redeem(f.alice, f.web, scoped(row.scopes...)).Access)
				if want := row.want.With("sub", f.alice.ID); got.Text() != want.Text() {
					t.Errorf("got %s, want %s", got.Text(), want.Text())
				}
			})
		}
		t.Run("claims that the client named", func(t *testing.T) {
			s := s.With(t)
			named := func(c *userstore.Code) {
				c.Scopes = []string{"openid"}
				c.Claims = `{"userinfo":{"name":{"essential":true},"email":null,"unknown":null,"sub":null,"nickname":{"value":"x"}},"id_token":{"given_name":null,"auth_time":{"essential":true}}}`
			}
			tokens := s.Redeem(f.alice, f.web, named)
			if got := ask(s, tokens.Access); got.Text() != (apitest.Fields{"sub": f.alice.ID, "name": "Alice A",
				"email": f.alice.Email, "nickname": "Al"}).Text() {
				t.Errorf("%s", got.Text())
			}
			id := apitest.Claims(tokens.ID)
			if id["given_name"] != "Alice" || id["name"] != nil || id["email"] != nil || id["auth_time"] == nil {
				t.Errorf("ID token: %v", id)
			}
			var next apitest.Tokens
			s.Do(s.RefreshRequest(f.web, tokens.Refresh)).Want(200, "").JSON(&next)
			if id := apitest.Claims(next.ID); id["given_name"] != "Alice" {
				t.Errorf("refreshed ID token: %v", id)
			}
			narrow := s.Register(userstore.Client{ID: "narrow", Scopes: []string{"openid", "email"}})
			if got := ask(s, s.Redeem(f.alice, narrow, named).Access); got["name"] != nil || got["email"] == nil {
				t.Errorf("a client that may not ask for profile got %v", got)
			}
		})
		tokens := s.Redeem(f.alice, f.web)
		t.Run("D-25 ways to send it", func(t *testing.T) {
			s := s.With(t)
			form := url.Values{"access_token": {tokens.Access}}
			s.Do(apitest.Request{Method: "POST", Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
			s.Do(apitest.Request{Method: "POST", Path: "/oauth2/userinfo", Form: form}).Want(200, "")
			s.Do(apitest.Request{Method: "POST", Path: "/oauth2/userinfo", Form: url.Values{"x": {"y"}},
				Token: tokens.Access}).Want(200, "")
			if res := s.Do(apitest.Request{Method: "HEAD", Path: "/oauth2/userinfo", Token: tokens.Access}); res.Status != 200 ||
				len(res.Body) != 0 {
				t.Errorf("HEAD: %d, %d bytes", res.Status, len(res.Body))
			}
			for _, scheme := range []string{"bearer", "BEARER", "Bearer "} { // J-34
				s.Do(apitest.Request{Path: "/oauth2/userinfo",
					Header: http.Header{"Authorization": {scheme + " " + tokens.Access}}}).Want(200, "")
			}
		})
		for name, row := range map[string]struct {
			q      apitest.Request
			status int
			code   string
		}{
			"J-34 header and body": {apitest.Request{Method: "POST", Form: url.Values{"access_token": {tokens.Access}},
				Token: tokens.Access}, 400, "invalid_request"},
			"J-34 twice in the body": {apitest.Request{Method: "POST",
				Form: url.Values{"access_token": {tokens.Access, tokens.Access}}}, 400, "invalid_request"},
			"J-34 two headers": {apitest.Request{Header: http.Header{"Authorization": {"Bearer " + tokens.Access,
				"Bearer " + tokens.Access}}}, 400, "invalid_request"},
			"J-34 in the body of a GET": {apitest.Request{Form: url.Values{"access_token": {tokens.Access}}}, 401,
				"invalid_token"},
			"nothing": {apitest.Request{}, 401, "invalid_token"},
			"nothing in a form": {apitest.Request{Method: "POST", Form: url.Values{"access_token": {""}}}, 401,
				"invalid_token"},
			"another scheme": {apitest.Request{Header: http.Header{"Authorization": {"DPoP " + tokens.Access}}},
				401, "invalid_token"},
			"J-13 an ID token": {apitest.Request{Token: tokens.ID}, 401, "invalid_token"},
			"a refresh token":  {apitest.Request{Token: tokens.Refresh}, 401, "invalid_token"},
			"nonsense":         {apitest.Request{Token: "nonsense"}, 401, "invalid_token"},
			"J-04 signed with the secret": {apitest.Request{Token: hmacToken(f.web.Secret, apitest.Claims(tokens.Access))}, 401,
				"invalid_token"},
			"D-25 without scope openid": {apitest.Request{Token: s.Redeem(f.alice, f.web,
				func(c *userstore.Code) { c.Scopes = []string{"profile"} }).Access}, 403, "insufficient_scope"},
			"a body of another type": {apitest.Request{Method: "POST", Body: `{"access_token":"x"}`}, 401, "invalid_token"},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				row.q.Path = "/oauth2/userinfo"
				res := s.Do(row.q).Want(row.status, row.code)
				if challenge := res.Header.Get("WWW-Authenticate"); row.status != 400 && !strings.HasPrefix(challenge, "Bearer ") {
					t.Errorf("challenge %q", challenge)
				}
			})
		}
		t.Run("J-34 in the address it counts for nothing", func(t *testing.T) {
			s := s.With(t)
			s.Do(apitest.Request{Path: "/oauth2/userinfo?access_token=" + tokens.Access}).Want(401, "invalid_token")
			s.Do(apitest.Request{Path: "/oauth2/userinfo?access_token=x", Token: tokens.Access}).Want(200, "")
		})
		t.Run("of a first-party client, too", func(t *testing.T) {
			s := s.With(t)
			if got := ask(s, s.Login(f.alice, apitest.Fields{"scope": "openid email"}).Access); got["email"] != f.alice.Email {
				t.Errorf("%v", got)
			}
		})
		t.Run("of a token for a resource", func(t *testing.T) {
			s := s.With(t)
			ask(s, s.Redeem(f.alice, f.web, forAPI).Access)
		})
	}, withIntrospection)
}

func TestCustomClaims(t *testing.T) {
	all := []string{issuer.InAccessToken, issuer.InIDToken, issuer.InUserinfo}
	claims := []issuer.CustomClaim{
		{Name: "groups", From: "roles", In: all},
		{Name: "https://a.test/staff", From: "is_staff", In: []string{issuer.InIDToken}},
		{Name: "mail", From: "email", In: all, Scope: "email"},
		{Name: "tenant", Value: "acme", In: all},
		{Name: "roles", From: "roles", In: []string{issuer.InIDToken, issuer.InUserinfo}},
	}
	for _, c := range claims {
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		u, err := s.DB.UserByID(t.Context(), f.alice.ID)
		if err != nil {
			t.Fatal(err)
		}
		u.Roles, u.IsStaff = []string{"editor"}, true
		if err := s.DB.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		look := func(t *testing.T, tokens apitest.Tokens, mail any) {
			t.Helper()
			access, id := apitest.Claims(tokens.Access), apitest.Claims(tokens.ID)
			var info apitest.Fields
			s.With(t).Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "").JSON(&info)
			for where, c := range map[string]apitest.Fields{"access token": access, "ID token": id, "userinfo": info} {
				groups, _ := c["groups"].([]any)
				roles, _ := c["roles"].([]any)
				if !slices.Equal(groups, []any{"editor"}) || !slices.Equal(roles, groups) || c["tenant"] != "acme" ||
					c["mail"] != mail || c["sub"] != f.alice.ID {
					t.Errorf("%s: %v", where, c)
				}
				if staff := c["https://a.test/staff"]; (where == "ID token") != (staff == true) {
					t.Errorf("%s: staff %v", where, staff)
				}
			}
		}
		tokens := s.Redeem(f.alice, f.web)
		look(t, tokens, f.alice.Email)
		var next apitest.Tokens
		s.Do(s.RefreshRequest(f.web, tokens.Refresh)).Want(200, "").JSON(&next)
		look(t, next, f.alice.Email)
		look(t, s.Redeem(f.alice, f.web, func(c *userstore.Code) { c.Scopes = []string{"openid"} }), nil)
		look(t, s.Login(f.alice, apitest.Fields{"scope": "openid email"}), f.alice.Email)
		if got := s.Introspect(f.web, tokens.Access); got["tenant"] != "acme" {
			t.Errorf("introspection: %v", got)
		}
		var own apitest.Tokens
		s.Do(s.Authenticated(f.web, "/oauth2/token",
			url.Values{"grant_type": {"client_credentials"}})).Want(200, "").JSON(&own)
		if c := apitest.Claims(own.Access); c["tenant"] != "acme" || c["groups"] != nil || c["mail"] != nil {
			t.Errorf("in the client's own name: %v", c)
		}
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.Issuer.Claims = claims }
	})
}
