package admin_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// TestU30DisablingAndDeletingEndEverythingAtOnce, on every replica, as do a new password and
// signing out everywhere.
func TestU30DisablingAndDeletingEndEverythingAtOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		for _, act := range []struct {
			name   string
			q      apitest.Request
			status int
			login  string // what the right password is told afterwards
		}{
			{"disable", apitest.Request{Method: "POST", Path: "/disable"}, 200, "account_disabled"},
			{"a patch that disables", apitest.Request{Method: "PATCH", Body: apitest.Fields{"is_active": false}}, 200,
				"account_disabled"},
			{"delete", apitest.Request{Method: "DELETE"}, 204, "invalid_credentials"},
			{"a new password", apitest.Request{Method: "POST", Path: "/password",
				Body: apitest.Fields{"new_password": apitest.GoodPassword}}, 204, "invalid_credentials"},
			{"all sessions", apitest.Request{Method: "DELETE", Path: "/sessions"}, 204, ""},
		} {
			t.Run("U-30 "+act.name, func(t *testing.T) {
				s := s.With(t)
				victim := s.SignUp(strings.ReplaceAll(act.name, " ", "-"))
				bystander := s.Login(s.SignUp("bystander-of-" + strings.ReplaceAll(act.name, " ", "-")))
				sessions := []apitest.Tokens{s.Login(victim), s.Login(victim)}
				var list struct{ Sessions []any }
				s.Do(apitest.Request{Path: "/v1/admin/users/" + victim.ID + "/sessions",
					Token: admin.Access}).Want(200, "").JSON(&list)
				if len(list.Sessions) != 2 {
					t.Fatalf("%d sessions", len(list.Sessions))
				}

				q := act.q
				q.Path, q.Token = "/v1/admin/users/"+victim.ID+q.Path, admin.Access
				s.Do(q).Want(act.status, "")
				for replica := range s.Replicas {
					for _, tokens := range sessions {
						s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access, Replica: replica}).Want(401, "token_invalid")
						s.Do(apitest.Request{Method: "POST", Path: "/v1/refresh", Body: apitest.Fields{"refresh_token": tokens.Refresh},
							Replica: replica}).Want(401, "token_invalid")
					}
					res := s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
						Body: apitest.Fields{"email": victim.Email, "password": victim.Password}, Replica: replica})
					if res.Code() != act.login {
						t.Errorf("login: %d %s", res.Status, res.Body)
					}
				}
				s.Do(apitest.Request{Path: "/v1/profile", Token: bystander.Access}).Want(200, "")
				s.Do(apitest.Request{Path: "/v1/admin/users", Token: admin.Access}).Want(200, "")
			})
		}
		t.Run("U-30 one session, and nobody else's through somebody", func(t *testing.T) {
			s := s.With(t)
			one, other := s.SignUp("one"), s.SignUp("other")
			first, second, foreign := s.Login(one), s.Login(one), s.Login(other)
			path := "/v1/admin/users/" + one.ID + "/sessions/"
			s.Unchanged(func() {
				s.Do(apitest.Request{Method: "DELETE", Path: path + foreign.SessionID(),
					Token: admin.Access}).Want(404, "not_found")
			})
			s.Do(apitest.Request{Method: "DELETE", Path: path + first.SessionID(), Token: admin.Access}).Want(204, "")
			s.Do(apitest.Request{Method: "DELETE", Path: path + first.SessionID(), Token: admin.Access}).Want(404, "not_found")
			s.Do(apitest.Request{Path: "/v1/profile", Token: first.Access}).Want(401, "token_invalid")
			s.Do(apitest.Request{Path: "/v1/profile", Token: second.Access}).Want(200, "")
			s.Do(apitest.Request{Path: "/v1/profile", Token: foreign.Access}).Want(200, "")
		})
	}, func(o *apitest.Options) { o.Replicas = 2 })
}
