package apitest

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// GoodPassword is a password that the rules take.
const GoodPassword = "a password of planted words"

// NextPassword is one that follows another.
const NextPassword = "a planted password that comes next"

// Refusal is a request body that is refused, and how. Nothing that is refused changes a user or a
// grant (G4).
type Refusal struct {
	Body   any
	Status int
	Code   string
	Faults string // as Response.Faults writes them; "*": any
}

// Refuse sends a body that is to be refused.
func (s *Server) Refuse(q Request, want Refusal) {
	s.T.Helper()
	q.Body = want.Body
	s.Unchanged(func() {
		s.T.Helper()
		res := s.Do(q).Want(want.Status, want.Code)
		if got := res.Faults(); got != want.Faults && want.Faults != "*" {
			s.T.Errorf("faults %q, want %q", got, want.Faults)
		}
	})
}

// EventsOf lists the entries of the audit log about the request behind an answer.
func (s *Server) EventsOf(a *Response) (out []audit.Event) {
	s.T.Helper()
	all, err := s.DB.ListEvents(s.T.Context(), userstore.EventQuery{Limit: 1000})
	if err != nil {
		s.T.Fatal(err)
	}
	for _, e := range all {
		if e.RequestID == a.Header.Get("X-Request-Id") {
			out = append(out, e)
		}
	}
	return out
}

// SessionID is the sid of the access token.
func (t Tokens) SessionID() string { return Claims(t.Access)["sid"].(string) }

// AdminRoutes is every route of the admin API there is, as requests about somebody: their id, a
// session and a role fill the templates.
func (s *Server) AdminRoutes(id, sid, role string) []Request {
	s.T.Helper()
	var out []Request
	for _, r := range s.Replicas[0].API.Routes() {
		if strings.HasPrefix(r.Path, "/v1/admin") {
			path := strings.NewReplacer("{id}", id, "{sid}", sid, "{role}", role, "{client_id}", "signet", "{factor}", "nosuchfactor").Replace(r.Path)
			out = append(out, Request{Method: r.Method, Path: path})
		}
	}
	if len(out) < 22 {
		s.T.Fatalf("only %d admin routes; is the list still found?", len(out))
	}
	return out
}

// AdminOf makes requests to the admin API of clients with an access token; path is what follows /v1/admin/clients.
func (s *Server) AdminOf(token string) func(method, path string, body any) *Response {
	return func(method, path string, body any) *Response {
		s.T.Helper()
		return s.Do(Request{Method: method, Path: "/v1/admin/clients" + path, Token: token, Body: body})
	}
}

// WebClient registers the confidential client of the attack cases.
func (s *Server) WebClient() Client {
	return s.Register(userstore.Client{ID: "web", Name: "Web"})
}

// NativeClient registers the native app of the attack cases, which is a public client.
func (s *Server) NativeClient() Client {
	return s.Register(userstore.Client{
		ID: "spa", Name: "Native", AuthMethod: userstore.AuthNone,
		ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"http://127.0.0.1/cb"}},
	})
}

// TokensOf redeems the code that a browser was sent away with.
func (s *Server) TokensOf(c Client, p *Page) Tokens {
	s.T.Helper()
	code := p.Query().Get("code")
	if code == "" {
		s.T.Fatalf("no code: %q", p.To)
	}
	var tokens Tokens
	s.Do(s.CodeRequest(c, code)).Want(http.StatusOK, "").JSON(&tokens)
	return tokens
}

// Credentials are the fields of the login form.
func (u User) Credentials() map[string]string {
	return map[string]string{"email": u.Email, "password": u.Password}
}

// SignedIn is a browser in which u is logged in, and nothing else.
func (s *Server) SignedIn(u User) *Browser {
	s.T.Helper()
	b := s.Browser()
	b.SignIn("/login", u).WantPage(200, "")
	if !slices.ContainsFunc(slices.Collect(maps.Keys(b.Cookies)), func(name string) bool { return strings.HasPrefix(name, "__Host-signet-session-") }) {
		s.T.Fatal("nobody is logged in")
	}
	return b
}

// Allowed is a browser in which u has allowed c everything that a request asks for by default, and
// the answer to that.
func (s *Server) Allowed(u User, c Client) (*Browser, *Page) {
	s.T.Helper()
	b := s.Browser()
	p := b.SignIn(AuthorizePath(c), u).WantPage(200, "consent-approve").Submit("consent-approve", nil)
	return b, p
}

// Hashes returns how many passwords were hashed or checked, on all replicas.
func (s *Server) Hashes() (n uint64) {
	for _, r := range s.Replicas {
		n += r.Accounts.Hasher.Stats().Started
	}
	return n
}
