package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
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
	return h.showReset(w, r, v, http.StatusOK, "", nil)
}

func (h *Handlers) showReset(
	w http.ResponseWriter, r *http.Request, v mailedVisit, status int, code string, problems []web.Problem,
) (err error) {
	p := web.ResetPage{
		Common: h.common(r, nil), AskCode: v.Handle != "", First: v.Invited, Code: code,
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
	f, v, err := h.readMailedForm(w, r, resetPage, "code", "new_password")
	if err != nil {
		return err
	}
	switch next := f.Get("new_password"); {
	case next == "":
		err = problem.Invalid(problem.Fault{Field: "new_password", Code: "required", Message: "Choose a password."})
	case v.Invited:
		err = h.Accounts.AcceptInvitation(r.Context(), userstore.Mailed{Token: v.Token}, next)
	default:
		err = h.Accounts.ResetPassword(r.Context(), v.mailed(f.Get("code")), next)
	}
	if err != nil {
		status, list, err := formAgain(w, r, err, v.beside())
		if err != nil {
			return err
		}
		return h.showReset(w, r, v, status, f.Get("code"), list)
	}
	return h.finished(w, v)
}
