package account_test

import (
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// Nobody is called like somebody's id: not at sign-up, by JSON or on the page, nor in the profile,
// nor by an admin.
func TestUsernamesWithTheShapeOfASubject(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		alice := s.SignUp("alice")
		token := s.Login(alice).Access
		for _, name := range []string{alice.ID, "0190a8a4-6d1f-7c3e-9b8a-5f4e3d2c1b0a"} {
			if name[0] == '-' {
				continue // refused as a flag already
			}
			for _, row := range []struct {
				q      apitest.Request
				faults string
			}{
				{apitest.Request{Method: "POST", Path: "/v1/signup", Body: apitest.Fields{"email": "bob@example.test",
					"password": apitest.GoodPassword, "username": name}}, "username:not_allowed"},
				{apitest.Request{Method: "POST", Path: "/v1/signup", Body: apitest.Fields{"email": "bob@example.test",
					"password": apitest.GoodPassword, "preferred_username": name}}, "preferred_username:not_allowed"},
				{apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token,
					Body: apitest.Fields{"preferred_username": name}}, "preferred_username:not_allowed"},
				{apitest.Request{Method: "PUT", Path: "/v1/profile", Token: token,
					Body: apitest.Fields{"email": alice.Email, "preferred_username": name}}, "preferred_username:not_allowed"},
				{apitest.Request{Method: "POST", Path: "/v1/admin/users", Token: admin.Access,
					Body: apitest.Fields{"email": "bob@example.test", "password": apitest.GoodPassword, "preferred_username": name}},
					"preferred_username:not_allowed"},
				{apitest.Request{Method: "PATCH", Path: "/v1/admin/users/" + alice.ID, Token: admin.Access,
					Body: apitest.Fields{"preferred_username": name}}, "preferred_username:not_allowed"},
			} {
				s.Unchanged(func() {
					if res := s.Do(row.q).Want(400, "validation_error"); res.Faults() != row.faults {
						t.Errorf("%s %s: %s, want %s", row.q.Method, row.q.Path, res.Faults(), row.faults)
					}
				})
			}
		}
	})
}
