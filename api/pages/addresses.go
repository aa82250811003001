package pages

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
)

// page is one of our pages that goes on with a pending request.
type page string

const (
	loginPage   page = "/login"
	signupPage  page = "/signup"
	consentPage page = "/consent"
	logoutPage  page = "/logout"
	devicePage  page = "/device"

	secondPage page = "/login/second"
	setupPage  page = "/login/setup"
	codesPage  page = "/login/codes"

	// Where there is mail.
	forgotPage page = "/forgot"
	resetPage  page = "/reset"
	verifyPage page = "/verify"
	changePage page = "/change"
	undoPage   page = "/undo"

	factorUndoPage page = "/factor-undo"
)

// name is the page without the slash: how forms and texts call it.
func (p page) name() string { return strings.TrimPrefix(string(p), "/") }

// pagePath is the address of a page; with an empty handle, of the page without a request.
func (h *Handlers) pagePath(p page, handle string) string {
	path := h.Issuer.Path() + string(p)
	if handle != "" {
		path += "?request=" + handle
	}
	return path
}

// goTo leads the browser to a page. Its address carries the handle if that is short, so that the page can be loaded again;
// a long handle travels in the page's forms, and the page is answered in place.
func (h *Handlers) goTo(w http.ResponseWriter, r *http.Request, p page, handle string) error {
	if web.FitsAddress(handle) {
		return wire.SeeOther(w, h.pagePath(p, handle))
	}
	return h.showPage(w, r, p, handle)
}

func (h *Handlers) showPage(w http.ResponseWriter, r *http.Request, p page, handle string) error {
	switch p {
	case loginPage:
		return h.login(w, r, handle)
	case secondPage:
		return h.second(w, r, secondFields{request: handle})
	case codesPage:
		return h.codes(w, r, handle)
	case signupPage:
		return h.signup(w, r, handle)
	case consentPage:
		return h.consent(w, r, handle)
	case logoutPage:
		return h.logout(w, r, handle)
	case devicePage: // which goes on with no request
		return wire.SeeOther(w, h.pagePath(p, ""))
	}
	if !h.Accounts.NoMail {
		switch p {
		case forgotPage:
			return h.forgot(w, r, handle)
		case resetPage:
			return h.reset(w, r, handle)
		case verifyPage:
			return h.verify(w, r, handle)
		case changePage:
			return h.change(w, r, handle)
		case undoPage:
			return h.undo(w, r, undoPage, handle)
		case factorUndoPage:
			return h.undo(w, r, factorUndoPage, handle)
		}
	}
	return problem.New(problem.InvalidRequest, "The form names a page that there is not.")
}

// Continue leads from one page to another with a request that is too long for a link.
func (h *Handlers) Continue(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "page", "request")
	if err != nil {
		return err
	}
	return h.showPage(w, r, page("/"+f.Get("page")), f.Get("request"))
}

// resentParameter marks a request that resend or resendWithCookie has sent once more.
const resentParameter = "signet_resent"

// Values of resentParameter.
const (
	resentOnce       = "1"
	resentWithCookie = "2" // after the browser was given its cookie
)

// withoutCookies tells that a POST came without the cookie that every browser gets: another site's page may have sent it,
// and cookies are SameSite=Lax. The mark of resend counts only from a page of ours: another site could set it, too, and
// would have the browser treated as a new one.
func (h *Handlers) withoutCookies(r *http.Request, q url.Values) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	resent := q.Has(resentParameter) && site != "cross-site" && site != "same-site"
	return r.Method == http.MethodPost && h.cookie(r, browserCookie) == "" && !resent
}

// resend makes the browser send a request once more, with its cookies: by GET, or from a page of ours if the
// address would be too long. It sets no cookie: the browser most likely has one that it did not send, and a new one in
// its place would end what its other tabs have begun.
func (h *Handlers) resend(w http.ResponseWriter, r *http.Request, path string, q url.Values) error {
	if encoded := q.Encode(); web.FitsAddress(encoded) {
		return wire.SeeOther(w, h.Issuer.Path()+path+"?"+encoded)
	}
	return h.resendFromPage(w, r, path, q, resentOnce)
}

// resendWithCookie makes a new browser send a request once more, from a page of ours, so that it is known whether the
// browser keeps the cookie that comes with the page.
func (h *Handlers) resendWithCookie(w http.ResponseWriter, r *http.Request, path string, q url.Values) error {
	if q.Get(resentParameter) == resentWithCookie {
		return problem.New(problem.CookiesOff, "")
	}
	h.browserID(w, r)
	return h.resendFromPage(w, r, path, q, resentWithCookie)
}

func (h *Handlers) resendFromPage(w http.ResponseWriter, r *http.Request, path string, q url.Values, mark string) error {
	parameters := [][2]string{{resentParameter, mark}}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		for _, value := range q[name] {
			if name != resentParameter {
				parameters = append(parameters, [2]string{name, value})
			}
		}
	}
	page, err := h.Pages.FormPost(web.FormPostPage{
		Common: h.common(r, nil), Action: strings.TrimRight(h.Issuer.URL, "/") + path,
		Parameters: parameters, Inward: true,
	})
	return h.show(w, http.StatusOK, page, err)
}
