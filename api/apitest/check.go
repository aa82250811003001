package apitest

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/signet-id/signet/userstore"
)

// Log keeps what the servers log.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String is everything logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// secrets are texts that must not be seen.
type secrets struct {
	mu        sync.Mutex
	passwords []string        // never in any answer
	tokens    []string        // in token responses only
	sent      map[string]bool // what requests said, right or wrong: in no log line
	panics    bool            // a test that panics on purpose
}

// Secret registers a password or the like: text that no answer and no log line may hold.
func (s *Server) Secret(text string) string {
	s.secrets.mu.Lock()
	defer s.secrets.mu.Unlock()
	s.secrets.passwords = append(s.secrets.passwords, text)
	return text
}

// AllowPanics is for tests of what becomes of a panic.
func (s *Server) AllowPanics() { s.secrets.panics = true }

func (a *Response) isTokenResponse() bool {
	return a.Status == http.StatusOK && (strings.HasPrefix(a.request.Path, "/v1/login") || strings.HasPrefix(a.request.Path, "/v1/refresh") ||
		strings.HasPrefix(a.request.Path, "/v1/passkey/login") || strings.HasPrefix(a.request.Path, "/oauth2/token"))
}

// find is strings.Index, and finds a secret by its last bytes: these are random, while all tokens
// begin alike, and texts as short as that are searched without the race detector, which would make
// this the longest part of most tests.
func find(text, secret string) int {
	tail := secret[max(0, len(secret)-32):]
	for from := 0; ; {
		i := strings.Index(text[from:], tail)
		if i < 0 {
			return -1
		}
		end := from + i + len(tail)
		if strings.HasSuffix(text[:end], secret) {
			return end - len(secret)
		}
		from += i + 1
	}
}

// keepTokens remembers issued tokens as secrets.
func (s *Server) keepTokens(a *Response) {
	if !a.isTokenResponse() {
		s.keepFront(a)
		return
	}
	var t Tokens
	_ = json.Unmarshal(a.Body, &t)
	s.secrets.mu.Lock()
	defer s.secrets.mu.Unlock()
	s.secrets.keep(t.Access, t.Refresh, t.ID)
}

// keep remembers tokens, of which there may be none.
func (s *secrets) keep(tokens ...string) {
	for _, token := range tokens {
		if token != "" {
			s.tokens = append(s.tokens, token)
		}
	}
}

// keepFront remembers the tokens of an authorization response as secrets.
func (s *Server) keepFront(a *Response) {
	values := a.front()
	s.secrets.mu.Lock()
	defer s.secrets.mu.Unlock()
	s.secrets.keep(values.Get("access_token"), values.Get("id_token"))
}

// keepSent remembers what a request says that is nobody's business, right or wrong: bearers,
// cookies, passwords and tokens, wherever a client may put them. What is short could stand in any
// text.
func (s *Server) keepSent(r *http.Request, body []byte) {
	var said []string
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		for _, value := range r.Header.Values(name) {
			_, after, _ := strings.Cut(value, " ") // the scheme is none
			said = append(said, value, after)
		}
	}
	for name, values := range r.URL.Query() {
		if secretMember.MatchString(name) {
			said = append(said, values...)
		}
	}
	var members map[string]any
	_ = json.Unmarshal(body, &members)
	for name, value := range members {
		if text, ok := value.(string); ok && secretMember.MatchString(name) && !strings.HasPrefix(name, "token_endpoint_auth_") {
			said = append(said, text)
		}
	}
	s.secrets.mu.Lock()
	defer s.secrets.mu.Unlock()
	if s.secrets.sent == nil {
		s.secrets.sent = map[string]bool{}
	}
	for _, text := range said {
		if len(text) >= 12 {
			s.secrets.sent[text] = true // most requests of a test say the same
		}
	}
}

// secretMember is what members of bodies and parameters are called that hold a secret.
var secretMember = regexp.MustCompile(`(?i)password|token|secret|code`)

// linesType is of JSON lines.
const linesType = "application/x-ndjson"

// signedTypes are of answers that are a compact JWS.
var signedTypes = map[string]bool{
	"application/jwt": true, "application/token-introspection+jwt": true, "application/statuslist+jwt": true,
}

