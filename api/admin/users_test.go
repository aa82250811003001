package admin_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

type adminUser struct {
	Sub           string   `json:"sub"`
	Email         string   `json:"email"`
	EmailVerified bool     `json:"email_verified"`
	Username      string   `json:"preferred_username"`
	Name          string   `json:"name"`
	IsActive      bool     `json:"is_active"`
	IsStaff       bool     `json:"is_staff"`
	Roles         []string `json:"roles"`
	HasPassword   bool     `json:"has_password"`
}

type userPage struct {
	Users []adminUser `json:"users"`
	Next  string      `json:"next_cursor"`
}

// emails lists whom a page has, by the part before the @.
func (p userPage) emails() string {
	var out []string
	for _, u := range p.Users {
		name, _, _ := strings.Cut(u.Email, "@")
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func TestAdminCreatesAUser(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		create := apitest.Request{Method: "POST", Path: "/v1/admin/users", Token: admin.Access}

		t.Run("with everything that an admin decides", func(t *testing.T) {
			s := s.With(t)
			q := create
			password := s.Secret("a password that an admin planted")
			q.Body = apitest.Fields{
				"email": "grace@example.test", "username": "grace", "password": password, "name": "Grace",
				"address": apitest.Fields{"locality": "London"},
				"roles":   []string{"support", "editor", "editor"}, "is_staff": true, "email_verified": true,
			}
			res := s.Do(q).Want(201, "")
			var u adminUser
			res.JSON(&u)
			if u.Username != "grace" || !u.EmailVerified || !u.IsStaff || !u.IsActive || !u.HasPassword ||
				strings.Join(u.Roles, " ") != "editor support" {
				t.Errorf("%+v", u)
			}
			if got := res.Header.Get("Location"); got != "/v1/admin/users/"+u.Sub {
				t.Errorf("Location %q", got)
			}
			again := s.Do(apitest.Request{Path: res.Header.Get("Location"), Token: admin.Access}).Want(200, "")
			if string(again.Body) != string(res.Body) {
				t.Errorf("created %s\nread %s", res.Body, again.Body)
			}
			s.Login(apitest.User{Email: "grace@example.test", Password: password})
		})
		t.Run("also when sign-up is closed", func(t *testing.T) {
			s := s.With(t)
			s.Replicas[0].Accounts.SignupEnabled = false
			defer func() { s.Replicas[0].Accounts.SignupEnabled = true }()
			q := create
			q.Body = apitest.Fields{"email": "closed@example.test", "password": apitest.GoodPassword}
			s.Do(q).Want(201, "")
		})
		run(t, s, create, []refusal{
			{"no email", apitest.Fields{"password": apitest.GoodPassword}, 400, "validation_error", "email:required"},
			{"no password", apitest.Fields{"email": "b@example.test"}, 400, "validation_error", "*"},
			{"a password that is guessed first", apitest.Fields{"email": "b@example.test", "password": "passwordpassword"}, 400,
				"validation_error", "password:too_common"},
			{"an email that is taken, in capitals",
				apitest.Fields{"email": "ROOT@example.test", "password": apitest.GoodPassword}, 409, "user_already_exists",
				"email:taken"},
			{"both names of the username", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword,
				"username": "b", "preferred_username": "b"}, 400, "validation_error", "username:not_allowed"},
			{"roles that are no list", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword,
				"roles": "admin"}, 400, "validation_error", "roles:wrong_type"},
			{"a role in capitals", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword,
				"roles": []string{"Admin"}}, 400, "validation_error", "roles:invalid"},
			{"is_staff as text", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword, "is_staff": "true"},
				400, "validation_error", "is_staff:wrong_type"},
			// What nobody decides, and what other calls are for.
			{"U-21 sub", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword,
				"sub": "AAAAAAAAAAAAAAAAAAAAAA"}, 400, "validation_error", "sub:not_allowed"},
			{"U-21 id", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword,
				"id": "AAAAAAAAAAAAAAAAAAAAAA"}, 400, "validation_error", "id:not_allowed"},
			{"U-21 password_hash", apitest.Fields{"email": "b@example.test",
				"password_hash": "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA"}, 400, "validation_error", "password_hash:not_allowed"},
			{"U-21 created_at", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword,
				"created_at": "2020-01-01T00:00:00Z"}, 400, "validation_error", "created_at:not_allowed"},
			{"U-21 updated_at and last_login_at",
				apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword, "updated_at": "2020-01-01T00:00:00Z",
					"last_login_at": "2020-01-01T00:00:00Z"}, 400, "validation_error",
				"last_login_at:not_allowed updated_at:not_allowed"},
			{"U-21 is_active", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword, "is_active": false},
				400, "validation_error", "is_active:not_allowed"},
			{"U-21 has_password", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword,
				"has_password": true}, 400, "validation_error", "has_password:unknown_field"},
			{"U-21 phone_number_verified", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword,
				"phone_number_verified": true}, 400, "validation_error", "phone_number_verified:not_allowed"},
			{"U-21 IS_STAFF", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword, "IS_STAFF": true}, 400,
				"validation_error", "IS_STAFF:wrong_case"},
			{"U-21 role", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword, "role": "admin"}, 400,
				"validation_error", "role:not_allowed"},
			{"U-21 __proto__", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword,
				"__proto__": apitest.Fields{"is_staff": true}}, 400, "validation_error", "__proto__:unknown_field"},
		})
	})
}

