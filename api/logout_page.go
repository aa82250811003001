package api

import (
	"net/http"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/issuer"
)

// endSession is the end session endpoint (OpenID Connect RP-Initiated Logout): it logs out at once whom the client
// proves to speak for, and asks everybody else.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request) error {
	q, err := parameters(w, r)
	if err != nil {
		return err
	}
	if s.withoutCookies(r) {
		return see(w, s.issuerPath()+"/oauth2/logout?"+q.Encode())
	}
	b, err := s.browserOf(r)
	if err != nil {
		return err
	}
	p, err := s.Issuer.Logout(r.Context(), issuer.LogoutRequest{
		IDTokenHint: q.Get("id_token_hint"), ClientID: q.Get("client_id"),
		PostLogoutRedirectURI: q.Get("post_logout_redirect_uri"), State: q.Get("state"), UILocales: q.Get("ui_locales"),
		Repeated: repeated(q, "id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"),
	}, b)
	if err != nil {
		return err
	}
	if !p.Confirm {
		return s.signedOut(w, r, p)
	}
	handle, err := s.seal(logoutHandle, s.browserID(w, r), p)
	if err != nil {
		return err
	}
	return see(w, s.pagePath("/logout", handle))
}

// signedOut takes the session cookie away and sends the browser where the logout leads.
func (s *Server) signedOut(w http.ResponseWriter, r *http.Request, p issuer.PendingLogout) error {
	if s.cookie(r, sessionCookie) != "" {
		s.setCookie(w, sessionCookie, "", -1)
	}
	if p.RedirectURI != "" {
		return see(w, p.RedirectURI)
	}
	handle, err := s.seal(logoutHandle, s.browserID(w, r), p)
	if err != nil {
		return err
	}
	return see(w, s.pagePath("/logout", handle))
}

// logoutPage asks whether to log out; when nobody is logged in, it says so.
func (s *Server) logoutPage(w http.ResponseWriter, r *http.Request) error {
	browser := s.browserID(w, r)
	p, err := s.pendingLogout(r.URL.Query().Get("request"), browser)
	if err != nil {
		return err
	}
	b, err := s.browserOf(r)
	if err != nil {
		return err
	}
	common := s.common(r, p.UILocales)
	if b == nil {
		page, err := s.Pages.SignedOut(web.SignedOutPage{Common: common, NotBack: string(p.NotBack)})
		return s.show(w, http.StatusOK, page, err)
	}
	common.Request = r.URL.Query().Get("request")
	if p.RedirectURI != "" {
		common.Onward = true
	}
	if common.CSRF, err = s.formToken(browser, "logout", "", b.Session.ID); err != nil {
		return err
	}
	page, err := s.Pages.Logout(web.LogoutPage{Common: common, User: b.User.Email})
	return s.show(w, http.StatusOK, page, err)
}

func (s *Server) pendingLogout(handle, browser string) (p issuer.PendingLogout, err error) {
	if handle != "" {
		err = s.open(handle, logoutHandle, browser, &p)
	}
	return p, err
}

// logoutForm takes the yes. Who is not logged in any more has it already.
func (s *Server) logoutForm(w http.ResponseWriter, r *http.Request) error {
	f, err := formFields(w, r, "request", "csrf")
	if err != nil {
		return err
	}
	browser := s.cookie(r, browserCookie)
	p, err := s.pendingLogout(f.Get("request"), browser)
	if err != nil {
		return err
	}
	b, err := s.browserOf(r)
	if err != nil {
		return err
	}
	if b != nil {
		if err := s.checkForm(browser, "logout", "", b.Session.ID, f.Get("csrf")); err != nil {
			return err
		}
		if err := s.Issuer.EndBrowserSession(r.Context(), *b); err != nil {
			return err
		}
	}
	return s.signedOut(w, r, p)
}
