package authorizations_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// asking is a line of the tables of the authorization endpoint: what of a good request is changed,
// and what comes of it: an error at the redirect URI, or a page.
type asking struct {
	name string
	edit func(url.Values)
	more string // appended to the query as it is
	want string // error code at the redirect URI; "page": an error page and nothing sent anywhere; "": the login page
}

func ask(t *testing.T, s *apitest.Server, c apitest.Client, rows []asking) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := s.With(t)
			if row.edit == nil {
				row.edit = func(url.Values) {}
			}
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				var p *apitest.Page
				s.Unchanged(func() {
					path := authorizePath(c, row.edit) + row.more
					b := s.Browser()
					if method == http.MethodGet {
						p = b.Open(path)
						return
					}
					path, query, _ := strings.Cut(path, "?")
					b.Open("/login") // so that it has cookies, and the request is judged where it is
					p = b.Send(apitest.Request{Method: method, Path: path, Body: query, Type: "application/x-www-form-urlencoded"})
					if location := p.Header.Get("Location"); strings.HasPrefix(location, "/") {
						p = b.Open(location)
					} else {
						p.To = location
					}
				})
				expect(t, p, c, row)
			}
		})
	}
}

func expect(t *testing.T, p *apitest.Page, c apitest.Client, row asking) {
	t.Helper()
	switch row.want {
	case "":
		p.WantPage(http.StatusOK, "login-submit")
	case "page":
		if p.Status != http.StatusBadRequest || p.Header.Get("Location") != "" ||
			!strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			t.Errorf("got %d to %q, want an error page: %.300s", p.Status, p.Header.Get("Location"), p.Text())
		}
		for _, planted := range []string{"evil", "alert", "the state"} {
			if strings.Contains(string(p.Body), planted) {
				t.Errorf("the error page repeats %q of the request", planted)
			}
		}
	default:
		q := p.Query()
		if got := q.Get("error"); got != row.want || q.Get("code") != "" || q.Get("iss") != apitest.IssuerURL ||
			q.Get("error_description") == "" {
			t.Errorf("got %v, want error %s", q, row.want)
		}
		sent, err := url.ParseQuery(strings.TrimPrefix(authorizePath(c, row.edit)+row.more, "/oauth2/authorize?"))
		if err != nil {
			t.Fatal(err)
		}
		if states := sent["state"]; len(states) == 1 && (q.Get("state") != states[0] || len(q["state"]) != 1) {
			t.Errorf("state %q came back as %q", states, q["state"])
		}
		for name := range q { // the conformance suite allows these and no more
			if !strings.Contains(" error error_description state iss ", " "+name+" ") {
				t.Errorf("the response has a parameter %s", name)
			}
		}
	}
}

