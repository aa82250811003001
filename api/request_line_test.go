package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/span"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// field is one field of a line of the log.
type field struct{ name, value string }

// requestLines returns the fields of the lines of requests, from request_id on, by that id.
func requestLines(t *testing.T, log string) map[string][]field {
	t.Helper()
	lines := map[string][]field{}
	for line := range strings.Lines(log) {
		_, rest, found := strings.Cut(strings.TrimSuffix(line, "\n"), " msg=request ")
		if !found {
			continue
		}
		var fields []field
		for rest != "" {
			name, value, found := strings.Cut(rest, "=")
			if strings.HasPrefix(value, `"`) {
				quoted, err := strconv.QuotedPrefix(value)
				if err != nil {
					t.Fatalf("the log has the line %s", line)
				}
				rest = strings.TrimPrefix(value[len(quoted):], " ")
				value, _ = strconv.Unquote(quoted)
			} else {
				value, rest, _ = strings.Cut(value, " ")
			}
			if !found {
				t.Fatalf("the log has the line %s", line)
			}
			fields = append(fields, field{name, value})
		}
		id := fields[0].value
		if fields[0].name != "request_id" || lines[id] != nil {
			t.Errorf("a line without an id of its own: %s", line)
		}
		lines[id] = fields
	}
	return lines
}

// linesOf waits until each of the answers has its line, which is written after the answer.
func linesOf(t *testing.T, s *apitest.Server, answers ...*apitest.Response) map[string][]field {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		lines := requestLines(t, s.Log.String())
		missing := slices.IndexFunc(answers, func(a *apitest.Response) bool { return lines[a.Header.Get("X-Request-Id")] == nil })
		if missing < 0 {
			return lines
		}
		if time.Now().After(end) {
			t.Fatalf("no line of the request %s", answers[missing].Header.Get("X-Request-Id"))
		}
	}
}

func names(fields []field) string {
	var all []string
	for _, f := range fields {
		all = append(all, f.name)
	}
	return strings.Join(all, " ")
}

// documentedFields are those of the table in docs/operators.md, in its order.
func documentedFields(t *testing.T) (fields []string) {
	t.Helper()
	manual, err := os.ReadFile("../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(manual), "\n### The line of a request\n")
	section, _, _ = strings.Cut(section, "\n### ")
	for row := range strings.Lines(section) {
		if !strings.HasPrefix(row, "| `") {
			continue
		}
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
			fields = append(fields, name[1])
		}
	}
	if !found || len(fields) == 0 {
		t.Fatal("docs/operators.md has no table of the fields")
	}
	return fields
}

// tracing records the requests for the profile.
type tracing struct{}

type noSpan struct{}

func (noSpan) Text(string, string) {}
func (noSpan) Number(string, int)  {}
func (noSpan) End(bool)            {}

const traceID = "0af7651916cd43dd8448eb211c80319c"

func (tracing) Request(ctx context.Context, _, route, _ string) (context.Context, span.Span, string) {
	if route != "/v1/profile" {
		return ctx, span.Span{}, ""
	}
	return ctx, span.Of(noSpan{}), traceID
}

// Each kind of answer has one line of just these fields. Together they are the fields that
// docs/operators.md names, and each of those occurs.
func TestTheLineOfARequestHasTheDocumentedFields(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.AllowPanics()
		web := s.WebClient()
		tokens := s.Login(s.SignUp("alice"))
		const every = "request_id method route status took address"
		seen := map[string]bool{}
		for name, row := range map[string]struct {
			q    apitest.Request
			want string
		}{
			"a page":                     {apitest.Request{Path: "/login"}, every},
			"a public document":          {apitest.Request{Path: "/.well-known/openid-configuration"}, every},
			"a refresh":                  {apitest.Request{Method: "POST", Path: "/v1/refresh", Body: apitest.Fields{"refresh_token": tokens.Refresh}}, every},
			"a request that is recorded": {apitest.Request{Path: "/v1/profile", Token: tokens.Access}, every + " trace_id"},
			"a refusal that is recorded": {apitest.Request{Path: "/v1/profile"}, every + " trace_id code reason"},
			"a path that there is not":   {apitest.Request{Path: "/nothing"}, every + " code reason"},
			"a method that there is not": {apitest.Request{Method: "DELETE", Path: "/healthz"}, every + " code"},
			"a client with a wrong secret": {apitest.Request{Method: "POST", Path: "/oauth2/token",
				Basic: [2]string{web.ID, "a wrong secret"}, Form: url.Values{"grant_type": {"client_credentials"}}},
				every + " code client_id reason"},
			"a refusal by a redirect": {apitest.Request{Path: apitest.AuthorizePath(web, apitest.Param("prompt", "none"))}, every + " code client_id redirect_uri reason"},
			"not ready":               {apitest.Request{Path: "/readyz"}, every + " code error"},
			"a crash":                 {apitest.Request{Path: "/.well-known/jwks.json"}, every + " code error stack"},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				a := s.Do(row.q)
				line := linesOf(t, s, a)[a.Header.Get("X-Request-Id")]
				if got := names(line); got != row.want {
					t.Errorf("answered %d %s; the line has\n%s, want\n%s", a.Status, a.Code(), got, row.want)
				}
				for _, f := range line {
					seen[f.name] = true
				}
			})
		}
		documented := documentedFields(t)
		for _, name := range documented {
			if !seen[name] {
				t.Errorf("docs/operators.md names the field %s, which no line has", name)
			}
			delete(seen, name)
		}
		for name := range seen {
			t.Errorf("docs/operators.md does not name the field %s", name)
		}
	}, apitest.Configured(func(r *apitest.Replica) {
		r.API.Traces = tracing{}
		r.API.JWKS = func() (*keys.Document, error) { panic("planted panic text") }
		r.API.Ready = func(context.Context) error { return errors.New("planted reason") }
	}))
}

