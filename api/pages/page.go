package pages

import (
	"net/http"
	"strings"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
)

var (
	htmlType = []string{"text/html; charset=utf-8"}
	forever  = []string{"public, max-age=31536000, immutable"}
	aDay     = []string{"public, max-age=86400"}
)

// common is what all pages have; preferred are the languages of ui_locales.
func (h *Handlers) common(r *http.Request, preferred []string) web.Common {
	return web.Common{Locale: h.Pages.Choose(web.Wishes{
		UILocales: preferred, Chosen: h.cookie(r, languageCookie), Accept: strings.Join(r.Header["Accept-Language"], ","),
	})}
}

// show sends a page. Pages are never compressed: they hold form tokens beside text from other sites
// (BREACH, H-13).
func (h *Handlers) show(w http.ResponseWriter, status int, page web.Page, err error) error {
	if err != nil {
		return err
	}
	w.Header()["Content-Security-Policy"] = []string{page.CSP}
	w.Header()["Content-Language"] = []string{page.Language}
	wire.WriteBody(w, status, htmlType, page.Body)
	return nil
}

// Error answers a problem as a page, which says what to do about the code and repeats nothing of
// the request. After an error nothing has been written.
func (h *Handlers) Error(w http.ResponseWriter, r *http.Request, p *problem.Problem) error {
	e := web.ErrorPage{
		Common: h.common(r, nil), Code: string(p.Code), RequestID: strings.Join(w.Header()["X-Request-Id"], ""),
		TryAgain: h.tryAgain(r, p), AskAgain: h.askAgain(r, p), Fault: p.Fault,
	}
	if p.Fault != "" {
		e.Code = "client_document"
	}
	e.SignIn = e.TryAgain == "" && leadsNowhere[p.Code]
	if p.Handle != "" && p.Code == problem.RequestExpired {
		h.leadBack(r, &e, p.Handle)
	}
	h.offerStart(r, &e, p)
	if p.Code == problem.RequestExpired && e.Back == nil {
		e.SignIn = true
	}
	page, err := h.Pages.Error(e)
	return h.show(w, pageStatus(p.Kind()), page, err)
}

// pageStatus is the status of an error page: 403 instead of 401, because 401 makes browsers ask for
// a password in a dialogue of their own.
func pageStatus(k problem.Kind) int {
	if k.Status == http.StatusUnauthorized {
		return http.StatusForbidden
	}
	return k.Status
}

// Asset serves what pages link to. Its name changes with its content, so that caches may keep it.
func (h *Handlers) Asset(w http.ResponseWriter, r *http.Request) error {
	body, mediaType, ok := h.Pages.Asset(r.PathValue("name"))
	if !ok {
		return problem.New(problem.NotFound, "")
	}
	w.Header()["Cache-Control"] = forever
	w.Header()["Content-Security-Policy"] = []string{web.AssetCSP}
	wire.WriteBody(w, http.StatusOK, []string{mediaType}, body)
	return nil
}

// Favicon serves the icon where browsers look for one beside documents that are not ours, such as JSON.
func (h *Handlers) Favicon(w http.ResponseWriter, _ *http.Request) error {
	body, mediaType := h.Pages.Icon()
	w.Header()["Cache-Control"] = aDay
	w.Header()["Content-Security-Policy"] = []string{web.AssetCSP}
	wire.WriteBody(w, http.StatusOK, []string{mediaType}, body)
	return nil
}

// leadsNowhere are the errors that leave a person without a next step but the login page.
var leadsNowhere = map[problem.Code]bool{
	problem.RequestMissing: true, problem.RequestInvalid: true, problem.OtherBrowser: true,
	problem.RequestFinished: true, problem.NotFound: true, problem.MethodNotAllowed: true, problem.CSRF: true,
}

func (h *Handlers) pageOf(r *http.Request) page {
	return page(strings.TrimPrefix(r.URL.Path, h.Issuer.Path()))
}

// tryAgain is the page that a person may open again: once the browser keeps cookies, or for a form
// that was not sent from this browser as it is now. A page with a request is bound to the cookie that
// the browser did not keep: the person starts again from the app.
func (h *Handlers) tryAgain(r *http.Request, p *problem.Problem) string {
	at, post := h.pageOf(r), r.Method == http.MethodPost
	switch {
	case p.Code == problem.CookiesOff && (post || r.URL.Query().Has("request")), p.Code == problem.CSRF && !post:
		return ""
	case p.Code == problem.UserCodeUnknown:
		return devicePage.name()
	case p.Code != problem.CookiesOff && p.Code != problem.CSRF:
		return ""
	case isAccountPage(at) && p.Code == problem.CSRF:
		return at.name()
	}
	switch at {
	case loginPage, signupPage, forgotPage, verifyPage, devicePage:
		return at.name()
	}
	return ""
}

// askAgain is the page that asks for another message, after a link or code that does not work.
func (h *Handlers) askAgain(r *http.Request, p *problem.Problem) string {
	if p.Code != problem.OneTimeInvalid {
		return ""
	}
	switch h.pageOf(r) {
	case resetPage:
		return forgotPage.name()
	case verifyPage:
		return verifyPage.name()
	}
	return ""
}
