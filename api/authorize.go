package api

import (
	"net/http"
	"net/url"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// authorizationParameters are those that may be sent once. Unknown ones are ignored, however often (RFC 6749 section 3.1).
var authorizationParameters = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "prompt", "max_age", "login_hint", "id_token_hint",
	"acr_values", "ui_locales", "display", "claims", "request", "request_uri",
}

// authorize is the authorization endpoint (RFC 6749 section 3.1, OIDC Core section 3.1.2): it answers at once what
// needs no page.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) error {
	q, err := parameters(w, r)
	if err != nil {
		return err
	}
	if s.withoutCookies(r) {
		return see(w, s.issuerPath()+"/oauth2/authorize?"+q.Encode())
	}
	pending, refused, err := s.Issuer.Authorize(r.Context(), issuer.AuthorizationRequest{
		ClientID: q.Get("client_id"), RedirectURI: q.Get("redirect_uri"),
		ResponseType: q.Get("response_type"), ResponseMode: q.Get("response_mode"),
		Scope: q.Get("scope"), State: q.Get("state"), Nonce: q.Get("nonce"), Resource: given(q["resource"]),
		CodeChallenge: q.Get("code_challenge"), CodeChallengeMethod: q.Get("code_challenge_method"),
		Prompt: q.Get("prompt"), MaxAge: q.Get("max_age"), LoginHint: q.Get("login_hint"), IDTokenHint: q.Get("id_token_hint"),
		ACRValues: q.Get("acr_values"), UILocales: q.Get("ui_locales"), Display: q.Get("display"), Claims: q.Get("claims"),
		Request: q.Get("request"), RequestURI: q.Get("request_uri"),
		Repeated: repeated(q, authorizationParameters...),
	})
	switch {
	case err != nil:
		return err
	case refused != nil:
		return s.respond(w, r, *refused)
	}
	b, err := s.browserOf(r)
	if err != nil {
		return err
	}
	decision, err := s.Issuer.Decide(r.Context(), pending, b)
	if err != nil {
		return err
	}
	if decision.Step == issuer.Respond {
		return s.respond(w, r, decision.Response)
	}
	handle, err := s.seal(authorizationHandle, s.browserID(w, r), pending)
	if err != nil {
		return err
	}
	return s.proceed(w, r, handle, decision)
}

// given are the values that are not empty.
func given(values []string) (out []string) {
	for _, v := range values {
		if v != "" {
			out = append(out, v)
		}
	}
	return out
}

// proceed takes the step that was decided on.
func (s *Server) proceed(w http.ResponseWriter, r *http.Request, handle string, d issuer.Decision) error {
	switch d.Step {
	case issuer.LogIn:
		return see(w, s.pagePath("/login", handle))
	case issuer.AskConsent:
		return see(w, s.pagePath("/consent", handle))
	}
	return s.respond(w, r, d.Response)
}

// pagePath is the address of a page that goes on with a request; an empty handle: with none.
func (s *Server) pagePath(page, handle string) string {
	path := s.issuerPath() + page
	if handle != "" {
		path += "?request=" + handle
	}
	return path
}

// respond sends an authorization response to the client by way of the browser.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, a issuer.AuthorizationResponse) error {
	if e := a.Refused; e != nil {
		refusal.Because(r.Context(), string(e.Code), e.Reason())
	}
	if a.Mode != issuer.ModeFormPost {
		return see(w, a.Location())
	}
	page, err := s.Pages.FormPost(web.FormPostPage{Common: s.common(r, nil), Action: a.RedirectURI, Parameters: a.Parameters})
	return s.show(w, http.StatusOK, page, err)
}

// visit is what a page that goes on with an authorization request knows.
type visit struct {
	browser string          // cookie
	session *issuer.Browser // nil: nobody is logged in
	handle  string          // empty: there is no request
	pending issuer.Pending  // of handle
}

// visited reads what a page needs of a request: the browser, who is logged in, and the pending request that
// handle stands for, if any.
func (s *Server) visited(w http.ResponseWriter, r *http.Request, handle string) (v visit, err error) {
	v.handle = handle
	v.browser = s.cookie(r, browserCookie)
	if handle != "" {
		if err := s.open(handle, authorizationHandle, v.browser, &v.pending); err != nil {
			return v, err
		}
		refusal.Client(r.Context(), v.pending.ClientID)
		refusal.RedirectURI(r.Context(), v.pending.RedirectURI)
	} else if r.Method != http.MethodPost {
		v.browser = s.browserID(w, r)
	}
	v.session, err = s.browserOf(r)
	return v, err
}

// webClient is a client as the pages show it.
func webClient(c userstore.Client, redirectURI string) web.Client {
	host := ""
	if u, err := url.Parse(redirectURI); err == nil {
		if host = u.Host; host == "" {
			host = u.Scheme
		}
	}
	return web.Client{
		Name: c.Name, Host: host, FirstParty: c.FirstParty,
		LogoURI: c.LogoURI, PolicyURI: c.PolicyURI, TOSURI: c.TOSURI, ClientURI: c.ClientURI,
	}
}