func TestA01ToA06RedirectURIsAreComparedByteForByte(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		web, spa := s.WebClient(), s.NativeClient()
		var rows []asking
		for _, uri := range []string{
			"https://web.test/cb/", "https://web.test/cb/../evil", "https://web.test/cb/..;/x",
			"https://web.test/cb%2f..%2fevil",
			"https://web.test/cb%252f..", "https://web.test/CB", "https://WEB.test/cb", "https://web.test:443/cb",
			"https://web.test/cb?x=1",
			"https://webXtest/cb",
			"javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//web.test/cb", "/cb",
			"https:web.test/cb",
			"https://web.test/cb#x", "https://web.test/cb\r\nSet-Cookie:a=b", "https://web.test/cb\x00", "\thttps://web.test/cb",
			"https://web.test:8443/cb", // a confidential client's port
		} {
			rows = append(rows, asking{name: strconv.Quote(uri), edit: set("redirect_uri", uri), want: "page"})
		}
		ask(t, s, web, append(rows,
			asking{name: "A-07 none, with one registered", edit: set("redirect_uri", ""), want: "page"},
			asking{name: "two", more: "&redirect_uri=https%3A%2F%2Fevil.test", want: "page"},
			asking{name: "no client", edit: set("client_id", ""), want: "page"},
			asking{name: "two clients", more: "&client_id=spa", want: "page"},
			asking{name: "a client that nobody registered", edit: set("client_id", "evil"), want: "page"},
			asking{name: "a client that no store can hold", edit: set("client_id", "web\x00"), want: "page"},
			asking{name: "a query that cannot be read", more: "&x=%zz", want: "page"},
			asking{name: "A-40 texts of the sender's own",
				edit: set("redirect_uri", "", "error_description", "evil", "error_hint", "<script>alert(1)</script>", "error_debug",
					"evil"), want: "page"},
		))

		rows = nil
		for _, uri := range []string{
			"http://localhost:5/cb", "http://127.0.0.1.evil.test/cb", "http://127.0.0.1:5@evil.test/cb",
			"http://127.0.0.1:5/other", "http://0x7f.1/cb",
			"https://127.0.0.1/cb", "http://[::1]:5/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:0/cb",
			"http://127.0.0.1:70000/cb", "http://127.0.0.1:5x/cb",
			"http://127.0.0.1:5/cb?x=1", "http://127.0.0.1:5", "http://127.0.0.2:5/cb",
		} {
			rows = append(rows, asking{name: "A-06 " + uri, edit: set("redirect_uri", uri), want: "page"})
		}
		ask(t, s, spa, append(rows,
			asking{name: "the port of a native app is its own affair", edit: set("redirect_uri", "http://127.0.0.1:51004/cb")},
			asking{name: "it may have none", edit: set("redirect_uri", "http://127.0.0.1/cb")},
		))

		two := s.Register(userstore.Client{ID: "two",
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://two.test/a", "https://two.test/b?x=1"}}})
		ask(t, s, two, []asking{{name: "A-07 none, with two registered", edit: set("redirect_uri", ""), want: "page"}})
		t.Run("a registered query stays as it is", func(t *testing.T) {
			s := s.With(t)
			p := s.Browser().Open(authorizePath(two, set("redirect_uri", "https://two.test/b?x=1", "response_type", "")))
			if !strings.HasPrefix(p.To, "https://two.test/b?x=1&error=invalid_request&") {
				t.Errorf("sent to %q", p.To)
			}
		})

		if err := s.DB.SetClientActive(t.Context(), "two", false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		ask(t, s, two, []asking{{name: "a client that is disabled", want: "page"}})
	})
}

func TestRefusalsOfTheAuthorizationEndpoint(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "web", Scopes: []string{"openid", "profile", "email", "offline_access", "read"},
			Resources: []string{"https://api.test"}})
		service := s.Register(userstore.Client{ID: "service", GrantTypes: []string{"client_credentials"}})
		long := strings.Repeat("s", 8<<10)
		var rows []asking
		for _, responseType := range []string{"none", "CODE", "tokens"} { // those of the fragment: authorize_fragment_test.go
			rows = append(rows, asking{name: "A-09 response_type " + responseType, edit: set("response_type", responseType),
				want: "unsupported_response_type"})
		}
		for _, mode := range []string{"fragment", "web_message", "query.jwt", "garbage"} {
			rows = append(rows, asking{name: "A-10 response_mode " + mode, edit: set("response_mode", mode),
				want: "invalid_request"})
		}
		for _, method := range []string{"plain", "", "s256", "S512"} {
			rows = append(rows, asking{name: "A-12 code_challenge_method " + method, edit: set("code_challenge_method", method),
				want: "invalid_request"})
		}
		for _, challenge := range []string{strings.Repeat("a", 42), strings.Repeat("a", 129), strings.Repeat("a", 42) + "=",
			strings.Repeat("+/", 21) + "+", "", strings.Repeat(" ", 43), strings.Repeat("a", 44)} {
			rows = append(rows, asking{name: "A-13 code_challenge " + challenge, edit: set("code_challenge", challenge),
				want: "invalid_request"})
		}
		for _, prompt := range []string{"none login", "none consent", "Login", "create", "login,consent"} {
			rows = append(rows, asking{name: "A-19 prompt " + prompt, edit: set("prompt", prompt), want: "invalid_request"})
		}
		for _, age := range []string{"-1", "1e20", "100000000000000000000", "9223372036854775808", "+1", "1.5", " 1",
			"soon"} {
			rows = append(rows, asking{name: "A-21 max_age " + age, edit: set("max_age", age), want: "invalid_request"})
		}
		for _, claims := range []string{"x", "[]", `{"userinfo":1}`, `{"userinfo":null}`,
			`{"userinfo":{"name":{"essential":"yes"}}}`, `{"userinfo":{},"userinfo":{}}`,
			`{"userinfo":{"name":null,"name":null}}`, `{"userinfo":{}}{}`, `{"userinfo":{"name":1}}`,
			`{"id_token":{"a\u0000":null}}`, strings.Repeat("[", 50), `{"x":"` + strings.Repeat("y", 5000) + `"}`} {
			rows = append(rows, asking{name: "claims " + claims[:min(len(claims), 40)], edit: set("claims", claims),
				want: "invalid_request"})
		}
		for _, name := range []string{"response_type", "scope", "state", "nonce", "prompt", "max_age", "code_challenge",
			"claims", "ui_locales"} {
			rows = append(rows, asking{name: "twice: " + name, edit: set(name, "openid"), more: "&" + name + "=openid",
				want: "invalid_request"})
		}
		ask(t, s, c, append(rows,
			asking{name: "A-09 no response_type", edit: set("response_type", ""), want: "invalid_request"},
			asking{name: "no PKCE", edit: set("code_challenge", "", "code_challenge_method", ""), want: "invalid_request"},
			asking{name: "a request object", edit: set("request", "eyJhbGciOiJub25lIn0.e30."), want: "request_not_supported"},
			asking{name: "a request_uri", edit: set("request_uri", "https://evil.test/r"), want: "request_uri_not_supported"},
			asking{name: "A-24 no scope", edit: set("scope", ""), want: "invalid_scope"},
			asking{name: "A-24 nothing but a scope that nobody knows", edit: set("scope", "evil"), want: "invalid_scope"},
			asking{name: "A-24 nothing but a scope that the client may not have", edit: set("scope", "address"),
				want: "invalid_scope"},
			asking{name: "A-24 nothing but admin", edit: set("scope", "admin"), want: "invalid_scope"},
			asking{name: "A-24 500 scopes that nobody knows", edit: set("scope", apitest.ManyScopes(500)),
				want: "invalid_scope"},
			asking{name: "A-24 more text than scopes may be", edit: set("scope", "openid "+apitest.ManyScopes(1000)),
				want: "invalid_scope"},
			asking{name: "A-24 a character that no scope has", edit: set("scope", `openid "evil"`), want: "invalid_scope"},
			asking{name: "A-24 nothing but a scope of the resource, without it",
				edit: set("scope", "read write", "resource", ""), want: ""},
			asking{name: "A-24 nothing but a scope of another resource", edit: set("scope", "write"),
				more: "&resource=https%3A%2F%2Fapi.test", want: "invalid_scope"},
			asking{name: "A-24 offline_access alone, for a client that gets it", edit: set("scope", "offline_access")},
			asking{name: "A-25 a resource that nobody registered", edit: set("resource", "https://evil.test"),
				want: "invalid_target"},
			asking{name: "A-25 two resources, one of them unknown",
				more: "&resource=https%3A%2F%2Fapi.test&resource=https%3A%2F%2Fevil.test", want: "invalid_target"},
			asking{name: "A-25 a resource with a fragment", edit: set("resource", "https://api.test#x"), want: "invalid_target"},
			asking{name: "a nonce that is not text", edit: set("nonce", "a\xff"), want: "invalid_request"},
			asking{name: "a nonce with U+0000", edit: set("nonce", "a\x00b"), want: "invalid_request"},
			asking{name: "a nonce beyond measure", edit: set("nonce", strings.Repeat("n", 2000)), want: "invalid_request"},
			asking{name: "A-16 a state of 8 KiB comes back with an error", edit: set("state", long, "response_type", ""),
				want: "invalid_request"},
			asking{name: "A-16 so does one of markup and line ends",
				edit: set("state", "\"><script>alert(1)</script>\r\nX:1&code=x ümläut", "response_type", ""),
				want: "invalid_request"},
			asking{name: "an acr that nobody reaches",
				edit: set("claims", `{"id_token":{"acr":{"essential":true,"values":["3"]}}}`),
				want: "unmet_authentication_requirements"},
			asking{name: "J-16 an id_token_hint that is none", edit: set("id_token_hint", "a.b.c"), want: "invalid_request"},

			asking{name: "A-15 parameters that nobody knows, twice", more: "&foo=bar&foo=bar"},
			asking{name: "hints that are too long are none",
				edit: set("login_hint", long, "ui_locales", long, "acr_values", long)},
			asking{name: "display, locales and an acr that is welcome",
				edit: set("display", "popup", "ui_locales", "de en", "claims_locales", "de", "acr_values", "1 2")},
			asking{name: "a claims request",
				edit: set("claims",
					`{"userinfo":{"name":{"essential":true},"email":null},"id_token":{"acr":{"essential":true,"values":["1"]}},"x":1}`)},
			asking{name: "a registered resource with its scope",
				edit: set("resource", "https://api.test", "scope", "openid read")},
			asking{name: "an empty resource is none", more: "&resource="},
			asking{name: "without a nonce", edit: set("nonce", "")},
			asking{name: "form_post", edit: set("response_mode", "form_post")},
		))
		ask(t, s, service, []asking{{name: "a client without the grant type", want: "unauthorized_client"}})

		t.Run("a state that is not text is nobody's", func(t *testing.T) {
			q := s.With(t).Browser().Open(authorizePath(c, set("state", "a\xff"))).Query()
			if q.Get("error") != "invalid_request" || q.Has("state") {
				t.Errorf("%v", q)
			}
		})
		t.Run("form_post carries errors, too", func(t *testing.T) {
			p := s.With(t).Browser().Open(authorizePath(c, set("response_mode", "form_post", "scope", "evil")))
			action, posted := p.WantPage(200, "").Posted()
			if action != c.RedirectURIs[0] || posted.Get("error") != "invalid_scope" || posted.Get("state") != "the state" ||
				posted.Get("iss") != apitest.IssuerURL {
				t.Errorf("%s %v", action, posted)
			}
		})
	}, func(o *apitest.Options) {
		o.Resources = []issuer.Resource{{URI: "https://api.test", Scopes: []string{"read", "write"}}}
	})
}