var (
	oauthText   = regexp.MustCompile(`^[ !#-\[\]-~]*$`)
	databaseSay = regexp.MustCompile(`(?i)sqlstate|syntax error|sqlite|\bpgx\b|postgres|(?:^|[^<\w])select \b|\bupdate \w+ set\b|insert into`)
	registered  = map[string]bool{"application/json": true, "application/problem+json": true, "application/jwk-set+json": true, linesType: true}
	forPeople   = map[string]bool{"text/html": true, "text/css": true, "text/javascript": true, "image/svg+xml": true, "image/png": true}
	cacheable   = regexp.MustCompile(`/(jwks\.json|openapi\.json|openid-configuration|\.well-known/webauthn|oauth-authorization-server|assets/.+|client-logo|oauth2/status/\d+|favicon\.ico|session/check)`)
)

// isCodesFile reports whether the answer is the file of the recovery codes.
func (a *Response) isCodesFile(media string) bool {
	return media == "text/plain" && strings.HasSuffix(a.request.Path, "/account/codes")
}

// speaksOfDatabase is databaseSay's answer. The expression itself is a fifth of what a page costs
// with the race detector, so that most texts are told by words that it needs.
func speaksOfDatabase(text string) bool {
	upper := strings.ReplaceAll(strings.ToUpper(text), "<SELECT ", "")
	return slices.ContainsFunc(databaseWords, func(word string) bool { return strings.Contains(upper, word) }) &&
		databaseSay.MatchString(text)
}

// databaseWords has a part of each alternative of databaseSay.
var databaseWords = []string{"SQLSTATE", "SYNTAX ERROR", "SQLITE", "PGX", "POSTGRES", "SELECT ", "UPDATE ", "INSERT INTO"}

// check holds an answer against the rules that are true of every answer; the ids are
// those of the attack cases.
func (s *Server) check(a *Response) {
	s.T.Helper()
	bad := func(format string, args ...any) {
		s.T.Helper()
		s.T.Errorf(a.request.Method+" "+strings.ReplaceAll(a.request.Path, "%", "%%")+": "+format, args...)
	}
	body := string(a.Body)

	switch { // G1
	case a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "":
	case a.Status >= 500 && !s.secrets.panics:
		bad("G1: status %d: %.300s\n%s", a.Status, body, s.Log)
	}

	s.secrets.mu.Lock() // G3
	for _, secret := range s.secrets.passwords {
		if find(body, secret) >= 0 {
			bad("G3: the answer holds a password")
		}
	}
	if !a.isTokenResponse() {
		for _, secret := range s.secrets.tokens {
			if find(body, secret) >= 0 {
				bad("G3: the answer holds a token")
			}
		}
	}
	s.secrets.mu.Unlock()
	if a.Status >= 400 && speaksOfDatabase(body) {
		bad("G3: the answer speaks of the database: %.300s", body)
	}

	control := a.Header.Get("Cache-Control") // G5
	if public := cacheable.MatchString(a.request.Path) && (a.Status == http.StatusOK || a.Status == http.StatusNotModified); public {
		if !strings.HasPrefix(control, "public, max-age=") {
			bad("G5: Cache-Control %q on a public document", control)
		}
	} else if control != "no-store" {
		bad("G5: Cache-Control %q, want no-store", control)
	}
	if a.Header.Get("X-Content-Type-Options") != "nosniff" {
		bad("G5: no nosniff")
	}
	if a.Header.Get("X-Request-Id") == "" || a.Header.Get("Server") != "" || a.Header.Get("X-Powered-By") != "" {
		bad("request id %q, server %q", a.Header.Get("X-Request-Id"), a.Header.Get("Server"))
	}
	var document any // a body of megabytes is read once
	isJSON := json.Unmarshal(a.Body, &document) == nil
	if media, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); len(a.Body) > 0 && !forPeople[media] && !a.isCodesFile(media) {
		if !registered[media] && !signedTypes[media] {
			bad("G5: content type %q", media)
		}
		switch {
		case media == linesType: // each of which is a document
			for d := range bytes.SplitSeq(bytes.TrimSuffix(a.Body, []byte("\n")), []byte("\n")) {
				if !json.Valid(d) {
					bad("the body is not JSON: %.100q", d)
				}
			}
		case signedTypes[media]:
			if Claims(string(a.Body)) == nil {
				bad("the body is no JWS: %.100q", a.Body)
			}
		case !isJSON:
			bad("the body is not JSON: %.100q", a.Body)
		}
	}
	if location := a.Header.Get("Location"); location != "" && !s.mayLeadTo(location, a.Status) { // G6
		bad("G6: location %q", location)
	}

	members, _ := document.(map[string]any)
	for _, name := range []string{"error", "error_description"} { // G8
		if text, _ := members[name].(string); !oauthText.MatchString(text) {
			bad("G8: %s %q", name, text)
		}
	}
	for _, challenge := range a.Header["Www-Authenticate"] {
		scheme, _, _ := strings.Cut(challenge, " ")
		if strings.ContainsAny(challenge, "\r\n\\") || !slices.Contains([]string{"Bearer", "Basic", "DPoP"}, scheme) {
			bad("challenge %q", challenge)
		}
	}

	if isJSON && !strings.Contains(a.request.Path, "openapi.json") { // D-28
		if name := privateMember(document); name != "" {
			bad("D-28: the answer has a member %q, as private keys have", name)
		}
	}
}

