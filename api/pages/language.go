package pages

import (
	"net/http"

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
	f, err := wire.ReadFields(w, r, "language", "page", "request")
	if err != nil {
		return err
	}
	language, handle := f.Get("language"), f.Get("request")
	if !h.Pages.Speaks(web.Locale(language)) {
		return problem.New(problem.InvalidRequest, "The form names a language that the pages do not speak.")
	}
	browser, from := h.cookie(r, browserCookie), page("/"+f.Get("page"))
	switch from {
	case loginPage, signupPage, consentPage, forgotPage:
		var p issuer.Pending
		handle, err = h.inLanguage(handle, authorizationHandle, browser, &p, &p.UILocales, language)
	case logoutPage:
		var p issuer.PendingLogout
		handle, err = h.inLanguage(handle, logoutHandle, browser, &p, &p.UILocales, language)
	case resetPage, verifyPage: // no app's request
	default:
		err = problem.New(problem.InvalidRequest, "The form names a page that there is not.")
	}
	if err != nil {
		return err
	}
	h.setCookie(w, r, languageCookie, language, browserCookieAge)
	return h.goTo(w, r, from, handle)
}

// inLanguage returns the handle with the language in the place of those that its request asked for.
// wanted points into request.
func (h *Handlers) inLanguage(handle string, kind handleKind, browser string, request any, wanted *[]string, language string) (string, error) {
	if handle == "" {
		return "", nil
	}
	if err := h.open(handle, kind, browser, request); err != nil {
		return "", err
	}
	*wanted = []string{language}
	return h.seal(kind, browser, request)
}
