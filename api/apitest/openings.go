package apitest

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// What an operation may open an account with. A step-up, and a change of the password, give the
// session cookie a new value, which is a session as well.
const (
	givesTokens  = "tokens"
	givesSession = "session"
	givesCode    = "code"    // for the redirect URI of a client
	givesTrust   = "trusted" // the cookie of a trusted browser
)

// openings are the operations that open an account, and with what. Every answer of every test is
// held against them, and the walk through every way into an account (api/flows) goes through each
// of them: an operation that is not here has no row in its table yet.
var openings = map[string][]string{
	"POST /oauth2/token": {givesTokens},

	"POST /v1/login":                    {givesTokens},
	"POST /v1/login/totp":               {givesTokens},
	"POST /v1/login/recovery-code":      {givesTokens},
	"POST /v1/login/passkey":            {givesTokens},
	"POST /v1/login/setup/totp/confirm": {givesTokens},
	"POST /v1/login/setup/passkeys":     {givesTokens},
	"POST /v1/passkey/login":            {givesTokens},
	"POST /v1/refresh":                  {givesTokens},

	"GET /oauth2/authorize":  {givesCode, givesTokens},
	"POST /oauth2/authorize": {givesCode, givesTokens},
	"GET /consent":           {givesCode, givesTokens},
	"POST /consent":          {givesCode, givesTokens},
	"POST /continue":         {givesCode, givesTokens},
	"POST /login":            {givesSession, givesCode, givesTokens},
	"POST /login/second":     {givesSession, givesCode, givesTokens, givesTrust},
	"POST /login/setup":      {givesSession},
	"POST /signup":           {givesSession},
	"POST /verify":           {givesSession, givesCode, givesTokens},
}

// Openings lists what operations open an account with, as Opened does.
func Openings() (list []string) {
	for operation, gives := range openings {
		for _, what := range gives {
			list = append(list, operation+" gives "+what)
		}
	}
	slices.Sort(list)
	return list
}

// opened is what operations have opened accounts with.
type opened struct {
	mu   sync.Mutex
	seen map[string]bool
}

// Opened lists what operations of this server have opened accounts with since the last call.
func (s *Server) Opened() []string {
	s.opened.mu.Lock()
	defer s.opened.mu.Unlock()
	list := slices.Sorted(maps.Keys(s.opened.seen))
	s.opened.seen = nil
	return list
}

// checkOpening fails the test where an operation opens an account that is not known to.
func (s *Server) checkOpening(a *Response) {
	s.T.Helper()
	gives := a.gives()
	if len(gives) == 0 {
		return
	}
	path := cmp.Or(strings.TrimPrefix(a.request.Path, s.issuerPath), "/")
	path, _, _ = strings.Cut(path, "?")
	if described := s.description().find(path); described != nil {
		path = described.template
	}
	operation := a.request.Method + " " + path
	s.opened.mu.Lock()
	defer s.opened.mu.Unlock()
	if s.opened.seen == nil {
		s.opened.seen = map[string]bool{}
	}
	for _, what := range gives {
		s.opened.seen[operation+" gives "+what] = true
		if !slices.Contains(openings[operation], what) {
			s.T.Errorf("%s gives %s: name it in openings, and give it a row in the walk of api/flows", operation, what)
		}
	}
}

// gives returns what the answer opens an account with.
func (a *Response) gives() (list []string) {
	var body struct {
		Token string `json:"access_token"`
	}
	if a.Status/100 == 2 && json.Unmarshal(a.Body, &body) == nil && body.Token != "" {
		list = append(list, givesTokens)
	}
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		switch {
		case c.Value == "" || c.MaxAge < 0:
		case strings.Contains(c.Name, "signet-session-"):
			list = append(list, givesSession)
		case strings.Contains(c.Name, "signet-trusted-"):
			list = append(list, givesTrust)
		}
	}
	values := a.front()
	if values.Get("code") != "" {
		list = append(list, givesCode)
	}
	if values.Get("access_token") != "" || values.Get("id_token") != "" {
		list = append(list, givesTokens)
	}
	return list
}

// front returns the parameters that the answer has for the redirect URI of a client, in the query
// or the fragment of an address.
func (a *Response) front() url.Values {
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil || to.Host == "" && to.Opaque == "" {
		return nil
	}
	values := to.Query()
	if more, err := url.ParseQuery(to.EscapedFragment()); err == nil {
		maps.Copy(values, more)
	}
	return values
}
