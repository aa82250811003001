package pages

import (
	"net/http"
	"net/url"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// Authorize is the authorization endpoint (RFC 6749 section 3.1, OIDC Core section 3.1.2): it
// answers at once when no page is needed.
func (h *Handlers) Authorize(w http.ResponseWriter, r *http.Request) error {
	q, err := wire.ReadParameters(w, r)
	if err != nil {
		return err
	}
	if h.withoutCookies(r, q) {
		return h.resend(w, r, "/oauth2/authorize", q)
	}
	pending, refused, err := h.Issuer.Authorize(r.Context(), issuer.ReadAuthorizationRequest(q))
	switch {
	case err != nil:
		return err
	case refused != nil:
		return h.respond(w, r, *refused)
	}
	b, err := h.browserOf(w, r)
	if err != nil {
		return err
	}
	decision, err := h.Issuer.Decide(r.Context(), pending, b)
	if err != nil {
		return err
	}
	if decision.Step == issuer.Respond {
		return h.respond(w, r, decision.Response)
	}
	known := h.cookie(r, browserCookie) != ""
	handle, err := h.seal(authorizationHandle, h.browserID(w, r), pending)
	switch {
	case err != nil:
		return err
	case !known && !web.FitsAddress(handle): // the page would be answered in place, before it is known to get its cookies
		return h.resendWithCookie(w, r, "/oauth2/authorize", q)
	}
	return h.takeStep(w, r, handle, decision)
}

// takeStep sends the browser to the step of a decision.
func (h *Handlers) takeStep(w http.ResponseWriter, r *http.Request, handle string, d issuer.Decision) error {
	switch d.Step {
	case issuer.LogIn:
		if d.StepUp {
			return h.goTo(w, r, secondPage, handle)
		}
		return h.goTo(w, r, loginPage, handle)
	case issuer.AskConsent:
		return h.goTo(w, r, consentPage, handle)
	case issuer.DeviceAllowed, issuer.DeviceDenied:
		return h.deviceDone(w, r, d.Step == issuer.DeviceAllowed)
	}
	return h.respond(w, r, d.Response)
}

// respond sends an authorization response to the client by way of the browser.
func (h *Handlers) respond(w http.ResponseWriter, r *http.Request, a issuer.AuthorizationResponse) error {
	if e := a.Refused; e != nil {
		refusal.Because(r.Context(), string(e.Code), e.Reason())
	}
	a = h.withState(r, a)
	if a.Mode != issuer.ModeFormPost {
		return wire.SeeOther(w, a.Location())
	}
	page, err := h.Pages.FormPost(web.FormPostPage{Common: h.common(r, nil), Action: a.RedirectURI, Parameters: a.Parameters})
	return h.show(w, http.StatusOK, page, err)
}

// visit is what a page knows of the browser and of the pending authorization request.
type visit struct {
	browser string          // cookie
	session *issuer.Browser // nil: no user is logged in
	handle  string          // empty: there is no request
	pending issuer.Pending  // of handle
	stale   bool            // the request had expired; handle and pending are of the same request, begun again
	shown   string          // ID of the request that a form of the page was shown for
}

// readVisit reads the browser cookie, the session and the pending request that handle stands for,
// if any.
func (h *Handlers) readVisit(w http.ResponseWriter, r *http.Request, handle string) (v visit, err error) {
	v.handle = handle
	v.browser = h.cookie(r, browserCookie)
	if handle != "" {
		err := h.openRequest(&v)
		refusal.Client(r.Context(), v.pending.ClientID)
		refusal.RedirectURI(r.Context(), v.pending.RedirectURI)
		if err != nil {
			return visit{}, err
		}
	}
	v.session, err = h.browserOf(w, r)
	return v, err
}

// openRequest reads the handle of v. A request that has expired begins again, with a new handle.
func (h *Handlers) openRequest(v *visit) error {
	age, err := h.unseal(v.handle, authorizationHandle, v.browser, &v.pending)
	if err != nil {
		return err
	}
	v.shown, v.stale = v.pending.ID, age >= handleAge
	switch {
	case age >= renewableAge:
		p := problem.New(problem.RequestExpired, "")
		p.Handle = v.handle
		return p
	case v.stale:
		v.pending = h.Issuer.Renew(v.pending)
		v.handle, err = h.seal(authorizationHandle, v.browser, v.pending)
	}
	return err
}

// asShown is v with the request as it was when the form that was sent was shown.
func (v visit) asShown() visit {
	v.pending.ID = v.shown
	return v
}

// form is a form about the request, for the user who is logged in.
func (v visit) form(name string) form {
	return form{browser: v.browser, name: name, request: v.pending.ID, subject: v.session.Session.ID}
}

// anonymousForm is a form about the request, for a user who is not logged in yet.
func (v visit) anonymousForm(name string) form {
	return form{browser: v.browser, name: name, request: v.pending.ID}
}

// webClient is a client as the pages show it.
func (h *Handlers) webClient(c userstore.Client, redirectURI string) web.Client {
	host := ""
	if u, err := url.Parse(redirectURI); err == nil {
		// Behind a scheme of an app's own stands whatever the app likes, be it the name of somebody else's host.
		if host = u.Host; u.Scheme != "https" && u.Scheme != "http" {
			host = u.Scheme
		}
	}
	return web.Client{
		Name: c.Name, Host: host, IDHost: idHost(c), SelfMade: c.SelfMade(), FirstParty: c.FirstParty,
		Logo: h.clientLogo(c), PolicyURI: c.PolicyURI, TOSURI: c.TOSURI, ClientURI: c.ClientURI,
	}
}

// idHost returns the host of a client_id that is the address of the client's metadata document;
// empty: it is none. Whoever holds the host says who the client is, whatever the client calls
// itself.
func idHost(c userstore.Client) string {
	if c.Kind != userstore.KindMetadata {
		return ""
	}
	u, err := url.Parse(c.ID)
	if err != nil {
		return ""
	}
	return u.Host
}
