package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// TestS01HostileTextInEveryParameterOfAdmins is the matrix for the admin API: bodies, parts of
// paths, queries and headers. A text is answered as a harmless value that nobody has is.
func TestS01HostileTextInEveryParameterOfAdmins(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		bob := s.SignUp("bob")
		users := "/v1/admin/users/" + bob.ID
		profile := []string{"preferred_username", "username", "name", "given_name", "family_name", "middle_name", "nickname",
			"profile", "picture", "website",
			"gender", "birthdate", "zoneinfo", "locale", "phone_number", "email",
			"address.formatted", "address.street_address", "address.locality", "address.region", "address.postal_code",
			"address.country"}
		const clients = "/v1/admin/clients/web"
		client := []string{"client_name", "token_endpoint_auth_method", "grant_types.", "response_types.", "redirect_uris.",
			"post_logout_redirect_uris.", "scope",
			"resources.", "id_token_signed_response_alg", "jwks", "jwks.keys", "jwks_uri", "client_uri", "logo_uri",
			"policy_uri", "tos_uri", "pkce", "request_object_signing_alg", "subject_type", "sector_identifier_uri"}
		s.Secret(clientSecretIn(s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/clients", Token: admin.Access,
			Body: apitest.Fields{"client_id": "web", "client_name": "Web",
				"redirect_uris": []string{"https://web.test/cb"}}}).Want(201, "")))
		flags := []string{"is_staff", "email_verified", "roles", "roles.", "sub", "password_hash"}
		for _, endpoint := range []struct {
			method, path string
			base         apitest.Fields
			parameters   []string
			fine         bool // a text may be accepted and stored
		}{
			{"POST", "/v1/admin/users", apitest.Fields{"email": "not an address", "password": apitest.GoodPassword},
				append(append([]string{"password"}, profile...), flags...), false},
			{"PATCH", users, apitest.Fields{}, profile, true},
			{"PATCH", users, apitest.Fields{}, append(flags, "is_active"), false},
			{"POST", users + "/password", apitest.Fields{}, []string{"new_password"}, false},
			{"POST", users + "/disable", apitest.Fields{}, []string{"reason"}, false},
			{"POST", "/v1/admin/clients", apitest.Fields{"client_name": "New"},
				append([]string{"client_id", "client_secret", "first_party"}, client...), false},
			{"PATCH", clients, apitest.Fields{}, client, true},
			{"PATCH", clients, apitest.Fields{}, []string{"client_id", "client_secret", "first_party", "disabled"}, false},
			{"POST", clients + "/secret", apitest.Fields{}, []string{"client_secret"}, false},
		} {
			for _, parameter := range endpoint.parameters {
				t.Run(fmt.Sprintf("S-01 %s %s %s", endpoint.method, strings.Replace(endpoint.path, bob.ID, "{id}", 1), parameter),
					func(t *testing.T) {
						s := s.With(t)
						before, accepted := s.Snapshot(), ""
						for _, text := range apitest.Hostile {
							if parameter == "new_password" && len(text) < 1000 && utf8.RuneCountInString(text) >= 15 {
								continue // a good password, and stored nowhere but as its hash
							}
							body := endpoint.base.With(parameter, text)
							switch outer, inner, nested := strings.Cut(parameter, "."); {
							case nested && inner == "":
								body = endpoint.base.With(outer, []string{text})
							case nested:
								body = endpoint.base.With(outer, apitest.Fields{inner: text})
							}
							res := s.Do(apitest.Request{Method: endpoint.method, Path: endpoint.path, Token: admin.Access, Body: body})
							switch {
							case res.Status/100 == 4:
							case res.Status == 200 && endpoint.fine:
								accepted = text
								apitest.Holds(t, res, parameter, text)
							default:
								t.Errorf("%.40q: %d %.200s", text, res.Status, res.Body)
							}
						}
						switch {
						case accepted != "":
							apitest.Holds(t, s.Do(apitest.Request{Path: endpoint.path, Token: admin.Access}), parameter, accepted)
						case s.Snapshot() != before:
							t.Error("all were refused, but something changed")
						}
					})
			}
		}

		const nobody = "nobody"
		s.Do(apitest.Request{Method: "PATCH", Path: users, Token: admin.Access,
			Body: apitest.Fields{"username": nil}}).Want(200, "") // bob was called é for a while
		for _, list := range []struct {
			path       string
			parameters []string
		}{
			{"/v1/admin/users", []string{"search", "role", "status", "limit", "cursor"}},
			{"/v1/admin/clients", []string{"limit", "cursor"}},
			{"/v1/admin/audit", []string{"event", "actor", "target", "from", "to", "limit", "cursor"}},
		} {
			for _, parameter := range list.parameters {
				t.Run("S-01 "+list.path+"?"+parameter, func(t *testing.T) {
					s := s.With(t)
					get := func(text string) *apitest.Response {
						return s.Do(apitest.Request{Path: list.path + "?" + parameter + "=" + url.QueryEscape(text), Token: admin.Access})
					}
					harmless := get(nobody)
					s.Unchanged(func() {
						for _, text := range apitest.Hostile {
							res := get(text)
							switch {
							case utf8.RuneCountInString(text) > 256:
								res.Want(400, "validation_error")
							case res.Status != harmless.Status, res.Status == 200 && string(res.Body) != string(harmless.Body):
								t.Errorf("%.40q: %d %.200s, as nobody is answered %d %s", text, res.Status, res.Body, harmless.Status,
									harmless.Body)
							}
						}
					})
				})
			}
		}
		t.Run("S-01 in paths", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() {
				for _, text := range apitest.Hostile {
					text := url.PathEscape(text)
					for _, q := range []apitest.Request{
						{Path: "/v1/admin/users/" + text},
						{Path: "/v1/admin/users/" + text + "/sessions"},
						{Method: "PATCH", Path: "/v1/admin/users/" + text, Body: apitest.Fields{"name": "Eve"}},
						{Method: "DELETE", Path: "/v1/admin/users/" + text},
						{Method: "DELETE", Path: "/v1/admin/users/" + text + "/sessions"},
						{Method: "DELETE", Path: users + "/sessions/" + text},
						{Method: "POST", Path: "/v1/admin/users/" + text + "/enable"},
						{Method: "POST", Path: "/v1/admin/users/" + text + "/password",
							Body: apitest.Fields{"new_password": apitest.GoodPassword}},
						{Method: "PUT", Path: "/v1/admin/users/" + text + "/roles/editor"},
						{Path: "/v1/admin/clients/" + text},
						{Method: "PATCH", Path: "/v1/admin/clients/" + text, Body: apitest.Fields{"client_name": "Eve"}},
						{Method: "DELETE", Path: "/v1/admin/clients/" + text},
						{Method: "POST", Path: "/v1/admin/clients/" + text + "/secret"},
						{Method: "POST", Path: "/v1/admin/clients/" + text + "/enable"},
					} {
						q.Token = admin.Access
						s.Do(q).Want(404, "not_found")
					}
					s.Do(apitest.Request{Method: "PUT", Path: users + "/roles/" + text,
						Token: admin.Access}).Want(400, "validation_error")
					s.Do(apitest.Request{Method: "DELETE", Path: users + "/roles/" + text,
						Token: admin.Access}).Want(200, "") // nobody has it
				}
			})
		})
		t.Run("S-01 in headers that are written down", func(t *testing.T) {
			s := s.With(t)
			for i, text := range apitest.Hostile {
				clean := strings.Map(func(r rune) rune {
					if r < ' ' || r == 0x7f {
						return -1
					}
					return r
				}, text)
				if clean == "" {
					continue
				}
				res := s.Do(apitest.Request{Method: "PATCH", Path: users, Token: admin.Access,
					Header: http.Header{"User-Agent": {clean}, "Accept": {clean}},
					Body:   apitest.Fields{"nickname": fmt.Sprint(i)}}).Want(200, "")
				if events := s.EventsOf(res); len(events) != 1 || len(clean) <= 256 && events[0].UserAgent != clean ||
					len(events[0].UserAgent) > 256 {
					t.Errorf("%.40q became %+v", clean, events)
				}
			}
			s.Do(apitest.Request{Path: "/v1/admin/audit?limit=100", Token: admin.Access}).Want(200, "")
		})
		if log := s.Log.String(); strings.Contains(log, "SQLSTATE") || strings.Contains(log, "level=ERROR") {
			t.Errorf("the store complained:\n%s", log)
		}
		if s.DB.Engine() == "postgres" && strings.Contains(pgtest.Log(t), "syntax error") {
			t.Error("PostgreSQL was sent something that is no SQL")
		}
	})
}