func TestAdminChangesAUser(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		bob := s.SignUp("bob")
		s.SignUp("carol")
		patch := apitest.Request{Method: "PATCH", Path: "/v1/admin/users/" + bob.ID, Token: admin.Access,
			Type: "application/merge-patch+json"}
		apply := func(s *apitest.Server, body any) (u adminUser) {
			s.T.Helper()
			q := patch
			q.Body = body
			s.Do(q).Want(200, "").JSON(&u)
			return u
		}
		t.Run("what only an admin changes", func(t *testing.T) {
			u := apply(s.With(t), apitest.Fields{"is_staff": true, "email_verified": true, "roles": []string{"b", "a"},
				"name": "Bob", "username": "bob"})
			if !u.IsStaff || !u.EmailVerified || strings.Join(u.Roles, " ") != "a b" || u.Name != "Bob" || u.Username != "bob" {
				t.Errorf("%+v", u)
			}
		})
		t.Run("what is not named stays, null empties", func(t *testing.T) {
			u := apply(s.With(t), apitest.Fields{"roles": nil, "preferred_username": nil})
			if !u.IsStaff || !u.EmailVerified || len(u.Roles) != 0 || u.Name != "Bob" || u.Username != "" {
				t.Errorf("%+v", u)
			}
		})
		t.Run("a new address is not verified unless that is said of it", func(t *testing.T) {
			s := s.With(t)
			if u := apply(s, apitest.Fields{"email": "bob2@example.test"}); u.EmailVerified {
				t.Errorf("%+v", u)
			}
			if u := apply(s, apitest.Fields{"email": "bob@example.test", "email_verified": true}); !u.EmailVerified {
				t.Errorf("%+v", u)
			}
		})
		t.Run("nothing is changed by what changes nothing", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() { apply(s, apitest.Fields{}); apply(s, apitest.Fields{"is_active": true, "name": "Bob"}) })
		})
		t.Run("roles one by one", func(t *testing.T) {
			s := s.With(t)
			for _, step := range []struct{ method, role, want string }{
				{"PUT", "a:b.c_d-e", "a:b.c_d-e"}, {"PUT", "a%3Ab.c_d-e", "a:b.c_d-e"}, {"PUT", "z", "a:b.c_d-e z"},
				{"DELETE", "a%3Ab.c_d-e", "z"}, {"DELETE", "never", "z"}, {"DELETE", "z", ""},
			} {
				var u adminUser
				s.Do(apitest.Request{Method: step.method, Path: "/v1/admin/users/" + bob.ID + "/roles/" + step.role,
					Token: admin.Access}).Want(200, "").JSON(&u)
				if got := strings.Join(u.Roles, " "); got != step.want {
					t.Errorf("%s %s: %q", step.method, step.role, got)
				}
			}
			s.Unchanged(func() {
				res := s.Do(apitest.Request{Method: "PUT", Path: "/v1/admin/users/" + bob.ID + "/roles/Admin",
					Token: admin.Access}).Want(400, "validation_error")
				if res.Faults() != "role:invalid" {
					t.Error(res.Faults())
				}
			})
		})
		run(t, s, patch, []refusal{
			{"no email", apitest.Fields{"email": nil}, 400, "validation_error", "email:required"},
			{"somebody else's email", apitest.Fields{"email": "Carol@example.test"}, 409, "user_already_exists", "email:taken"},
			{"flags that are null", apitest.Fields{"is_active": nil, "is_staff": nil, "email_verified": nil}, 400,
				"validation_error", "is_active:wrong_type is_staff:wrong_type email_verified:wrong_type"},
			{"a bad role, and all the rest with it", apitest.Fields{"roles": []string{"a b"}, "name": "Eve"}, 400,
				"validation_error", "roles:invalid"},
			{"a list of nothing", apitest.Fields{"roles": []any{nil}}, 400, "validation_error", "*"},
			{"U-21 password", apitest.Fields{"password": apitest.GoodPassword}, 400, "validation_error", "password:not_allowed"},
			{"U-21 password_hash", apitest.Fields{"password_hash": "x"}, 400, "validation_error", "password_hash:not_allowed"},
			{"U-21 sub", apitest.Fields{"sub": "x"}, 400, "validation_error", "sub:not_allowed"},
			{"U-21 created_at", apitest.Fields{"created_at": "2020-01-01T00:00:00Z"}, 400, "validation_error",
				"created_at:not_allowed"},
			{"U-21 phone_number_verified", apitest.Fields{"phone_number_verified": true}, 400, "validation_error",
				"phone_number_verified:not_allowed"},
		})
		set := apitest.Request{Method: "POST", Path: "/v1/admin/users/" + bob.ID + "/password", Token: admin.Access}
		run(t, s, set, []refusal{
			{"no new password", apitest.Fields{}, 400, "validation_error", "new_password:required"},
			{"a short one", apitest.Fields{"new_password": "short"}, 400, "validation_error", "new_password:too_short"},
			{"one that is guessed first", apitest.Fields{"new_password": "passwordpassword"}, 400, "validation_error",
				"new_password:too_common"},
			{"under its other name", apitest.Fields{"password": apitest.GoodPassword}, 400, "validation_error",
				"password:not_allowed"},
		})
		t.Run("calls without a body take an empty object, and nothing else", func(t *testing.T) {
			s := s.With(t)
			q := apitest.Request{Method: "POST", Path: "/v1/admin/users/" + bob.ID + "/enable", Token: admin.Access, Body: "{}"}
			s.Do(q).Want(200, "")
			q.Body = apitest.Fields{"reason": "x"}
			s.Do(q).Want(400, "validation_error")
			q.Body, q.Type = "a=b", "application/x-www-form-urlencoded"
			s.Do(q).Want(415, "unsupported_media_type")
		})
	})
}

func TestManyAdminsAtOnceLoseNothing(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		bob := s.SignUp("bob")
		var wg sync.WaitGroup
		var done sync.Map
		for i := range 4 {
			wg.Go(func() {
				role := fmt.Sprintf("role%d", i)
				q := apitest.Request{Method: "PUT", Path: "/v1/admin/users/" + bob.ID + "/roles/" + role, Token: admin.Access}
				switch res := s.Do(q); res.Code() {
				case "":
					done.Store(role, true)
				case "conflict": // said, and not lost
				default:
					t.Errorf("%d %s", res.Status, res.Body)
				}
			})
		}
		wg.Wait()
		row, err := s.DB.UserByID(t.Context(), bob.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		done.Range(func(role, _ any) bool {
			if want++; !row.HasRole(role.(string)) {
				t.Errorf("%s was acknowledged and is not there: %v", role, row.Roles)
			}
			return true
		})
		if want == 0 || len(row.Roles) != want {
			t.Errorf("%d acknowledged, roles %v", want, row.Roles)
		}
	})
}
