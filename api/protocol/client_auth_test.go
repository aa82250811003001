package protocol_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
)

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// unauthenticated is the one answer to every client that is not proved.
func unauthenticated(s *apitest.Server, q apitest.Request) string {
	s.T.Helper()
	var res *apitest.Response
	s.Unchanged(func() { s.T.Helper(); res = s.Do(q).Want(401, "invalid_client") })
	if got := res.Header.Get("WWW-Authenticate"); got != `Basic realm="`+apitest.IssuerURL+`"` {
		s.T.Errorf("WWW-Authenticate %q", got)
	}
	return string(res.Body)
}

func machineRequest(form url.Values) apitest.Request {
	if form == nil {
		form = url.Values{}
	}
	form.Set("grant_type", "client_credentials")
	return apitest.Request{Method: "POST", Path: "/oauth2/token", Form: form}
}

func TestT10T12ClientsThatAreNotProved(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		pk, _ := newAssertive(s, "pk", jose.EdDSA)
		off := s.Register(userstore.Client{ID: "off"})
		if err := s.DB.SetClientActive(t.Context(), "off", false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		basic := func(id, secret string) apitest.Request {
			q := machineRequest(nil)
			q.Basic = [2]string{id, secret}
			return q
		}
		header := func(value string) apitest.Request {
			q := machineRequest(nil)
			q.Header = http.Header{"Authorization": {value}}
			return q
		}
		post := func(id, secret string) apitest.Request {
			return machineRequest(url.Values{"client_id": {id}, "client_secret": {secret}})
		}
		answers := map[string]string{}
		for name, q := range map[string]apitest.Request{
			"T-10 a wrong secret":                                basic("web", "wrong"),
			"T-10 no secret":                                     basic("web", ""),
			"T-10 a secret of another client":                    basic("web", f.other.Secret),
			"T-10 an unknown client":                             basic("nobody", "wrong"),
			"T-10 a disabled client with the right secret":       basic("off", off.Secret),
			"T-10 a confidential client that only names itself":  machineRequest(url.Values{"client_id": {"web"}}),
			"T-10 nobody at all":                                 machineRequest(nil),
			"T-12 a client of private_key_jwt with a secret":     basic(pk.ID, "x"),
			"T-12 the same in the body":                          post(pk.ID, "x"),
			"T-12 a client of private_key_jwt that names itself": machineRequest(url.Values{"client_id": {pk.ID}}),
			"T-12 a public client with a secret":                 basic("spa", "x"),
			"T-12 a public client with a secret in the body":     post("spa", "x"),
			"an empty secret in the body":                        post("post", ""),
			"a secret without a client":                          machineRequest(url.Values{"client_secret": {f.post.Secret}}),
			"a secret with a NUL":                                basic("web", f.web.Secret+"\x00"),
			"a client id that no store can hold":                 basic("a\x00b", "x"),
			"a very long secret":                                 basic("web", strings.Repeat("x", 5000)),
			"a secret in another case":                           basic("web", strings.ToUpper(f.web.Secret)),
			"an Authorization header of another scheme":          header("Bearer abc"),
			"a Basic header that is not base64":                  header("Basic ***"),
			"a Basic header without a colon": header("Basic " +
				base64.StdEncoding.EncodeToString([]byte("web"))),
			"a Basic header with a broken escape": header("Basic " +
				base64.StdEncoding.EncodeToString([]byte("web:%zz"))),
			"a Basic header of nobody": header("Basic " +
				base64.StdEncoding.EncodeToString([]byte(":x"))),
			"an assertion without its type": machineRequest(url.Values{"client_assertion": {"x"}}),
			"an assertion of another type": machineRequest(url.Values{"client_assertion": {"x"},
				"client_assertion_type": {"urn:x"}}),
			"a type without an assertion": machineRequest(url.Values{"client_assertion_type": {jwtBearer}}),
			"an assertion that is none": machineRequest(url.Values{"client_assertion": {"a.b.c"},
				"client_assertion_type": {jwtBearer}}),
		} {
			t.Run(name, func(t *testing.T) { answers[name] = unauthenticated(s.With(t), q) })
		}
		// T-10: what is the matter is not said, unless the header itself cannot be read.
		for name, body := range answers {
			if !strings.Contains(name, "header") && body != answers["T-10 a wrong secret"] {
				t.Errorf("%s: %s", name, body)
			}
		}
		two := "invalid_request"
		for name, q := range map[string]apitest.Request{
			"two methods: header and body": func() apitest.Request {
				q := post("post", f.post.Secret)
				q.Basic = [2]string{"web", f.web.Secret}
				return q
			}(),
			"two methods: secret and assertion": machineRequest(url.Values{"client_id": {"post"},
				"client_secret": {f.post.Secret}, "client_assertion": {"x"}, "client_assertion_type": {jwtBearer}}),
			"two clients": func() apitest.Request {
				q := basic("web", f.web.Secret)
				q.Form.Set("client_id", "other")
				return q
			}(),
			"two Authorization headers": func() apitest.Request {
				one := "Basic " + base64.StdEncoding.EncodeToString([]byte("web:"+f.web.Secret))
				q := machineRequest(nil)
				q.Header = http.Header{"Authorization": {one, one}}
				return q
			}(),
		} {
			t.Run(name, func(t *testing.T) { s := s.With(t); s.Unchanged(func() { s.Do(q).Want(400, two) }) })
		}
		t.Run("the same client in header and body is one", func(t *testing.T) {
			s := s.With(t)
			q := basic("web", f.web.Secret)
			q.Form.Set("client_id", "web")
			s.Do(q).Want(200, "")
		})
		t.Run("the scheme's case does not matter", func(t *testing.T) {
			s := s.With(t)
			s.Do(header("bAsIc "+base64.StdEncoding.EncodeToString([]byte("web:"+f.web.Secret)))).Want(200, "")
		})
	})
}
