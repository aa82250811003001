package admin_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

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

func TestPagesOfUsersAreStable(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, admin := s.Admin("root")
		for i := range 7 { // all of one instant, so that only ids order them
			s.SignUp(fmt.Sprintf("user%d", i))
		}
		seen, cursor := map[string]int{}, ""
		for page := 0; ; page++ {
			var p userPage
			s.Do(apitest.Request{Path: "/v1/admin/users?limit=3" + cursor, Token: admin.Access,
				Replica: page % 2}).Want(200, "").JSON(&p)
			for _, u := range p.Users {
				seen[u.Email]++
			}
			if page == 0 { // somebody comes and somebody goes between the pages
				gone := p.Users[2] // where the page ended
				if gone.Sub == root.ID {
					gone = p.Users[1]
				}
				s.Do(apitest.Request{Method: "DELETE", Path: "/v1/admin/users/" + gone.Sub, Token: admin.Access}).Want(204, "")
				s.Advance(time.Second)
				s.SignUp("late")
			}
			if p.Next == "" {
				break
			}
			cursor = "&cursor=" + url.QueryEscape(p.Next)
		}
		if len(seen) != 9 {
			t.Errorf("seen %d of 9: %v", len(seen), seen)
		}
		for email, n := range seen {
			if n != 1 {
				t.Errorf("%s was listed %d times", email, n)
			}
		}
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

func TestCursorsAreMadeHereOnly(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		s.SignUp("alice")
		s.SignUp("bob")
		next := func(path string) string {
			var p userPage
			s.Do(apitest.Request{Path: path, Token: admin.Access}).Want(200, "").JSON(&p)
			if p.Next == "" {
				t.Fatalf("%s has one page", path)
			}
			return p.Next
		}
		cursor, filtered, log := next("/v1/admin/users?limit=1"), next("/v1/admin/users?limit=1&search=example"),
			next("/v1/admin/audit?limit=1")
		get := func(s *apitest.Server, path, cursor string) *apitest.Response {
			return s.Do(apitest.Request{Path: path + "&cursor=" + url.QueryEscape(cursor), Token: admin.Access})
		}
		get(s, "/v1/admin/users?limit=1", cursor).Want(200, "")
		get(s, "/v1/admin/users?limit=2", cursor).Want(200, "") // a page may be larger than the one before
		get(s, "/v1/admin/users?search=example", filtered).Want(200, "")
		get(s, "/v1/admin/audit?limit=9", log).Want(200, "")

		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil {
			t.Fatal(err)
		}
		encode := base64.RawURLEncoding.EncodeToString
		second := apitest.New(t, apitest.Options{})
		_, stranger := second.Admin("root")
		second.SignUp("x")
		var p userPage
		second.Do(apitest.Request{Path: "/v1/admin/users?limit=1", Token: stranger.Access}).Want(200, "").JSON(&p)
		for _, row := range []struct{ name, path, cursor string }{
			{"cut off", "/v1/admin/users?limit=1", cursor[:len(cursor)-4]},
			{"longer", "/v1/admin/users?limit=1", encode(append(raw[:len(raw):len(raw)], 'A'))},
			{"nothing but a signature", "/v1/admin/users?limit=1", encode(raw[:32])},
			{"without a signature", "/v1/admin/users?limit=1", encode(raw[32:])},
			{"signed with nothing", "/v1/admin/users?limit=1", encode(append(make([]byte, 32), raw[32:]...))},
			{"padded", "/v1/admin/users?limit=1", cursor + "="},
			{"with a line feed", "/v1/admin/users?limit=1", cursor[:10] + "\n" + cursor[10:]},
			{"text", "/v1/admin/users?limit=1", "2026-11-21T12:00:00Z"},
			{"a number", "/v1/admin/users?limit=1", "2"},
			{"SQL", "/v1/admin/users?limit=1", "' OR '1'='1"},
			{"250 characters", "/v1/admin/users?limit=1", strings.Repeat("A", 250)},
			{"of the audit log", "/v1/admin/users?limit=1", log},
			{"of the users, at the audit log", "/v1/admin/audit?limit=1", cursor},
			{"with a condition that it was not made with", "/v1/admin/users?limit=1&role=admin", cursor},
			{"without the condition that it was made with", "/v1/admin/users?limit=1", filtered},
			{"with another value of the condition", "/v1/admin/users?limit=1&search=alice", filtered},
			{"of another issuer", "/v1/admin/users?limit=1", p.Next},
		} {
			t.Run(row.name, func(t *testing.T) {
				if res := get(s.With(t), row.path, row.cursor).Want(400, "validation_error"); res.Faults() != "cursor:invalid" {
					t.Error(res.Faults())
				}
			})
		}
		t.Run("one bit flipped, anywhere", func(t *testing.T) {
			s := s.With(t)
			for i := range raw {
				forged := append([]byte{}, raw...)
				forged[i] ^= 1 << (i % 8)
				get(s, "/v1/admin/users?limit=1", encode(forged)).Want(400, "validation_error")
			}
		})
	})
}

