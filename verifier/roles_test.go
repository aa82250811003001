package verifier_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
)

func TestRequireRole(t *testing.T) {
	s := newStand(t)
	with := func(claims map[string]any) string {
		return "Bearer " + mk(t, s.header("EdDSA", nil), s.claims(claims), s.keys["EdDSA"])
	}
	oneOf, both := s.v.RequireRole("editor", "admin")(status(200)), s.v.RequireRole("editor")(s.v.RequireRole("admin")(status(200)))
	inNeed := s.v.RequireScope("x")(s.v.RequireACR("2")(oneOf))
	for _, c := range []struct {
		name               string
		roles              any
		oneOf, both, inner int
	}{
		{"no roles", nil, 403, 403, 403}, {"an empty list", []string{}, 403, 403, 403},
		{"another role", []string{"Editor", "admin "}, 403, 403, 403},
		{"one of them", []string{"editor"}, 200, 403, 401}, {"the other", []string{"x", "admin"}, 200, 403, 401},
		{"both", []string{"admin", "editor"}, 200, 200, 401},
	} {
		authorization := with(map[string]any{"roles": c.roles, "acr": "1"})
		if w := serve(oneOf, request("GET", "/", authorization)); w.Code != c.oneOf {
			t.Errorf("%s: one of: %d", c.name, w.Code)
		}
		if w := serve(both, request("GET", "/", authorization)); w.Code != c.both {
			t.Errorf("%s: both: %d", c.name, w.Code)
		}
		// A role is asked for before a login: nobody logs in again to learn that it was in vain.
		w := serve(inNeed, request("GET", "/", authorization))
		if w.Code != c.inner {
			t.Errorf("%s: beside a scope and a login: %d", c.name, w.Code)
		}
		if w.Code == 403 {
			if code := problemCode(t, w); code != "insufficient_role" {
				t.Errorf("%s: %s", c.name, code)
			}
			challenge := w.Header().Get("WWW-Authenticate")
			if !strings.HasPrefix(challenge, `Bearer error="insufficient_scope", error_description="The user`) || strings.Contains(challenge, " scope=") {
				t.Errorf("%s: challenge %s", c.name, challenge)
			}
		}
	}
	if w := serve(oneOf, request("GET", "/")); w.Code != 401 {
		t.Errorf("without a token: %d", w.Code)
	}
}

// Require and Check judge as the middleware of each single requirement does.
func TestRequireAndCheck(t *testing.T) {
	s := newStand(t)
	now := s.issuer.Now()
	token, err := s.v.Verify(t.Context(), mk(t, s.header("EdDSA", nil), s.claims(map[string]any{
		"scope": "a b", "roles": []string{"editor"}, "acr": "1", "auth_time": now.Unix() - 300,
	}), s.keys["EdDSA"]))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		need verifier.Requirement
		want error
	}{
		{verifier.Requirement{}, nil},
		{verifier.Requirement{Scopes: []string{"a", "b"}, Roles: []string{"x", "editor"}, ACRValues: []string{"1"}, MaxAge: 10 * time.Minute}, nil},
		{verifier.Requirement{Scopes: []string{"a", "c"}}, verifier.ErrInsufficientScope},
		{verifier.Requirement{Roles: []string{"admin"}}, verifier.ErrInsufficientRole},
		{verifier.Requirement{ACRValues: []string{"2"}}, verifier.ErrInsufficientUserAuthentication},
		{verifier.Requirement{MaxAge: time.Minute}, verifier.ErrInsufficientUserAuthentication},
	} {
		if err := s.v.Check(token, c.need); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%+v: %v", c.need, err)
		}
	}
	if err := s.v.Check(nil, verifier.Requirement{}); !errors.Is(err, verifier.ErrMissingToken) {
		t.Error(err)
	}
	if err := s.v.Check(&verifier.Token{}, verifier.Requirement{}); err == nil {
		t.Error("a token from nowhere satisfies")
	}
	for _, bad := range []verifier.Requirement{
		{Scopes: []string{""}}, {Scopes: []string{"a b"}}, {Scopes: []string{`"`}}, {Roles: []string{""}},
		{ACRValues: []string{"1 2"}}, {MaxAge: time.Millisecond}, {MaxAge: -time.Hour},
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v is valid", bad)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is served", bad)
				}
			}()
			s.v.Require(bad)
		}()
	}
}
