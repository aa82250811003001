package pages

import (
	"net/http"
	"strings"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// beginChange asks for a message to the new address that the form of the account has, and leads to
// the page that takes its code. The proof has been checked by then.
func (h *Handlers) beginChange(
	w http.ResponseWriter, r *http.Request, o owner, email string, proof userstore.Proof,
) error {
	m := wanted{browser: o.browser, email: email, page: changePage, session: o.Session.ID}
	a, err := h.askOnce(w, r, m, func() (string, error) {
		return h.Accounts.BeginEmailChange(r.Context(), o.User.ID, o.Session.ID, email, proof, o.browser)
	})
	if err != nil {
		return err
	}
	return h.asked(w, m, a, "")
}

// ChangeLink is where the link of the message to a new address leads.
func (h *Handlers) ChangeLink(w http.ResponseWriter, r *http.Request) error {
	return h.followLink(w, r, mailedHandle{Page: changePage})
}

// ChangePage confirms a new address. A person who is not signed in is told to do so first: the link
// alone is no proof that the account is theirs.
func (h *Handlers) ChangePage(w http.ResponseWriter, r *http.Request) error {
	return h.change(w, r, r.URL.Query().Get("request"))
}

func (h *Handlers) change(w http.ResponseWriter, r *http.Request, handle string) error {
	if handle == "" {
		return wire.SeeOther(w, h.accountPath(web.AccountAddress))
	}
	v, err := h.readMailed(r, changePage, handle)
	if err != nil {
		return err
	}
	session, err := h.browserOf(w, r)
	if err != nil {
		return err
	}
	if h.setsUpFirst(session) {
		return wire.SeeOther(w, h.accountPath(web.AccountSecurity))
	}
	return h.showChange(w, r, v, session, http.StatusOK, "", nil)
}

// setsUpFirst reports whether the user of a session has to set up a second factor before anything of
// the account is changed in it.
func (h *Handlers) setsUpFirst(session *issuer.Browser) bool {
	return session != nil && h.Accounts.MustHaveSecondFactor(session.User)
}

// changeForm is the form of the page, which is bound to the session as well.
func (v mailedVisit) changeForm(session *issuer.Browser) form {
	f := v.form(changePage)
	if session != nil {
		f.subject = session.Session.ID
	}
	return f
}

func (h *Handlers) showChange(
	w http.ResponseWriter, r *http.Request, v mailedVisit, session *issuer.Browser,
	status int, code string, problems []web.Problem,
) (err error) {
	p := web.ChangePage{Common: h.common(r, nil), AskCode: v.Handle != "", Code: code, Problems: problems}
	if session != nil {
		p.User, p.Request = session.User.Email, v.handle
		if p.CSRF, err = h.formToken(v.changeForm(session)); err != nil {
			return err
		}
	}
	page, err := h.Pages.Change(p)
	return h.show(w, status, page, err)
}

// ChangeForm confirms the new address, or withdraws the change.
func (h *Handlers) ChangeForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "request", "csrf", "code", "step")
	if err != nil {
		return err
	}
	v := mailedVisit{browser: h.cookie(r, browserCookie), handle: f.Get("request")}
	session, err := h.browserOf(w, r)
	if err != nil {
		return err
	}
	if err := h.checkForm(v.changeForm(session), f.Get("csrf")); err != nil {
		return err
	}
	if session == nil { // no form is shown without a session
		return problem.New(problem.CSRF, "")
	}
	if h.setsUpFirst(session) {
		return wire.SeeOther(w, h.accountPath(web.AccountSecurity))
	}
	if v.mailedHandle, err = h.unveil(v.handle, v.browser, changePage); err != nil {
		return err
	}
	ctx := audit.As(r.Context(), audit.Actor{Type: audit.ByUser, ID: session.User.ID}, "", session.Session.ID)
	if f.Get("step") == "withdraw" {
		if err := h.Accounts.WithdrawEmailChange(ctx, session.User.ID); err != nil {
			return err
		}
		return h.accountDone(w, web.AccountAddress, web.DoneWithdrawn)
	}
	mailed := v.mailed(f.Get("code"))
	if _, err = h.Accounts.ConfirmEmailChange(ctx, session.User.ID, session.Session.ID, mailed); err != nil {
		status, list, err := formAgain(w, r, err, v.beside())
		if err != nil {
			return err
		}
		return h.showChange(w, r, v, session, status, f.Get("code"), list)
	}
	return h.accountDone(w, web.AccountAddress, web.DoneAddress)
}

// addressFields are the fields of the page of the address, without the password.
var addressFields = []string{"email", "username"}

// AccountAddressForm changes the username at once, which takes a recent proof. Another email address
// is changed at once only where there is no mail.
func (h *Handlers) AccountAddressForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountAddress, append([]string{"current_password"}, addressFields...)...)
	if err != nil {
		return err
	}
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	email, username := strings.TrimSpace(f.Get("email")), strings.TrimSpace(f.Get("username"))
	byMail := !h.Accounts.NoMail && email != o.User.Email
	_, valid := userstore.EmailKey(email)
	if !byMail || valid { // or nothing is changed: beginChange says what is wrong with the address
		_, err = h.Accounts.EditProved(r.Context(), o.User.ID, proof, func(u *userstore.User) error {
			if u.Username = username; !byMail {
				u.Email = email
			}
			return nil
		})
	}
	if err == nil && byMail {
		err = h.beginChange(w, r, o, email, proof)
		if err == nil {
			return nil
		}
	}
	if err != nil {
		return h.refuseAccount(w, r, o, web.AccountAddress, err, typedOf(f, addressFields))
	}
	return h.accountDone(w, web.AccountAddress, web.DoneSaved)
}
