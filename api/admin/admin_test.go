package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// TestO07WhoMayNotAdminister calls every admin route with every token that is none.
func TestO07WhoMayNotAdminister(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, admin := s.Admin("root")
		alice := s.SignUp("alice")
		user := s.Login(alice)

		second, gone := s.Admin("second")
		_, disabled := s.Admin("third")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users/" + apitest.Claims(disabled.Access)["sub"].(string) +
			"/disable", Token: admin.Access}).Want(200, "")
		s.Do(apitest.Request{Method: "DELETE", Path: "/v1/admin/users/" + second.ID + "/roles/admin",
			Token: admin.Access}).Want(200, "")

		_, key := s.Key("RS256")
		header, claims := apitest.Header(admin.Access), apitest.Claims(admin.Access)
		genuine := func(c apitest.Fields) string { return apitest.Sign(key, header.Text(), c.Text()) }
		now := s.Clock.Now()

		// A client of somebody else's, with a grant of the admin's that says admin all the same.
		third := userstore.Client{ID: "third", Name: "Third", AuthMethod: userstore.AuthNone,
			GrantTypes: []string{"refresh_token"}, CreatedAt: now}
		grant := userstore.Grant{
			ID: userstore.GrantID{1}, SessionID: "thirdthirdthirdthirdth", UserID: root.ID, ClientID: third.ID,
			Scopes:   []string{"profile", "admin"},
			AuthTime: now, Generation: 1, RotatedAt: now, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		}
		rootRow, err := s.DB.UserByID(t.Context(), root.ID)
		if err == nil {
			err = s.DB.CreateClient(t.Context(), third)
		}
		app := userstore.Client{ID: "app", Name: "App", AuthMethod: userstore.AuthNone, FirstParty: true,
			Resources: []string{"https://api.test"}, CreatedAt: now}
		if err == nil {
			err = s.DB.CreateClient(t.Context(), app)
		}
		if err == nil {
			err = s.DB.StartGrant(t.Context(), userstore.StartGrant{Grant: grant, PasswordHash: rootRow.PasswordHash})
		}
		if err != nil {
			t.Fatal(err)
		}

		// The tools are right: what is changed nowhere is let in.
		s.Do(apitest.Request{Path: "/v1/admin/users", Token: genuine(claims)}).Want(200, "")

		for _, row := range []struct {
			name, token string
			status      int
			code        string
		}{
			{"no token", "", 401, "missing_token"},
			{"no token at all, but text", "x", 401, "token_invalid"},
			{"a user's token", user.Access, 403, "insufficient_scope"},
			{"a user's token that says admin", genuine(claims.With("sub", alice.ID).With("sid", user.SessionID())), 403,
				"insufficient_scope"},
			{"an admin's token without the scope", s.Login(root).Access, 403, "insufficient_scope"},
			{"an admin's ID token", s.Login(root, apitest.Fields{"scope": "openid admin"}).ID, 401, "token_invalid"},
			{"an admin's refresh token", admin.Refresh, 401, "token_invalid"},
			{"an expired admin token", genuine(claims.With("exp", now.Unix()-61)), 401, "token_expired"},
			{"an admin token for another audience",
				s.Login(root, apitest.Fields{"client_id": app.ID, "scope": "profile admin", "resource": "https://api.test"}).Access,
				401, "token_invalid"},
			{"an admin token without an audience", genuine(claims.With("aud", nil)), 401, "token_invalid"},
			{"an admin token of a third-party client", genuine(claims.With("client_id", third.ID).With("sid", grant.SessionID)),
				401, "token_invalid"},
			{"an admin token whose user is no admin any more", gone.Access, 403, "insufficient_scope"},
			{"an admin token whose user is disabled", disabled.Access, 401, "token_invalid"},
			{"an admin token of another issuer", genuine(claims.With("iss", "https://evil.test")), 401, "token_invalid"},
		} {
			t.Run("O-07 "+row.name, func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() {
					for _, q := range s.AdminRoutes(alice.ID, user.SessionID(), "editor") {
						for _, body := range []any{nil, apitest.Fields{"email": "new@example.test", "password": apitest.GoodPassword,
							"new_password": apitest.GoodPassword}} {
							q.Token, q.Body = row.token, body
							res := s.Do(q).Want(row.status, row.code)
							challenge := res.Header.Get("WWW-Authenticate")
							if row.code == "insufficient_scope" && !strings.Contains(challenge, `scope="admin"`) ||
								!strings.HasPrefix(challenge, "Bearer ") {
								t.Errorf("challenge %q", challenge)
							}
						}
					}
				})
			})
		}
		t.Run("O-07 refusals say nothing of what is there", func(t *testing.T) {
			s := s.With(t)
			for _, token := range []string{"", user.Access} {
				there := s.Do(apitest.Request{Path: "/v1/admin/users/" + alice.ID, Token: token})
				not := s.Do(apitest.Request{Path: "/v1/admin/users/AAAAAAAAAAAAAAAAAAAAAA?nonsense=1", Token: token})
				if string(there.Body) != string(not.Body) || there.Status != not.Status {
					t.Errorf("%s\n%s", there.Body, not.Body)
				}
			}
		})
		t.Run("O-07 scope admin is given to nobody else", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() {
				s.Do(apitest.Request{Method: "POST", Path: "/v1/login", Body: apitest.Fields{"email": alice.Email,
					"password": alice.Password, "scope": "admin"}}).Want(400, "invalid_scope")
			})
		})
		t.Run("O-07 a token in the query counts for nothing", func(t *testing.T) {
			s.With(t).Do(apitest.Request{Path: "/v1/admin/users?access_token=" + admin.Access}).Want(401, "missing_token")
		})
	}, func(o *apitest.Options) { o.Resources = []issuer.Resource{{URI: "https://api.test"}} })
}

