package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
)

// O-10: whatever a request changes is recorded under the id of its answer, with who asked, from
// where and in which session, on every route that changes something.
func TestO10WhatARequestDoesIsRecordedWithItsOrigin(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		const agent = "Some Browser/1.0"
		do := func(method, path string, token string, body apitest.Fields) *apitest.Response {
			t.Helper()
			q := apitest.Request{Method: method, Path: path, Token: token, Header: http.Header{
				"User-Agent": {"Some \u009b\u0085Browser/1.0"}, "X-Request-Id": {"forged"}, "X-Forwarded-For": {"203.0.113.66"},
				"Forwarded": {"for=203.0.113.66"},
			}}
			if body != nil {
				q.Body = body
			}
			return s.Do(q)
		}
		user := func(tokens apitest.Tokens) string { return "user " + alice.ID + " in " + tokens.SessionID() }
		const nobody = "anonymous  in "

		check := func(r *apitest.Response, status int, name audit.Name, by, in string) {
			t.Helper()
			r.Want(status, r.Code())
			got := s.EventsOf(r)
			if len(got) != 1 {
				t.Fatalf("%s: %d events: %+v", name, len(got), got)
			}
			e := got[0]
			if e.Name != name || fmt.Sprintf("%s %s in %s", e.Actor.Type, e.Actor.ID, in) != by {
				t.Errorf("%s %s %s, want %s by %s", e.Name, e.Actor.Type, e.Actor.ID, name, by)
			}
			if e.SessionID != in {
				t.Errorf("%s: in session %q, want %q", name, e.SessionID, in)
			}
			if e.Address != "127.0.0.1" || e.UserAgent != agent {
				t.Errorf("%s: from %q with %q", name, e.Address, e.UserAgent)
			}
		}

		check(do("POST", "/v1/signup", "", apitest.Fields{"email": "bob@example.test",
			"password": s.Secret("planted password of bob")}), 201, audit.UserCreated, nobody, "")
		check(do("POST", "/v1/login", "", apitest.Fields{"email": alice.Email,
			"password": s.Secret("planted wrong password")}), 401, audit.LoginFailed, nobody, "")
		r := do("POST", "/v1/login", "", apitest.Fields{"email": alice.Email, "password": alice.Password})
		var here apitest.Tokens
		r.JSON(&here)
		check(r, 200, audit.LoginSucceeded, user(here), here.SessionID())

		next := s.Secret("planted next password of alice")
		in := here.SessionID()
		check(do("PATCH", "/v1/profile", here.Access, apitest.Fields{"given_name": "Alice"}), 200, audit.UserUpdated,
			user(here), in)
		check(do("PUT", "/v1/profile", here.Access, apitest.Fields{"email": alice.Email, "nickname": "Al"}), 200,
			audit.UserUpdated, user(here), in)
		check(do("POST", "/v1/profile/password", here.Access, apitest.Fields{"current_password": "planted wrong password",
			"new_password": next}), 403, audit.PasswordRefused, user(here), in)
		check(do("POST", "/v1/profile/password", here.Access, apitest.Fields{"current_password": alice.Password,
			"new_password": next}), 204, audit.PasswordChanged, user(here), in)
		alice.Password = next
		there := s.Login(alice)
		check(do("DELETE", "/v1/profile/sessions/"+there.SessionID(), here.Access, nil), 204, audit.SessionRevoked,
			"user "+alice.ID+" in "+there.SessionID(), there.SessionID())
		check(do("POST", "/v1/logout", here.Access, nil), 204, audit.SessionRevoked, user(here), in)
		here = s.Login(alice)
		check(do("POST", "/v1/logout", here.Access, apitest.Fields{"everywhere": true}), 204, audit.SessionsRevoked,
			user(here), here.SessionID())
		here = s.Login(alice)
		check(do("DELETE", "/v1/profile", here.Access, apitest.Fields{"current_password": alice.Password}), 204,
			audit.UserDeleted, user(here), here.SessionID())

		// A replay: whoever sent it proved to be nobody.
		bob := s.SignUp("bob2")
		tokens := s.Login(bob)
		first := tokens.Refresh
		for range 2 {
			s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
		}
		check(do("POST", "/v1/refresh", "", apitest.Fields{"refresh_token": first}), 401, audit.RefreshReplayed,
			"anonymous  in "+tokens.SessionID(), tokens.SessionID())

		// What is refused for itself, and what only reads, is not.
		other := s.Login(bob)
		for _, r := range []*apitest.Response{
			do("POST", "/v1/refresh", "", apitest.Fields{"refresh_token": other.Refresh}),
			do("GET", "/v1/profile", other.Access, nil), do("GET", "/v1/profile/sessions", other.Access, nil),
			do("PATCH", "/v1/profile", other.Access, apitest.Fields{"email": "nonsense"}),
			do("PATCH", "/v1/profile", other.Access, apitest.Fields{}),
			do("PATCH", "/v1/profile", "", apitest.Fields{"given_name": "Mallory"}), do("POST", "/v1/logout", "x", nil),
			do("DELETE", "/v1/profile/sessions/"+strings.Repeat("x", 22), other.Access, nil),
		} {
			if got := s.EventsOf(r); len(got) != 0 {
				t.Errorf("recorded: %+v", got)
			}
		}
	})
}
