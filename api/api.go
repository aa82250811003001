package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/signet-id/signet/api/account"
	"github.com/signet-id/signet/api/admin"
	"github.com/signet-id/signet/api/bearer"
	"github.com/signet-id/signet/api/pages"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/protocol"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/logos"
	"github.com/signet-id/signet/internal/required"
	"github.com/signet-id/signet/internal/span"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// Server answers HTTP. Fill the fields, call Handler once. The fields of the first group have to be
// filled.
type Server struct {
	Issuer   *issuer.Issuer
	Accounts *userstore.Accounts
	Clients  *registration.Registry
	Store    userstore.Store
	Pages    *web.Pages // of everything that people see
	JWKS     func() (*keys.Document, error)
	Secret   func(keys.Purpose) ([]byte, error) // the HMAC key of cursors
	Ready    func(ctx context.Context) error    // an error says why not, errors.Join for several reasons
	Now      func() time.Time
	NewID    func() string // request ids
	Log      *slog.Logger

	Metrics Metrics      // nil: nothing is counted
	Traces  Traces       // nil: no request is traced
	Logos   *logos.Cache // nil: the pages show no logos of clients

	JWKSMaxAge      time.Duration // of the public documents
	JSONLogin       bool          // accounts.json_login
	CORSOrigins     []string      // besides the origins of clients' redirect URIs; compared byte for byte
	PasskeyOrigins  []string      // of apps that use our passkeys, besides the issuer's own; nil: none
	TrustedProxies  []string      // CIDRs or addresses whose X-Forwarded-For is believed
	TracesOfProxies bool          // the traceparent of trusted proxies is theirs, and followed
	Timeout         time.Duration // of one account request; zero: 5 s

	cacheable   []string               // Cache-Control of the public documents
	description func() ([]byte, error) // openapi.json, made for the first who asks
}

// Traces records requests; cmd joins it to OpenTelemetry.
type Traces interface {
	// Request begins the span of a request, if it is recorded, and returns its context and the id of
	// its trace. parent is the traceparent of a trusted proxy; empty: the trace begins here.
	Request(ctx context.Context, method, route, parent string) (context.Context, span.Span, string)
}

// Metrics is what the server counts; cmd joins it to Prometheus.
type Metrics interface {
	// Request is called once per answered request. route is the route's template; method is one
	// that this server knows, or "OTHER", so that clients cannot invent labels.
	Request(route, method string, status int, took time.Duration)
}

// routeClass says how the errors of a route are written and what surrounds it.
type routeClass int

const (
	publicDocument routeClass = iota // public and cacheable: CORS *, OAuth errors
	operation                        // for the operator's machines: no CORS, OAuth errors
	accountAPI                       // the account API: CORS for client origins, problem documents, a deadline
	appEndpoint                      // of OAuth, for apps: CORS for client origins, OAuth errors, a deadline
	registrations                    // the same, and CORS * while anybody may register a client
	serverEndpoint                   // of OAuth, for servers: the same without CORS
	entryPage                        // where clients send browsers: errors are pages, a deadline, no CORS
	ownPage                          // our own pages: the same, and what is posted was sent from one of them
)

// bounded reports whether a route takes a body and asks the store, and so has a deadline. Those of the
// others that ask the store, the status lists and readyz, have limits of their own.
func (c routeClass) bounded() bool { return c != publicDocument && c != operation }

// forPeople reports whether errors are pages.
func (c routeClass) forPeople() bool { return c == entryPage || c == ownPage }

// crossOrigin reports whether browser apps call a route from their own origins.
func (c routeClass) crossOrigin() bool {
	return c == accountAPI || c == appEndpoint || c == registrations
}

// route is one line of the list: the template is also its name in logs, metrics and openapi.json.
type route struct {
	method string
	path   string
	handle wire.Handler
	class  routeClass
}

