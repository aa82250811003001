package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
)

// UndoLink is where the link of the message to the address before a change leads.
func (h *Handlers) UndoLink(w http.ResponseWriter, r *http.Request) error {
	return h.followLink(w, r, mailedHandle{Page: undoPage})
}

// FactorUndoLink is where the link of the message about a new second factor leads.
func (h *Handlers) FactorUndoLink(w http.ResponseWriter, r *http.Request) error {
	return h.followLink(w, r, mailedHandle{Page: factorUndoPage})
}

// UndoPage restores the address from before a change, with a new password. It needs no login: the
// person may have lost the account.
func (h *Handlers) UndoPage(w http.ResponseWriter, r *http.Request) error {
	return h.undo(w, r, undoPage, r.URL.Query().Get("request"))
}

// FactorUndoPage removes a second factor that the owner of the account did not add, with a new
// password.
func (h *Handlers) FactorUndoPage(w http.ResponseWriter, r *http.Request) error {
	return h.undo(w, r, factorUndoPage, r.URL.Query().Get("request"))
}

func (h *Handlers) undo(w http.ResponseWriter, r *http.Request, p page, handle string) error {
	if handle == "" {
		return wire.SeeOther(w, h.pagePath(loginPage, ""))
	}
	v, err := h.readMailed(r, p, handle)
	switch {
	case err != nil:
		return err
	case v.Done:
		return h.showDone(w, r, v)
	}
	step, err := h.mailedStep(r, v, p, v.mailed(""), "")
	if err != nil {
		return err
	}
	return h.showUndo(w, r, v, http.StatusOK, step, nil)
}

func (h *Handlers) showUndo(
	w http.ResponseWriter, r *http.Request, v mailedVisit, status int, step *web.SecondStep, problems []web.Problem,
) (err error) {
	p := web.UndoPage{
		Common: h.common(r, nil), Factor: v.Page == factorUndoPage, Second: step,
		MinLength: h.Accounts.MinPasswordLength(), Problems: problems,
	}
	p.Request = v.handle
	if p.CSRF, err = h.formToken(v.form(v.Page)); err != nil {
		return err
	}
	page, err := h.Pages.Undo(p)
	return h.show(w, status, page, err)
}

// UndoForm restores the address. It signs nobody in: the person signs in with the new password.
func (h *Handlers) UndoForm(w http.ResponseWriter, r *http.Request) error {
	return h.undoForm(w, r, undoPage)
}

// FactorUndoForm removes the second factor.
func (h *Handlers) FactorUndoForm(w http.ResponseWriter, r *http.Request) error {
	return h.undoForm(w, r, factorUndoPage)
}

func (h *Handlers) undoForm(w http.ResponseWriter, r *http.Request, p page) error {
	f, v, err := h.readMailedForm(w, r, p, append([]string{"new_password"}, secondInputs...)...)
	switch {
	case err != nil:
		return err
	case v.handle == "":
		return problem.New(problem.OneTimeInvalid, "")
	}
	m := v.mailed("")
	if by := f.Get("show"); by != "" { // the way to the same page for another method
		step, err := h.mailedStep(r, v, p, m, by)
		if err != nil {
			return err
		}
		return h.showUndo(w, r, v, http.StatusOK, step, nil)
	}
	if m.Second, err = h.mailedProof(v, p, f); err == nil {
		switch next := f.Get("new_password"); {
		case next == "":
			err = problem.Invalid(problem.Fault{Field: "new_password", Code: "required", Message: "Choose a password."})
		case p == factorUndoPage:
			err = h.Accounts.RemoveAddedFactor(r.Context(), m, next)
		default:
			err = h.Accounts.UndoEmailChange(r.Context(), m, next)
		}
	}
	if err != nil {
		status, step, list, err := h.mailedAgain(w, r, v, p, m, f.Get("by"), err)
		if err != nil {
			return err
		}
		return h.showUndo(w, r, v, status, step, list)
	}
	return h.finished(w, v)
}
