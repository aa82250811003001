package account_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore/password"
)

func TestSignUp(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.Secret(apitest.GoodPassword)
		res := s.Do(apitest.Request{Method: "POST", Path: "/v1/signup", Body: apitest.Fields{
			"email": "Alice@Example.test", "password": apitest.GoodPassword, "username": "Alice",
			"name": "Alice <b>Liddell</b>", "given_name": "Alice", "family_name": "Liddell", "middle_name": "P",
			"nickname": "Al",
			"profile":  "https://alice.test/", "picture": "https://alice.test/me.png", "website": "https://alice.test/",
			"gender": "female", "birthdate": "1852-05-04", "zoneinfo": "Europe/London", "locale": "en-GB",
			"phone_number": "+441234567890",
			"address": apitest.Fields{"locality": "Oxford", "country": "GB", "street_address": "1 High St\nFlat 2",
				"formatted": "x", "region": "r", "postal_code": "OX1"},
		}}).Want(201, "")
		if got := res.Header.Get("Location"); got != "/v1/profile" {
			t.Errorf("Location %q", got)
		}
		var p apitest.Fields
		res.JSON(&p)
		for name, want := range (apitest.Fields{
			"email": "Alice@Example.test", "email_verified": false, "preferred_username": "Alice", "is_active": true,
			"is_staff":   false,
			"given_name": "Alice", "name": "Alice <b>Liddell</b>", "zoneinfo": "Europe/London", "phone_number": "+441234567890",
			"created_at": "2026-11-21T12:00:00Z", "updated_at": "2026-11-21T12:00:00Z", "last_login_at": nil, "username": nil,
			"password": nil,
		}) {
			if p[name] != want {
				t.Errorf("%s is %v, want %v", name, p[name], want)
			}
		}
		if a, _ := p["address"].(map[string]any); a["locality"] != "Oxford" || a["street_address"] != "1 High St\nFlat 2" {
			t.Errorf("address %v", p["address"])
		}
		if strings.Contains(string(res.Body), "<b>") {
			t.Error("U-39: markup is not escaped in the answer")
		}
		if roles, ok := p["roles"].([]any); !ok || len(roles) != 0 {
			t.Errorf("roles %v, want an empty list", p["roles"])
		}

		for _, row := range []refusal{
			{"the address is taken, in other case", apitest.Fields{"email": "ALICE@example.TEST",
				"password": apitest.GoodPassword}, 409, "user_already_exists", "email:taken"},
			{"the username is taken", apitest.Fields{"email": "b@example.test", "username": "aLiCe",
				"password": apitest.GoodPassword}, 409, "user_already_exists", "username:taken"},
			{"the username is taken, under its other name",
				apitest.Fields{"email": "b@example.test", "preferred_username": "alice", "password": apitest.GoodPassword}, 409,
				"user_already_exists", "preferred_username:taken"},
			{"both names of the username", apitest.Fields{"email": "b@example.test", "username": "b", "preferred_username": "b",
				"password": apitest.GoodPassword}, 400, "validation_error", "username:not_allowed"},
			{"nothing at all", apitest.Fields{}, 400, "validation_error", "email:required password:required"},
			{"a password of 14 characters", apitest.Fields{"email": "b@example.test", "password": "abcdefghijklmn"}, 400,
				"validation_error", "password:too_short"},
			{"an address that is none", apitest.Fields{"email": "b", "password": apitest.GoodPassword}, 400, "validation_error",
				"email:invalid"},
			{"a number for a name", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword, "name": 7}, 400,
				"validation_error", "name:wrong_type"},
			{"null for a name", apitest.Fields{"email": "b@example.test", "password": apitest.GoodPassword, "name": nil}, 400,
				"validation_error", "name:wrong_type"},
			{"a list", "[]", 400, "validation_error", ":wrong_type"},
			{"null", "null", 400, "validation_error", ":wrong_type"},
			{"no body", "", 400, "validation_error", ":malformed"},
		} {
			t.Run(row.name, func(t *testing.T) { refuse(s.With(t), apitest.Request{Method: "POST", Path: "/v1/signup"}, row) })
		}
	})
}

