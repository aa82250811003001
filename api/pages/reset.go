package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
)

// ResetLink takes the link of a message about a forgotten password.
func (h *Handlers) ResetLink(w http.ResponseWriter, r *http.Request) error {
	return h.followLink(w, r, mailedHandle{Page: resetPage})
}

// InviteLink takes the link of an invitation. It leads to the page that sets a password.
func (h *Handlers) InviteLink(w http.ResponseWriter, r *http.Request) error {
	return h.followLink(w, r, mailedHandle{Page: resetPage, Invited: true})
}

// ResetPage asks for a new password, and for the code of the message unless its link was followed.
func (h *Handlers) ResetPage(w http.ResponseWriter, r *http.Request) error {
	handle := r.URL.Query().Get("request")
	if handle != "" {
		if done, err := h.meet(w, r, resetPage, handle); done {
			return err
		}
	}
	return h.reset(w, r, handle)
}

func (h *Handlers) reset(w http.ResponseWriter, r *http.Request, handle string) error {
	if handle == "" {
		return wire.SeeOther(w, h.pagePath(forgotPage, ""))
	}
	v, err := h.readMailed(r, resetPage, handle)
	switch {
	case err != nil:
		return err
	case v.Done:
		return h.showDone(w, r, v)
	}
	step, err := h.mailedStep(r, v, resetPage, v.mailed(""), "")
	if err != nil {
		return err
	}
	return h.showReset(w, r, v, http.StatusOK, "", step, nil)
}

func (h *Handlers) showReset(
	w http.ResponseWriter, r *http.Request, v mailedVisit, status int, code string,
	step *web.SecondStep, problems []web.Problem,
) (err error) {
	p := web.ResetPage{
		Common: h.common(r, nil), Second: step, AskCode: v.Handle != "", First: v.Invited, Code: code,
		MinLength: h.Accounts.MinPasswordLength(), Problems: problems, Pending: h.continuable(v),
	}
	p.Request = v.handle
	if p.CSRF, err = h.formToken(v.form(resetPage)); err != nil {
		return err
	}
	page, err := h.Pages.Reset(p)
	return h.show(w, status, page, err)
}

// ResetForm sets the password. It signs nobody in: the person signs in with the new password.
func (h *Handlers) ResetForm(w http.ResponseWriter, r *http.Request) error {
	f, v, err := h.readMailedForm(w, r, resetPage, append([]string{"code", "new_password"}, secondInputs...)...)
	if err != nil {
		return err
	}
	m := v.mailed(f.Get("code"))
	if by := f.Get("show"); by != "" { // the way to the same page for another method
		step, err := h.mailedStep(r, v, resetPage, m, by)
		if err != nil {
			return err
		}
		return h.showReset(w, r, v, http.StatusOK, f.Get("code"), step, nil)
	}
	by := f.Get("by")
	if m.Second, err = h.mailedProof(v, resetPage, f); err == nil {
		switch next := f.Get("new_password"); {
		case next == "":
			err = problem.Invalid(problem.Fault{Field: "new_password", Code: "required", Message: "Choose a password."})
		case v.Invited:
			err = h.Accounts.AcceptInvitation(r.Context(), m, next)
		default:
			err = h.Accounts.ResetPassword(r.Context(), m, next)
		}
	}
	if err != nil {
		status, step, list, err := h.mailedAgain(w, r, v, resetPage, m, by, err)
		if err != nil {
			return err
		}
		return h.showReset(w, r, v, status, f.Get("code"), step, list)
	}
	return h.finished(w, v)
}
