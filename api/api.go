package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// Server answers HTTP. Fill the fields, call Handler once.
type Server struct {
	Issuer   *issuer.Issuer
	Accounts *userstore.Accounts
	Clients  *userstore.Registry
	Store    userstore.Store
	Pages    *web.Pages // of everything that people see
	JWKS     func() (*keys.Document, error)
	Secret   func(keys.Purpose) ([]byte, error) // the HMAC key of cursors
	Ready    func(ctx context.Context) error    // an error says why not, errors.Join for several reasons; a nil func is always ready
	Now      func() time.Time
	NewID    func() string // request ids
	Log      *slog.Logger
	Metrics  Metrics // nil: nothing is counted

	JWKSMaxAge     time.Duration // of the key set and of discovery
	JSONLogin      bool          // accounts.json_login
	CORSOrigins    []string      // that browsers may call from, besides those of clients' redirect URIs; compared byte for byte
	TrustedProxies []string      // CIDRs or addresses whose X-Forwarded-For is believed
	Timeout        time.Duration // of one account request; zero: 5 s

	cacheable []string // Cache-Control of the key set and of discovery
}

// Metrics is what the server counts; cmd joins it to Prometheus.
type Metrics interface {
	// Request is called once per answered request; route is the route's template
	// and method one that this server knows or "OTHER", so that strangers cannot make labels.
	Request(route, method string, status int, took time.Duration)
}

// dialect says how the errors of a route are written and what surrounds it.
type dialect int

const (
	document  dialect = iota // public and cacheable: CORS *, OAuth errors
	operation                // for the operator's machines: no CORS, OAuth errors
	account                  // the account API: CORS for client origins, problem documents, a deadline
	protocol                 // of OAuth, for apps: CORS for client origins, OAuth errors, a deadline
	backend                  // of OAuth, for servers: the same without CORS
	front                    // where clients send browsers: errors are pages, a deadline, no CORS
	page                     // our own pages: the same, and what is posted was sent from one of them
)

// bounded tells that a route takes a body, asks the store, and so has a deadline.
func (d dialect) bounded() bool { return d != document && d != operation }

// forPeople tells that errors are pages.
func (d dialect) forPeople() bool { return d == front || d == page }

// shared tells that browser apps call a route from origins of their own.
func (d dialect) shared() bool { return d == account || d == protocol }

// route is one line of the list: the template is also its name in logs, metrics and openapi.json.
type route struct {
	method  string
	path    string
	handle  func(http.ResponseWriter, *http.Request) error
	dialect dialect
}

// routes is every route there is. HEAD comes with each GET, OPTIONS with each path;
// everything else is 404 or 405. The key set stands first because it is asked for most.
func (s *Server) routes() []route {
	return []route{
		{"GET", "/.well-known/jwks.json", s.jwks, document},
		{"GET", "/.well-known/openid-configuration", s.discovery, document},
		{"GET", "/.well-known/oauth-authorization-server", s.discovery, document},
		{"GET", "/healthz", s.healthz, operation},
		{"GET", "/readyz", s.readyz, operation},
		{"GET", "/openapi.json", s.openAPI, operation},

		{"POST", "/oauth2/token", s.token, protocol},
		{"GET", "/oauth2/userinfo", s.userinfo, protocol},
		{"POST", "/oauth2/userinfo", s.userinfo, protocol},
		{"POST", "/oauth2/revoke", s.revoke, protocol},
		{"POST", "/oauth2/introspect", s.introspect, backend},

		{"GET", "/oauth2/authorize", s.authorize, front},
		{"POST", "/oauth2/authorize", s.authorize, front},
		{"GET", "/oauth2/logout", s.endSession, front},
		{"POST", "/oauth2/logout", s.endSession, front},
		{"GET", "/login", s.loginPage, page},
		{"POST", "/login", s.loginForm, page},
		{"GET", "/signup", s.signupPage, page},
		{"POST", "/signup", s.signupForm, page},
		{"GET", "/consent", s.consentPage, page},
		{"POST", "/consent", s.consentForm, page},
		{"GET", "/logout", s.logoutPage, page},
		{"POST", "/logout", s.logoutForm, page},
		{"POST", "/language", s.languageForm, page},
		{"GET", "/assets/{name}", s.asset, operation},

		{"POST", "/v1/refresh", s.refresh, account},
		{"POST", "/v1/login", s.login, account},
		{"POST", "/v1/signup", s.signup, account},
		{"POST", "/v1/logout", s.logout, account},
		{"GET", "/v1/profile", s.getProfile, account},
		{"PATCH", "/v1/profile", s.patchProfile, account},
		{"PUT", "/v1/profile", s.putProfile, account},
		{"DELETE", "/v1/profile", s.deleteProfile, account},
		{"POST", "/v1/profile/password", s.changePassword, account},
		{"GET", "/v1/profile/sessions", s.listSessions, account},
		{"DELETE", "/v1/profile/sessions/{id}", s.deleteSession, account},
		{"GET", "/v1/profile/consents", s.listConsents, account},
		{"DELETE", "/v1/profile/consents/{client_id}", s.deleteConsent, account},

		// Each through admin, which lets nobody else in; the names are those of its query's parameters.
		{"GET", "/v1/admin/users", s.admin(s.adminListUsers, "search", "role", "status", "limit", "cursor"), account},
		{"POST", "/v1/admin/users", s.admin(s.adminCreateUser), account},
		{"GET", "/v1/admin/users/{id}", s.admin(s.adminGetUser), account},
		{"PATCH", "/v1/admin/users/{id}", s.admin(s.adminPatchUser), account},
		{"DELETE", "/v1/admin/users/{id}", s.admin(s.adminDeleteUser), account},
		{"POST", "/v1/admin/users/{id}/disable", s.admin(s.adminDisableUser), account},
		{"POST", "/v1/admin/users/{id}/enable", s.admin(s.adminEnableUser), account},
		{"POST", "/v1/admin/users/{id}/password", s.admin(s.adminSetPassword), account},
		{"PUT", "/v1/admin/users/{id}/roles/{role}", s.admin(s.adminGrantRole), account},
		{"DELETE", "/v1/admin/users/{id}/roles/{role}", s.admin(s.adminRevokeRole), account},
		{"GET", "/v1/admin/users/{id}/sessions", s.admin(s.adminListSessions), account},
		{"DELETE", "/v1/admin/users/{id}/sessions", s.admin(s.adminDeleteSessions), account},
		{"DELETE", "/v1/admin/users/{id}/sessions/{sid}", s.admin(s.adminDeleteSession), account},
		{"GET", "/v1/admin/clients", s.admin(s.adminListClients, "limit", "cursor"), account},
		{"POST", "/v1/admin/clients", s.admin(s.adminCreateClient), account},
		{"GET", "/v1/admin/clients/{client_id}", s.admin(s.adminGetClient), account},
		{"PATCH", "/v1/admin/clients/{client_id}", s.admin(s.adminPatchClient), account},
		{"DELETE", "/v1/admin/clients/{client_id}", s.admin(s.adminDeleteClient), account},
		{"POST", "/v1/admin/clients/{client_id}/secret", s.admin(s.adminRotateSecret), account},
		{"POST", "/v1/admin/clients/{client_id}/disable", s.admin(s.adminDisableClient), account},
		{"POST", "/v1/admin/clients/{client_id}/enable", s.admin(s.adminEnableClient), account},
		{"GET", "/v1/admin/audit", s.admin(s.adminListAudit, "event", "actor", "target", "from", "to", "limit", "cursor"), account},
	}
}

