package crashes_test

import (
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestF16EveryStatementOfEveryJourney(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(*testing.T) *store) {
		points := 0
		for _, j := range journeys {
			t.Run(j.name, func(t *testing.T) { points += sweep(t, j, open(t)) })
		}
		t.Logf("%d journeys, %d points", len(journeys), points)
	})
}

var journeys = []journey{
	{"an account", nil, func(s *apitest.Server, name string) {
		u := s.SignUp(name)
		tokens := s.Login(u)
		s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
		s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: tokens.Access,
			Body: apitest.Fields{"current_password": u.Password, "new_password": apitest.NextPassword}}).Want(204, "")
		s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
		s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: tokens.Access}).Want(204, "")
	}},
	{"code and PKCE", nil, func(s *apitest.Server, name string) {
		u := s.Operated(name+"@example.test", true)
		c := s.Register(userstore.Client{ID: name, AuthMethod: userstore.AuthNone})
		b, p := s.Allowed(u, c)
		_ = b
		tokens := s.TokensOf(c, p)
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "").JSON(&tokens)
		apitest.UserinfoOf(s, tokens)
	}},
}
