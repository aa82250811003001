package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
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

// handleAge is how long a page may stay open.
const handleAge = time.Hour

// maxHandle bounds a handle, which has to fit into the headers of a request.
const maxHandle = 20 << 10

// cookieName is a cookie's name. With __Host- a browser takes it over https only and for this host only, so that no other
// host of the domain can plant one. It ends in a short hash of the issuer: cookies know neither ports nor, under __Host-,
// paths, and two issuers on one host must not end each other's sessions.
func (s *Server) cookieName(name string) string {
	hash := sha256.Sum256([]byte(s.Issuer.URL))
	name = "signet-" + name + "-" + hex.EncodeToString(hash[:4])
	if s.secure() {
		return "__Host-" + name
	}
	return name
}

func (s *Server) secure() bool { return strings.HasPrefix(s.Issuer.URL, "https://") }

func (s *Server) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(s.cookieName(name))
	if err != nil || len(c.Value) > 128 {
		return ""
	}
	return c.Value
}

// setCookie gives the browser a cookie; an age of zero: until it is closed, below: takes it away.
func (s *Server) setCookie(w http.ResponseWriter, name, value string, age time.Duration) {
	seconds := int(age / time.Second)
	if age < 0 {
		seconds = -1 // of any size: less than a second would be rounded to none
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(name), Value: value, Path: "/", MaxAge: seconds,
		Secure: s.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// browserID is what the browser is known by; one that is not gets it now.
func (s *Server) browserID(w http.ResponseWriter, r *http.Request) string {
	id := s.cookie(r, browserCookie)
	if id == "" {
		id = s.Issuer.NewID() + s.Issuer.NewID()
		s.setCookie(w, browserCookie, id, browserCookieAge)
	}
	return id
}

// browserOf is who is logged in; nil: nobody.
func (s *Server) browserOf(r *http.Request) (*issuer.Browser, error) {
	return s.Issuer.BrowserOf(r.Context(), s.cookie(r, sessionCookie))
}

// Kinds of handle.
const (
	authorizationHandle = "authorization"
	logoutHandle        = "logout"
)

// sealedRequest is what a handle holds.
type sealedRequest struct {
	Kind    string          `json:"kind"`
	Browser []byte          `json:"browser"` // SHA-256 of its cookie
	Expires int64           `json:"expires"`
	Request json.RawMessage `json:"request"`
}

// seal makes the handle of a request for the browser.
func (s *Server) seal(kind, browser string, request any) (string, error) {
	inner, err := json.Marshal(request)
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(browser))
	text, err := json.Marshal(sealedRequest{kind, hash[:16], s.Now().Add(handleAge).Unix(), inner})
	if err != nil {
		return "", err
	}
	mac, err := s.Issuer.FormMAC("handle", string(text))
	if err != nil {
		return "", err
	}
	handle := base64.RawURLEncoding.EncodeToString(append(mac, text...))
	if len(handle) > maxHandle {
		return "", newProblem(invalidRequest, "The request is too long to be carried through the pages: send a shorter state.")
	}
	return handle, nil
}

// open reads a handle that this browser was given.
func (s *Server) open(handle, kind, browser string, request any) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(handle)
	if err != nil || len(raw) <= sha256.Size {
		return newProblem(requestExpired, "")
	}
	sent, text := raw[:sha256.Size], raw[sha256.Size:]
	mac, err := s.Issuer.FormMAC("handle", string(text))
	if err != nil {
		return err
	}
	var h sealedRequest
	if !hmac.Equal(mac, sent) || json.Unmarshal(text, &h) != nil || h.Kind != kind || s.Now().Unix() >= h.Expires {
		return newProblem(requestExpired, "")
	}
	hash := sha256.Sum256([]byte(browser))
	if browser == "" || !hmac.Equal(hash[:16], h.Browser) {
		return newProblem(otherBrowser, "")
	}
	return json.Unmarshal(h.Request, request)
}

// formToken is what a form has to bring back: proof that we showed it, in this browser and for this request. subject
// binds it further, to whoever was asked.
func (s *Server) formToken(browser, form, id, subject string) (string, error) {
	mac, err := s.Issuer.FormMAC("form", browser, form, id, subject)
	return base64.RawURLEncoding.EncodeToString(mac), err
}

// checkForm refuses what was not sent from our own page.
func (s *Server) checkForm(browser, form, id, subject, sent string) error {
	want, err := s.formToken(browser, form, id, subject)
	switch {
	case err != nil:
		return err
	case browser == "", !hmac.Equal([]byte(want), []byte(sent)):
		return newProblem(csrf, "")
	}
	return nil
}

// prepareOrigin finds out which origin our pages have: the issuer's, whatever a proxy makes of Host.
func (h *handler) prepareOrigin() {
	h.crossOrigin = http.NewCrossOriginProtection()
	if u, err := url.Parse(h.Issuer.URL); err == nil {
		h.ownOrigin = u.Scheme + "://" + u.Host
		_ = h.crossOrigin.AddTrustedOrigin(h.ownOrigin) // what is no origin is none that a browser could send
	}
}

// checkOrigin refuses a form that another site's page sent, by what browsers say of it: Sec-Fetch-Site, Origin and
// Referer. `Origin: null` is said by sandboxed documents, which anybody can make; our own pages never cause it, because
// their Referrer-Policy is same-origin.
func (h *handler) checkOrigin(r *http.Request) error {
	if err := h.crossOrigin.Check(r); err != nil {
		return newProblem(csrf, "")
	}
	for _, origin := range r.Header["Origin"] {
		if origin == "null" {
			return newProblem(csrf, "")
		}
	}
	for _, referer := range r.Header["Referer"] {
		if u, err := url.Parse(referer); err != nil || u.Host != r.Host && u.Scheme+"://"+u.Host != h.ownOrigin {
			return newProblem(csrf, "")
		}
	}
	return nil
}

// formFields reads a form (application/x-www-form-urlencoded), of whose fields those named may be sent once.
func formFields(w http.ResponseWriter, r *http.Request, once ...string) (url.Values, error) {
	if err := checkContentType(w, r, []string{formType}); err != nil {
		return nil, err
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, newProblem(invalidRequest, "The form cannot be read.")
	}
	for _, name := range once {
		if len(values[name]) > 1 {
			return nil, newProblem(invalidRequest, "A field of the form was sent more than once.")
		}
	}
	return values, nil
}

const formType = "application/x-www-form-urlencoded"

// parameters are those of a request that may come by GET or POST: of the query, and of a form.
func parameters(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, newProblem(invalidRequest, "The address cannot be read.")
	}
	if r.Method == http.MethodPost {
		form, err := formFields(w, r)
		if err != nil {
			return nil, err
		}
		for name, list := range form {
			values[name] = append(values[name], list...)
		}
	}
	return values, nil
}

// repeated lists which of names were sent more than once.
func repeated(values url.Values, names ...string) (out []string) {
	for _, name := range names {
		if len(values[name]) > 1 {
			out = append(out, name)
		}
	}
	return out
}

// withoutCookies tells that a POST came without what the browser surely has: another site's page sent it, and
// cookies are SameSite=Lax. The same request as GET brings them along.
func (s *Server) withoutCookies(r *http.Request) bool {
	return r.Method == http.MethodPost && s.cookie(r, browserCookie) == ""
}

// see sends the browser elsewhere: with 303, so that it asks by GET and sends no password along (RFC 9700 section 4.12).
func see(w http.ResponseWriter, location string) error {
	h := w.Header()
	h["Location"] = []string{location}
	h["Content-Length"] = []string{"0"} // so that HEAD and GET agree
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
