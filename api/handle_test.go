package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/keys"
)

func TestH09OtherSpellingsOfAPath(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	token := s.Login(s.SignUp("alice")).Access
	for _, path := range []string{
		"//v1/profile", "/v1//profile", "/./v1/profile", "/v1/./profile", "/v1/profile/", "/V1/profile", "/%76%31/profile",
		"/v1%2fprofile", "/v1/profile%00",
		"/v1/profile;a=b", "/x/../v1/profile", "/%2e%2e/v1/profile", "/v1/%2e%2e/v1/profile", "/admin/..;/v1/profile",
		"//evil.test/..", "//evil.test", "/\\evil.test", "/%5cevil.test",
		"/.well-known/jwks.json/", "//.well-known/jwks.json", "/metrics", "/debug/pprof/", "/v1", "*", "/v1/email/verify/",
		"/v1/password/forgot/",
		"/verify/", "/change/", "/undo/x/y", "/forgot/", "/reset/", "/reset/x/y", "/account/", "/account/nothing",
		"//account", "/account/profile/",
		"/admin", "/v1/admin", "/v1/admin/users/", "//v1/admin/users", "/v1/admin/..;/admin/users", "/v1/%61dmin/users",
		"/v1/admin/users//roles/x", "/v1/admin/clients/", "/oauth2/token/", "/oauth2//token", "/OAUTH2/token",
		"/oauth2/%74oken", "/oauth2/par/", "/oauth2/device/", "/oauth2/register/", "/oauth2/register/x/y", "/v1/profile/consents/", "/v1/profile/\xff",
		"/v1/profile%ff",
		"http://evil.test//v1//profile", "/" + strings.Repeat("a", 8000),
	} {
		t.Run(fmt.Sprintf("%.40q", path), func(t *testing.T) {
			for _, method := range []string{"GET", "POST", "OPTIONS"} {
				res := s.With(t).Raw(method, method+" "+path+
					" HTTP/1.1\r\nHost: id.test\r\nConnection: close\r\nAuthorization: Bearer "+token+"\r\nContent-Length: 0\r\n\r\n")
				res.Want(404, "not_found")
			}
		})
	}
}

// TestH10Methods goes through every path of the list with every method there is.
func TestH10Methods(t *testing.T) {
	s := apitest.New(t, apitest.Options{StatusLists: true})
	root, tokens := s.Admin("root")
	token := tokens.Access
	has := map[string]map[string]bool{}
	for _, r := range s.Replicas[0].API.Routes() {
		if has[r.Path] == nil {
			has[r.Path] = map[string]bool{"OPTIONS": true}
		}
		has[r.Path][r.Method] = true
		if r.Method == "GET" {
			has[r.Path]["HEAD"] = true
		}
	}
	for path, methods := range has {
		t.Run(path, func(t *testing.T) {
			s := s.With(t)
			url := strings.NewReplacer("{id}", root.ID, "{client_id}", "signet", "{list}", "0").Replace(path)
			var want []string
			for m := range methods {
				want = append(want, m)
			}
			sort.Strings(want)
			s.Unchanged(func() {
				for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO", "get",
					"PROPFIND"} {
					if methods[method] && method != "OPTIONS" {
						continue
					}
					res := s.Do(apitest.Request{Method: method, Path: url, Token: token})
					allow := strings.Split(res.Header.Get("Allow"), ", ")
					sort.Strings(allow)
					if strings.Join(allow, " ") != strings.Join(want, " ") {
						t.Errorf("%s: Allow %q, want %q", method, allow, want)
					}
					switch {
					case method == "OPTIONS" && res.Status != 204, method != "OPTIONS" && res.Status != 405:
						t.Errorf("%s: %d", method, res.Status)
					case strings.Contains(string(res.Body), token):
						t.Errorf("%s echoes the request", method)
					}
				}
			})
			if methods["GET"] {
				get := s.Do(apitest.Request{Path: url, Token: token})
				head := s.Do(apitest.Request{Method: "HEAD", Path: url, Token: token})
				// Some ask for more than an access token of any kind.
				want := map[string]int{"/oauth2/authorize": 400, "/consent": 400, "/oauth2/logout": 303, "/oauth2/userinfo": 403, "/oauth2/register/{client_id}": 401,
					"/assets/{name}": 404, "/client-logo": 404, "/": 404, "/v1/profile/export": 401,
					"/reset": 303, "/reset/{token}": 303, "/invite/{token}": 303, "/verify/{token}": 303,
					"/login/second": 303, "/login/codes": 303, "/login/setup": 303,
					"/change": 303, "/change/{token}": 303, "/undo": 303, "/undo/{token}": 303,
					"/factor-undo": 303, "/factor-undo/{token}": 303}[path]
				switch {
				case strings.HasPrefix(path, "/account"):
					want = 303 // to the login
				case want == 0:
					want = 200
				}
				if get.Status != want || head.Status != want {
					t.Fatalf("GET %d, HEAD %d, want %d", get.Status, head.Status, want)
				}
				for _, h := range []http.Header{get.Header, head.Header} {
					for _, name := range []string{"X-Request-Id", "Date", "Set-Cookie", "Location"} { // new each time
						h.Del(name)
					}
					if len(get.Body) == 0 {
						h.Del("Content-Length")
					}
				}
				if fmt.Sprint(get.Header) != fmt.Sprint(head.Header) || len(get.Body) > 0 &&
					head.Header.Get("Content-Length") != fmt.Sprint(len(get.Body)) {
					t.Errorf("GET  %v\nHEAD %v", get.Header, head.Header)
				}
			}
		})
	}
	t.Run("CONNECT", func(t *testing.T) {
		s.With(t).Raw("CONNECT",
			"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\nConnection: close\r\n\r\n").Want(405, "method_not_allowed")
	})
	t.Run("OPTIONS *", func(t *testing.T) {
		s.With(t).Raw("OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: id.test\r\nConnection: close\r\n\r\n").Want(404, "not_found")
	})
}