func TestU21FieldsThatOnlyOthersSetAreRefusedByName(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		token := s.Login(alice).Access
		for _, row := range []struct {
			field, code string
			value       any
		}{
			{"is_staff", "not_allowed", true},
			{"IS_STAFF", "not_allowed", true},
			{"is_active", "not_allowed", true},
			{"role", "not_allowed", "admin"},
			{"roles", "not_allowed", []string{"admin"}},
			{"email_verified", "not_allowed", true},
			{"phone_number_verified", "not_allowed", true},
			{"id", "not_allowed", "x"},
			{"sub", "not_allowed", alice.ID},
			{"password_hash", "not_allowed", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA"},
			{"created_at", "not_allowed", "2020-01-01T00:00:00Z"},
			{"updated_at", "not_allowed", "2020-01-01T00:00:00Z"},
			{"last_login_at", "not_allowed", "2020-01-01T00:00:00Z"},
			{"__proto__", "unknown_field", apitest.Fields{"is_staff": true}},
			{"EMAIL", "wrong_case", "eve@example.test"},
			{"constructor", "unknown_field", nil},
		} {
			t.Run("U-21 "+row.field, func(t *testing.T) {
				s := s.With(t)
				want := row.field + ":" + row.code
				s.Unchanged(func() {
					for path, method := range map[string]string{"/v1/signup": "POST", "/v1/profile": "PUT"} {
						body := apitest.Fields{"email": "eve@example.test", row.field: row.value}
						if method == "POST" {
							body["password"] = apitest.GoodPassword
						}
						res := s.Do(apitest.Request{Method: method, Path: path, Token: token, Body: body}).Want(400, "validation_error")
						if res.Faults() != want {
							t.Errorf("%s %s: faults %q, want %q", method, path, res.Faults(), want)
						}
					}
					res := s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token,
						Body: apitest.Fields{row.field: row.value}}).Want(400, "validation_error")
					if res.Faults() != want {
						t.Errorf("PATCH: faults %q, want %q", res.Faults(), want)
					}
				})
			})
		}
		t.Run("U-21 nested", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() {
				res := s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token,
					Body: apitest.Fields{"address": apitest.Fields{"is_staff": true}}})
				if res.Want(400, "validation_error").Faults() != "address.is_staff:unknown_field" {
					t.Error(res.Faults())
				}
			})
		})
	})
}

func TestU37SignUpWhenItIsClosed(t *testing.T) {
	s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) { r.Accounts.SignupEnabled = false }})
	s.Unchanged(func() {
		s.Do(apitest.Request{Method: "POST", Path: "/v1/signup",
			Body: apitest.Fields{"email": "a@example.test", "password": apitest.GoodPassword}}).Want(403, "signup_closed")
	})
}

func TestU06HugePasswordsAreRefusedUnhashed(t *testing.T) {
	s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) {
		// No slot is ever free here: whatever reaches the hashing would be overloaded.
		r.Accounts.Hasher = password.New(password.Params{MemoryKiB: 8, Time: 1, Threads: 1}, 1, 0, 1)
	}})
	long := strings.Repeat("x", 1<<20)
	s.Unchanged(func() {
		s.Do(apitest.Request{Method: "POST", Path: "/v1/signup",
			Body: apitest.Fields{"email": "a@example.test", "password": long}}).Want(413, "body_too_large")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": "a@example.test", "password": long}}).Want(413, "body_too_large")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/signup",
			Body: apitest.Fields{"email": "a@example.test", "password": long[:60000]}}).Want(400, "validation_error")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": "a@example.test", "password": long[:60000]}}).Want(400, "validation_error")
	})
}
