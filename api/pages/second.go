package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// secondFields are what the page of a second step is opened with.
type secondFields struct {
	request, login string // handles; may be empty
	by             string // the method that the person chose; empty: the first that the account has
}

// secondVisit is what the page of a second step knows: a login that waits, or a user who is logged in.
// A user proves a second factor there because a request demands it, or a page of the account.
type secondVisit struct {
	visit
	login   string   // handle
	waiting *waiting // nil: a user is logged in
	over    bool     // the login has ended
	user    string   // empty: nobody is asked
}

// form is the form of the page. Its token is bound to the login or to the session.
func (v secondVisit) form() form {
	f := form{browser: v.browser, name: "second", request: v.shown}
	switch {
	case v.waiting != nil:
		f.subject = v.waiting.ID
	case v.session != nil:
		f.subject = v.session.Session.ID
	}
	return f
}

func (h *Handlers) readSecond(w http.ResponseWriter, r *http.Request, request, login string) (v secondVisit, err error) {
	if v.visit, err = h.readVisit(w, r, request); err != nil {
		return v, err
	}
	if v.login = login; login == "" {
		if v.session != nil {
			v.user = v.session.User.ID
		}
		return v, nil
	}
	l, err := h.readWaiting(secondHandle, v.visit, login)
	v.waiting, v.user = &l, l.User
	if errors.Is(err, userstore.ErrStepOver) {
		v.over, err = true, nil
	}
	return v, err
}

// SecondPage asks for a second factor.
func (h *Handlers) SecondPage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	return h.second(w, r, secondFields{request: q.Get("request"), login: q.Get("login"), by: q.Get("by")})
}

func (h *Handlers) second(w http.ResponseWriter, r *http.Request, f secondFields) error {
	v, err := h.readSecond(w, r, f.request, f.login)
	if err != nil {
		return err
	}
	if done, err := h.leaveSecond(w, r, v); done {
		return err
	}
	return h.showSecond(w, r, v, http.StatusOK, secondForm{by: f.by}, nil)
}

// secondAgain leads to the page once more, after a choice of language.
func (h *Handlers) secondAgain(w http.ResponseWriter, r *http.Request, f secondFields, next string) error {
	q := url.Values{}
	for name, value := range map[string]string{"request": f.request, "login": f.login, "next": next, "by": f.by} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if encoded := q.Encode(); web.FitsAddress(encoded) {
		return wire.SeeOther(w, h.pagePath(secondPage, "")+"?"+encoded)
	}
	return h.second(w, r, f)
}

// leaveSecond leads away from the page of a second step where there is nothing to ask.
func (h *Handlers) leaveSecond(w http.ResponseWriter, r *http.Request, v secondVisit) (done bool, _ error) {
	switch {
	case v.waiting != nil && v.session != nil && v.session.User.ID == v.waiting.User &&
		provedSince(v.session.Session, time.UnixMicro(v.waiting.At)): // such as by going back to the page
		return true, h.leadOn(w, r, v.visit)
	case v.over:
		return true, h.stepOver(w, r, v.visit, *v.waiting)
	case v.stale && v.waiting != nil: // the request begins again, and may demand another login
		typed := typedLogin{name: v.waiting.Name, stay: v.waiting.Stay}
		return true, h.showLogin(w, r, v.visit, http.StatusBadRequest, typed, refuseExpired(w, r))
	case v.stale:
		return true, h.goTo(w, r, secondPage, v.handle)
	case v.waiting != nil:
		return false, nil
	case v.session == nil:
		return true, h.toLogin(w, r, v.handle)
	case !v.session.User.SecondFactor:
		return true, h.leadOn(w, r, v.visit)
	case v.handle != "":
		d, err := h.Issuer.Consider(r.Context(), v.pending, v.session)
		if err != nil || d.Step != issuer.LogIn || !d.StepUp {
			if err == nil {
				err = h.goTo(w, r, consentPage, v.handle)
			}
			return true, err
		}
		return false, nil
	}
	if _, asked := nextPage(r); !asked {
		return true, h.toAccount(w, r)
	}
	return false, nil
}

// toLogin leads to the login page, and from there on to where this page would have led.
func (h *Handlers) toLogin(w http.ResponseWriter, r *http.Request, handle string) error {
	if handle != "" {
		return h.goTo(w, r, loginPage, handle)
	}
	return wire.SeeOther(w, h.stepPath(r, loginPage, "", ""))
}

// leadOn goes on with the pending request, or to the account.
func (h *Handlers) leadOn(w http.ResponseWriter, r *http.Request, v visit) error {
	if v.handle != "" {
		return h.goTo(w, r, consentPage, v.handle)
	}
	return h.toAccount(w, r)
}

// provedSince reports whether a second factor was proved in a session since at.
func provedSince(s userstore.BrowserSession, at time.Time) bool {
	return slices.ContainsFunc(s.Proofs(), func(p userstore.ProvedFactor) bool {
		return p.Factor != userstore.FactorPassword && p.At.After(at)
	})
}

// secondForm is what a person chose and typed.
type secondForm struct {
	by    string
	trust bool
}

func (h *Handlers) showSecond(
	w http.ResponseWriter, r *http.Request, v secondVisit, status int, typed secondForm, problems []web.Problem,
) error {
	have, err := h.Accounts.Store.SecondFactors(r.Context(), v.user)
	if errors.Is(err, userstore.ErrNotFound) && v.waiting != nil {
		return h.stepOver(w, r, v.visit, *v.waiting)
	}
	if err != nil {
		return err
	}
	p := web.SecondPage{
		Common: h.common(r, v.pending.UILocales), Login: v.login, Trusted: typed.trust, Problems: problems,
		Others: have.Methods(h.Accounts.Passkeys != nil),
	}
	if have.WrongCodes >= userstore.MaxWrongCodes {
		p.Others = slices.DeleteFunc(p.Others, func(by string) bool { return by == userstore.MethodApp })
		blocked := web.Problem{Code: string(problem.CodesBlocked)}
		if have.App != nil && !slices.Contains(p.Problems, blocked) {
			p.Problems = append(p.Problems, blocked)
		}
	}
	if p.By = typed.by; !slices.Contains(p.Others, p.By) {
		p.By = ""
		if len(p.Others) > 0 {
			p.By = p.Others[0]
		}
	}
	p.Others = slices.DeleteFunc(p.Others, func(by string) bool { return by == p.By })
	p.Request = v.handle
	if next, ok := nextPage(r); ok && v.handle == "" {
		p.Next = next.Path()
	}
	if v.waiting != nil {
		p.Trust = h.Issuer.TrustedBrowser
	}
	if v.handle != "" {
		client, err := h.Issuer.Clients.ClientByID(r.Context(), v.pending.ClientID)
		if err != nil && !errors.Is(err, userstore.ErrNotFound) {
			return err
		}
		if err == nil {
			shown := webClient(client, v.pending.RedirectURI)
			p.Client = &shown
		}
		p.Onward = true
	}
	if p.CSRF, err = h.formToken(v.form()); err != nil {
		return err
	}
	page, err := h.Pages.Second(p)
	return h.show(w, status, page, err)
}