// mayLeadTo tells whether a Location is a path of ours or, for a redirect, an address that a client
// is registered with.
func (s *Server) mayLeadTo(location string, status int) bool {
	if strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//") && !strings.Contains(location, "\\") {
		return status == http.StatusCreated || status == http.StatusSeeOther
	}
	base, fragment, _ := strings.Cut(location, "#")
	tokens := strings.Contains(fragment, "_token=")
	base, _, _ = strings.Cut(base, "?")
	for _, r := range s.Replicas {
		if r.documents.published(base) {
			return status == http.StatusSeeOther
		}
	}
	clients, err := s.DB.ListClients(context.Background(), nil, 1000)
	if err != nil {
		s.T.Fatalf("list the clients: %v", err)
	}
	for _, c := range clients {
		for _, uri := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs) {
			registered, _, _ := strings.Cut(uri, "?")
			if tokens && !c.Allows(userstore.GrantImplicit) {
				continue
			}
			if registered == base || c.Public() && loopbackPort.ReplaceAllString(registered, "$1") == loopbackPort.ReplaceAllString(base, "$1") {
				return status == http.StatusSeeOther
			}
		}
	}
	return false
}

// loopbackPort is what of a native app's redirect URI is its own affair (RFC 8252 section 7.3).
var loopbackPort = regexp.MustCompile(`^(http://(?:127\.0\.0\.1|\[::1\]|localhost)):[0-9]+`)

func privateMember(v any) string {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			switch name {
			case "d", "p", "q", "dp", "dq", "qi", "k", "oth":
				return name
			}
			if found := privateMember(inner); found != "" {
				return found
			}
		}
	case []any:
		for _, inner := range v {
			if found := privateMember(inner); found != "" {
				return found
			}
		}
	}
	return ""
}

// looksSecret is what no log line may hold, whoever made it up: a token, a hash, a private key.
var looksSecret = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|\$argon2|PRIVATE KEY-----`)

// checkLog looks for secrets and crashes in everything logged: G3 and O-03.
func (s *Server) checkLog() {
	log := s.Log.String()
	s.secrets.mu.Lock()
	defer s.secrets.mu.Unlock()
	sent := slices.Collect(maps.Keys(s.secrets.sent))
	for _, secret := range slices.Concat(s.secrets.passwords, s.secrets.tokens, sent) {
		if i := find(log, secret); i >= 0 {
			s.T.Errorf("G3: the log holds a secret: %s", log[max(0, i-200):i])
		}
	}
	if i := looksSecret.FindStringIndex(log); i != nil {
		s.T.Errorf("O-03: the log holds what looks like a secret, after %q", log[max(0, i[0]-200):i[0]])
	}
	if !s.secrets.panics && (strings.Contains(log, "panic") || strings.Contains(log, "goroutine")) {
		s.T.Errorf("G1: something crashed:\n%s", log)
	}
}
