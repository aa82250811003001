package crashes_test

import (
	"net/http"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// admin makes requests of an administrator, each with a proof of its own where the route asks for one.
type admin struct {
	bearer
	password string
}

func administrator(s *apitest.Server, name string) admin {
	s.T.Helper()
	q := quiet(s)
	u := q.Operated(name+"-root@example.test", true)
	q.Give(u, "admin")
	return admin{bearer{s, q.Login(u, apitest.Fields{"scope": "profile admin"}).Access}, u.Password}
}

func (a admin) proved(method, path string, body any) *apitest.Response {
	a.s.T.Helper()
	var out struct{ Proof string }
	a.quiet().do("POST", "/v1/profile/prove", apitest.Fields{"current_password": a.password}).Want(200, "").JSON(&out)
	return a.s.Do(apitest.Request{Method: method, Path: path, Token: a.token, Body: body,
		Header: http.Header{"Signet-Proof": {out.Proof}}})
}

var adminJourneys = []journey{
	{"users of an administrator", nil, func(s *apitest.Server, name string) {
		root := administrator(s, name)
		q := quiet(s)
		var made struct {
			Sub string `json:"sub"`
		}
		root.proved("POST", "/v1/admin/users", apitest.Fields{"email": name + "@example.test",
			"password": apitest.GoodPassword}).Want(201, "").JSON(&made)
		u := apitest.User{ID: made.Sub, Email: name + "@example.test", Password: apitest.GoodPassword}
		path := "/v1/admin/users/" + u.ID
		root.do("GET", "/v1/admin/users?limit=5", nil).Want(200, "")
		root.do("GET", path, nil).Want(200, "")
		root.do("PATCH", path, apitest.Fields{"name": "Ada"}).Want(200, "")
		root.proved("POST", path+"/verify-email", nil).Want(200, "")
		root.proved("POST", path+"/password", apitest.Fields{"new_password": apitest.NextPassword}).Want(204, "")
		u.Password = apitest.NextPassword
		root.proved("PUT", path+"/roles/editor", nil).Want(200, "")
		root.proved("DELETE", path+"/roles/editor", nil).Want(200, "")
		sid := q.Login(u).SessionID()
		q.Login(u)
		root.do("GET", path+"/sessions", nil).Want(200, "")
		root.do("DELETE", path+"/sessions/"+sid, nil).Want(204, "")
		root.do("DELETE", path+"/sessions", nil).Want(204, "")
		root.do("POST", path+"/disable", nil).Want(200, "")
		root.do("POST", path+"/enable", nil).Want(200, "")
		root.do("GET", "/v1/admin/audit?limit=5", nil).Want(200, "")
		root.do("DELETE", path, nil).Want(204, "")
	}},
	{"second factors of a user, of an administrator", nil, func(s *apitest.Server, name string) {
		root := administrator(s, name)
		q := quiet(s)
		u := q.Operated(name+"@example.test", true)
		q.WithApp(u)
		path := "/v1/admin/users/" + u.ID + "/factors"
		var have struct {
			App struct{ ID string } `json:"authenticator"`
		}
		root.do("GET", path, nil).Want(200, "").JSON(&have)
		root.proved("DELETE", path+"/"+have.App.ID, nil).Want(204, "")
		q.WithApp(u)
		root.proved("DELETE", path, nil).Want(204, "")
	}},
	{"an invitation of an administrator", nil, func(s *apitest.Server, name string) {
		root := administrator(s, name)
		q := quiet(s)
		u, err := q.Replicas[1].Accounts.RegisterByOperator(s.T.Context(),
			userstore.OperatorUser{NewUser: userstore.NewUser{Email: name + "@example.test"}, Invite: true})
		if err != nil {
			s.T.Fatal(err)
		}
		only(s, outbox.Invite)
		root.proved("POST", "/v1/admin/users/"+u.ID+"/invite", nil).Want(200, "")
		only(s, outbox.Invite)
	}},
	{"clients of an administrator", nil, func(s *apitest.Server, name string) {
		root := administrator(s, name)
		var c struct {
			ID string `json:"client_id"`
		}
		root.do("POST", "/v1/admin/clients", apitest.Fields{"client_name": "A", "redirect_uris": []string{"https://a.test/cb"}}).
			Want(201, "").JSON(&c)
		path := "/v1/admin/clients/" + c.ID
		root.do("GET", "/v1/admin/clients?limit=5", nil).Want(200, "")
		root.do("GET", path, nil).Want(200, "")
		root.do("PATCH", path, apitest.Fields{"client_name": "B"}).Want(200, "")
		root.do("POST", path+"/secret", nil).Want(200, "")
		root.do("POST", path+"/disable", nil).Want(200, "")
		root.do("POST", path+"/enable", nil).Want(200, "")
		root.do("DELETE", path, nil).Want(204, "")
	}},
	{"registration tokens of an administrator", nil, func(s *apitest.Server, name string) {
		root := administrator(s, name)
		var made struct{ ID string }
		root.do("POST", "/v1/admin/registration-tokens", apitest.Fields{"note": "the build", "uses": 2}).Want(201, "").JSON(&made)
		root.do("GET", "/v1/admin/registration-tokens?limit=5", nil).Want(200, "")
		root.do("DELETE", "/v1/admin/registration-tokens/"+made.ID, nil).Want(204, "")
	}},
}