// resource is one path with its methods.
type resource struct {
	template string
	dialect  dialect
	methods  map[string]func(http.ResponseWriter, *http.Request) error
	allow    []string // value of Allow, ready to be shared between answers
}

// Handler is the whole public listener. It panics when TrustedProxies is malformed,
// which the configuration has checked before.
func (s *Server) Handler() http.Handler {
	h := &handler{Server: s, resources: map[*mux.Route]*resource{}}
	// The path is matched as it was sent: an encoded letter, a double slash or a dot
	// segment is another path, hence 404, and there is nothing to redirect to. mux would
	// by default send `//evil.test/..` to a Location that a browser takes for another host.
	h.router = mux.NewRouter().UseEncodedPath().SkipClean(true).StrictSlash(false)

	byPath := map[string]*resource{}
	for _, rt := range s.routes() {
		res := byPath[rt.path]
		if res == nil {
			res = &resource{template: rt.path, dialect: rt.dialect, methods: map[string]func(http.ResponseWriter, *http.Request) error{}}
			byPath[rt.path] = res
			for _, path := range s.mounts(rt.path) {
				h.resources[h.router.Path(path)] = res
			}
		}
		res.methods[rt.method] = rt.handle
		if rt.method == http.MethodGet {
			res.methods[http.MethodHead] = rt.handle
		}
	}
	for _, res := range byPath {
		res.allow = []string{allowed(res.methods)}
	}
	h.prepare()
	return h
}

// mounts lists the paths that a template is served under. With an issuer …/p every
// route is also found under /p, for a proxy that passes the path on as it came, and both
// discovery documents under the inserted form of RFC 8414 section 3.1.
func (s *Server) mounts(path string) []string {
	prefix := s.issuerPath()
	if prefix == "" {
		return []string{path}
	}
	mounts := []string{path, prefix + path}
	switch path {
	case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server":
		mounts = append(mounts, path+prefix)
	}
	return mounts
}

// issuerPath is the path of the issuer identifier without a trailing slash.
func (s *Server) issuerPath() string {
	u, err := url.Parse(s.Issuer.URL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.EscapedPath(), "/")
}

// base is the issuer identifier as the start of an address.
func (s *Server) base() string { return strings.TrimRight(s.Issuer.URL, "/") }

// allowed writes the Allow header (RFC 9110 section 10.2.1) of a set of methods.
func allowed(methods map[string]func(http.ResponseWriter, *http.Request) error) string {
	var list []string
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		if methods[m] != nil {
			list = append(list, m)
		}
	}
	return strings.Join(append(list, "OPTIONS"), ", ")
}
