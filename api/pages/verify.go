package pages

import (
	"errors"
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// VerifyLink takes the link of a message that verifies an address.
func (h *Handlers) VerifyLink(w http.ResponseWriter, r *http.Request) error {
	return h.followLink(w, r, mailedHandle{Page: verifyPage})
}

// againParameter marks the address under which the page asks for an address although a message was
// sent from this browser.
const againParameter = "again"

// VerifyPage asks for an address to send a message to, or for the code of the message.
func (h *Handlers) VerifyPage(w http.ResponseWriter, r *http.Request) error {
	handle := r.URL.Query().Get("request")
	if done, err := h.meet(w, r, verifyPage, handle); done {
		return err
	}
	return h.verify(w, r, handle)
}

func (h *Handlers) verify(w http.ResponseWriter, r *http.Request, handle string) error {
	if handle == "" {
		session, err := h.browserOf(r)
		if err != nil {
			return err
		}
		email := ""
		if session != nil && !session.User.EmailVerified {
			email = session.User.Email
			m := wanted{browser: h.cookie(r, browserCookie), email: email, page: verifyPage}
			// A message was sent already, such as that of the sign-up: its code is asked for.
			if a, ok, err := h.askedBefore(r, m, askedAge); err != nil {
				return err
			} else if ok && !r.URL.Query().Has(againParameter) {
				return h.asked(w, m, a, "")
			}
		}
		return h.showAskVerification(w, r, h.browserID(w, r), http.StatusOK, email, nil)
	}
	browser := h.cookie(r, browserCookie)
	m, err := h.unveil(handle, browser, verifyPage)
	switch {
	case err != nil:
		return err
	case m.Done:
		return h.showDone(w, r, browser, m)
	}
	return h.showVerify(w, r, browser, handle, m, http.StatusOK, "", false, nil)
}

func (h *Handlers) showAskVerification(
	w http.ResponseWriter, r *http.Request, browser string, status int, email string, problems []web.Problem,
) (err error) {
	p := web.AskPage{Common: h.common(r, nil), Email: email, Problems: problems}
	if p.CSRF, err = h.formToken(form{browser: browser, name: "verify"}); err != nil {
		return err
	}
	page, err := h.Pages.AskVerification(p)
	return h.show(w, status, page, err)
}

func (h *Handlers) showVerify(
	w http.ResponseWriter, r *http.Request, browser, handle string, m mailedHandle,
	status int, code string, newPassword bool, problems []web.Problem,
) (err error) {
	p := web.VerifyPage{
		Common: h.common(r, nil), AskCode: m.Handle != "", Why: m.Why, Code: code, NewPassword: newPassword,
		MinLength: h.Accounts.MinPasswordLength(), Problems: problems,
	}
	if newPassword && h.Accounts.Verification == userstore.VerificationRequired {
		p.Why = "elsewhere"
	}
	p.Request = handle
	p.Onward = h.proving(r, browser, m).Request != ""
	if p.CSRF, err = h.formToken(form{browser: browser, name: "verify", request: handle}); err != nil {
		return err
	}
	page, err := h.Pages.Verify(p)
	return h.show(w, status, page, err)
}

// VerifyForm without a handle asks for a message; with a handle it proves the address. In a browser
// that is not signed in to the account it asks for a new password: the person who made the account
// may not be the owner of the address.
func (h *Handlers) VerifyForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "request", "csrf", "email", "code", "new_password", "step")
	if err != nil {
		return err
	}
	browser, handle := h.cookie(r, browserCookie), f.Get("request")
	if err := h.checkForm(form{browser: browser, name: "verify", request: handle}, f.Get("csrf")); err != nil {
		return err
	}
	if handle == "" {
		return h.askVerification(w, r, browser, f.Get("email"))
	}
	m, err := h.unveil(handle, browser, verifyPage)
	if err != nil {
		return err
	}
	session, err := h.browserOf(r)
	if err != nil {
		return err
	}
	kept := h.proving(r, browser, m)
	owner := userstore.Owner{UserID: kept.UserID, SignupHandle: kept.Handle, NewPassword: f.Get("new_password")}
	if session != nil {
		owner.UserID = session.User.ID
	}
	chosen := f.Get("step") == "new_password"
	proved, err := h.Accounts.VerifyEmail(r.Context(), m.mailed(f.Get("code")), owner)
	if err == nil {
		if done, err := h.goOnProved(w, r, browser, kept, proved, owner); done {
			return err
		}
	}
	switch {
	case err == nil:
		return h.finished(w, browser, verifyPage, m.Request)
	case errors.Is(err, userstore.ErrNewPassword):
		refuseForm(w, r, problem.From(err))
		var missing []web.Problem
		if chosen {
			missing = []web.Problem{{Field: "new_password", Code: "required"}}
		}
		return h.showVerify(w, r, browser, handle, m, http.StatusConflict, f.Get("code"), true, missing)
	}
	status, list, err := formAgain(w, r, err, m.beside())
	if err != nil {
		return err
	}
	return h.showVerify(w, r, browser, handle, m, status, f.Get("code"), chosen, list)
}

func (h *Handlers) askVerification(w http.ResponseWriter, r *http.Request, browser, email string) error {
	m := wanted{browser: browser, email: email, page: verifyPage}
	a, err := h.askOnce(w, r, m, func() (string, error) {
		return h.Accounts.AskVerification(r.Context(), email, browser)
	})
	if err != nil {
		status, list, err := formAgain(w, r, err, nil)
		if err != nil {
			return err
		}
		return h.showAskVerification(w, r, browser, status, email, list)
	}
	return h.asked(w, m, a, "")
}
