package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// secondInputs are the fields by which a page about a message takes a second factor.
var secondInputs = []string{"page", "by", "show", "app_code", "recovery_code", "passkey", "response"}

// kind is the kind of the message that the visit is about.
func (v mailedVisit) kind(p page) outbox.Kind {
	switch {
	case p == undoPage:
		return outbox.UndoEmail
	case p == factorUndoPage:
		return outbox.FactorAdded
	case p == verifyPage:
		return outbox.VerifyEmail
	case v.Invited:
		return outbox.Invite
	}
	return outbox.ResetPassword
}

// mailedStep returns the second step that the account of a message asks for, by the method that the
// person chose; nil: none. Of a message whose code is not typed yet it is not known.
func (h *Handlers) mailedStep(
	r *http.Request, v mailedVisit, p page, m userstore.Mailed, by string,
) (*web.SecondStep, error) {
	if m.Token == "" && m.Code == "" {
		return nil, nil
	}
	m.Second = userstore.FactorProof{}
	if m.Token != "" { // a form that has both is refused elsewhere
		m.Handle, m.Code = "", ""
	}
	methods, needed, err := h.Accounts.MailedSecond(r.Context(), v.kind(p), m)
	if err != nil || !needed {
		return nil, err
	}
	s := &web.SecondStep{By: by}
	if !slices.Contains(methods, by) {
		s.By = ""
		if len(methods) > 0 {
			s.By = methods[0]
		}
	}
	s.Others = slices.DeleteFunc(methods, func(other string) bool { return other == s.By })
	return s, nil
}

// mailedProof reads the second factor that came with the form of a page about a message.
func (h *Handlers) mailedProof(v mailedVisit, p page, f url.Values) (proof userstore.FactorProof, err error) {
	missing := func(field string) error {
		return problem.Invalid(problem.Fault{Field: field, Code: "required", Message: "Enter a code."})
	}
	switch f.Get("by") {
	case userstore.MethodPasskey:
		return h.readPasskey(v.form(p), f)
	case userstore.MethodRecovery:
		if proof.RecoveryCode = f.Get("recovery_code"); proof.RecoveryCode == "" {
			err = missing("recovery_code")
		}
	case userstore.MethodApp:
		if proof.Code = f.Get("app_code"); proof.Code == "" {
			err = missing("app_code")
		}
	}
	return proof, err
}

// mailedAgain returns how the form of a page about a message is shown again after err: with the second
// step that the account asks for, which is no fault of the person, or with what was wrong.
func (h *Handlers) mailedAgain(
	w http.ResponseWriter, r *http.Request, v mailedVisit, p page, m userstore.Mailed, by string, cause error,
) (status int, step *web.SecondStep, list []web.Problem, err error) {
	if status = http.StatusOK; !errors.Is(cause, userstore.ErrSecondFactor) {
		wrong := wrongFactor(by)
		if wrong.Field == "code" {
			wrong.Field = "app_code"
		}
		beside := map[problem.Code]web.Problem{problem.InvalidCode: wrong, problem.LoginOver: wrong}
		for _, more := range []map[problem.Code]web.Problem{v.beside(), besideSecond} {
			for code, p := range more {
				beside[code] = p
			}
		}
		if status, list, err = formAgain(w, r, cause, beside); err != nil {
			return 0, nil, nil, err
		}
		if by == "" && v.Handle != "" { // the code of the message may be what is wrong
			return status, nil, list, nil
		}
	}
	step, err = h.mailedStep(r, v, p, m, by)
	return status, step, list, err
}

// MailedPasskeyOptions answers the options with which the script of a page about a message uses a
// passkey: any of this service, for the code of the message may not be typed yet. The account is looked
// at with the answer.
func (h *Handlers) MailedPasskeyOptions(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "request", "csrf", "page", "by")
	if err != nil {
		return err
	}
	p := page("/" + f.Get("page"))
	if p != resetPage && p != verifyPage && p != undoPage && p != factorUndoPage {
		return problem.New(problem.InvalidRequest, "The form names a page that there is not.")
	}
	v := mailedVisit{browser: h.cookie(r, browserCookie), handle: f.Get("request")}
	if err := h.checkForm(v.form(p), f.Get("csrf")); err != nil {
		return err
	}
	if v.mailedHandle, err = h.unveil(v.handle, v.browser, p); err != nil {
		return err
	}
	handle, challenge, err := h.beginPasskey(v.form(p))
	if err != nil {
		return err
	}
	options, err := h.Accounts.PasskeyRequest(r.Context(), "", challenge, stepLasts)
	if err != nil {
		return err
	}
	return h.writeOptions(w, handle, options, stepLasts)
}
