package protocol_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// T-12: a secret is one credential with two places. A client may send it in either, in one at a
// time, and a parameter without a value was not sent (RFC 6749 section 3.2).
func TestT12ASecretInEitherPlace(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		basicHeader := func(id, secret string) http.Header {
			return http.Header{"Authorization": {
				"Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))}}
		}
		with := func(form url.Values, more url.Values) url.Values {
			out := url.Values{}
			for _, v := range []url.Values{form, more} {
				for name, list := range v {
					out[name] = list
				}
			}
			return out
		}
		machine := url.Values{"grant_type": {"client_credentials"}}
		for name, q := range map[string]struct {
			header http.Header
			form   url.Values
		}{
			"a client of basic in the body": {nil,
				url.Values{"client_id": {"web"}, "client_secret": {f.web.Secret}}},
			"a client of the body by basic":          {basicHeader("post", f.post.Secret), nil},
			"a client of basic, and an empty secret": {basicHeader("web", f.web.Secret), url.Values{"client_secret": {""}}},
			"a client of basic that names itself twice": {basicHeader("web", f.web.Secret),
				url.Values{"client_id": {"web"}, "client_secret": {""}}},
			"a client of the body, empty assertion": {nil, url.Values{"client_id": {"post"}, "client_secret": {f.post.Secret},
				"client_assertion": {""}, "client_assertion_type": {""}}},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				s.Do(apitest.Request{Method: "POST", Path: "/oauth2/token", Header: q.header,
					Form: with(machine, q.form)}).Want(200, "")
				// Wherever a client authenticates.
				s.Do(apitest.Request{Method: "POST", Path: "/oauth2/introspect", Header: q.header,
					Form: with(url.Values{"token": {"x"}}, q.form)}).Want(200, "")
				s.Do(apitest.Request{Method: "POST", Path: "/oauth2/revoke", Header: q.header,
					Form: with(url.Values{"token": {"x"}}, q.form)}).Want(200, "")
			})
		}
		for name, q := range map[string]struct {
			header http.Header
			form   url.Values
		}{
			"a public client with an empty secret":          {nil, url.Values{"client_id": {"spa"}, "client_secret": {""}}},
			"a public client by basic with an empty secret": {basicHeader("spa", ""), nil},
			"by basic and named in the body": {basicHeader("spa", ""),
				url.Values{"client_id": {"spa"}, "client_secret": {""}}},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				code := s.CodeRequest(f.spa, s.Code(f.alice, f.spa))
				s.Do(apitest.Request{Method: "POST", Path: code.Path, Header: q.header,
					Form: with(code.Form, q.form)}).Want(200, "")
			})
		}
		for name, q := range map[string]struct {
			header http.Header
			form   url.Values
			status int
		}{
			"both places, both right": {basicHeader("web", f.web.Secret), url.Values{"client_secret": {f.web.Secret}},
				400},
			"both places, one wrong": {basicHeader("web", f.web.Secret), url.Values{"client_secret": {"wrong"}},
				400},
			"an empty one by basic, one in body": {basicHeader("web", ""), url.Values{"client_secret": {f.web.Secret}}, 400},
			"two secrets in the body": {nil,
				url.Values{"client_id": {"post"}, "client_secret": {f.post.Secret, f.post.Secret}}, 400},
			"another client named in the body":   {basicHeader("web", f.web.Secret), url.Values{"client_id": {"post"}}, 400},
			"another client and nothing":         {basicHeader("web", ""), url.Values{"client_id": {"post"}}, 400},
			"a wrong secret in the body":         {nil, url.Values{"client_id": {"web"}, "client_secret": {"wrong"}}, 401},
			"a wrong secret by basic":            {basicHeader("post", "wrong"), nil, 401},
			"another client's secret":            {nil, url.Values{"client_id": {"web"}, "client_secret": {f.post.Secret}}, 401},
			"an empty secret by basic":           {basicHeader("web", ""), nil, 401},
			"an empty secret in the body":        {nil, url.Values{"client_id": {"web"}, "client_secret": {""}}, 401},
			"a public client with a secret":      {nil, url.Values{"client_id": {"spa"}, "client_secret": {" "}}, 401},
			"a public client, a secret by basic": {basicHeader("spa", "x"), nil, 401},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				want := map[int]string{400: "invalid_request", 401: "invalid_client"}[q.status]
				s.Unchanged(func() {
					s.Do(apitest.Request{Method: "POST", Path: "/oauth2/token", Header: q.header,
						Form: with(machine, q.form)}).Want(q.status, want)
				})
			})
		}
		// D-19: what names itself only, in whichever way, asks about no token.
		for _, q := range []apitest.Request{
			{Header: basicHeader("spa", ""), Form: url.Values{"token": {"x"}}},
			{Form: url.Values{"token": {"x"}, "client_id": {"spa"}, "client_secret": {""}}},
		} {
			q.Method, q.Path = "POST", "/oauth2/introspect"
			s.Do(q).Want(401, "invalid_client")
		}
	})
}
