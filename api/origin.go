package api

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/internal/audit"
)

// origin is where a request comes from. The pipeline sets it for every route: attempts are counted
// by its address, and audit entries of the request carry all of it. api/bearer adds the user once
// the token is proved.
func (h *handler) origin(r *http.Request, id string) audit.Origin {
	return audit.Origin{Address: h.clientAddress(r), UserAgent: userAgent(r), RequestID: id}
}

// userAgent is shown in the user's list of sessions and in the audit log. The client chose it, so
// it is cut to a bounded length and to text that every store can hold.
func userAgent(r *http.Request) string {
	const most = 256
	ua := strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == utf8.RuneError {
			return -1
		}
		return c
	}, r.UserAgent())
	if len(ua) > most {
		ua = strings.ToValidUTF8(ua[:most], "")
	}
	return ua
}

// prepareOrigin takes the origin of our pages from the issuer identifier, because a proxy may
// change Host.
func (h *handler) prepareOrigin() {
	h.crossOrigin = http.NewCrossOriginProtection()
	if u, err := url.Parse(h.Issuer.URL); err == nil {
		h.ownOrigin = u.Scheme + "://" + u.Host
		_ = h.crossOrigin.AddTrustedOrigin(h.ownOrigin) // a browser cannot send an origin that fails here
	}
}

// checkOrigin refuses a form that another site's page sent. It reads the headers that
// browsers set: Sec-Fetch-Site, Origin and Referer. Sandboxed documents, which any site can make,
// send `Origin: null`. Our own pages send it, too, if a proxy gives them the policy no-referrer; only
// then a browser calls the request same-origin.
func (h *handler) checkOrigin(r *http.Request) error {
	if err := h.crossOrigin.Check(r); err != nil {
		return problem.New(problem.CSRF, "")
	}
	for _, origin := range r.Header["Origin"] {
		if origin == "null" && r.Header.Get("Sec-Fetch-Site") != "same-origin" {
			return problem.New(problem.CSRF, "")
		}
	}
	for _, referer := range r.Header["Referer"] {
		if u, err := url.Parse(referer); err != nil || u.Host != r.Host && u.Scheme+"://"+u.Host != h.ownOrigin {
			return problem.New(problem.CSRF, "")
		}
	}
	return nil
}
