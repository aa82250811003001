package crashes_test

import (
	"net/http"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// quiet is the same server without faults, for what comes before a journey or is no part of it.
func quiet(s *apitest.Server) *apitest.Server {
	c := *s
	c.Around = nil
	return &c
}

// bearer makes requests with an access token.
type bearer struct {
	s     *apitest.Server
	token string
}

func (b bearer) do(method, path string, body any) *apitest.Response {
	b.s.T.Helper()
	return b.s.Do(apitest.Request{Method: method, Path: path, Token: b.token, Body: body})
}

func post(s *apitest.Server, path string, body any) *apitest.Response {
	s.T.Helper()
	return apitest.Post(s, path, body)
}

// proved is an account whose address is proved, and requests with its access token.
func proved(s *apitest.Server, name string) (apitest.User, bearer) {
	s.T.Helper()
	q := quiet(s)
	u := q.Operated(name+"@example.test", true)
	return u, bearer{s, q.Login(u).Access}
}

var accountJourneys = []journey{
	{"an account by JSON", nil, func(s *apitest.Server, name string) {
		u := s.SignUp(name)
		tokens := s.Login(u)
		s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
		me := bearer{s, tokens.Access}
		me.do("GET", "/v1/profile", nil).Want(200, "")
		me.do("PATCH", "/v1/profile", apitest.Fields{"name": "Ada"}).Want(200, "")
		me.do("PUT", "/v1/profile", apitest.Fields{"email": u.Email, "name": "Eve"}).Want(200, "")
		var proof struct{ Proof string }
		me.do("POST", "/v1/profile/prove", apitest.Fields{"current_password": u.Password}).Want(200, "").JSON(&proof)
		s.Do(apitest.Request{Path: "/v1/profile/export", Token: me.token,
			Header: http.Header{"Signet-Proof": {proof.Proof}}}).
			Want(200, "")
		other := quiet(s).Login(u)
		me.do("GET", "/v1/profile/sessions", nil).Want(200, "")
		me.do("DELETE", "/v1/profile/sessions/"+other.SessionID(), nil).Want(204, "")
		me.do("POST", "/v1/logout", nil).Want(204, "")
	}},
	{"a changed password by JSON", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		me.do("POST", "/v1/profile/password",
			apitest.Fields{"current_password": u.Password, "new_password": apitest.NextPassword}).Want(204, "")
		s.Login(apitest.User{Email: u.Email, Password: apitest.NextPassword})
	}},
	{"logout everywhere, and the end of an account", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		quiet(s).Login(u)
		me.do("POST", "/v1/logout", apitest.Fields{"everywhere": true}).Want(204, "")
		me.token = quiet(s).Login(u).Access
		me.do("DELETE", "/v1/profile", apitest.Fields{"current_password": u.Password}).Want(204, "")
	}},
	{"consents by JSON", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		q := quiet(s)
		c := q.Register(userstore.Client{ID: name})
		q.Allowed(u, c)
		me.do("GET", "/v1/profile/consents", nil).Want(200, "")
		me.do("DELETE", "/v1/profile/consents/"+c.ID, nil).Want(204, "")
	}},
	{"a forgotten password by JSON", nil, func(s *apitest.Server, name string) {
		u, _ := proved(s, name)
		post(s, "/v1/password/forgot", apitest.Fields{"email": u.Email}).Want(202, "")
		post(s, "/v1/password/reset", apitest.Fields{"token": mailed(s, outbox.ResetPassword, u.Email).Token(),
			"new_password": apitest.NextPassword}).Want(204, "")
		s.Login(apitest.User{Email: u.Email, Password: apitest.NextPassword})
	}},
}
