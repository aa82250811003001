package pages

import (
	"net/http"
	"net/url"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// mailedHandle carries from page to page the token of a message's link, or the handle of the
// request for the message. It is encrypted, unlike the handle of a pending request: it is part of
// addresses, and a token must not be.
type mailedHandle struct {
	Page    page   `json:"page"`
	Token   string `json:"token,omitempty"`
	Invited bool   `json:"invited,omitempty"` // the token is an invitation's
	Handle  string `json:"handle,omitempty"`
	Request string `json:"request,omitempty"` // the handle of the pending request to continue; empty: none
	Why     string `json:"why,omitempty"`     // verifySignedUp, verifyLogin; empty: the message was asked for
	Done    bool   `json:"done,omitempty"`    // nothing is left to do: the page says so
	Ends    int64  `json:"expires"`           // the name stands in cookies that are days old

	// Of provingCookie: the account whose password was typed in this browser, and when.
	UserID string `json:"user,omitempty"`
	Typed  int64  `json:"typed,omitempty"`

	Asked []askedMessage `json:"asked,omitempty"` // of askedCookie
}

// mailedAge is how long a mailedHandle is valid.
const mailedAge = 24 * time.Hour

var mailedText = encrypted[mailedHandle]{"mailed handle"}

// Over reports whether the end has come.
func (m mailedHandle) Over(now time.Time) bool { return issuer.Until{Ends: m.Ends}.Over(now) }

// veil encrypts a handle for this browser.
func (h *Handlers) veil(browser string, m mailedHandle) (string, error) {
	if m.Ends == 0 {
		m.Ends = h.Issuer.Until(mailedAge).Ends
	}
	return mailedText.seal(h, browser, m)
}

// unveil decrypts a handle that veil made for this browser and page.
func (h *Handlers) unveil(handle, browser string, p page) (mailedHandle, error) {
	m, ok, err := mailedText.open(h, browser, handle)
	switch {
	case err != nil:
		return m, err
	case !ok, browser == "", m.Page != p:
		return mailedHandle{}, problem.New(problem.OneTimeInvalid, "")
	}
	return m, nil
}

// mailedVisit is what a page about a message knows of the browser and of the message.
type mailedVisit struct {
	browser string // cookie
	handle  string // empty: the page asks for an address
	mailedHandle
}

func (h *Handlers) readMailed(r *http.Request, p page, handle string) (v mailedVisit, err error) {
	v.browser, v.handle = h.cookie(r, browserCookie), handle
	v.mailedHandle, err = h.unveil(v.handle, v.browser, p)
	return v, err
}

// form is the form of a page about a message, for a user who is not logged in.
func (v mailedVisit) form(p page) form {
	return form{browser: v.browser, name: p.name(), request: v.handle}
}

// readMailedForm reads the form of a page about a message. Without a handle it is the form that asks
// for an address.
func (h *Handlers) readMailedForm(
	w http.ResponseWriter, r *http.Request, p page, fields ...string,
) (f url.Values, v mailedVisit, err error) {
	if f, err = wire.ReadFields(w, r, append([]string{"request", "csrf"}, fields...)...); err != nil {
		return nil, v, err
	}
	v.browser, v.handle = h.cookie(r, browserCookie), f.Get("request")
	if err = h.checkForm(v.form(p), f.Get("csrf")); err == nil && v.handle != "" {
		v.mailedHandle, err = h.unveil(v.handle, v.browser, p)
	}
	return f, v, err
}

// followLink takes the token out of the address. It changes nothing else: mail scanners follow
// links.
func (h *Handlers) followLink(w http.ResponseWriter, r *http.Request, m mailedHandle) error {
	w.Header()["Referrer-Policy"] = []string{"no-referrer"}
	m.Token = r.PathValue("token")
	handle, err := h.veil(h.browserID(w, r), m)
	if err != nil {
		return err
	}
	return wire.SeeOther(w, h.pagePath(m.Page, handle))
}

// asked redirects from the form that asks for a message to the form that takes its code.
func (h *Handlers) asked(w http.ResponseWriter, m wanted, a askedMessage, request string) error {
	return h.leadTo(w, m.browser, mailedHandle{Page: m.page, Handle: a.Handle, Why: a.Why, Request: request})
}

// finished leads to the page that says it is done. Loading that page again does nothing.
func (h *Handlers) finished(w http.ResponseWriter, v mailedVisit) error {
	return h.leadTo(w, v.browser, mailedHandle{Page: v.Page, Done: true, Request: v.Request})
}

// leadTo redirects to the page of m.
func (h *Handlers) leadTo(w http.ResponseWriter, browser string, m mailedHandle) error {
	veiled, err := h.veilShort(browser, m)
	if err != nil {
		return err
	}
	return wire.SeeOther(w, h.pagePath(m.Page, veiled))
}

// veilShort is veil for a header of an answer: a pending request that is too long is left out, and
// the person starts again from the app.
func (h *Handlers) veilShort(browser string, m mailedHandle) (string, error) {
	veiled, err := h.veil(browser, m)
	if err == nil && m.Request != "" && !web.FitsAddress(veiled) {
		m.Request = ""
		veiled, err = h.veil(browser, m)
	}
	return veiled, err
}

// showDone says that it is done, and leads on: to the app, to the account, or to the login page.
func (h *Handlers) showDone(w http.ResponseWriter, r *http.Request, v mailedVisit) error {
	session, err := h.browserOf(w, r)
	if err != nil {
		return err
	}
	d := web.DonePage{Common: h.common(r, nil), Done: v.Page.name(), SignedIn: session != nil}
	d.Request = h.continuable(v)
	page, err := h.Pages.Done(d)
	return h.show(w, http.StatusOK, page, err)
}

// continuable returns the handle of the pending request that the visit carries; empty: there is none
// that can still be continued.
func (h *Handlers) continuable(v mailedVisit) string {
	var pending struct{}
	if v.Request == "" {
		return ""
	}
	age, err := h.unseal(v.Request, authorizationHandle, v.browser, &pending)
	if err != nil || age >= renewableAge {
		return ""
	}
	return v.Request
}

// mailed returns m and a code as userstore takes them.
func (m mailedHandle) mailed(code string) userstore.Mailed {
	return userstore.Mailed{Token: m.Token, Handle: m.Handle, Code: code}
}

// beside returns the problem that a form about a message shows beside its field: a wrong code. A
// link that does not work gets an error page.
func (m mailedHandle) beside() map[problem.Code]web.Problem {
	if m.Handle == "" {
		return nil
	}
	return map[problem.Code]web.Problem{
		problem.OneTimeInvalid: {Field: "code", Code: string(problem.OneTimeInvalid)},
	}
}
