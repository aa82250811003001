package admin_test

import (
	"sync"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// TestO09StaffAndTheLastAdmin: a flag without authority has none, and somebody can always let
// somebody in.
func TestO09StaffAndTheLastAdmin(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, admin := s.Admin("root")
		staff, bob := s.SignUp("staff"), s.SignUp("bob")
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/admin/users/" + staff.ID, Token: admin.Access,
			Body: apitest.Fields{"is_staff": true, "roles": []string{"support"}}}).Want(200, "")
		token := s.Login(staff).Access

		for _, who := range []apitest.User{staff, bob} {
			for _, q := range []apitest.Request{
				{Method: "PATCH", Path: "/v1/admin/users/" + who.ID, Body: apitest.Fields{"roles": []string{"admin"}}},
				{Method: "PUT", Path: "/v1/admin/users/" + who.ID + "/roles/admin"},
				{Method: "POST", Path: "/v1/admin/users/" + who.ID + "/password",
					Body: apitest.Fields{"new_password": apitest.GoodPassword}},
			} {
				t.Run("O-09 staff: "+q.Method+" "+q.Path, func(t *testing.T) {
					s := s.With(t)
					q.Token = token
					s.Unchanged(func() { s.Do(q).Want(403, "insufficient_scope") })
				})
			}
		}
		t.Run("O-09 staff who escalate themselves at the profile", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() {
				res := s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token,
					Body: apitest.Fields{"roles": []string{"admin"}}}).Want(400, "validation_error")
				if res.Faults() != "roles:not_allowed" {
					t.Error(res.Faults())
				}
			})
		})

		last := func(t *testing.T, s *apitest.Server, u apitest.User, token string) {
			t.Helper()
			for _, q := range []apitest.Request{
				{Method: "DELETE", Path: "/v1/admin/users/" + u.ID},
				{Method: "POST", Path: "/v1/admin/users/" + u.ID + "/disable"},
				{Method: "DELETE", Path: "/v1/admin/users/" + u.ID + "/roles/admin"},
				{Method: "PATCH", Path: "/v1/admin/users/" + u.ID,
					Body: apitest.Fields{"roles": []string{"editor"}, "name": "Root"}},
				{Method: "PATCH", Path: "/v1/admin/users/" + u.ID, Body: apitest.Fields{"roles": nil}},
				{Method: "PATCH", Path: "/v1/admin/users/" + u.ID, Body: apitest.Fields{"is_active": false}},
				{Method: "DELETE", Path: "/v1/profile", Body: apitest.Fields{"current_password": u.Password}},
			} {
				q.Token = token
				s.Unchanged(func() { s.Do(q).Want(409, "last_admin") })
			}
		}
		t.Run("O-09 the last admin stays", func(t *testing.T) { last(t, s.With(t), root, admin.Access) })

		t.Run("O-09 one of two may go, and a disabled one does not count", func(t *testing.T) {
			s := s.With(t)
			second, other := s.Admin("second")
			s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users/" + second.ID + "/disable",
				Token: admin.Access}).Want(200, "")
			last(t, s, root, admin.Access)
			s.Do(apitest.Request{Path: "/v1/admin/users", Token: other.Access}).Want(401, "token_invalid")
			s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users/" + second.ID + "/enable",
				Token: admin.Access}).Want(200, "")
			s.Do(apitest.Request{Method: "DELETE", Path: "/v1/admin/users/" + second.ID, Token: admin.Access}).Want(204, "")
			last(t, s, root, admin.Access)
		})
		t.Run("O-09 two admins who take the role from each other at once", func(t *testing.T) {
			s := s.With(t)
			for range 5 {
				second, other := s.Admin("rival")
				var wg sync.WaitGroup
				status := make([]int, 2)
				for i, q := range []apitest.Request{
					{Method: "DELETE", Path: "/v1/admin/users/" + second.ID + "/roles/admin", Token: admin.Access},
					{Method: "DELETE", Path: "/v1/admin/users/" + root.ID + "/roles/admin", Token: other.Access},
				} {
					wg.Go(func() { status[i] = s.Do(q).Status })
				}
				wg.Wait()
				for _, code := range status {
					if code != 200 && code != 409 && code != 403 {
						t.Errorf("answered %v", status)
					}
				}
				left := 0
				for _, u := range []apitest.User{root, second} {
					if row, err := s.DB.UserByID(t.Context(), u.ID); err == nil && row.HasRole("admin") {
						left++
					}
				}
				if left != 1 || (status[0] == 200) == (status[1] == 200) {
					t.Fatalf("%d admins are left after %v", left, status)
				}
				s.Give(root, "admin")
				s.Do(apitest.Request{Method: "DELETE", Path: "/v1/admin/users/" + second.ID, Token: admin.Access}).Want(204, "")
			}
		})
	})
}
