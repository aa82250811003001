package pages

import (
	"net/http"
	"strings"
	"time"

	"github.com/signet-id/signet/issuer"
)

// What a browser carries for us:
//
//   - the session cookie, which stands for a logged-in user. It has a new value after each login;
//   - the browser cookie, which stands for nobody. What is begun in a browser ends there, forms are bound to
//     it, and a browser that logged in to an account is known there again by it;
//   - the handle of a pending request, in addresses and forms: sealed, so that no replica has to remember it, and bound to the
//     browser cookie. Each tab has its own, so that several get along.
const (
	sessionCookie = "session"
	browserCookie = "browser"
)

// browserCookieAge is the longest that browsers keep a cookie (RFC 6265bis section 5.5).
const browserCookieAge = 400 * 24 * time.Hour

// cookieName is a cookie's name. With __Host- a browser takes it over https only and for this host only, so that no other
// host of the domain can plant one.
func (h *Handlers) cookieName(name string) string {
	if h.secure() {
		return "__Host-signet-" + name
	}
	return "signet-" + name
}

func (h *Handlers) secure() bool { return strings.HasPrefix(h.Issuer.URL, "https://") }

func (h *Handlers) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(h.cookieName(name))
	if err != nil || len(c.Value) > 128 {
		return ""
	}
	return c.Value
}

// setCookie gives the browser a cookie; an age of zero: until it is closed, below: takes it away.
func (h *Handlers) setCookie(w http.ResponseWriter, name, value string, age time.Duration) {
	seconds := int(age / time.Second)
	if age < 0 {
		seconds = -1 // of any size: less than a second would be rounded to none
	}
	http.SetCookie(w, &http.Cookie{
		Name: h.cookieName(name), Value: value, Path: "/", MaxAge: seconds,
		Secure: h.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// browserID is what the browser is known by; one that is not gets it now.
func (h *Handlers) browserID(w http.ResponseWriter, r *http.Request) string {
	id := h.cookie(r, browserCookie)
	if id == "" {
		id = h.Issuer.NewID() + h.Issuer.NewID()
		h.setCookie(w, browserCookie, id, browserCookieAge)
	}
	return id
}

// browserOf is who is logged in; nil: nobody.
func (h *Handlers) browserOf(r *http.Request) (*issuer.Browser, error) {
	return h.Issuer.BrowserOf(r.Context(), h.cookie(r, sessionCookie))
}

// withoutCookies tells that a POST came without what the browser surely has: another site's page sent it, and
// cookies are SameSite=Lax. The same request as GET brings them along.
func (h *Handlers) withoutCookies(r *http.Request) bool {
	return r.Method == http.MethodPost && h.cookie(r, browserCookie) == ""
}