func TestAdminCORS(t *testing.T) {
	const app = "https://console.test"
	s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) { r.API.CORSOrigins = []string{app} }})
	for path, methods := range map[string]string{
		"/v1/admin/users":                "GET, HEAD, POST, OPTIONS",
		"/v1/admin/users/x":              "GET, HEAD, PATCH, DELETE, OPTIONS",
		"/v1/admin/users/x/roles/editor": "PUT, DELETE, OPTIONS",
		"/v1/admin/users/x/sessions":     "GET, HEAD, DELETE, OPTIONS",
		"/v1/admin/audit":                "GET, HEAD, OPTIONS",
		"/v1/admin/clients":              "GET, HEAD, POST, OPTIONS",
		"/v1/admin/clients/x":            "GET, HEAD, PATCH, DELETE, OPTIONS",
		"/v1/admin/clients/x/secret":     "POST, OPTIONS",
	} {
		res := s.Do(apitest.Request{Method: "OPTIONS", Path: path,
			Header: http.Header{"Origin": {app}, "Access-Control-Request-Method": {"PATCH"}}}).Want(204, "")
		if res.Header.Get("Access-Control-Allow-Origin") != app ||
			res.Header.Get("Access-Control-Allow-Methods") != methods ||
			res.Header.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type" ||
			res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", path, res.Header)
		}
		res = s.Do(apitest.Request{Method: "OPTIONS", Path: path,
			Header: http.Header{"Origin": {"https://evil.test"}, "Access-Control-Request-Method": {"PATCH"}}}).Want(204, "")
		if res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, res.Header)
		}
	}
	_, admin := s.Admin("root")
	s.SignUp("alice")
	res := s.Do(apitest.Request{Path: "/v1/admin/audit?limit=1", Token: admin.Access,
		Header: http.Header{"Origin": {app}, "Accept": {"application/x-ndjson"}}}).Want(200, "")
	if !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "Link") || res.Header.Get("Link") == "" {
		t.Errorf("a script cannot see the next page: %v", res.Header)
	}
}
