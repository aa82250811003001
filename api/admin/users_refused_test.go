package admin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// TestU22IdsThatAreNone are all the same 404, whatever they try to be.
func TestU22IdsThatAreNone(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, admin := s.Admin("root")
		bob := s.SignUp("bob")
		session := s.Login(bob).SessionID()
		for _, id := range []string{
			"AAAAAAAAAAAAAAAAAAAAAA", "..", "../" + bob.ID, "me", "%2e%2e", "%2E%2E%2F" + bob.ID, bob.ID + "%00", "%00",
			bob.ID + "%20", "%20" + bob.ID,
			bob.ID[:21], bob.ID + "A", strings.ToLower(bob.ID) + "x", "%ff", "%25", "'", "%27%20OR%20'1'='1", "*", "1",
			"bob@example.test", "00000000-0000-4000-8000-000000000000",
			fmt.Sprintf("%%%02x%s", bob.ID[0], bob.ID[1:]), root.ID + ";" + bob.ID, strings.Repeat("A", 5000),
		} {
			t.Run("U-22 "+id[:min(len(id), 30)], func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() {
					for _, q := range s.AdminRoutes(id, session, "editor") {
						if !strings.Contains(q.Path, "/users/") {
							continue // the lists
						}
						q.Token = admin.Access
						switch {
						case q.Method == "PATCH":
							q.Body = apitest.Fields{"name": "Eve"}
						case strings.HasSuffix(q.Path, "/password"):
							q.Body = apitest.Fields{"new_password": apitest.GoodPassword}
						}
						res := s.Do(q).Want(404, "not_found")
						if id != ".." && !strings.Contains(id, "/") &&
							!strings.Contains(string(res.Body), `"detail":"There is nothing here."`) {
							t.Errorf("%s %s: %s", q.Method, q.Path, res.Body)
						}
					}
				})
			})
		}
	})
}

func TestH19BodiesOfAdmins(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		bob := s.SignUp("bob")
		deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
		for name, body := range map[string]string{
			"trailing brace":     `{"email":"e@example.test"}{`,
			"a member twice":     `{"email":"e@example.test","email":"f@example.test"}`,
			"a byte order mark":  "\ufeff{}",
			"NaN":                `{"is_staff":NaN}`,
			"1e400":              `{"roles":1e400}`,
			"nested 5,000 deep":  `{"address":` + deep + `}`,
			"cut off":            `{"new_password":"e`,
			"invalid UTF-8":      "{\"email\":\"e\xff@example.test\"}",
			"a list":             `[{}]`,
			"nothing but spaces": "   ",
			"many fields":        `{` + apitest.ManyMembers(3000) + `"email":"e@example.test"}`,
		} {
			t.Run("H-19 "+name, func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() {
					for _, q := range s.AdminRoutes(bob.ID, "x", "editor") {
						if q.Method == "GET" {
							continue
						}
						q.Token, q.Body = admin.Access, body
						if res := s.Do(q).Want(400, "validation_error"); len(res.Body) > 16<<10 {
							t.Errorf("an answer of %d bytes", len(res.Body))
						}
					}
				})
			})
		}
		t.Run("H-19 100 KiB", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() {
				for _, q := range s.AdminRoutes(bob.ID, "x", "editor") {
					if q.Method != "GET" {
						q.Token, q.Body = admin.Access, `{"name":"`+strings.Repeat("x", 100<<10)+`"}`
						s.Do(q).Want(413, "body_too_large")
					}
				}
			})
		})
	})
}
