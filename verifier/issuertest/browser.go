package issuertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// Browser returns an HTTP client that is the browser of a user, with cookies and without JavaScript:
// on the issuer's pages it signs the user in and allows what an app asks for. One Get of a page of
// your app that needs a login so ends where the user's browser would.
func (i *Issuer) Browser(u User) *http.Client {
	i.tb.Helper()
	issuer, err := url.Parse(i.URL)
	i.must(err)
	jar, err := cookiejar.New(nil)
	i.must(err)
	return &http.Client{Jar: jar, Transport: &hands{issuer: issuer, jar: jar, user: u, next: i.client.Transport}}
}

// hands fill in the forms. They stand where one request goes out, below what follows redirects.
type hands struct {
	issuer *url.URL
	jar    http.CookieJar
	user   User
	next   http.RoundTripper
}

// mostForms is how many forms follow each other: the login, the consent, and a page between.
const mostForms = 4

func (h *hands) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.next.RoundTrip(r)
	for range mostForms {
		if err != nil || r.URL.Host != h.issuer.Host ||
			!strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			return resp, err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		action, fields, err := h.fill(body)
		if err != nil {
			return nil, err
		}
		if action == "" {
			return resp, nil
		}
		h.jar.SetCookies(r.URL, resp.Cookies())
		if resp, err = h.post(r, action, fields); err != nil {
			return nil, err
		}
	}
	resp.Body.Close()
	return nil, fmt.Errorf("the issuer answered %d forms in a row", mostForms)
}

// post sends a form as browsers do.
func (h *hands) post(from *http.Request, action string, fields url.Values) (*http.Response, error) {
	to, err := from.URL.Parse(action)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(from.Context(), http.MethodPost, to.String(), strings.NewReader(fields.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", h.issuer.Scheme+"://"+h.issuer.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range h.jar.Cookies(to) {
		r.AddCookie(c)
	}
	return h.next.RoundTrip(r)
}

// errLoginRefused: the login page came back after the user had signed in.
var errLoginRefused = errors.New("the issuer did not let this user in: it does not know the email address and " +
	"password, or wants a second factor")

// fill fills in the form of a page; action is empty if there is none that the user would send.
func (h *hands) fill(page []byte) (action string, fields url.Values, err error) {
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return "", nil, err
	}
	for _, button := range []string{"login-submit", "consent-approve"} {
		pressed := find(doc, func(n *html.Node) bool { return attribute(n, "id") == button })
		if pressed == nil {
			continue
		}
		form := pressed
		for form != nil && form.Data != "form" {
			form = form.Parent
		}
		if form == nil {
			continue
		}
		fields = url.Values{}
		find(form, func(n *html.Node) bool {
			if n.Data == "input" && attribute(n, "name") != "" && attribute(n, "type") != "checkbox" {
				fields.Add(attribute(n, "name"), attribute(n, "value"))
			}
			return false
		})
		if name := attribute(pressed, "name"); name != "" {
			fields.Set(name, attribute(pressed, "value"))
		}
		if button == "login-submit" {
			if fields.Get("email") == h.user.Email {
				return "", nil, errLoginRefused // the page repeats what was typed
			}
			fields.Set("email", h.user.Email)
			fields.Set("password", h.user.Password)
		}
		return attribute(form, "action"), fields, nil
	}
	return "", nil, nil
}

// find returns the first element of a tree for which is returns true.
func find(n *html.Node, is func(*html.Node) bool) *html.Node {
	if is(n) {
		return n
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if found := find(c, is); found != nil {
			return found
		}
	}
	return nil
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
