package crashes_test

import (
	"github.com/signet-id/signet/api/apitest"
)

// adminOf is an account with the role admin, and requests with its access token.
func adminOf(s *apitest.Server, name string) bearer {
	s.T.Helper()
	q := quiet(s)
	u := q.Operated("root-"+name+"@example.test", true)
	q.Give(u, "admin")
	return bearer{s, q.Login(u, apitest.Fields{"scope": "profile admin"}).Access}
}

// adminJourneys are those of an admin by JSON.
var adminJourneys = []journey{
	{"an admin makes an account", nil, func(s *apitest.Server, name string) {
		root := adminOf(s, name)
		root.do("GET", "/v1/admin/users", nil).Want(200, "")
		var made struct{ Sub string }
		root.do("POST", "/v1/admin/users", apitest.Fields{"email": name + "@example.test",
			"password": s.Secret(apitest.GoodPassword)}).Want(201, "").JSON(&made)
		user := "/v1/admin/users/" + made.Sub
		root.do("GET", user, nil).Want(200, "")
		root.do("PATCH", user, apitest.Fields{"name": "Ada"}).Want(200, "")
		root.do("POST", user+"/verify-email", nil).Want(200, "")
		root.do("POST", user+"/password", apitest.Fields{"new_password": s.Secret(apitest.NextPassword)}).Want(204, "")
		root.do("PUT", user+"/roles/editor", nil).Want(200, "")
		root.do("DELETE", user+"/roles/editor", nil).Want(200, "")
		root.do("GET", "/v1/admin/audit", nil).Want(200, "")
	}},
	{"an admin ends sessions and an account", nil, func(s *apitest.Server, name string) {
		root, q := adminOf(s, name), quiet(s)
		u := q.Operated(name+"@example.test", true)
		one := q.Login(u)
		q.Login(u)
		user := "/v1/admin/users/" + u.ID
		root.do("GET", user+"/sessions", nil).Want(200, "")
		root.do("DELETE", user+"/sessions/"+one.SessionID(), nil).Want(204, "")
		root.do("DELETE", user+"/sessions", nil).Want(204, "")
		q.Login(u)
		root.do("POST", user+"/disable", nil).Want(200, "")
		root.do("POST", user+"/enable", nil).Want(200, "")
		root.do("DELETE", user, nil).Want(204, "")
	}},
	{"an admin invites somebody", nil, func(s *apitest.Server, name string) {
		root := adminOf(s, name)
		var made struct{ Sub string }
		root.do("POST", "/v1/admin/users", apitest.Fields{"email": name + "@example.test", "invite": true}).Want(201, "").
			JSON(&made)
		root.do("POST", "/v1/admin/users/"+made.Sub+"/invite", nil).Want(200, "")
	}},
	{"an admin removes second factors", nil, func(s *apitest.Server, name string) {
		root, q := adminOf(s, name), quiet(s)
		u := q.Operated(name+"@example.test", true)
		q.WithPasskey(u)
		q.WithApp(u)
		factors := "/v1/admin/users/" + u.ID + "/factors"
		var have struct{ Passkeys []struct{ ID string } }
		root.do("GET", factors, nil).Want(200, "").JSON(&have)
		root.do("DELETE", factors+"/"+have.Passkeys[0].ID, nil).Want(204, "")
		root.do("DELETE", factors, nil).Want(204, "")
	}},
	{"an admin and a client", nil, func(s *apitest.Server, name string) {
		root := adminOf(s, name)
		root.do("GET", "/v1/admin/clients", nil).Want(200, "")
		root.do("POST", "/v1/admin/clients", apitest.Fields{"client_id": name, "client_name": "Web",
			"redirect_uris": []string{"https://web.test/cb"}}).Want(201, "")
		client := "/v1/admin/clients/" + name
		root.do("GET", client, nil).Want(200, "")
		root.do("PATCH", client, apitest.Fields{"client_name": "Shop"}).Want(200, "")
		var renewed struct {
			Secret string `json:"client_secret"`
		}
		root.do("POST", client+"/secret", nil).Want(200, "").JSON(&renewed)
		c, err := s.DB.ClientByID(s.T.Context(), name)
		if err != nil {
			s.T.Fatal(err)
		}
		u := quiet(s).Operated(name+"@example.test", true)
		quiet(s).Redeem(u, apitest.Client{Client: c, Secret: s.Secret(renewed.Secret)})
		root.do("POST", client+"/disable", nil).Want(200, "")
		root.do("POST", client+"/enable", nil).Want(200, "")
		root.do("DELETE", client, nil).Want(204, "")
	}},
	{"an admin and initial access tokens", nil, func(s *apitest.Server, name string) {
		root := adminOf(s, name)
		const tokens = "/v1/admin/registration-tokens"
		var made struct{ ID string }
		root.do("POST", tokens, apitest.Fields{"note": "the build", "uses": 2, "expires_in": 3600}).Want(201, "").JSON(&made)
		root.do("GET", tokens, nil).Want(200, "")
		root.do("DELETE", tokens+"/"+made.ID, nil).Want(204, "")
	}},
}