func TestH16HeadersOfEveryAnswer(t *testing.T) {
	for issuer, hsts := range map[string]string{"https://id.test": "max-age=31536000", "http://localhost:8080": ""} {
		s := apitest.New(t, apitest.Options{IssuerURL: issuer})
		for _, path := range []string{"/healthz", "/.well-known/jwks.json", "/v1/profile", "/nothing"} {
			h := s.Do(apitest.Request{Path: path, Header: http.Header{"X-Request-Id": {"forged-request-id-0001"}}}).Header
			if h.Get("Strict-Transport-Security") != hsts || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %v", path, h)
			}
			// A public document renders and links nothing, whoever opens it.
			if public := strings.HasPrefix(path, "/.well-known"); !public &&
				(h.Get("Referrer-Policy") != "no-referrer" ||
					h.Get("Content-Security-Policy") != "default-src 'none'; frame-ancestors 'none'") {
				t.Errorf("%s: %v", path, h)
			}
			if h.Get("X-Request-Id") == "forged-request-id-0001" {
				t.Errorf("%s: a stranger chose the request id", path)
			}
		}
	}
}

func TestContentTypesOfRequests(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice := s.SignUp("alice")
	token := s.Login(alice).Access
	login := apitest.Fields{"email": alice.Email, "password": alice.Password}.Text()
	for _, row := range []struct {
		media    string
		encoding string
		status   int
	}{
		{"application/json", "", 200},
		{"Application/JSON", "", 200},
		{"application/json;charset=UTF-8", "", 200},
		{`application/json; charset="utf-8"`, "", 200},
		{"application/json; charset=utf-16", "", 415},
		{"application/json; charset=utf-8; charset=utf-16", "", 415},
		{"application/json; version=1", "", 200},
		{`application/json; foo=bar; charset=utf-8; v="1;2"`, "", 200},
		{"application/json; foo=bar; charset=utf-16", "", 415},
		{"application/json; foo=bar; charset=iso-8859-1", "", 415},
		{"application/json; charset=", "", 415},
		{"application/json; foo", "", 415},
		{"application/json, application/json", "", 415},
		{"application/merge-patch+json", "", 415},
		{"application/x-www-form-urlencoded", "", 415},
		{"multipart/form-data; boundary=x", "", 415},
		{"text/plain", "", 415},
		{"text/json", "", 415},
		{"-", "", 415},
		{"application/json", "gzip", 415},
	} {
		t.Run(row.media+" "+row.encoding, func(t *testing.T) {
			s := s.With(t)
			q := apitest.Request{Method: "POST", Path: "/v1/login", Body: login, Type: row.media}
			if row.encoding != "" {
				q.Header = http.Header{"Content-Encoding": {row.encoding}}
			}
			if row.status == 200 {
				s.Do(q).Want(200, "")
			} else if res := s.Do(q).Want(415, "unsupported_media_type"); res.Header.Get("Accept") != "application/json" {
				t.Errorf("Accept %q", res.Header.Get("Accept"))
			}
		})
	}
	t.Run("a merge patch is one for PATCH only", func(t *testing.T) {
		s := s.With(t)
		body := apitest.Fields{"email": alice.Email}
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token, Body: body,
			Type: "application/merge-patch+json"}).Want(200, "")
		s.Do(apitest.Request{Method: "PUT", Path: "/v1/profile", Token: token, Body: body,
			Type: "application/merge-patch+json"}).Want(415, "unsupported_media_type")
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: token, Body: body,
			Type: "application/json-patch+json"}).Want(415, "unsupported_media_type")
	})
}

