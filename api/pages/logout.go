package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

// EndSession is the end session endpoint (OpenID Connect RP-Initiated Logout): it logs the user out
// at once when the client's ID token names this session, and asks otherwise.
func (h *Handlers) EndSession(w http.ResponseWriter, r *http.Request) error {
	q, err := wire.ReadParameters(w, r)
	if err != nil {
		return err
	}
	if h.withoutCookies(r, q) {
		return h.resend(w, r, "/oauth2/logout", q)
	}
	b, err := h.browserOf(w, r)
	if err != nil {
		return err
	}
	p, err := h.Issuer.Logout(r.Context(), issuer.LogoutRequest{
		IDTokenHint: q.Get("id_token_hint"), ClientID: q.Get("client_id"),
		PostLogoutRedirectURI: q.Get("post_logout_redirect_uri"), State: q.Get("state"), UILocales: q.Get("ui_locales"),
		Repeated: wire.Repeated(q, "id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"),
	}, b)
	if err != nil {
		return err
	}
	if !p.Confirm {
		return h.signedOut(w, r, p)
	}
	handle, err := h.seal(logoutHandle, h.browserID(w, r), p)
	if err != nil {
		return err
	}
	return h.goTo(w, r, logoutPage, handle)
}

// signedOut deletes the session cookie and redirects the browser to the client or to our page.
func (h *Handlers) signedOut(w http.ResponseWriter, r *http.Request, p issuer.PendingLogout) error {
	if h.cookie(r, sessionCookie) != "" {
		h.setCookie(w, r, sessionCookie, "", -1)
	}
	if err := h.keepState(w, r, nil); err != nil {
		return err
	}
	if len(p.Frames) > 0 {
		return h.showLogoutFrames(w, r, p)
	}
	if p.RedirectURI != "" {
		return wire.SeeOther(w, p.RedirectURI)
	}
	handle, err := h.seal(logoutHandle, h.browserID(w, r), p)
	if err != nil {
		return err
	}
	return h.goTo(w, r, logoutPage, handle)
}

// LogoutPage asks whether to log out, or says that no user is logged in.
func (h *Handlers) LogoutPage(w http.ResponseWriter, r *http.Request) error {
	handle := r.URL.Query().Get("request")
	if handle != "" { // a browser without cookies is signed out: a page without a request can say so
		if done, err := h.meet(w, r, logoutPage, handle); done {
			return err
		}
	}
	return h.logout(w, r, handle)
}

func (h *Handlers) logout(w http.ResponseWriter, r *http.Request, handle string) error {
	browser := h.browserID(w, r)
	p, handle, err := h.pendingLogout(handle, browser)
	if err != nil {
		return err
	}
	b, err := h.browserOf(w, r)
	if err != nil {
		return err
	}
	common := h.common(r, p.UILocales)
	if b == nil {
		page, err := h.Pages.SignedOut(web.SignedOutPage{Common: common, NotBack: string(p.NotBack)})
		return h.show(w, http.StatusOK, page, err)
	}
	common.Request = handle
	if p.RedirectURI != "" {
		common.Onward = true
	}
	if common.CSRF, err = h.formToken(form{browser: browser, name: "logout", subject: b.Session.ID}); err != nil {
		return err
	}
	page, err := h.Pages.Logout(web.LogoutPage{Common: common, User: b.User.Email})
	return h.show(w, http.StatusOK, page, err)
}

// pendingLogout reads the handle of a logout. One that has expired leads to no app any more; the user can log out
// all the same.
func (h *Handlers) pendingLogout(handle, browser string) (p issuer.PendingLogout, fresh string, err error) {
	if handle == "" {
		return p, "", nil
	}
	age, err := h.unseal(handle, logoutHandle, browser, &p)
	if err == nil && age >= handleAge {
		return issuer.PendingLogout{UILocales: p.UILocales}, "", nil
	}
	return p, handle, err
}

// LogoutForm logs the user out. Without a session there is nothing left to do.
func (h *Handlers) LogoutForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "request", "csrf")
	if err != nil {
		return err
	}
	browser := h.cookie(r, browserCookie)
	p, _, err := h.pendingLogout(f.Get("request"), browser)
	if err != nil {
		return err
	}
	b, err := h.browserOf(w, r)
	if err != nil {
		return err
	}
	if b != nil {
		if err := h.checkForm(form{browser: browser, name: "logout", subject: b.Session.ID}, f.Get("csrf")); err != nil {
			return err
		}
		if p.Frames, err = h.Issuer.LogoutFrames(r.Context(), *b); err != nil {
			return err
		}
		if err := h.Issuer.EndBrowserSession(r.Context(), *b); err != nil {
			return err
		}
	}
	return h.signedOut(w, r, p)
}
