package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

// ConsentPage asks the user to allow a client's request, and continues at once when consent is not
// needed.
func (h *Handlers) ConsentPage(w http.ResponseWriter, r *http.Request) error {
	handle := r.URL.Query().Get("request")
	if done, err := h.meet(w, r, consentPage, handle); done {
		return err
	}
	return h.consent(w, r, handle)
}

func (h *Handlers) consent(w http.ResponseWriter, r *http.Request, handle string) error {
	v, err := h.consentVisit(w, r, handle)
	if err != nil {
		return err
	}
	if v.stale {
		return h.goTo(w, r, consentPage, v.handle)
	}
	return h.showConsent(w, r, v, http.StatusOK, nil)
}

func (h *Handlers) showConsent(w http.ResponseWriter, r *http.Request, v visit, status int, problems []web.Problem) error {
	d, err := h.Issuer.Decide(r.Context(), v.pending, v.session)
	if err != nil {
		return ofRequest(err, v.handle)
	}
	if d.Step != issuer.AskConsent {
		return h.takeStep(w, r, v.handle, d)
	}
	p := web.ConsentPage{
		Problems: problems, Common: h.common(r, v.pending.UILocales), Client: h.webClient(d.Client, v.pending.RedirectURI),
		User: v.session.User.Email, Scopes: d.Scopes, Claims: h.Issuer.ClaimScopes(), Resources: v.pending.Resources,
	}
	if p.Device, err = h.deviceRequest(r, v); err != nil {
		return err
	}
	p.Request, p.Onward = v.handle, p.Device == nil
	if p.CSRF, err = h.formToken(v.form("consent")); err != nil {
		return err
	}
	page, err := h.Pages.Consent(p)
	return h.show(w, status, page, err)
}

func (h *Handlers) consentVisit(w http.ResponseWriter, r *http.Request, handle string) (visit, error) {
	if handle == "" {
		return visit{}, problem.New(problem.RequestMissing, "")
	}
	return h.readVisit(w, r, handle)
}

// ConsentForm takes the answer. The sealed handle holds everything but yes or no, so that a forged
// form changes nothing. The form token is bound to the session, so that no other user can
// answer.
func (h *Handlers) ConsentForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "request", "csrf", "decision")
	if err != nil {
		return err
	}
	v, err := h.consentVisit(w, r, f.Get("request"))
	if err != nil {
		return err
	}
	if v.session == nil { // the session ended meanwhile
		return h.goTo(w, r, loginPage, v.handle)
	}
	if err := h.checkForm(v.asShown().form("consent"), f.Get("csrf")); err != nil {
		if list, ok := refuseOutdated(w, r, err); ok && !v.stale {
			return h.showConsent(w, r, v, http.StatusForbidden, list)
		}
		return err
	}
	switch f.Get("decision") {
	case "approve":
		if v.stale {
			return h.showConsent(w, r, v, http.StatusBadRequest, refuseExpired(w, r))
		}
		d, err := h.Issuer.Allow(r.Context(), v.pending, *v.session)
		if err != nil {
			return ofRequest(err, v.handle)
		}
		return h.takeStep(w, r, v.handle, d)
	case "deny":
		d, err := h.Issuer.Deny(r.Context(), v.pending, *v.session)
		if err != nil {
			return ofRequest(err, v.handle)
		}
		return h.takeStep(w, r, v.handle, d)
	}
	return problem.New(problem.InvalidRequest, "The form says neither yes nor no.")
}
