package admin_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

func TestAdminFindsUsers(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		list := func(s *apitest.Server, query string) (p userPage) {
			s.T.Helper()
			s.Do(apitest.Request{Path: "/v1/admin/users" + query, Token: admin.Access}).Want(200, "").JSON(&p)
			return p
		}
		made := []apitest.User{}
		s.Advance(time.Second)
		for _, name := range []string{"anna", "annabel", "bob", "under_score", "underXscore"} {
			made = append(made, s.SignUp(name))
			s.Advance(time.Second)
		}
		s.Give(made[0], "editor")
		s.Give(made[1], "editor-in-chief")
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/admin/users/" + made[2].ID, Token: admin.Access,
			Body: apitest.Fields{"username": "Robert"}}).Want(200, "")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users/" + made[1].ID + "/disable",
			Token: admin.Access}).Want(200, "")
		for query, want := range map[string]string{
			"":                              "root anna annabel bob under_score underXscore",
			"?search=":                      "root anna annabel bob under_score underXscore",
			"?search=ann":                   "anna annabel",
			"?search=ANNA%40EXAMPLE":        "anna",
			"?search=rober":                 "bob",
			"?search=ROBERT":                "bob",
			"?search=er_s":                  "under_score",
			"?search=%25":                   "",
			"?search=%5C":                   "",
			"?search=" + made[2].ID:         "bob",
			"?search=" + made[2].ID[:21]:    "",
			"?search=nobody":                "",
			"?role=editor":                  "anna",
			"?role=edit%25":                 "",
			"?role=admin":                   "root",
			"?status=disabled":              "annabel",
			"?status=active&search=ann":     "anna",
			"?role=editor&status=disabled":  "",
			"?limit=2":                      "root anna",
			"?limit=500&status=active":      "root anna bob under_score underXscore",
			"?search=example.test&limit=10": "root anna annabel bob under_score underXscore",
		} {
			t.Run(query, func(t *testing.T) {
				if p := list(s.With(t), query); p.emails() != want {
					t.Errorf("found %q, want %q", p.emails(), want)
				}
			})
		}
		t.Run("a full last page has no next one", func(t *testing.T) {
			if p := list(s.With(t), "?limit=6"); len(p.Users) != 6 || p.Next != "" {
				t.Errorf("%d users, next %q", len(p.Users), p.Next)
			}
		})
	})
}
