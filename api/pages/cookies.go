package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

// A browser carries three things for this server, beside the cookie of session_state.go:
//
//   - the session cookie stands for a logged-in user. It has a new value after each login;
//   - the browser cookie stands for the browser and not for a user. A request that was begun in a browser
//     ends there, form tokens are bound to it, and the throttle recognises by it a browser that has
//     logged in to an account before;
//   - the handle of a pending request is in addresses and forms. It is sealed, so that no replica has to
//     keep it, and bound to the browser cookie. Each tab has a handle of its own.
const (
	sessionCookie = "session"
	browserCookie = "browser"
)

const (
	// trustedCookie is the secret of a browser that its user trusts: see issuer.StartSecondSession.
	trustedCookie = "trusted"
	// stayCookie stands beside a session cookie that outlives the browser, so that a new value of the
	// session cookie does, too.
	stayCookie = "stay"
)

// browserCookieAge is the longest that browsers keep a cookie (RFC 6265bis section 5.5).
const browserCookieAge = 400 * 24 * time.Hour

// cookieName is the name of a cookie. A browser takes a __Host- cookie over https and for this host
// only, so that another host of the domain cannot set it. The name ends in a short hash of the
// issuer: cookies know neither ports nor, under __Host-, paths, and two issuers on one host must not
// end each other's sessions.
func (h *Handlers) cookieName(name string) string {
	hash := sha256.Sum256([]byte(h.Issuer.URL))
	name = "signet-" + name + "-" + hex.EncodeToString(hash[:4])
	if h.secure() {
		return "__Host-" + name
	}
	return name
}

func (h *Handlers) secure() bool { return strings.HasPrefix(h.Issuer.URL, "https://") }

func (h *Handlers) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(h.cookieName(name))
	if err != nil || len(c.Value) > 128 {
		return ""
	}
	return c.Value
}

// setCookie sets a cookie. With an age of zero it lasts until the browser is closed; a negative age
// deletes it. The rest of this request sees the cookie as the browser will have it.
func (h *Handlers) setCookie(w http.ResponseWriter, r *http.Request, name, value string, age time.Duration) {
	h.writeCookie(w, r, &http.Cookie{
		Name: h.cookieName(name), Value: value, Secure: h.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}, age)
}

func (h *Handlers) writeCookie(w http.ResponseWriter, r *http.Request, c *http.Cookie, age time.Duration) {
	c.Path, c.MaxAge = "/", int(age/time.Second)
	if age < 0 {
		c.MaxAge = -1 // a part of a second would be rounded to zero
	}
	http.SetCookie(w, c)

	sent := r.Cookies()
	r.Header.Del("Cookie")
	for _, other := range sent {
		if other.Name != c.Name {
			r.AddCookie(other)
		}
	}
	if age >= 0 {
		r.AddCookie(c)
	}
}

// keep remembers m in a cookie of this browser, encrypted.
func (h *Handlers) keep(
	w http.ResponseWriter, r *http.Request, cookie, browser string, m mailedHandle, age time.Duration,
) error {
	m.Ends = h.Issuer.Until(age).Ends
	veiled, err := h.veilShort(browser, m)
	if err != nil {
		return err
	}
	h.setCookie(w, r, cookie, veiled, age)
	return nil
}

// kept returns what keep stored for the page p; the zero value if there is nothing.
func (h *Handlers) kept(r *http.Request, cookie, browser string, p page) mailedHandle {
	c, err := r.Cookie(h.cookieName(cookie))
	if err != nil {
		return mailedHandle{}
	}
	m, err := h.unveil(c.Value, browser, p)
	if err != nil {
		return mailedHandle{}
	}
	return m
}

// browserID returns the browser's ID cookie, setting one if absent.
func (h *Handlers) browserID(w http.ResponseWriter, r *http.Request) string {
	id := h.cookie(r, browserCookie)
	if id == "" {
		id = h.Issuer.NewID() + h.Issuer.NewID()
		h.setCookie(w, r, browserCookie, id, browserCookieAge)
	}
	return id
}

// browserOf returns the browser session and its user; nil: no user is logged in.
func (h *Handlers) browserOf(w http.ResponseWriter, r *http.Request) (*issuer.Browser, error) {
	b, err := h.Issuer.BrowserOf(r.Context(), h.cookie(r, sessionCookie))
	if err != nil {
		return nil, err
	}
	return b, h.keepState(w, r, b)
}

// cookiesParameter marks the address of a page that a browser was sent to together with its first cookie.
const cookiesParameter = "cookies"

// meet gives a browser that opens a page without a cookie the cookie, and sends it to the page once
// more. A browser that comes back without the cookie keeps none: a page says so before a password is
// typed. A program that does not name HTML gets the page at once. A browser that comes back with the
// cookie is led to the address without the mark: kept as a bookmark, the mark would say of the next
// browser that it keeps no cookies. done: the request is answered.
func (h *Handlers) meet(w http.ResponseWriter, r *http.Request, p page, handle string) (done bool, err error) {
	marked := r.URL.Query().Has(cookiesParameter)
	switch {
	case r.Method == http.MethodPost, !web.FitsAddress(handle): // no address of ours has such a handle
		return false, nil
	case h.cookie(r, browserCookie) != "" && marked:
		return true, wire.SeeOther(w, h.meetAt(r, p, handle, url.Values{}))
	case h.cookie(r, browserCookie) != "":
		return false, nil
	case !strings.Contains(strings.Join(r.Header["Accept"], ","), "text/html"):
		h.browserID(w, r)
		return false, nil
	case marked:
		return true, problem.New(problem.CookiesOff, "")
	}
	h.browserID(w, r)
	return true, wire.SeeOther(w, h.meetAt(r, p, handle, url.Values{cookiesParameter: {"set"}}))
}

// meetAt is the address of a page with what it was opened with.
func (h *Handlers) meetAt(r *http.Request, p page, handle string, q url.Values) string {
	if handle != "" {
		q.Set("request", handle)
	}
	if next, ok := nextPage(r); ok {
		q.Set("next", next.Path())
	}
	if code := addressedCode(r); code != "" && p == devicePage {
		q.Set(userCodeParameter, code)
	}
	if len(q) == 0 {
		return h.pagePath(p, "")
	}
	return h.pagePath(p, "") + "?" + q.Encode()
}