func TestPKCEIsAPolicy(t *testing.T) {
	without := set("code_challenge", "", "code_challenge_method", "")
	for _, policy := range []struct {
		name, require, pkce, method string
		want                        string
	}{
		{"required of all by default", "", "", userstore.AuthBasic, "invalid_request"},
		{"switched off for one client", "all", userstore.PKCEOptional, userstore.AuthBasic, ""},
		{"required of public clients only", "public", "", userstore.AuthBasic, ""},
		{"but of one more", "public", userstore.PKCERequired, userstore.AuthBasic, "invalid_request"},
		{"of public clients always", "public", userstore.PKCEOptional, userstore.AuthNone, "invalid_request"},
	} {
		t.Run(policy.name, func(t *testing.T) {
			s := apitest.New(t, apitest.Options{Configure: func(r *apitest.Replica) { r.Issuer.RequirePKCE = policy.require }})
			c := s.Register(userstore.Client{ID: "web", AuthMethod: policy.method,
				ClientMetadata: userstore.ClientMetadata{PKCE: policy.pkce}})
			ask(t, s, c, []asking{
				{name: "without a challenge", edit: without, want: policy.want},
				{name: "with one", want: ""},
				{name: "A-12 who sends one is held to it", edit: set("code_challenge_method", "plain"), want: "invalid_request"},
			})
		})
	}
}