// TestS04WhatAListIsNotAskedFor: there is no order to inject into, and nothing unknown is passed
// over.
func TestS04WhatAListIsNotAskedFor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		for path, faults := range map[string]string{
			"users?order=email;drop":                   "", // a semicolon is no separator any more: the query cannot be read
			"users?order=email%3Bdrop":                 "order:unknown_field",
			"users?order=(select%20password_hash)":     "order:unknown_field",
			"users?sort=email":                         "sort:unknown_field",
			"users?sort_by=email&order_by=1&filter=x":  "filter:unknown_field order_by:unknown_field sort_by:unknown_field",
			"users?Search=x":                           "Search:unknown_field",
			"users?search%5B%5D=x":                     ":unknown_field",
			"users?%3Cscript%3E=x":                     ":unknown_field",
			"users?id=x":                               "id:unknown_field",
			"users?search=a&search=b":                  "search:duplicate_field",
			"users?status=Active":                      "status:invalid",
			"users?status=active'":                     "status:invalid",
			"users?status=":                            "status:invalid",
			"users?role=":                              "role:invalid",
			"users?cursor=":                            "cursor:invalid",
			"users?limit=0":                            "limit:invalid",
			"users?limit=-1":                           "limit:invalid",
			"users?limit=501":                          "limit:invalid",
			"users?limit=1e3":                          "limit:invalid",
			"users?limit=+1":                           "limit:invalid",
			"users?limit=%2B1":                         "limit:invalid",
			"users?limit=01":                           "limit:invalid",
			"users?limit=99999999999999999999":         "limit:invalid",
			"users?limit=1&limit=2":                    "limit:duplicate_field",
			"users?search=" + strings.Repeat("x", 257): "search:too_long",
			"users?search=%zz":                         "",
			"audit?order=at":                           "order:unknown_field",
			"audit?event=login":                        "event:invalid",
			"audit?event=login_failed'":                "event:invalid",
			"audit?from=yesterday":                     "from:invalid",
			"audit?from=2026-11-21":                    "from:invalid",
			"audit?from=2026-11-21T12:00:00":           "from:invalid",
			"audit?from=2026-11-21T12:00:00+02:00":     "from:invalid", // a + is a space here
			"audit?to=2026-13-21T12:00:00Z":            "to:invalid",
			"audit?to=1":                               "to:invalid",
			"audit?from=2026-11-21T12:00:00Z&to=2026-11-21T12:00:00Z": "to:invalid",
			"audit?actor=":                              "actor:invalid",
			"audit?target=a&target=b":                   "target:duplicate_field",
			"audit?limit=x&from=x":                      "from:invalid limit:invalid",
			"users/AAAAAAAAAAAAAAAAAAAAAA?dry_run=true": "dry_run:unknown_field",
		} {
			t.Run("S-04 "+path[:min(len(path), 50)], func(t *testing.T) {
				s := s.With(t)
				code := "validation_error"
				if faults == "" {
					code = "invalid_request"
				}
				if res := s.Do(apitest.Request{Path: "/v1/admin/" + path,
					Token: admin.Access}).Want(400, code); res.Faults() != faults {
					t.Errorf("%s, want %s", res.Faults(), faults)
				}
			})
		}
		t.Run("S-04 a parameter of a write is not passed over either", func(t *testing.T) {
			s := s.With(t)
			bob := s.SignUp("bob")
			s.Unchanged(func() {
				for _, q := range s.AdminRoutes(bob.ID, "x", "editor") {
					if q.Method != "GET" {
						q.Path, q.Token, q.Body = q.Path+"?dry_run=1", admin.Access, apitest.Fields{}
						s.Do(q).Want(400, "validation_error")
					}
				}
			})
		})
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
