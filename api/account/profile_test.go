package account_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestProfile(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		s.Advance(time.Hour)
		token := s.Login(alice).Access

		t.Run("reading says who one is", func(t *testing.T) {
			var p apitest.Fields
			s.With(t).Do(apitest.Request{Path: "/v1/profile", Token: token}).Want(200, "").JSON(&p)
			if p["sub"] != alice.ID || p["email"] != alice.Email || p["last_login_at"] != "2026-11-21T13:00:00Z" ||
				p["created_at"] != "2026-11-21T12:00:00Z" {
				t.Errorf("%v", p)
			}
		})
		t.Run("PUT replaces, PATCH merges, null empties", func(t *testing.T) {
			s := s.With(t)
			step := func(method, media string, body, want any) {
				t.Helper()
				var got apitest.Fields
				s.Do(apitest.Request{Method: method, Path: "/v1/profile", Token: token, Type: media,
					Body: body}).Want(200, "").JSON(&got)
				for _, kept := range []string{"sub", "email_verified", "is_active", "is_staff", "roles", "created_at", "updated_at",
					"last_login_at"} {
					delete(got, kept)
				}
				text, _ := json.Marshal(want)
				if got.Text() != string(text) {
					t.Errorf("%s %v: got %s, want %s", method, body, got.Text(), text)
				}
				var again apitest.Fields
				s.Do(apitest.Request{Path: "/v1/profile", Token: token}).Want(200, "").JSON(&again)
				for name, value := range got {
					if text, _ := json.Marshal(value); string(text) != string(must(json.Marshal(again[name]))) {
						t.Errorf("%s was answered but not stored", name)
					}
				}
			}
			step("PUT", "application/json", apitest.Fields{"email": alice.Email, "name": "A", "preferred_username": "alice",
				"current_password": alice.Password, "address": apitest.Fields{"locality": "X", "country": "GB"}},
				apitest.Fields{"email": alice.Email, "name": "A", "preferred_username": "alice",
					"address": apitest.Fields{"locality": "X", "country": "GB"}})
			step("PATCH", "application/merge-patch+json",
				apitest.Fields{"nickname": "Al", "address": apitest.Fields{"locality": nil, "region": "R"}},
				apitest.Fields{"email": alice.Email, "name": "A", "nickname": "Al", "preferred_username": "alice",
					"address": apitest.Fields{"country": "GB", "region": "R"}})
			step("PATCH", "application/json",
				apitest.Fields{"name": nil, "address": nil, "username": "alice2", "current_password": alice.Password},
				apitest.Fields{"email": alice.Email, "nickname": "Al", "preferred_username": "alice2"})
			step("PATCH", "application/merge-patch+json; charset=UTF-8",
				apitest.Fields{"username": nil, "current_password": alice.Password},
				apitest.Fields{"email": alice.Email, "nickname": "Al"})
			step("PATCH", "application/json", apitest.Fields{}, apitest.Fields{"email": alice.Email, "nickname": "Al"})
			step("PUT", "application/json", apitest.Fields{"email": alice.Email}, apitest.Fields{"email": alice.Email})
		})
		t.Run("updated_at moves with a change and only then", func(t *testing.T) {
			s := s.With(t)
			at := func(body any) string {
				var p struct {
					UpdatedAt string `json:"updated_at"`
				}
				s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token, Body: body}).Want(200, "").JSON(&p)
				return p.UpdatedAt
			}
			first := at(apitest.Fields{"nickname": "one"})
			s.Advance(time.Second)
			if second := at(apitest.Fields{"nickname": "one"}); second != first {
				t.Errorf("%s, then %s without a change", first, second)
			}
			if third := at(apitest.Fields{"nickname": "two"}); third == first {
				t.Error("did not move")
			}
		})
		t.Run("another address is not a verified one", func(t *testing.T) {
			s := s.With(t)
			carol := s.SignUp("carol")
			if _, err := s.Replicas[0].Accounts.Edit(t.Context(), carol.ID,
				func(u *userstore.User) error { u.EmailVerified = true; return nil }); err != nil {
				t.Fatal(err)
			}
			tokens := s.Login(carol)
			verified := func(body any) (out bool) {
				var p struct {
					Verified bool `json:"email_verified"`
				}
				s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: tokens.Access, Body: body}).Want(200, "").JSON(&p)
				return p.Verified
			}
			if !verified(apitest.Fields{"nickname": "c"}) {
				t.Error("lost by a change of something else")
			}
			if verified(apitest.Fields{"email": "carol2@example.test", "current_password": carol.Password}) {
				t.Error("kept by a new address")
			}
		})

		patch := apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token}
		run(t, s, patch, []refusal{
			{"an address that somebody has", apitest.Fields{"email": bob.Email, "current_password": alice.Password}, 409,
				"user_already_exists", "email:taken"},
			{"no address any more", apitest.Fields{"email": nil}, 400, "validation_error", "email:required"},
			{"both names of the username", apitest.Fields{"username": "a", "preferred_username": nil}, 400, "validation_error",
				"username:not_allowed"},
			{"a username that cannot be", apitest.Fields{"username": "a b"}, 400, "validation_error",
				"preferred_username:invalid"},
			{"a script for a picture", apitest.Fields{"picture": "javascript:alert(1)"}, 400, "validation_error",
				"picture:invalid"},
			{"the password", apitest.Fields{"password": "x"}, 400, "validation_error", "password:not_allowed"},
			{"a list for the patch", "[]", 400, "validation_error", ":wrong_type"},
			{"null for the patch", "null", 400, "validation_error", ":wrong_type"},
			{"text for the address", apitest.Fields{"address": "x"}, 400, "validation_error", "address:wrong_type"},
			{"two faults at once", apitest.Fields{"locale": "??", "zoneinfo": "no where"}, 400, "validation_error",
				"zoneinfo:invalid locale:invalid"},
		})
		put := apitest.Request{Method: "PUT", Path: "/v1/profile", Token: token}
		run(t, s, put, []refusal{
			{"replaced by nothing", apitest.Fields{}, 400, "validation_error", "email:required"},
			{"replaced by what GET answers", apitest.Fields{"email": alice.Email, "sub": alice.ID, "updated_at": "x"}, 400,
				"validation_error", "sub:not_allowed updated_at:not_allowed"},
			{"null where text belongs", apitest.Fields{"email": alice.Email, "name": nil}, 400, "validation_error",
				"name:wrong_type"},
		})

		t.Run("writing needs the scope profile", func(t *testing.T) {
			s := s.With(t)
			narrow := s.Login(alice, apitest.Fields{"scope": "email"}).Access
			s.Unchanged(func() {
				for _, q := range []apitest.Request{
					{Method: "PATCH", Path: "/v1/profile", Body: apitest.Fields{"name": "x"}},
					{Method: "PUT", Path: "/v1/profile", Body: apitest.Fields{"email": alice.Email}},
					{Method: "DELETE", Path: "/v1/profile", Body: apitest.Fields{"current_password": alice.Password}},
					{Method: "POST", Path: "/v1/profile/password",
						Body: apitest.Fields{"current_password": alice.Password, "new_password": "yet another password"}},
					{Method: "DELETE", Path: "/v1/profile/sessions/x"},
				} {
					q.Token = narrow
					res := s.Do(q).Want(403, "insufficient_scope")
					if got := res.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer error="insufficient_scope", `) ||
						!strings.Contains(got, `scope="profile"`) {
						t.Errorf("challenge %q", got)
					}
				}
			})
			s.Do(apitest.Request{Path: "/v1/profile", Token: narrow}).Want(200, "")
		})
	}, apitest.WithoutMail)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestDeleteProfile(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		tokens, other := s.Login(alice), s.Login(alice)
		bobs := s.Login(bob)
		run(t, s, apitest.Request{Method: "DELETE", Path: "/v1/profile", Token: tokens.Access}, []refusal{
			{"without the password", apitest.Fields{}, 401, "recent_proof_required", ""},
			{"with a wrong one", apitest.Fields{"current_password": "not the password"}, 403, "wrong_password", ""},
			// Most clients send a DELETE without a body: 415 would send them after a type when the
			// password is missing.
			{"without a body", nil, 401, "recent_proof_required", ""},
		})
		for _, q := range []apitest.Request{
			{Type: "text/plain", Body: "hunter2"}, {Type: "application/x-www-form-urlencoded", Body: "current_password=x"},
			{Type: "-", Body: "{}"},
		} {
			q.Method, q.Path, q.Token = "DELETE", "/v1/profile", tokens.Access
			s.Do(q).Want(415, "unsupported_media_type")
		}
		s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile", Token: tokens.Access,
			Body: apitest.Fields{"current_password": alice.Password}}).Want(204, "")
		// U-30: every session is dead at once.
		for _, dead := range []apitest.Tokens{tokens, other} {
			s.Do(apitest.Request{Path: "/v1/profile", Token: dead.Access}).Want(401, "token_invalid")
			s.Refresh(dead.Refresh).Want(401, "token_invalid")
		}
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": alice.Email, "password": alice.Password}}).Want(401, "invalid_credentials")
		s.Do(apitest.Request{Path: "/v1/profile", Token: bobs.Access}).Want(200, "")
	})
}

func TestU30ADisabledUserIsOutAtOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		a, b := s.Login(alice), s.Login(alice)
		if err := s.DB.SetActive(t.Context(), alice.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		for _, tokens := range []apitest.Tokens{a, b} {
			s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(401, "token_invalid")
			s.Do(apitest.Request{Path: "/v1/profile/sessions", Token: tokens.Access}).Want(401, "token_invalid")
			s.Refresh(tokens.Refresh).Want(401, "token_invalid")
		}
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": alice.Email, "password": alice.Password}}).Want(403, "account_disabled")
		if err := s.DB.SetActive(t.Context(), alice.ID, true, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		s.Refresh(a.Refresh).Want(401, "token_invalid") // enabling brings no session back
		s.Login(alice)
	})
}

func TestChangePassword(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		mine, other := s.Login(alice), s.Login(alice)
		next := s.Secret("the next planted password")
		run(t, s, apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: mine.Access}, []refusal{
			{"U-25 without the current one", apitest.Fields{"new_password": next}, 401, "recent_proof_required", ""},
			{"U-25 with a wrong current one", apitest.Fields{"current_password": "not the password", "new_password": next}, 403,
				"wrong_password", ""},
			{"without a new one", apitest.Fields{"current_password": alice.Password}, 400, "validation_error",
				"new_password:required"},
			{"with one that is too short", apitest.Fields{"current_password": alice.Password, "new_password": "short"}, 400,
				"validation_error", "new_password:too_short"},
		})
		s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: mine.Access,
			Body: apitest.Fields{"current_password": alice.Password, "new_password": next}}).Want(204, "")
		s.Do(apitest.Request{Path: "/v1/profile", Token: mine.Access}).Want(200, "")
		s.Refresh(mine.Refresh).Want(200, "")
		s.Do(apitest.Request{Path: "/v1/profile", Token: other.Access}).Want(401, "token_invalid")
		s.Refresh(other.Refresh).Want(401, "token_invalid")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": alice.Email, "password": alice.Password}}).Want(401, "invalid_credentials")
		alice.Password = next
		s.Login(alice)
	})
}

func TestLogout(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		a, b, c := s.Login(alice), s.Login(alice), s.Login(alice)
		logout := apitest.Request{Method: "POST", Path: "/v1/logout", Token: a.Access}
		run(t, s, logout, []refusal{
			{"an unknown member", apitest.Fields{"everwhere": true}, 400, "validation_error", "everwhere:unknown_field"},
			{"text for a flag", apitest.Fields{"everywhere": "true"}, 400, "validation_error", "everywhere:wrong_type"},
		})
		s.Do(logout).Want(204, "")
		s.Do(logout).Want(401, "token_invalid")
		s.Refresh(a.Refresh).Want(401, "token_invalid")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: b.Access, Body: apitest.Fields{}}).Want(204, "")
		s.Do(apitest.Request{Path: "/v1/profile", Token: c.Access}).Want(200, "")
		d := s.Login(alice)
		s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: c.Access,
			Body: apitest.Fields{"everywhere": true}}).Want(204, "")
		for _, dead := range []apitest.Tokens{c, d} {
			s.Do(apitest.Request{Path: "/v1/profile", Token: dead.Access}).Want(401, "token_invalid")
			s.Refresh(dead.Refresh).Want(401, "token_invalid")
		}
		s.Login(alice)
	})
}

func TestSessions(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		list := func(token string) (out []apitest.Fields) {
			var body struct{ Sessions []apitest.Fields }
			s.Do(apitest.Request{Path: "/v1/profile/sessions", Token: token}).Want(200, "").JSON(&body)
			return body.Sessions
		}
		first := s.Login(alice)
		s.Advance(time.Hour)
		var second apitest.Tokens
		agent := "Browser/1.0 \xff" + strings.Repeat("é", 300)
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login", Header: http.Header{"User-Agent": {agent}},
			Body: apitest.Fields{"email": alice.Email, "password": alice.Password,
				"scope": "openid"}}).Want(200, "").JSON(&second)
		bobs := s.Login(bob)
		s.Refresh(first.Refresh).Want(200, "").JSON(&first)

		got := list(first.Access)
		if len(got) != 2 {
			t.Fatalf("%d sessions, want 2", len(got))
		}
		newest, oldest := got[0], got[1]
		if newest["current"] != false || oldest["current"] != true || newest["scope"] != "openid" ||
			oldest["scope"] != "profile email" ||
			newest["client_id"] != "signet" || newest["address"] != "127.0.0.1" ||
			newest["id"] != apitest.Claims(second.Access)["sid"] {
			t.Errorf("%v", got)
		}
		if ua, _ := newest["user_agent"].(string); !strings.HasPrefix(ua, "Browser/1.0 é") || len(ua) > 256 {
			t.Errorf("user agent %q", ua)
		}
		if oldest["created_at"] != "2026-11-21T12:00:00Z" || oldest["last_used_at"] != "2026-11-21T13:00:00Z" ||
			oldest["expires_at"] != "2026-12-05T13:00:00Z" {
			t.Errorf("%v", oldest)
		}

		bobsID := list(bobs.Access)[0]["id"].(string)
		mine := oldest["id"].(string)
		t.Run("U-22 other people's ids are like ids that never were", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() {
				var bodies []string
				for _, id := range []string{bobsID, "AAAAAAAAAAAAAAAAAAAAAA", "0", "-1", "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
					"%2e%2e", "%00", "%27%20OR%201=1--", "x?id=" + mine, mine + "%2f", "%20" + mine} {
					res := s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/sessions/" + id,
						Token: first.Access}).Want(404, "not_found")
					bodies = append(bodies, string(res.Body))
				}
				for i := range bodies {
					if bodies[i] != bodies[0] {
						t.Errorf("answers differ:\n%s\n%s", bodies[0], bodies[i])
					}
				}
				for _, path := range []string{"/v1/profile/sessions/me/../" + bobsID, "/v1/profile/sessions/..",
					"/v1/profile/sessions/", "/v1/profile/sessions//" + mine} {
					s.Do(apitest.Request{Method: "DELETE", Path: path, Token: first.Access}).Want(404, "not_found")
				}
				for _, method := range []string{"GET", "PATCH", "PUT", "POST"} {
					if res := s.Do(apitest.Request{Method: method, Path: "/v1/profile/sessions/" + bobsID,
						Token: first.Access}).Want(405, "method_not_allowed"); res.Header.Get("Allow") != "DELETE, OPTIONS" {
						t.Errorf("Allow %q", res.Header.Get("Allow"))
					}
				}
			})
		})
		t.Run("one's own other session ends, and then is like one that never was", func(t *testing.T) {
			s := s.With(t)
			id := newest["id"].(string)
			s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/sessions/" + id, Token: first.Access}).Want(204, "")
			s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/sessions/" + id,
				Token: first.Access}).Want(404, "not_found")
			s.Do(apitest.Request{Path: "/v1/profile", Token: second.Access}).Want(401, "token_invalid")
			s.Refresh(second.Refresh).Want(401, "token_invalid")
			s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/sessions/" + mine, Token: first.Access}).Want(204, "")
			s.Do(apitest.Request{Path: "/v1/profile", Token: first.Access}).Want(401, "token_invalid")
			s.Do(apitest.Request{Path: "/v1/profile", Token: bobs.Access}).Want(200, "")
		})
		t.Run("an idle session is not listed", func(t *testing.T) {
			s := s.With(t)
			s.Login(alice)
			s.Advance(337 * time.Hour)
			if got := list(s.Login(alice).Access); len(got) != 1 {
				t.Errorf("%d sessions, want 1", len(got))
			}
		})
	})
}
