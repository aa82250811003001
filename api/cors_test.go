package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// Apps in browsers call from the origins that they are redirected to, and from those that an
// operator named; nobody else, and nowhere with credentials.
func TestCORSOfClients(t *testing.T) {
	const named = "https://named.test"
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "app", AuthMethod: userstore.AuthNone, ClientMetadata: userstore.ClientMetadata{
			RedirectURIs: []string{"https://app.test/cb", "https://app.test:8443/x?y=z", "http://127.0.0.1/cb",
				"com.example.app:/cb"}}})
		s.Register(userstore.Client{ID: "off",
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://off.test/cb"}}})
		if err := s.DB.SetClientActive(t.Context(), "off", false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		paths := map[string]string{"/oauth2/token": "POST", "/oauth2/userinfo": "GET", "/oauth2/revoke": "POST", "/oauth2/par": "POST", "/oauth2/device": "POST",
			"/v1/profile": "GET"}
		for origin, allowed := range map[string]bool{
			"https://app.test": true, "https://app.test:8443": true, named: true,
			"https://off.test": false, "https://evil.test": false, "http://app.test": false, "https://app.test:444": false,
			"https://app.test.evil.test": false, "https://APP.test": false, "https://app.test/": false, "null": false,
			"": false, "*": false,
			"https://%": false, "com.example.app://x": false, "https://" + strings.Repeat("a", 4000) + ".test": false,
			`https://app.test","x`: false,
		} {
			for path, method := range paths {
				for _, preflight := range []bool{false, true} {
					q := apitest.Request{Method: method, Path: path, Header: http.Header{"Origin": {origin}}}
					if preflight {
						q.Method = "OPTIONS"
						q.Header["Access-Control-Request-Method"] = []string{method}
						q.Header["Access-Control-Request-Headers"] = []string{"authorization"}
					}
					h := s.Do(q).Header
					want := ""
					if allowed {
						want = origin
					}
					if h.Get("Access-Control-Allow-Origin") != want || h.Get("Access-Control-Allow-Credentials") != "" ||
						h.Get("Vary") != "Origin" {
						t.Errorf("%s %s from %.40q: %v", q.Method, path, origin, h)
					}
					if preflight && allowed && (!strings.Contains(h.Get("Access-Control-Allow-Methods"), method) ||
						h.Get("Access-Control-Allow-Headers") != "authorization") {
						t.Errorf("a preflight for %s: %v", path, h)
					}
				}
			}
		}
		t.Run("A-36 nothing where browsers are sent, nor for servers", func(t *testing.T) {
			s := s.With(t)
			for _, path := range []string{"/oauth2/authorize", "/oauth2/logout", "/oauth2/introspect", "/login", "/signup",
				"/consent", "/healthz"} {
				for _, method := range []string{"GET", "OPTIONS"} {
					h := s.Do(apitest.Request{Method: method, Path: path,
						Header: http.Header{"Origin": {"https://app.test"}, "Access-Control-Request-Method": {"POST"}}}).Header
					for name := range h {
						if strings.HasPrefix(name, "Access-Control-") {
							t.Errorf("%s %s: %s", method, path, name)
						}
					}
				}
			}
		})
		t.Run("refusals can be read as well", func(t *testing.T) {
			s := s.With(t)
			q := s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {"x"}})
			q.Header = http.Header{"Origin": {"https://app.test"}}
			if res := s.Do(q).Want(400, "invalid_grant"); res.Header.Get("Access-Control-Allow-Origin") != "https://app.test" {
				t.Errorf("%v", res.Header)
			}
		})
		t.Run("an origin is forgotten within ten seconds", func(t *testing.T) {
			s := s.With(t)
			q := apitest.Request{Path: "/v1/profile", Header: http.Header{"Origin": {"https://later.test"}}}
			if s.Do(q).Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("allowed before there is a client")
			}
			s.Register(userstore.Client{ID: "later"})
			s.Advance(10 * time.Second)
			if s.Do(q).Header.Get("Access-Control-Allow-Origin") == "" {
				t.Error("not allowed")
			}
			if err := s.DB.SetClientActive(t.Context(), "later", false, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			s.Advance(10 * time.Second)
			if s.Do(q).Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("allowed after its client was disabled")
			}
		})
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.API.CORSOrigins = []string{named} }
	})
}