func TestH19BodiesThatAreNotOneStrictDocument(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		token := s.Login(alice).Access
		deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
		for name, body := range map[string]string{
			"trailing brace":      `{"email":"e@example.test"}{`,
			"a second document":   `{"email":"e@example.test"} {}`,
			"a member twice":      `{"email":"e@example.test","email":"f@example.test"}`,
			"twice, one escaped":  `{"email":"e@example.test","\u0065mail":"f@example.test"}`,
			"a byte order mark":   "\ufeff" + `{"email":"e@example.test"}`,
			"NaN":                 `{"email":NaN}`,
			"1e400":               `{"email":1e400}`,
			"nested 5,000 deep":   `{"address":` + deep + `}`,
			"lists 5,000 deep":    strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
			"cut off":             `{"email":"e@exam`,
			"single quotes":       `{'email':'e@example.test'}`,
			"a comment":           `{"email":"e@example.test"/**/}`,
			"a trailing comma":    `{"email":"e@example.test",}`,
			"invalid UTF-8":       "{\"email\":\"e\xff@example.test\"}",
			"half a surrogate":    `{"email":"\ud800@example.test"}`,
			"UTF-16":              "\xfe\xff\x00{\x00}",
			"a bare newline":      "{\"email\":\"e\n@example.test\"}",
			"nothing but spaces":  "   ",
			"60 KiB of members":   `{"a":1` + strings.Repeat(`,"a":1`, 9000) + `}`,
			"many unknown fields": `{` + apitest.ManyMembers(3000) + `"email":"e@example.test"}`,
		} {
			t.Run("H-19 "+name, func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() {
					for _, q := range []apitest.Request{
						{Method: "POST", Path: "/v1/signup"}, {Method: "POST", Path: "/v1/login"}, {Method: "POST", Path: "/v1/refresh"},
						{Method: "POST", Path: "/v1/logout"},
						{Method: "PATCH", Path: "/v1/profile"}, {Method: "PUT", Path: "/v1/profile"},
						{Method: "DELETE", Path: "/v1/profile"}, {Method: "POST", Path: "/v1/profile/password"},
					} {
						q.Token, q.Body = token, body
						if res := s.Do(q).Want(400, "validation_error"); len(res.Body) > 16<<10 {
							t.Errorf("an answer of %d bytes", len(res.Body))
						}
					}
				})
			})
		}
		t.Run("H-19 100 KiB", func(t *testing.T) {
			s := s.With(t)
			body := `{"email":"` + strings.Repeat("x", 100<<10) + `"}`
			s.Unchanged(func() {
				for _, path := range []string{"/v1/signup", "/v1/login", "/v1/refresh"} {
					if res := s.Do(apitest.Request{Method: "POST", Path: path, Body: body}).Want(413, "body_too_large"); !res.Close {
						t.Error("the connection stays")
					}
				}
			})
		})
	})
}

func TestS03AnEndlessBodyIsReadTo64KiBOnly(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	chunk := "1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n"
	res := s.Raw("POST",
		"POST /v1/signup HTTP/1.1\r\nHost: id.test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"+
			strings.Repeat(chunk, 17))
	res.Want(413, "body_too_large")
	if !res.Close {
		t.Error("the connection stays")
	}
	s.Raw("POST",
		"POST /v1/signup HTTP/1.1\r\nHost: id.test\r\nContent-Type: application/json\r\nContent-Length: 5368709120\r\n\r\n{").
		Want(413, "body_too_large")
}

