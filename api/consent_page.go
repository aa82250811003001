package api

import (
	"net/http"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/issuer"
)

// consentPage asks whether a client may have what it wants, or goes on when there is nothing to ask.
func (s *Server) consentPage(w http.ResponseWriter, r *http.Request) error {
	v, err := s.consentVisit(w, r, r.URL.Query().Get("request"))
	if err != nil {
		return err
	}
	d, err := s.Issuer.Decide(r.Context(), v.pending, v.session)
	if err != nil {
		return err
	}
	if d.Step != issuer.AskConsent {
		return s.proceed(w, r, v.handle, d)
	}
	p := web.ConsentPage{
		Common: s.common(r, v.pending.UILocales), Client: webClient(d.Client, v.pending.RedirectURI),
		User: v.session.User.Email, Scopes: d.Scopes, Claims: s.Issuer.ClaimScopes(), Resources: v.pending.Resources,
	}
	p.Request, p.Onward = v.handle, true
	if p.CSRF, err = s.formToken(v.browser, "consent", v.pending.ID, v.session.Session.ID); err != nil {
		return err
	}
	page, err := s.Pages.Consent(p)
	return s.show(w, http.StatusOK, page, err)
}

func (s *Server) consentVisit(w http.ResponseWriter, r *http.Request, handle string) (visit, error) {
	if handle == "" {
		return visit{}, newProblem(requestExpired, "")
	}
	return s.visited(w, r, handle)
}

// consentForm takes the answer. Everything but yes or no is in the sealed handle: a form that was tampered with changes
// nothing. The token is bound to the session, so that nobody answers for whoever was asked.
func (s *Server) consentForm(w http.ResponseWriter, r *http.Request) error {
	f, err := formFields(w, r, "request", "csrf", "decision")
	if err != nil {
		return err
	}
	v, err := s.consentVisit(w, r, f.Get("request"))
	if err != nil {
		return err
	}
	if v.session == nil { // it ended meanwhile
		return see(w, s.pagePath("/login", v.handle))
	}
	if err := s.checkForm(v.browser, "consent", v.pending.ID, v.session.Session.ID, f.Get("csrf")); err != nil {
		return err
	}
	switch f.Get("decision") {
	case "approve":
		d, err := s.Issuer.Allow(r.Context(), v.pending, *v.session)
		if err != nil {
			return err
		}
		return s.proceed(w, r, v.handle, d)
	case "deny":
		a, err := s.Issuer.Deny(r.Context(), v.pending)
		if err != nil {
			return err
		}
		return s.respond(w, r, a)
	}
	return newProblem(invalidRequest, "The form says neither yes nor no.")
}
