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
	browser := h.cookie(r, browserCookie)
	m, err := h.unveil(handle, browser, resetPage)
	switch {
	case err != nil:
		return err
	case m.Done:
		return h.showDone(w, r, browser, m)
	}
	return h.showReset(w, r, browser, handle, m, http.StatusOK, "", nil)
}

func (h *Handlers) showReset(
	w http.ResponseWriter, r *http.Request, browser, handle string, m mailedHandle,
	status int, code string, problems []web.Problem,
) (err error) {
	p := web.ResetPage{
		Common: h.common(r, nil), AskCode: m.Handle != "", First: m.Invited, Code: code,
		MinLength: h.Accounts.MinPasswordLength(), Problems: problems, Pending: h.afterwards(r, browser, m.Request).Request,
	}
	p.Request = handle
	if p.CSRF, err = h.formToken(form{browser: browser, name: "reset", request: handle}); err != nil {
		return err
	}
	page, err := h.Pages.Reset(p)
	return h.show(w, status, page, err)
}

// ResetForm sets the password. It signs nobody in: the person signs in with the new password.
func (h *Handlers) ResetForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "request", "csrf", "code", "new_password")
	if err != nil {
		return err
	}
	browser, handle := h.cookie(r, browserCookie), f.Get("request")
	if err := h.checkForm(form{browser: browser, name: "reset", request: handle}, f.Get("csrf")); err != nil {
		return err
	}
	m, err := h.unveil(handle, browser, resetPage)
	if err != nil {
		return err
	}
	switch next := f.Get("new_password"); {
	case next == "":
		err = problem.Invalid(problem.Fault{Field: "new_password", Code: "required", Message: "Choose a password."})
	case m.Invited:
		err = h.Accounts.AcceptInvitation(r.Context(), m.Token, next)
	default:
		err = h.Accounts.ResetPassword(r.Context(), m.mailed(f.Get("code")), next)
	}
	if err != nil {
		status, list, err := formAgain(w, r, err, m.beside())
		if err != nil {
			return err
		}
		return h.showReset(w, r, browser, handle, m, status, f.Get("code"), list)
	}
	return h.finished(w, browser, resetPage, m.Request)
}

// afterwards returns the common part of a page that leads to the login page, with the pending
// request if that can still be continued.
func (h *Handlers) afterwards(r *http.Request, browser, request string) web.Common {
	c := h.common(r, nil)
	var pending struct{}
	if request == "" {
		return c
	}
	if age, err := h.unseal(request, authorizationHandle, browser, &pending); err == nil && age < renewableAge {
		c.Request = request
	}
	return c
}
