package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/signet-id/signet/api/web"
)

var (
	htmlType = []string{"text/html; charset=utf-8"}
	// Pages differ by language and by who is logged in. No cache may keep them anyway; a careless one shall
	// at least not mix them up.
	varyPage   = []string{"Accept-Language, Cookie"}
	ownReferer = []string{"same-origin"}
	noFraming  = []string{"DENY"}
	forever    = []string{"public, max-age=31536000, immutable"}
)

// common is what all pages have. preferred are the languages that a request asked for.
func (s *Server) common(r *http.Request, preferred []string) web.Common {
	return web.Common{Locale: s.Pages.Choose(web.Wishes{
		UILocales: preferred, Chosen: s.cookie(r, languageCookie), Accept: strings.Join(r.Header["Accept-Language"], ","),
	})}
}

// show sends a page. It is never compressed: it holds form tokens beside what strangers wrote (BREACH, H-13).
func (s *Server) show(w http.ResponseWriter, status int, page web.Page, err error) error {
	if err != nil {
		return err
	}
	w.Header()["Content-Security-Policy"] = []string{page.CSP}
	w.Header()["Content-Language"] = []string{page.Language}
	writeBody(w, status, htmlType, page.Body)
	return nil
}

// writeErrorPage answers a problem as a page, which says by the code what to do, and nothing of the request.
func (s *Server) writeErrorPage(w http.ResponseWriter, r *http.Request, k kind, p *problem) {
	page, err := s.Pages.Error(web.ErrorPage{
		Common: s.common(r, nil), Code: string(p.Code), RequestID: strings.Join(w.Header()["X-Request-Id"], ""),
	})
	if s.show(w, pageStatus(k), page, err) != nil {
		s.writeOAuthError(w, k, p)
	}
}

// pageStatus is the status of a page that tells of a problem. 401 asks for a challenge that browsers answer with a
// dialogue of their own; a form is no such thing.
func pageStatus(k kind) int {
	if k.status == http.StatusUnauthorized {
		return http.StatusForbidden
	}
	return k.status
}

// formProblems is what a page shows beside its fields; ok is false for a failure that is no matter of the form.
func formProblems(p *problem) (list []web.Problem, ok bool) {
	switch p.Code {
	case validationError, userAlreadyExists:
		for _, f := range p.Errors {
			list = append(list, web.Problem{Field: f.Field, Code: f.Code})
		}
		return list, true
	case invalidCredentials, accountDisabled, rateLimited, overloaded:
		seconds, _ := strconv.Atoi(p.retry)
		return []web.Problem{{Code: string(p.Code), Seconds: seconds}}, true
	}
	return nil, false
}

// retryAfter says in a header what a page says in words.
func retryAfter(w http.ResponseWriter, p *problem) {
	if retry := p.retry + problems[p.Code].retryAfter; retry != "" {
		w.Header()["Retry-After"] = []string{retry}
	}
}

// asset serves what pages link to. Its name changes with its content, so it may be kept for ever.
func (s *Server) asset(w http.ResponseWriter, r *http.Request) error {
	body, mediaType, ok := s.Pages.Asset(r.PathValue("name"))
	if !ok {
		return newProblem(notFound, "")
	}
	w.Header()["Cache-Control"] = forever
	w.Header()["Content-Security-Policy"] = []string{web.AssetCSP}
	writeBody(w, http.StatusOK, []string{mediaType}, body)
	return nil
}