// routes is every route there is. HEAD comes with each GET, OPTIONS with each path;
// everything else is 404 or 405. The key set stands first because it is asked for most.
func (s *Server) routes() []route {
	var (
		user  = bearer.Authenticator{Issuer: s.Issuer}
		oauth = protocol.Handlers{Issuer: s.Issuer}
		front = s.pages()
		me    = account.Handlers{
			Issuer: s.Issuer, Accounts: s.Accounts, Export: s.exporter(), JSONLogin: s.JSONLogin, Now: s.Now,
		}
		admins = admin.Handlers{
			Bearer: user, Accounts: s.Accounts, Clients: s.Clients, Users: s.Store, Audit: s.Store, Sessions: s.sessions(),
			Secret: s.Secret, Proof: me.ProofInHeader, IssuerPath: s.Issuer.Path(),
		}
	)
	list := []route{
		{"GET", "/.well-known/jwks.json", s.jwks, publicDocument},
		{"GET", "/.well-known/openid-configuration", s.discovery, publicDocument},
		{"GET", "/.well-known/oauth-authorization-server", s.discovery, publicDocument},
		{"GET", "/oauth2/status/{list}", s.statusList, publicDocument},
		{"GET", "/healthz", s.healthz, operation},
		{"GET", "/readyz", s.readyz, operation},
		{"GET", "/openapi.json", s.openAPI, operation},

		{"POST", "/oauth2/token", oauth.Token, appEndpoint},
		{"GET", "/oauth2/userinfo", oauth.Userinfo, appEndpoint},
		{"POST", "/oauth2/userinfo", oauth.Userinfo, appEndpoint},
		{"POST", "/oauth2/par", oauth.Push, appEndpoint},
		{"POST", "/oauth2/device", oauth.Device, appEndpoint},
		{"POST", "/oauth2/register", oauth.Register, registrations},
		{"GET", "/oauth2/register/{client_id}", oauth.Registered, appEndpoint},
		{"PUT", "/oauth2/register/{client_id}", oauth.ReplaceRegistration, appEndpoint},
		{"DELETE", "/oauth2/register/{client_id}", oauth.WithdrawRegistration, appEndpoint},
		{"POST", "/oauth2/revoke", oauth.Revoke, appEndpoint},
		{"POST", "/oauth2/introspect", oauth.Introspect, serverEndpoint},

		{"GET", "/oauth2/authorize", front.Authorize, entryPage},
		{"POST", "/oauth2/authorize", front.Authorize, entryPage},
		{"GET", "/oauth2/logout", front.EndSession, entryPage},
		{"POST", "/oauth2/logout", front.EndSession, entryPage},
		{"GET", "/oauth2/session/check", s.sessionFrame, operation},
		{"GET", "/login", front.LoginPage, ownPage},
		{"POST", "/login", front.LoginForm, ownPage},
		{"GET", "/login/second", front.SecondPage, ownPage},
		{"POST", "/login/second", front.SecondForm, ownPage},
		{"GET", "/login/setup", front.SetupPage, ownPage},
		{"POST", "/login/setup", front.SetupForm, ownPage},
		{"POST", "/login/setup/options", front.SetupOptions, ownPage},
		{"GET", "/login/codes", front.CodesPage, ownPage},
		{"POST", "/login/passkey", front.PasskeyOptions, ownPage},
		{"GET", "/signup", front.SignupPage, ownPage},
		{"POST", "/signup", front.SignupForm, ownPage},
		{"GET", "/consent", front.ConsentPage, ownPage},
		{"POST", "/consent", front.ConsentForm, ownPage},
		{"GET", "/device", front.DevicePage, ownPage},
		{"POST", "/device", front.DeviceForm, ownPage},
		{"GET", "/logout", front.LogoutPage, ownPage},
		{"POST", "/logout", front.LogoutForm, ownPage},
		{"POST", "/continue", front.Continue, ownPage},
		{"POST", "/language", front.LanguageForm, ownPage},
		{"POST", "/back", front.BackForm, ownPage},
		{"GET", "/account", front.AccountPage(web.AccountHome), ownPage},
		{"GET", "/account/profile", front.AccountPage(web.AccountProfile), ownPage},
		{"POST", "/account/profile", front.Account(web.AccountProfile, front.AccountProfileForm), ownPage},
		{"GET", "/account/address", front.AccountPage(web.AccountAddress), ownPage},
		{"POST", "/account/address", front.Account(web.AccountAddress, front.AccountAddressForm), ownPage},
		{"GET", "/account/password", front.AccountPage(web.AccountPassword), ownPage},
		{"POST", "/account/password", front.Account(web.AccountPassword, front.AccountPasswordForm), ownPage},
		{"GET", "/account/sessions", front.Account(web.AccountSessions, front.AccountSessionsPage), ownPage},
		{"POST", "/account/sessions", front.Account(web.AccountSessions, front.AccountSessionsForm), ownPage},
		{"GET", "/account/apps", front.Account(web.AccountApps, front.AccountAppsPage), ownPage},
		{"POST", "/account/apps", front.Account(web.AccountApps, front.AccountAppsForm), ownPage},
		{"GET", "/account/activity", front.Account(web.AccountActivity, front.AccountActivityPage), ownPage},
		{"GET", "/account/data", front.AccountPage(web.AccountData), ownPage},
		{"POST", "/account/data", front.Account(web.AccountData, front.AccountDataForm), ownPage},
		{"GET", "/account/delete", front.AccountPage(web.AccountDelete), ownPage},
		{"POST", "/account/delete", front.Account(web.AccountDelete, front.AccountDeleteForm), ownPage},
		{"GET", "/account/security", front.AccountFactorsPage(web.AccountSecurity), ownPage},
		{"GET", "/account/passkeys", front.AccountFactorsPage(web.AccountPasskeys), ownPage},
		{"POST", "/account/passkeys", front.Account(web.AccountPasskeys, front.AccountPasskeysForm), ownPage},
		{"POST", "/account/passkeys/options", front.Account(web.AccountPasskeys, front.AccountPasskeyOptions), ownPage},
		{"GET", "/account/authenticator", front.AccountFactorsPage(web.AccountAuthenticator), ownPage},
		{"POST", "/account/authenticator", front.Account(web.AccountAuthenticator, front.AccountAuthenticatorForm), ownPage},
		{"GET", "/account/codes", front.AccountFactorsPage(web.AccountCodes), ownPage},
		{"POST", "/account/codes", front.Account(web.AccountCodes, front.AccountCodesForm), ownPage},
		{"GET", "/account/trusted", front.AccountFactorsPage(web.AccountTrusted), ownPage},
		{"POST", "/account/trusted", front.Account(web.AccountTrusted, front.AccountTrustedForm), ownPage},
		{"GET", "/assets/{name}", front.Asset, operation},
		{"GET", "/", s.home, accountAPI},
		{"GET", "/favicon.ico", front.Favicon, operation},
		{"GET", "/client-logo", front.ClientLogo, serverEndpoint},

		{"POST", "/v1/refresh", me.Refresh, accountAPI},
		{"POST", "/v1/login", me.Login, accountAPI},
		{"POST", "/v1/login/totp", me.LoginByCode, accountAPI},
		{"POST", "/v1/login/recovery-code", me.LoginByRecoveryCode, accountAPI},
		{"POST", "/v1/login/setup/totp", me.SetupApp, accountAPI},
		{"POST", "/v1/login/setup/totp/confirm", me.ConfirmSetupApp, accountAPI},
		{"POST", "/v1/signup", me.Signup, accountAPI},
		{"POST", "/v1/logout", user.User(me.Logout), accountAPI},
		{"GET", "/v1/profile", user.User(me.GetProfile), accountAPI},
		{"PATCH", "/v1/profile", user.Profile(me.PatchProfile), accountAPI},
		{"PUT", "/v1/profile", user.Profile(me.PutProfile), accountAPI},
		{"DELETE", "/v1/profile", user.Profile(me.DeleteProfile), accountAPI},
		{"POST", "/v1/profile/prove", user.Profile(me.Prove), accountAPI},
		{"GET", "/v1/profile/factors", user.User(me.GetFactors), accountAPI},
		{"POST", "/v1/profile/factors/totp", user.Profile(me.BeginApp), accountAPI},
		{"DELETE", "/v1/profile/factors/totp", user.Profile(me.DeleteApp), accountAPI},
		{"POST", "/v1/profile/factors/totp/confirm", user.Profile(me.ConfirmApp), accountAPI},
		{"POST", "/v1/profile/factors/recovery-codes", user.Profile(me.NewRecoveryCodes), accountAPI},
		{"DELETE", "/v1/profile/factors/trusted-browsers/{id}", user.Profile(me.DeleteTrustedBrowser), accountAPI},
		{"POST", "/v1/profile/password", user.Profile(me.ChangePassword), accountAPI},
		{"GET", "/v1/profile/export", user.Profile(me.GetExport), accountAPI},
		{"GET", "/v1/profile/sessions", user.User(me.ListSessions), accountAPI},
		{"DELETE", "/v1/profile/sessions/{id}", user.Profile(me.DeleteSession), accountAPI},
		{"GET", "/v1/profile/consents", user.User(me.ListConsents), accountAPI},
		{"DELETE", "/v1/profile/consents/{client_id}", user.Profile(me.DeleteConsent), accountAPI},

		// Each goes through admins.Only, which demands an admin's token. The names are the
		// parameters that the query may have. Those behind admins.Proved demand a recent proof, too.
		{"GET", "/v1/admin/users", admins.Only(admins.ListUsers, "search", "role", "status", "limit", "cursor"), accountAPI},
		{"POST", "/v1/admin/users", admins.Only(admins.Proved(admins.CreateUser)), accountAPI},
		{"GET", "/v1/admin/users/{id}", admins.Only(admins.GetUser), accountAPI},
		{"PATCH", "/v1/admin/users/{id}", admins.Only(admins.PatchUser), accountAPI},
		{"DELETE", "/v1/admin/users/{id}", admins.Only(admins.DeleteUser), accountAPI},
		{"POST", "/v1/admin/users/{id}/disable", admins.Only(admins.DisableUser), accountAPI},
		{"POST", "/v1/admin/users/{id}/enable", admins.Only(admins.EnableUser), accountAPI},
		{"POST", "/v1/admin/users/{id}/verify-email", admins.Only(admins.Proved(admins.VerifyEmail)), accountAPI},
		{"POST", "/v1/admin/users/{id}/password", admins.Only(admins.Proved(admins.SetPassword)), accountAPI},
		{"PUT", "/v1/admin/users/{id}/roles/{role}", admins.Only(admins.Proved(admins.GrantRole)), accountAPI},
		{"DELETE", "/v1/admin/users/{id}/roles/{role}", admins.Only(admins.Proved(admins.RevokeRole)), accountAPI},
		{"GET", "/v1/admin/users/{id}/factors", admins.Only(admins.GetFactors), accountAPI},
		{"DELETE", "/v1/admin/users/{id}/factors", admins.Only(admins.Proved(admins.DeleteFactors)), accountAPI},
		{"DELETE", "/v1/admin/users/{id}/factors/{factor}", admins.Only(admins.Proved(admins.DeleteFactor)), accountAPI},
		{"GET", "/v1/admin/users/{id}/sessions", admins.Only(admins.ListSessions), accountAPI},
		{"DELETE", "/v1/admin/users/{id}/sessions", admins.Only(admins.DeleteSessions), accountAPI},
		{"DELETE", "/v1/admin/users/{id}/sessions/{sid}", admins.Only(admins.DeleteSession), accountAPI},
		{"GET", "/v1/admin/clients", admins.Only(admins.ListClients, "limit", "cursor"), accountAPI},
		{"POST", "/v1/admin/clients", admins.Only(admins.CreateClient), accountAPI},
		{"GET", "/v1/admin/clients/{client_id}", admins.Only(admins.GetClient), accountAPI},
		{"PATCH", "/v1/admin/clients/{client_id}", admins.Only(admins.PatchClient), accountAPI},
		{"DELETE", "/v1/admin/clients/{client_id}", admins.Only(admins.DeleteClient), accountAPI},
		{"POST", "/v1/admin/clients/{client_id}/secret", admins.Only(admins.RotateSecret), accountAPI},
		{"POST", "/v1/admin/clients/{client_id}/disable", admins.Only(admins.DisableClient), accountAPI},
		{"POST", "/v1/admin/clients/{client_id}/enable", admins.Only(admins.EnableClient), accountAPI},
		{"GET", "/v1/admin/registration-tokens", admins.Only(admins.ListRegistrationTokens, "limit", "cursor"), accountAPI},
		{"POST", "/v1/admin/registration-tokens", admins.Only(admins.CreateRegistrationToken), accountAPI},
		{"DELETE", "/v1/admin/registration-tokens/{id}", admins.Only(admins.RevokeRegistrationToken), accountAPI},
		{"GET", "/v1/admin/audit", admins.Only(admins.ListAudit, "event", "actor", "target", "from", "to", "limit", "cursor"), accountAPI},
	}
	if len(s.PasskeyOrigins) > 0 {
		list = append(list, route{"GET", relatedOriginsPath, s.relatedOrigins, publicDocument})
	}
	if s.Accounts.Passkeys != nil {
		list = append(list, []route{
			{"POST", "/v1/login/passkey/options", me.LoginPasskeyOptions, accountAPI},
			{"POST", "/v1/login/passkey", me.LoginByPasskey, accountAPI},
			{"POST", "/v1/login/setup/passkeys/options", me.SetupPasskeyOptions, accountAPI},
			{"POST", "/v1/login/setup/passkeys", me.SetupPasskey, accountAPI},
			{"POST", "/v1/passkey/login/options", me.PasskeyLoginOptions, accountAPI},
			{"POST", "/v1/passkey/login", me.PasskeyLogin, accountAPI},
			{"POST", "/v1/profile/prove/passkey/options", user.Profile(me.ProvePasskeyOptions), accountAPI},
			{"POST", "/v1/profile/factors/passkeys/options", user.Profile(me.PasskeyCreation), accountAPI},
			{"POST", "/v1/profile/factors/passkeys", user.Profile(me.AddPasskey), accountAPI},
			{"PATCH", "/v1/profile/factors/passkeys/{id}", user.Profile(me.PatchPasskey), accountAPI},
			{"DELETE", "/v1/profile/factors/passkeys/{id}", user.Profile(me.DeletePasskey), accountAPI},
		}...)
	}
	if !s.Accounts.NoMail && s.Accounts.Passkeys != nil {
		list = append(list, []route{
			{"POST", "/message/passkey", front.MailedPasskeyOptions, ownPage},
			{"POST", "/v1/password/reset/passkey/options", me.ResetPasskeyOptions, accountAPI},
		}...)
	}
	if !s.Accounts.NoMail {
		list = append(list, []route{
			{"GET", "/forgot", front.ForgotPage, ownPage},
			{"POST", "/forgot", front.ForgotForm, ownPage},
			{"GET", "/reset", front.ResetPage, ownPage},
			{"POST", "/reset", front.ResetForm, ownPage},
			{"GET", "/reset/{token}", front.ResetLink, ownPage},
			{"GET", "/invite/{token}", front.InviteLink, ownPage},
			{"GET", "/verify", front.VerifyPage, ownPage},
			{"POST", "/verify", front.VerifyForm, ownPage},
			{"GET", "/verify/{token}", front.VerifyLink, ownPage},
			{"GET", "/change", front.ChangePage, ownPage},
			{"POST", "/change", front.ChangeForm, ownPage},
			{"GET", "/change/{token}", front.ChangeLink, ownPage},
			{"GET", "/undo", front.UndoPage, ownPage},
			{"POST", "/undo", front.UndoForm, ownPage},
			{"GET", "/undo/{token}", front.UndoLink, ownPage},
			{"GET", "/factor-undo", front.FactorUndoPage, ownPage},
			{"POST", "/factor-undo", front.FactorUndoForm, ownPage},
			{"GET", "/factor-undo/{token}", front.FactorUndoLink, ownPage},

			{"POST", "/v1/password/forgot", me.ForgotPassword, accountAPI},
			{"POST", "/v1/password/reset", me.ResetPassword, accountAPI},
			{"POST", "/v1/password/reset/second", me.ResetPasswordSecond, accountAPI},
			{"POST", "/v1/email/verification", me.AskVerification, accountAPI},
			{"POST", "/v1/email/verify", me.VerifyEmail, accountAPI},
			{"POST", "/v1/login/setup/code", me.SetupCode, accountAPI},
			{"POST", "/v1/profile/factors/code", user.Profile(me.RequestFactorCode), accountAPI},
			{"POST", "/v1/profile/email", user.Profile(me.BeginEmailChange), accountAPI},
			{"DELETE", "/v1/profile/email", user.Profile(me.WithdrawEmailChange), accountAPI},
			{"POST", "/v1/profile/email/confirm", user.Profile(me.ConfirmEmailChange), accountAPI},
			{"POST", "/v1/admin/users/{id}/invite", admins.Only(admins.Proved(admins.InviteUser)), accountAPI},
		}...)
	}
	return list
}

