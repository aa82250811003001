package account_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// TestS01HostileTextInEveryParameter is a generated matrix: each string parameter of
// each endpoint is given each text, and must be answered as a harmless value
// that is not known either is: by 4xx, or by being stored as it is.
func TestS01HostileTextInEveryParameter(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		tokens := s.Login(alice)
		profile := []string{"preferred_username", "username", "name", "given_name", "family_name", "middle_name", "nickname",
			"profile", "picture", "website",
			"gender", "birthdate", "zoneinfo", "locale", "phone_number", "email",
			"address.formatted", "address.street_address", "address.locality", "address.region", "address.postal_code",
			"address.country"}
		for _, endpoint := range []struct {
			method, path string
			base         apitest.Fields
			parameters   []string
			fine         bool // a text may be accepted and stored
		}{
			{"POST", "/v1/signup", apitest.Fields{"email": "not an address", "password": apitest.GoodPassword},
				append([]string{"password"}, profile...), false},
			{"POST", "/v1/login", apitest.Fields{"email": alice.Email, "password": "wrong wrong wrong"},
				[]string{"email", "password", "client_id", "scope", "resource"}, false},
			{"POST", "/v1/login", apitest.Fields{"password": "wrong wrong wrong"}, []string{"username"}, false},
			{"POST", "/v1/refresh", apitest.Fields{"refresh_token": "x"}, []string{"refresh_token"}, false},
			{"POST", "/v1/refresh", apitest.Fields{"refresh_token": tokens.Refresh, "client_id": "other"},
				[]string{"client_id", "scope", "resource"}, false},
			{"POST", "/v1/profile/password", apitest.Fields{"current_password": "wrong wrong wrong",
				"new_password": apitest.GoodPassword}, []string{"current_password", "new_password"}, false},
			{"DELETE", "/v1/profile", apitest.Fields{}, []string{"current_password"}, false},
			{"PATCH", "/v1/profile", apitest.Fields{}, profile, true},
			{"PUT", "/v1/profile", apitest.Fields{"email": alice.Email}, profile, true},
			{"POST", "/v1/logout", apitest.Fields{}, []string{"everywhere"}, false},
		} {
			for _, parameter := range endpoint.parameters {
				t.Run(fmt.Sprintf("S-01 %s %s %s", endpoint.method, endpoint.path, parameter), func(t *testing.T) {
					s := s.With(t)
					before, accepted := s.Snapshot(), ""
					for _, text := range apitest.Hostile {
						body := endpoint.base.With(parameter, text)
						if outer, inner, nested := strings.Cut(parameter, "."); nested {
							body = endpoint.base.With(outer, apitest.Fields{inner: text})
						}
						res := s.Do(apitest.Request{Method: endpoint.method, Path: endpoint.path, Token: tokens.Access, Body: body})
						switch {
						case res.Status/100 == 4:
						case res.Status == 200 && endpoint.fine:
							accepted = text
							if strings.ContainsRune(text, 0) {
								t.Errorf("U-39 %.40q was accepted", text)
							}
							apitest.Holds(t, res, parameter, text)
						default:
							t.Errorf("%.40q: %d %.200s", text, res.Status, res.Body)
						}
					}
					switch {
					case accepted != "":
						apitest.Holds(t, s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}), parameter, accepted)
					case s.Snapshot() != before:
						t.Error("all were refused, but something changed")
					}
				})
			}
		}
		t.Run("S-01 in paths, queries and headers", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() {
				for _, text := range apitest.Hostile {
					s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/sessions/" + url.PathEscape(text),
						Token: tokens.Access}).Want(404, "not_found")
					s.Do(apitest.Request{Path: "/v1/profile?id=" + url.QueryEscape(text), Token: tokens.Access}).Want(200, "")
					clean := strings.Map(func(r rune) rune {
						if r < ' ' || r > '~' {
							return -1
						}
						return r
					}, text)
					if clean != "" {
						s.Do(apitest.Request{Path: "/v1/profile", Token: clean}).Want(401, "token_invalid")
						s.Do(apitest.Request{Path: "/.well-known/jwks.json",
							Header: http.Header{"If-None-Match": {clean}, "Origin": {clean}}}).Want(200, "")
					}
				}
			})
		})
		if log := s.Log.String(); strings.Contains(log, "SQLSTATE") || strings.Contains(log, "level=ERROR") {
			t.Errorf("the store complained:\n%s", log)
		}
		if s.DB.Engine() == "postgres" && strings.Contains(pgtest.Log(t), "syntax error") {
			t.Error("PostgreSQL was sent something that is no SQL")
		}
		s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(200, "")
	})
}

func TestU39ProfileFieldsThatBecomeMarkupOrLinks(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		token := s.Login(s.SignUp("alice")).Access
		patch := func(s *apitest.Server, body any) *apitest.Response {
			return s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token, Body: body})
		}
		t.Run("U-39 HTML in a name is stored as it is and answered escaped", func(t *testing.T) {
			s := s.With(t)
			const html = `<img src=x onerror=alert(1)>&amp;"'`
			res := patch(s, apitest.Fields{"name": html}).Want(200, "")
			if strings.ContainsAny(string(res.Body), "<>&") {
				t.Errorf("%s", res.Body)
			}
			apitest.Holds(t, s.Do(apitest.Request{Path: "/v1/profile", Token: token}), "name", html)
		})
		for _, value := range []string{"javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)",
			"java\tscript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "//evil.test/x", "https:evil",
			"/relative", "http://", "https://user:pw@evil.test/"} {
			for _, field := range []string{"picture", "website", "profile"} {
				t.Run("U-39 "+field+" "+value, func(t *testing.T) {
					s := s.With(t)
					s.Unchanged(func() {
						if res := patch(s, apitest.Fields{field: value}).
							Want(400, "validation_error"); !strings.HasPrefix(res.Faults(), field+":") {
							t.Error(res.Faults())
						}
					})
				})
			}
		}
		t.Run("U-39 a biography of 1 MiB", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() {
				patch(s, apitest.Fields{"name": strings.Repeat("x", 1<<20)}).Want(413, "body_too_large")
				if res := patch(s, apitest.Fields{"name": strings.Repeat("x", 50<<10)}).
					Want(400, "validation_error"); res.Faults() != "name:too_long" {
					t.Error(res.Faults())
				}
			})
		})
		t.Run("U-39 U+0000 and invalid UTF-8", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() {
				for _, name := range []string{"name", "nickname", "gender", "zoneinfo", "preferred_username", "email", "picture"} {
					if res := patch(s, `{"`+name+`":"a\u0000b"}`).
						Want(400, "validation_error"); !strings.HasPrefix(res.Faults(), name+":") {
						t.Errorf("%s: %s", name, res.Faults())
					}
				}
				patch(s, "{\"name\":\"a\xc0\x80b\"}").Want(400, "validation_error")
			})
		})
	})
}