func TestCORS(t *testing.T) {
	const app = "https://app.test"
	s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) { r.API.CORSOrigins = []string{app} }})
	for _, row := range []struct{ name, method, path, origin, ask, allow, methods string }{
		{"the key set, by anybody", "GET", "/.well-known/jwks.json", "https://evil.test", "", "*", ""},
		{"discovery, by anybody", "GET", "/.well-known/openid-configuration", "https://evil.test", "", "*", ""},
		{"a preflight for the key set", "OPTIONS", "/.well-known/jwks.json", "https://evil.test", "GET", "*",
			"GET, HEAD, OPTIONS"},
		{"an account, by our app", "GET", "/v1/profile", app, "", app, ""},
		{"a preflight for it", "OPTIONS", "/v1/profile", app, "PATCH", app, "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"},
		{"an account, by a stranger", "GET", "/v1/profile", "https://evil.test", "", "", ""},
		{"a preflight by a stranger", "OPTIONS", "/v1/profile", "https://evil.test", "PATCH", "", ""},
		{"by a longer origin", "GET", "/v1/profile", app + ".evil.test", "", "", ""},
		{"by null", "GET", "/v1/profile", "null", "", "", ""},
		{"health", "GET", "/healthz", app, "", "", ""},
		{"nothing there", "GET", "/nothing", app, "", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			q := apitest.Request{Method: row.method, Path: row.path, Header: http.Header{"Origin": {row.origin}}}
			if row.ask != "" {
				q.Header["Access-Control-Request-Method"] = []string{row.ask}
			}
			h := s.With(t).Do(q).Header
			if h.Get("Access-Control-Allow-Origin") != row.allow || h.Get("Access-Control-Allow-Methods") != row.methods ||
				h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%v", h)
			}
			if strings.HasPrefix(row.path, "/v1") && h.Get("Vary") != "Origin" {
				t.Errorf("Vary %q", h.Get("Vary"))
			}
			if row.methods != "" && row.allow == app && h.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type" {
				t.Errorf("headers %q", h.Get("Access-Control-Allow-Headers"))
			}
		})
	}
}

func TestH06H07WhoseAddressIsBelieved(t *testing.T) {
	forwarded := http.Header{
		"X-Forwarded-For": {"198.51.100.9, 203.0.113.5", "10.1.2.3"}, "Forwarded": {"for=198.51.100.8"},
		"X-Real-Ip":        {"198.51.100.7"},
		"X-Forwarded-Host": {"evil.test"}, "X-Forwarded-Proto": {"http"}, "X-Original-Url": {"/metrics"},
		"X-Rewrite-Url": {"/metrics"}, "X-Forwarded-Prefix": {"/evil"},
	}
	with := func(xff ...string) http.Header { h := forwarded.Clone(); h["X-Forwarded-For"] = xff; return h }
	for _, row := range []struct {
		name    string
		trusted []string
		header  http.Header
		want    string
	}{
		{"H-06 from nobody in particular", nil, forwarded, "127.0.0.1"},
		{"H-06 from a peer that is not the proxy", []string{"10.0.0.0/8"}, forwarded, "127.0.0.1"},
		{"H-07 three hops, the left part spoofed", []string{"127.0.0.0/8", "10.0.0.0/8"}, forwarded, "203.0.113.5"},
		{"H-07 only the last hop is trusted", []string{"127.0.0.1"}, forwarded, "10.1.2.3"},
		{"H-07 all are trusted", []string{"0.0.0.0/0"}, forwarded, "198.51.100.9"},
		{"H-07 something unreadable in between", []string{"127.0.0.1", "10.0.0.0/8"}, with("203.0.113.5, <script>, 10.1.2.3"),
			"10.1.2.3"},
		{"H-07 an IPv6 client with a port", []string{"127.0.0.1"}, with("[2001:db8::1]:4711"), "2001:db8::1"},
		{"H-07 an IPv4-mapped client", []string{"127.0.0.1"}, with("::ffff:203.0.113.5"), "203.0.113.5"},
		{"H-07 an empty header", []string{"127.0.0.1"}, with(""), "127.0.0.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) { r.API.TrustedProxies = row.trusted }})
			alice := s.SignUp("alice")
			var tokens apitest.Tokens
			s.Do(apitest.Request{Method: "POST", Path: "/v1/login", Header: row.header,
				Body: apitest.Fields{"email": alice.Email, "password": alice.Password}}).Want(200, "").JSON(&tokens)
			var body struct{ Sessions []struct{ Address string } }
			s.Do(apitest.Request{Path: "/v1/profile/sessions", Token: tokens.Access}).Want(200, "").JSON(&body)
			if got := body.Sessions[0].Address; got != row.want {
				t.Errorf("address %q, want %q", got, row.want)
			}
			if !strings.Contains(s.Log.String(), "route=/v1/login status=200 took=0s address="+row.want) {
				t.Errorf("not in the log: %s", s.Log)
			}
			if c := apitest.Claims(tokens.Access); c["iss"] != apitest.IssuerURL {
				t.Errorf("iss %v", c["iss"])
			}
		})
	}
}

