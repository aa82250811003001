package account_test

import (
	"fmt"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// TestRefusalsOfSecurityAreRecorded: whoever asks as an admin and is none, an act that would leave
// no admin, and a sign-up that tells of an account.
func TestRefusalsOfSecurityAreRecorded(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, admin := s.Admin("root")
		bob := s.SignUp("bob")
		token := s.Login(bob).Access
		for range 20 {
			s.Do(apitest.Request{Path: "/v1/admin/users", Token: token}).Want(403, "insufficient_scope")
			s.Do(apitest.Request{Method: "DELETE", Path: "/v1/admin/users/" + root.ID,
				Token: token}).Want(403, "insufficient_scope")
		}
		s.Do(apitest.Request{Path: "/v1/admin/users"}).Want(401, "missing_token") // nobody, and nobody's event
		for range 2 {
			s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users/" + root.ID + "/disable",
				Token: admin.Access}).Want(409, "last_admin")
		}
		s.Do(apitest.Request{Method: "POST", Path: "/v1/signup",
			Body: apitest.Fields{"email": bob.Email, "password": apitest.GoodPassword}}).Want(409, "user_already_exists")
		s.Replicas[0].Accounts.Throttle.Drain()

		for name, want := range map[string][]string{
			"admin_refused insufficient_scope": {fmt.Sprint("user ", bob.ID, " on ")},
			"admin_refused last_admin": {fmt.Sprint("user ", root.ID, " on ", root.ID),
				fmt.Sprint("user ", root.ID, " on ", root.ID)},
			"signup_refused user_exists": {fmt.Sprint("anonymous  on ", bob.ID)},
		} {
			var got []string
			events, err := s.DB.ListEvents(t.Context(), userstore.EventQuery{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if fmt.Sprint(e.Name, " ", e.Reason) == name {
					got = append(got, fmt.Sprint(e.Actor.Type, " ", e.Actor.ID, " on ", e.Target.ID))
					if e.Outcome != "failure" || e.Address == "" || e.RequestID == "" {
						t.Errorf("%s: %+v", name, e)
					}
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}