var (
	mailAddress = regexp.MustCompile(`@|%40`)
	ipAddress   = regexp.MustCompile(`\b[0-9]{1,3}(\.[0-9]{1,3}){3}\b|[0-9a-f]*:[0-9a-f]*:[0-9a-f]*`)
)

// What people and apps send and get stays out of the lines of their requests: tokens and passwords,
// which apitest looks for in the whole log, codes of every kind, e-mail addresses, and addresses of
// machines, of which address has the one that http.trusted_proxies believes in.
func TestTheLineOfARequestNamesNobody(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		planted := map[string]string{} // what it is, by the text
		from := apitest.From("198.51.100.9, 203.0.113.5")
		var answers []*apitest.Response
		do := func(q apitest.Request, status int, code string) *apitest.Response {
			t.Helper()
			q.Header = from
			answers = append(answers, s.Do(q).Want(status, code))
			return answers[len(answers)-1]
		}
		post := func(path string, body apitest.Fields, status int, code string) *apitest.Response {
			t.Helper()
			return do(apitest.Request{Method: "POST", Path: path, Body: body}, status, code)
		}
		alice := s.SignUp("alice")
		tv := s.Register(userstore.Client{ID: "tv", Scopes: []string{"openid"}, AuthMethod: userstore.AuthNone,
			GrantTypes: []string{userstore.GrantDeviceCode, userstore.GrantRefreshToken}})
		web := s.WebClient()

		for _, email := range []string{alice.Email, "nobody@example.test"} {
			post("/v1/login", apitest.Fields{"email": email, "password": apitest.WrongPassword}, 401, "invalid_credentials")
			post("/v1/password/forgot", apitest.Fields{"email": email}, 202, "")
		}
		planted[s.MailOf(outbox.ResetPassword).Token()] = "the link of a message"
		post("/v1/signup", apitest.Fields{"email": alice.Email, "password": alice.Password}, 409, "user_already_exists")
		post("/v1/signup", apitest.Fields{"email": "bob@@example.test", "password": alice.Password}, 400, "validation_error")

		code := s.Code(alice, web)
		planted[code] = "an authorization code"
		do(s.CodeRequest(web, code), 200, "")
		do(s.CodeRequest(web, code), 400, "invalid_grant")
		app, recovery := s.WithApp(alice)
		login := s.FirstStep(alice)
		wrong, right := app.Wrong(), app.Code()
		planted[wrong], planted[right], planted[recovery[0]], planted[login] = "a wrong code", "a right code", "a recovery code", "a login"
		post("/v1/login/totp", apitest.Fields{"login": login, "code": wrong}, 401, "invalid_code")
		post("/v1/login/totp", apitest.Fields{"login": login, "code": right}, 200, "")
		post("/v1/login/recovery-code", apitest.Fields{"login": s.FirstStep(alice), "code": recovery[0]}, 200, "")

		asked := s.AskDevice(tv, url.Values{"scope": {"openid"}})
		planted[asked.DeviceCode], planted[asked.UserCode] = "a device code", "a user code"
		answers = append(answers, s.PollDevice(tv, asked.DeviceCode).Want(400, "authorization_pending"))
		do(apitest.Request{Path: "/device?user_code=" + asked.UserCode}, 200, "")
		// What an app mixes up lands in the fields that the line does have.
		do(apitest.Request{Path: apitest.AuthorizePath(web, apitest.Param("client_id", alice.Email))}, 400, "")
		do(apitest.Request{Path: apitest.AuthorizePath(web,
			apitest.Param("redirect_uri", "https://ada@web.test/cb?code="+code+"#"+alice.Email))}, 400, "")
		do(apitest.Request{Path: "/v1/profile/" + url.PathEscape(alice.Email)}, 404, "not_found")

		for id, line := range linesOf(t, s, answers...) {
			for _, f := range line {
				whole := fmt.Sprintf("%s=%s of the request %s", f.name, f.value, id)
				if mailAddress.MatchString(f.value) {
					t.Errorf("an e-mail address is in %s", whole)
				}
				if f.name == "address" {
					if f.value != "203.0.113.5" && f.value != "127.0.0.1" { // of the proxy, where nobody is behind it
						t.Errorf("%s", whole)
					}
				} else if ipAddress.MatchString(f.value) {
					t.Errorf("an address is in %s", whole)
				}
				for text, what := range planted {
					if f.name != "request_id" && text != "" && strings.Contains(f.value, text) {
						t.Errorf("%s is in %s", what, whole)
					}
				}
			}
		}
		if len(planted) < 8 || len(answers) < 15 {
			t.Errorf("%d secrets in %d requests", len(planted), len(answers))
		}
	}, apitest.BehindProxy)
}
