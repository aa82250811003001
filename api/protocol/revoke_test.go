package protocol_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// outage is a store of which one call fails.
type outage struct {
	*sqlstore.DB
	revoke, read bool
}

func (o *outage) RevokeByClient(ctx context.Context, id userstore.GrantID, now time.Time, events ...audit.Event) error {
	if o.revoke {
		return userstore.ErrUnavailable
	}
	return o.DB.RevokeByClient(ctx, id, now, events...)
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
