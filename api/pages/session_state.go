package pages

import (
	"net/http"
	"time"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/issuer"
)

// stateCookie has the state of the browser (issuer.BrowserState) for the frame of session management.
// It is the one cookie that a script may read, and the one that a browser sends from frames on other
// sites (SameSite=None). It stands for nobody, and no request is answered by it: a browser that
// presents it is logged in by nothing.
const stateCookie = "state"

// SessionFrame is the page of check_session_iframe.
func (h *Handlers) SessionFrame() (web.Page, error) {
	return web.SessionFrame(h.cookieName(stateCookie))
}

// keepState sets the state cookie if it is not the one of b; nil: no user is logged in. So the state
// changes with a login and a logout, and when a browser comes back whose session has ended elsewhere.
//
// A browser sends the other cookies from no frame on another site. A request without them says
// nothing about the browser, and must not replace a state that may be right.
func (h *Handlers) keepState(w http.ResponseWriter, r *http.Request, b *issuer.Browser) error {
	device := h.cookie(r, browserCookie)
	if b == nil && device == "" {
		return nil
	}
	state, err := h.Issuer.BrowserState(b, device)
	if err != nil || h.cookie(r, stateCookie) == state {
		return err
	}
	age := browserCookieAge
	if b != nil {
		age = h.sessionAge(h.cookie(r, stayCookie) != "")
	}
	h.setState(w, r, state, age)
	return nil
}

// setState sets the state cookie. It is Secure on http as well, because browsers take no other cookie
// with SameSite=None; on the user's own machine, where http is allowed, Chromium and Firefox keep it.
func (h *Handlers) setState(w http.ResponseWriter, r *http.Request, state string, age time.Duration) {
	h.writeCookie(w, r, &http.Cookie{
		Name: h.cookieName(stateCookie), Value: state, Secure: true, SameSite: http.SameSiteNoneMode,
	}, age)
}

// withState is a with the session_state, if the browser's state is known.
func (h *Handlers) withState(r *http.Request, a issuer.AuthorizationResponse) issuer.AuthorizationResponse {
	state := h.cookie(r, stateCookie)
	if state == "" || h.cookie(r, browserCookie) == "" && h.cookie(r, sessionCookie) == "" {
		return a
	}
	return h.Issuer.WithSession(a, state)
}
