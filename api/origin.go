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

// origin is where a request comes from, as the pipeline notes it for every route at once: by
// its address attempts are counted, and with all of it the audit log tells of what the request
// did. Who asks is added by bearer, when that is proved.
func (h *handler) origin(r *http.Request, id string) audit.Origin {
	return audit.Origin{Address: h.clientAddress(r), UserAgent: userAgent(r), RequestID: id}
}

// userAgent is kept for the user's own list of sessions and in the audit log; a stranger wrote it,
// so it is bounded and must be text that every store can hold.
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

// prepareOrigin finds out which origin our pages have: the issuer's, whatever a proxy makes of Host.
func (h *handler) prepareOrigin() {
	h.crossOrigin = http.NewCrossOriginProtection()
	if u, err := url.Parse(h.Issuer.URL); err == nil {
		h.ownOrigin = u.Scheme + "://" + u.Host
		_ = h.crossOrigin.AddTrustedOrigin(h.ownOrigin) // what is no origin is none that a browser could send
	}
}

// checkOrigin refuses a form that another site's page sent, by what browsers say of it: Sec-Fetch-Site, Origin and
// Referer. Browsers send `Origin: null` from sandboxed documents, which anybody can make, and from our own pages if a
// proxy gives these the policy no-referrer. Only in the second case they call the request same-origin.
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