// Route is a line of the list as others see it.
type Route struct{ Method, Path string }

// Routes lists every route there is.
func (s *Server) Routes() (out []Route) {
	for _, r := range s.routes() {
		out = append(out, Route{r.method, r.path})
	}
	return out
}

// resource is one path with its methods.
type resource struct {
	template string
	class    routeClass
	methods  map[string]wire.Handler
	allow    []string // value of Allow, ready to be shared between answers
}

// Handler is the whole public listener. It fails when a part is missing or TrustedProxies is
// malformed.
func (s *Server) Handler() (http.Handler, error) {
	if err := required.Missing(s, "Metrics", "Traces", "Logos", "CORSOrigins", "PasskeyOrigins", "TrustedProxies"); err != nil {
		return nil, err
	}
	h := &handler{Server: s, resources: map[*mux.Route]*resource{}, plain: map[string]*resource{}}
	// The path is matched as it was sent: an encoded letter, a double slash or a dot
	// segment is another path, hence 404, and there is nothing to redirect to. mux would
	// by default send `//evil.test/..` to a Location that a browser takes for another host.
	h.router = mux.NewRouter().UseEncodedPath().SkipClean(true).StrictSlash(false)

	byPath := map[string]*resource{}
	for _, rt := range s.routes() {
		res := byPath[rt.path]
		if res == nil {
			res = &resource{template: rt.path, class: rt.class, methods: map[string]wire.Handler{}}
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
	for path, res := range byPath {
		res.allow = []string{allowed(res.methods)}
		for _, mount := range s.mounts(path) {
			h.lookUp(mount)
		}
	}
	return h, h.prepare()
}

// lookUp lets a path be looked up, if the router answers it without variables. The router sees
// nothing of a request but its path, so the answer is always the same.
func (h *handler) lookUp(path string) {
	r := &http.Request{URL: &url.URL{Path: path}}
	var match mux.RouteMatch
	if h.router.Match(r, &match) && len(match.Vars) == 0 {
		h.plain[r.URL.EscapedPath()] = h.resources[match.Route]
	}
}

// mounts lists the paths that a template is served under. With an issuer …/p every
// route is also found under /p, for a proxy that passes the path on as it came, and both
// discovery documents under the inserted form of RFC 8414 section 3.1. The list of related origins
// belongs to the host, so it is found at the root only.
func (s *Server) mounts(path string) []string {
	prefix := s.Issuer.Path()
	if prefix == "" || path == relatedOriginsPath {
		return []string{path}
	}
	mounts := []string{path, prefix + path}
	switch path {
	case "/":
		mounts = append(mounts, prefix)
	case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server":
		mounts = append(mounts, path+prefix)
	}
	return mounts
}

// exporter gathers what is kept in a user's name.
func (s *Server) exporter() profile.Exporter {
	return profile.Exporter{
		Issuer: s.Issuer.URL, Factors: s.Store, Sessions: s.sessions(),
		Consents: profile.Consents{Consents: s.Store, Clients: s.Store}, Subjects: s.Store, Audit: s.Store, Now: s.Now,
	}
}

// sessions makes the list of a user's sessions.
func (s *Server) sessions() profile.Sessions {
	return profile.Sessions{
		Grants: s.Store, Browsers: s.Store, Now: s.Now, RefreshIdle: s.Issuer.RefreshIdle, SessionIdle: s.Issuer.SessionIdle,
	}
}

// pages are the endpoints that people see; the pipeline writes its error pages with them.
func (s *Server) pages() *pages.Handlers {
	return &pages.Handlers{Issuer: s.Issuer, Accounts: s.Accounts, Pages: s.Pages, Now: s.Now, Export: s.exporter(), Logos: s.Logos}
}

// base is the issuer identifier as the start of an address.
func (s *Server) base() string { return strings.TrimRight(s.Issuer.URL, "/") }

// allowed writes the Allow header (RFC 9110 section 10.2.1) of a set of methods.
func allowed(methods map[string]wire.Handler) string {
	var list []string
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		if methods[m] != nil {
			list = append(list, m)
		}
	}
	return strings.Join(append(list, "OPTIONS"), ", ")
}
