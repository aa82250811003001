package pages

import (
	"net/http"
	"net/url"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

// languageCookie holds the language that a person chose at the foot of a page. It identifies no
// account, and no address carries it.
const languageCookie = "language"

// LanguageForm takes a choice of language and leads back to the page that the choice was made on.
// The languages of the app's request go before the cookie, so the choice also replaces them in the
// handle of this request.
func (h *Handlers) LanguageForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "language", "page", "request", "login", "next", "by", userCodeParameter)
	if err != nil {
		return err
	}
	language, handle := f.Get("language"), f.Get("request")
	if !h.Pages.Speaks(web.Locale(language)) {
		return problem.New(problem.InvalidRequest, "The form names a language that the pages do not speak.")
	}
	browser, from := h.cookie(r, browserCookie), page("/"+f.Get("page"))
	switch from {
	case loginPage, signupPage, consentPage, forgotPage, secondPage, codesPage, setupPage:
		var v visit
		if v, err = h.readVisit(w, r, handle); err == nil && handle != "" {
			v.pending.UILocales = []string{language}
			handle, err = h.seal(authorizationHandle, browser, v.pending)
		}
	case logoutPage:
		var p issuer.PendingLogout
		if p, handle, err = h.pendingLogout(handle, browser); err == nil && handle != "" {
			p.UILocales = []string{language}
			handle, err = h.seal(logoutHandle, browser, p)
		}
	case resetPage, verifyPage, changePage, undoPage, factorUndoPage, devicePage: // no app's request
	default:
		if isAccountPage(from) {
			break
		}
		err = problem.New(problem.InvalidRequest, "The form names a page that there is not.")
	}
	if err != nil {
		return err
	}
	h.setCookie(w, r, languageCookie, language, browserCookieAge)
	if isAccountPage(from) {
		return wire.SeeOther(w, h.pagePath(from, ""))
	}
	if from == secondPage {
		return h.secondAgain(w, r, secondFields{request: handle, login: f.Get("login"), by: f.Get("by")}, f.Get("next"))
	}
	if from == setupPage {
		return h.setupAgain(w, r, handle, f.Get("login"), f.Get("next"))
	}
	if code := f.Get(userCodeParameter); from == devicePage && code != "" {
		return wire.SeeOther(w, h.pagePath(from, "")+"?"+url.Values{userCodeParameter: {code}}.Encode())
	}
	return h.goTo(w, r, from, handle)
}
