package protocol_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestT16GrantTypes(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		machine := s.Register(userstore.Client{ID: "machine", GrantTypes: []string{userstore.GrantClientCredentials}})
		for _, row := range []struct {
			name, code string
			by         apitest.Client
			form       url.Values
		}{
			{"missing", "invalid_request", f.web, url.Values{}},
			{"empty", "invalid_request", f.web, url.Values{"grant_type": {""}}},
			{"password", "unsupported_grant_type", f.web,
				url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"x"}}},
			{"implicit", "unsupported_grant_type", f.web, url.Values{"grant_type": {"implicit"}}},
			{"unknown", "unsupported_grant_type", f.web, url.Values{"grant_type": {"urn:x"}}},
			{"in another case", "unsupported_grant_type", f.web, url.Values{"grant_type": {"Client_Credentials"}}},
			{"twice", "invalid_request", f.web, url.Values{"grant_type": {"client_credentials", "client_credentials"}}},
			{"code, which the client is not registered for", "unauthorized_client", machine,
				url.Values{"grant_type": {"authorization_code"}, "code": {"x"}}},
			{"refresh, which the client is not registered for", "unauthorized_client", machine,
				url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}},
			{"client credentials of a public client", "unauthorized_client", f.spa,
				url.Values{"grant_type": {"client_credentials"}}},
			{"refresh without a token", "invalid_request", f.web, url.Values{"grant_type": {"refresh_token"}}},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() { s.Do(s.Authenticated(row.by, "/oauth2/token", row.form)).Want(400, row.code) })
			})
		}
	})
}

func TestT30T31TheBodyIsAForm(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		const good = "grant_type=client_credentials"
		for _, row := range []struct {
			name   string
			typ    string
			body   string
			path   string
			status int
			code   string
		}{
			{"as it should be", "application/x-www-form-urlencoded", good, "", 200, ""},
			{"with charset utf-8", "application/x-www-form-urlencoded; charset=UTF-8", good, "", 200, ""},
			{"with another parameter of the type", "application/x-www-form-urlencoded; foo=bar", good, "", 200, ""},
			{"T-30 utf-16 behind another parameter", "application/x-www-form-urlencoded; foo=bar; charset=utf-16", good, "", 415,
				"invalid_request"},
			{"with a parameter nobody knows, twice", "application/x-www-form-urlencoded", good + "&foo=1&foo=2", "", 200, ""},
			{"T-30 JSON", "application/json", `{"grant_type":"client_credentials"}`, "", 415, "invalid_request"},
			{"T-30 text", "text/plain", good, "", 415, "invalid_request"},
			{"T-30 multipart", "multipart/form-data; boundary=x", good, "", 415, "invalid_request"},
			{"T-30 no type", "-", good, "", 415, "invalid_request"},
			{"T-30 utf-16", "application/x-www-form-urlencoded;charset=utf-16", good, "", 415, "invalid_request"},
			{"T-31 more than 64 KiB", "application/x-www-form-urlencoded", good + "&x=" + strings.Repeat("y", 65<<10), "", 413,
				"invalid_request"},
			{"T-31 1 MiB", "application/x-www-form-urlencoded", good + "&x=" + strings.Repeat("y", 1<<20), "", 413,
				"invalid_request"},
			{"T-31 a hundred thousand parameters", "application/x-www-form-urlencoded", good + strings.Repeat("&a=b", 100_000),
				"", 413, "invalid_request"},
			{"T-31 a semicolon", "application/x-www-form-urlencoded", good + ";scope=x", "", 400, "invalid_request"},
			{"T-31 a broken escape", "application/x-www-form-urlencoded", good + "&scope=%zz", "", 400, "invalid_request"},
			{"T-31 not UTF-8", "application/x-www-form-urlencoded", good + "&scope=%ff", "", 400, "invalid_request"},
			{"parameters in the address", "application/x-www-form-urlencoded", good, "?scope=x", 400, "invalid_request"},
			{"a bare question mark", "application/x-www-form-urlencoded", good, "?", 400, "invalid_request"},
			{"scope twice", "application/x-www-form-urlencoded", good + "&scope=a&scope=b", "", 400, "invalid_request"},
			{"client_id twice", "application/x-www-form-urlencoded", good + "&client_id=web&client_id=web", "", 400,
				"invalid_request"},
			{"an empty body", "application/x-www-form-urlencoded", "", "", 400, "invalid_request"},
			{"resource twice is two resources", "application/x-www-form-urlencoded",
				good + "&resource=https://api.test&resource=https://files.test", "", 200, ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				q := apitest.Request{Method: "POST", Path: "/oauth2/token" + row.path, Basic: [2]string{f.web.ID, f.web.Secret},
					Body: row.body, Type: row.typ}
				s.Unchanged(func() { s.Do(q).Want(row.status, row.code) })
			})
		}
		t.Run("other methods", func(t *testing.T) {
			s := s.With(t)
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				if res := s.Do(apitest.Request{Method: method,
					Path: "/oauth2/token"}).Want(405, "invalid_request"); res.Header.Get("Allow") != "POST, OPTIONS" {
					t.Errorf("Allow %q", res.Header.Get("Allow"))
				}
			}
		})
	}, withIntrospection)
}

func TestT34NoTwoTokensAreAlike(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	c := s.Register(userstore.Client{ID: "web"})
	seen := map[any]bool{}
	for range 200 {
		var tokens apitest.Tokens
		s.Do(s.Authenticated(c, "/oauth2/token",
			url.Values{"grant_type": {"client_credentials"}})).Want(http.StatusOK, "").JSON(&tokens)
		jti := apitest.Claims(tokens.Access)["jti"]
		if seen[jti] {
			t.Fatalf("jti %v twice", jti)
		}
		seen[jti] = true
	}
}
