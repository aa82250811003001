package pages

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// SecondForm takes a second factor. A login begins its session with it; a session of before gets it,
// and another value of its cookie.
func (h *Handlers) SecondForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "request", "csrf", "login", "by", "show", "code", "recovery_code", "passkey",
		"response", "trust")
	if err != nil {
		return err
	}
	if by := f.Get("show"); by != "" { // the way to the same page for another method
		return h.second(w, r, secondFields{request: f.Get("request"), login: f.Get("login"), by: by})
	}
	v, err := h.readSecond(w, r, f.Get("request"), f.Get("login"))
	if err != nil {
		return err
	}
	if done, err := h.leaveSecond(w, r, v); done {
		return err
	}
	typed := secondForm{by: f.Get("by"), trust: f.Get("trust") == "yes" && v.waiting != nil}
	if err := h.checkForm(v.form(), f.Get("csrf")); err != nil {
		if list, ok := refuseOutdated(w, r, err); ok && v.browser != "" {
			return h.showSecond(w, r, v, http.StatusForbidden, typed, list)
		}
		return err
	}
	proof, err := h.secondProof(v, typed.by, f)
	var b issuer.Browser
	if err == nil {
		b, err = h.startSecond(w, r, v, typed, proof)
	}
	switch {
	case errors.Is(err, userstore.ErrStepOver) && v.waiting != nil:
		return h.stepOver(w, r, v.visit, *v.waiting)
	case errors.Is(err, userstore.ErrStepOver): // the session ended meanwhile, or the page was open for too long
		if session, sessionErr := h.browserOf(w, r); sessionErr != nil || session == nil {
			return errors.Join(sessionErr, h.toLogin(w, r, v.handle))
		}
		p := problem.New(problem.LoginOver, "")
		refuseForm(w, r, p)
		return h.showSecond(w, r, v, pageStatus(p.Kind()), typed, []web.Problem{wrongFactor(typed.by)})
	case err != nil:
		beside := map[problem.Code]web.Problem{problem.InvalidCode: wrongFactor(typed.by)}
		for code, p := range besideSecond {
			beside[code] = p
		}
		status, list, err := formAgain(w, r, err, beside)
		if err != nil {
			return err
		}
		return h.showSecond(w, r, v, status, typed, list)
	}
	return h.finishSecond(w, r, v, &b, proof)
}

// secondProof reads what a person shows.
func (h *Handlers) secondProof(v secondVisit, by string, f url.Values) (p userstore.FactorProof, err error) {
	missing := func(field string) error {
		return problem.Invalid(problem.Fault{Field: field, Code: "required", Message: "Enter a code."})
	}
	switch by {
	case userstore.MethodPasskey:
		p, err = h.readPasskey(v.form(), f)
	case userstore.MethodRecovery:
		if p.RecoveryCode = f.Get("recovery_code"); p.RecoveryCode == "" {
			err = missing("recovery_code")
		}
	default:
		if p.Code = f.Get("code"); p.Code == "" {
			err = missing("code")
		}
	}
	switch {
	case v.waiting != nil:
		p.Handle = v.waiting.Spent()
	case v.session != nil:
		p.Session = v.session.Session.ID
	}
	return p, err
}

// startSecond starts the session, or adds to it, and sets the cookies.
func (h *Handlers) startSecond(
	w http.ResponseWriter, r *http.Request, v secondVisit, typed secondForm, proof userstore.FactorProof,
) (issuer.Browser, error) {
	login := issuer.PageLogin{Device: v.browser, Replaces: h.cookie(r, sessionCookie)}
	if v.waiting == nil {
		b, secret, err := h.Issuer.StepUpSession(r.Context(), v.user, proof, login)
		if err == nil {
			h.signedIn(w, r, b, v.browser, secret, h.sessionAge(h.cookie(r, stayCookie) != ""))
		}
		return b, err
	}
	login.Signup = v.waiting.Signup
	b, secret, trusted, err := h.Issuer.StartSecondSession(r.Context(), v.waiting.second(), proof, typed.trust, login)
	if err != nil {
		return b, err
	}
	h.signedIn(w, r, b, v.browser, secret, h.sessionAge(v.waiting.Stay))
	if trusted != "" {
		h.setCookie(w, r, trustedCookie, trusted, min(h.Issuer.TrustedBrowser, browserCookieAge))
	}
	return b, nil
}

// finishSecond goes on after a second factor was proved. It says first how few recovery codes are left.
func (h *Handlers) finishSecond(
	w http.ResponseWriter, r *http.Request, v secondVisit, b *issuer.Browser, proof userstore.FactorProof,
) error {
	if proof.RecoveryCode != "" {
		have, err := h.Accounts.Store.SecondFactors(r.Context(), v.user)
		if err != nil {
			return err
		}
		if have.RecoveryCodes <= web.FewCodes {
			return h.toFewCodes(w, r, v, b)
		}
	}
	switch {
	case v.waiting != nil:
		return h.continueRequest(w, r, v.visit, b)
	case v.handle != "":
		d, err := h.Issuer.Decide(r.Context(), v.pending, b)
		if err != nil {
			return ofRequest(err, v.handle)
		}
		return h.takeStep(w, r, v.handle, d)
	}
	return h.toAccount(w, r)
}

// besideSecond are the problems that the page of a second step shows.
var besideSecond = map[problem.Code]web.Problem{
	problem.CodesBlocked: {Code: string(problem.CodesBlocked)},
	problem.NoPasskeys:   {Code: "passkey_refused"},

	problem.EmailNotVerified: {Code: string(problem.EmailNotVerified)},
}

// wrongFactor is what the page says of a proof that is not right.
func wrongFactor(by string) web.Problem {
	switch by {
	case userstore.MethodPasskey:
		return web.Problem{Code: "passkey_refused"}
	case userstore.MethodRecovery:
		return web.Problem{Field: "recovery_code", Code: string(problem.InvalidCode)}
	}
	return web.Problem{Field: "code", Code: string(problem.InvalidCode)}
}
