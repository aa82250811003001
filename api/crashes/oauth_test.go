package crashes_test

import (
	"cmp"
	"net/http"
	"net/url"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/userstore"
)

// oauthJourneys are those of client apps.
var oauthJourneys = []journey{
	{"code and PKCE, refresh and revocation", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		c := quiet(s).Register(userstore.Client{ID: name, AuthMethod: userstore.AuthNone})
		_, p := s.Allowed(u, c)
		tokens := s.TokensOf(c, p)
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "").JSON(&tokens)
		apitest.UserinfoOf(s, tokens)
		s.Do(apitest.Request{Method: "POST", Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
		s.Do(s.Authenticated(c, "/oauth2/revoke", url.Values{"token": {tokens.Refresh}})).Want(200, "")
		quiet(s).Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
	}},
	{"tokens that are bound to a key", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		c := quiet(s).Register(userstore.Client{ID: name, AuthMethod: userstore.AuthNone})
		key := dpoptest.NewKey(s.T)
		// A client makes a proof for each request, also for one that it sends again.
		prove := func(q apitest.Request, token string) apitest.Request {
			q.Proof = func() string {
				claims := dpoptest.For(cmp.Or(q.Method, "GET"), apitest.IssuerURL+q.Path, s.Clock.Now())
				if token != "" {
					claims = dpoptest.WithToken(claims, token)
				}
				return key.Proof(s.T, claims)
			}
			return q
		}
		var tokens apitest.Tokens
		s.Do(prove(s.CodeRequest(c, quiet(s).Code(u, c)), "")).Want(200, "").JSON(&tokens)
		s.Do(prove(s.RefreshRequest(c, tokens.Refresh), "")).Want(200, "").JSON(&tokens)
		by := http.Header{"Authorization": {"DPoP " + tokens.Access}}
		s.Do(prove(apitest.Request{Path: "/oauth2/userinfo", Header: by}, tokens.Access)).Want(200, "")
		s.Do(prove(s.Authenticated(c, "/oauth2/par", url.Values{"response_type": {"code"}, "redirect_uri": {c.RedirectURIs[0]},
			"scope": {"openid"}, "code_challenge": {apitest.Challenge}, "code_challenge_method": {"S256"}}), "")).Want(201, "")
	}},
	{"status lists", with(func(o *apitest.Options) { o.StatusLists = true }), func(s *apitest.Server, name string) {
		// A client gets its place with its first token, and a list is read when something was revoked.
		machine := quiet(s).Register(userstore.Client{ID: name, GrantTypes: []string{userstore.GrantClientCredentials}})
		s.Do(s.Authenticated(machine, "/oauth2/token", url.Values{"grant_type": {userstore.GrantClientCredentials}})).Want(200, "")
		tokens := quiet(s).Login(quiet(s).SignUp(name))
		s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: tokens.Access}).Want(204, "")
		quiet(s).Advance(2 * time.Second)
		s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "")
	}},
	{"a confidential client", nil, func(s *apitest.Server, name string) {
		u := quiet(s).Operated(name+"@example.test", true)
		c := quiet(s).Register(userstore.Client{ID: name})
		code := quiet(s).Code(u, c)
		var tokens apitest.Tokens
		s.Do(s.CodeRequest(c, code)).Want(200, "").JSON(&tokens)
		s.Introspect(c, tokens.Refresh)
		s.Do(s.Authenticated(c, "/oauth2/revoke", url.Values{"token": {tokens.Access}})).Want(200, "")
		s.Do(s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})).Want(200, "")
	}},
}
