package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
)

// ForgotPage asks for the address of the account whose password was forgotten.
func (h *Handlers) ForgotPage(w http.ResponseWriter, r *http.Request) error {
	handle := r.URL.Query().Get("request")
	if done, err := h.meet(w, r, forgotPage, handle); done {
		return err
	}
	return h.forgot(w, r, handle)
}

func (h *Handlers) forgot(w http.ResponseWriter, r *http.Request, handle string) error {
	v, err := h.readVisit(w, r, handle)
	if err != nil {
		return err
	}
	if v.stale {
		return h.goTo(w, r, forgotPage, v.handle)
	}
	return h.showForgot(w, r, v, http.StatusOK, "", nil)
}

func (h *Handlers) showForgot(
	w http.ResponseWriter, r *http.Request, v visit, status int, email string, problems []web.Problem,
) (err error) {
	p := web.AskPage{Common: h.common(r, v.pending.UILocales), Email: email, Problems: problems}
	p.Request = v.handle
	if p.CSRF, err = h.formToken(v.anonymousForm("forgot")); err != nil {
		return err
	}
	page, err := h.Pages.Forgot(p)
	return h.show(w, status, page, err)
}

// ForgotForm asks for the message. The next page is the same for every address.
func (h *Handlers) ForgotForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "request", "csrf", "email")
	if err != nil {
		return err
	}
	v, err := h.readVisit(w, r, f.Get("request"))
	if err != nil {
		return err
	}
	if err := h.checkForm(v.asShown().anonymousForm("forgot"), f.Get("csrf")); err != nil {
		return err
	}
	m := wanted{browser: v.browser, email: f.Get("email"), page: resetPage}
	a, err := h.askOnce(w, r, m, func() (string, error) {
		return h.Accounts.ForgotPassword(r.Context(), m.email, m.browser)
	})
	if err != nil {
		status, list, err := formAgain(w, r, err, nil)
		if err != nil {
			return err
		}
		return h.showForgot(w, r, v, status, f.Get("email"), list)
	}
	return h.asked(w, m, a, v.handle)
}