// An address has one text, however the connection writes it.
func TestThePeerIsLoggedByItsAddress(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	for peer, want := range map[string]string{
		"192.0.2.7:80":          "192.0.2.7",
		"[::ffff:192.0.2.8]:80": "192.0.2.8",
		"[2001:DB8::9]:80":      "2001:db8::9",
		"[fe80::1%eth0]:80":     "fe80::1",
		"@":                     `""`, // of a socket of this machine
	} {
		r := httptest.NewRequest(http.MethodGet, "/healthz", nil)
		r.RemoteAddr = peer
		s.Replicas[0].HTTP.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
		if !strings.Contains(s.Log.String(), " address="+want+"\n") {
			t.Errorf("%s is not %s in the log: %s", peer, want, s.Log)
		}
	}
}

// counter keeps what Metrics were told.
type counter struct {
	mu   sync.Mutex
	seen map[string]int
}

func (c *counter) Request(route, method string, status int, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[fmt.Sprintf("%s %s %d", method, route, status)]++
}

func TestMetricsHaveNoLabelsOfStrangers(t *testing.T) {
	c := &counter{seen: map[string]int{}}
	s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) { r.API.Metrics = c }})
	for _, q := range []apitest.Request{
		{Path: "/.well-known/jwks.json"}, {Path: "/nothing/of/mine?secret=1"}, {Method: "BREW", Path: "/v1/profile"},
		{Method: "DELETE", Path: "/v1/profile/sessions/abc"}, {Method: "HEAD", Path: "/healthz"},
	} {
		s.Do(q)
	}
	for _, want := range []string{"GET /.well-known/jwks.json 200", "GET unmatched 404", "OTHER /v1/profile 405",
		"DELETE /v1/profile/sessions/{id} 401", "HEAD /healthz 200"} {
		if c.seen[want] != 1 {
			t.Errorf("%q counted %d times: %v", want, c.seen[want], c.seen)
		}
	}
	if len(c.seen) > 6 { // openapi.json was read by apitest, once a process
		t.Errorf("%v", c.seen)
	}
}

func TestTheLogSaysWhatHappenedAndNoSecret(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice := s.SignUp("alice")
	res := s.Do(apitest.Request{Method: "POST", Path: "/v1/login?password=" + s.Secret("planted-in-the-query"),
		Body: apitest.Fields{"email": alice.Email, "password": "wrong wrong wrong"}}).Want(401, "invalid_credentials")
	s.Do(apitest.Request{Path: "/v1/profile/sessions/" + s.Secret("planted-in-the-path")}).Want(405, "method_not_allowed")
	s.Do(apitest.Request{Path: "/" + s.Secret("planted-in-another-path")}).Want(404, "not_found")
	s.Do(apitest.Request{Path: "/v1/profile", Token: s.Secret("planted-as-a-token")}).Want(401, "token_invalid")
	s.Do(apitest.Request{Path: "/v1/profile",
		Header: http.Header{"Cookie": {s.Secret("planted=in-a-cookie")},
			"User-Agent": {s.Secret("planted in an agent")}}}).Want(401, "missing_token")
	s.Do(apitest.Request{Path: "/healthz"}).Want(200, "")
	want := "level=INFO msg=request request_id=" +
		res.Header.Get("X-Request-Id") + " method=POST route=/v1/login status=401 took=0s address=127.0.0.1 code=invalid_credentials client_id=signet reason=\"The name or the password is wrong.\"\n"
	if log := s.Log.String(); !strings.Contains(log, want) ||
		strings.Count(log, res.Header.Get("X-Request-Id")) != 2 { // the request, and the failed login
		t.Errorf("want a line %q, and one of the login, in\n%s", want, log)
	}
	if !strings.Contains(s.Log.String(), "level=DEBUG msg=request") {
		t.Error("probes are not logged at debug")
	}
}

func TestAPanicIsOneServerErrorAndNothingElse(t *testing.T) {
	s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) {
		r.API.JWKS = func() (*keys.Document, error) { panic("planted panic text") }
		r.API.Ready = func(context.Context) error { panic(fmt.Errorf("planted panic error")) }
	}})
	s.AllowPanics()
	res := s.Do(apitest.Request{Path: "/.well-known/jwks.json"}).Want(500, "server_error")
	s.Do(apitest.Request{Path: "/readyz"})
	if strings.Contains(string(res.Body), "planted") {
		t.Errorf("%s", res.Body)
	}
	if log := s.Log.String(); strings.Count(log, "planted panic text") != 1 || !strings.Contains(log, "level=ERROR") ||
		!strings.Contains(log, "stack=") || !strings.Contains(log, res.Header.Get("X-Request-Id")) {
		t.Errorf("the log:\n%s", log)
	}
	s.Login(s.SignUp("alice")) // still there
}
