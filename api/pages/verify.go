package pages

import (
	"errors"
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
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
		session, err := h.browserOf(w, r)
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
	v, err := h.readMailed(r, verifyPage, handle)
	switch {
	case err != nil:
		return err
	case v.Done:
		return h.showDone(w, r, v)
	}
	return h.showVerify(w, r, v, http.StatusOK, "", false, nil, nil)
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
	w http.ResponseWriter, r *http.Request, v mailedVisit,
	status int, code string, newPassword bool, step *web.SecondStep, problems []web.Problem,
) (err error) {
	p := web.VerifyPage{
		Common: h.common(r, nil), Second: step, AskCode: v.Handle != "", Why: v.Why, Code: code, NewPassword: newPassword,
		MinLength: h.Accounts.MinPasswordLength(), Problems: problems,
	}
	if newPassword && h.Accounts.Verification == userstore.VerificationRequired {
		p.Why = "elsewhere"
	}
	p.Request = v.handle
	p.Onward = h.proving(r, v).Request != ""
	if p.CSRF, err = h.formToken(v.form(verifyPage)); err != nil {
		return err
	}
	page, err := h.Pages.Verify(p)
	return h.show(w, status, page, err)
}

// VerifyForm without a handle asks for a message; with a handle it proves the address. In a browser
// that is not signed in to the account it asks for a new password: the person who made the account
// may not be the owner of the address. Then it also asks for a second factor that is kept.
func (h *Handlers) VerifyForm(w http.ResponseWriter, r *http.Request) error {
	f, v, err := h.readMailedForm(w, r, verifyPage, append([]string{"email", "code", "new_password", "step"}, secondInputs...)...)
	switch {
	case err != nil:
		return err
	case v.handle == "":
		return h.askVerification(w, r, v.browser, f.Get("email"))
	}
	m, by := v.mailed(f.Get("code")), f.Get("by")
	if other := f.Get("show"); other != "" { // the way to the same page for another method
		step, err := h.mailedStep(r, v, verifyPage, m, other)
		if err != nil {
			return err
		}
		return h.showVerify(w, r, v, http.StatusOK, f.Get("code"), true, step, nil)
	}
	session, err := h.browserOf(w, r)
	if err != nil {
		return err
	}
	kept := h.proving(r, v)
	owner := userstore.Owner{UserID: kept.UserID, SignupHandle: kept.Handle, NewPassword: f.Get("new_password")}
	if session != nil {
		owner.UserID = session.User.ID
	}
	chosen := f.Get("step") == "new_password"
	var proved userstore.Proved
	if m.Second, err = h.mailedProof(v, verifyPage, f); err == nil {
		proved, err = h.Accounts.VerifyEmail(r.Context(), m, owner)
	}
	if err == nil {
		if done, err := h.goOnProved(w, r, v.browser, kept, proved, owner); done {
			return err
		}
	}
	switch {
	case err == nil:
		return h.finished(w, v)
	case errors.Is(err, userstore.ErrNewPassword):
		refuseForm(w, r, problem.From(err))
		var missing []web.Problem
		if chosen {
			missing = []web.Problem{{Field: "new_password", Code: "required"}}
		}
		step, err := h.mailedStep(r, v, verifyPage, m, by)
		if err != nil {
			return err
		}
		return h.showVerify(w, r, v, http.StatusConflict, f.Get("code"), true, step, missing)
	case chosen:
		status, step, list, err := h.mailedAgain(w, r, v, verifyPage, m, by, err)
		if err != nil {
			return err
		}
		return h.showVerify(w, r, v, status, f.Get("code"), true, step, list)
	}
	status, list, err := formAgain(w, r, err, v.beside())
	if err != nil {
		return err
	}
	return h.showVerify(w, r, v, status, f.Get("code"), false, nil, list)
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
