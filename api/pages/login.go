package pages

import (
	"errors"
	"net/http"
	"time"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// LoginPage shows the login page. A logged-in user without a pending request sees the page "signed
// in".
func (h *Handlers) LoginPage(w http.ResponseWriter, r *http.Request) error {
	handle := r.URL.Query().Get("request")
	if done, err := h.meet(w, r, loginPage, handle); done {
		return err
	}
	return h.login(w, r, handle)
}

func (h *Handlers) login(w http.ResponseWriter, r *http.Request, handle string) error {
	v, err := h.readVisit(w, r, handle)
	if err != nil {
		return err
	}
	if v.stale {
		return h.goTo(w, r, loginPage, v.handle)
	}
	if _, asked := nextPage(r); asked && v.handle == "" && v.session != nil {
		return h.toAccount(w, r)
	}
	if v.handle == "" && v.session != nil {
		page, err := h.Pages.SignedIn(web.SignedInPage{Common: h.common(r, nil), User: v.session.User.Email})
		return h.show(w, http.StatusOK, page, err)
	}
	return h.showLogin(w, r, v, http.StatusOK, typedLogin{name: v.pending.LoginHint}, nil)
}

// typedLogin is what a person typed into the login form.
type typedLogin struct {
	name, password string
	signup         bool // the form is that of a sign-up
	stay           bool // stay signed in after the browser is closed
}

func (h *Handlers) showLogin(w http.ResponseWriter, r *http.Request, v visit, status int, typed typedLogin, problems []web.Problem) (err error) {
	p := web.LoginPage{Common: h.common(r, v.pending.UILocales), Name: typed.name, Problems: problems, Signup: h.Accounts.SignupEnabled, Forgot: !h.Accounts.NoMail}
	p.Stay = &web.Stay{Chosen: typed.stay, Idle: h.Issuer.SessionIdle, Longest: h.Issuer.SessionAbsolute}
	p.Passkey = h.Accounts.Passkeys != nil && h.Accounts.SecondFactor != userstore.SecondFactorOff
	p.Request = v.handle
	if next, ok := nextPage(r); ok && v.handle == "" {
		p.Next = next.Path()
	}
	if p.CSRF, err = h.formToken(v.anonymousForm("login")); err != nil {
		return err
	}
	if v.handle != "" {
		d, err := h.Issuer.Consider(r.Context(), v.pending, v.session)
		if err != nil {
			return err
		}
		client := h.webClient(d.Client, v.pending.RedirectURI)
		p.Client, p.Onward = &client, true
		p.Reauthenticate = d.Step == issuer.LogIn && d.Reauthenticate
		if p.Continue, err = h.continueAs(v, d); err != nil {
			return err
		}
		if p.Reauthenticate && p.Name == "" {
			p.Name = v.session.User.Email
		}
	}
	page, err := h.Pages.Login(p)
	return h.show(w, status, page, err)
}

// LoginForm takes a password and decides the next step at once, so that the user sees no needless
// page.
func (h *Handlers) LoginForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "request", "csrf", "email", "password", "stay", "as", "passkey", "response")
	if err != nil {
		return err
	}
	v, err := h.readVisit(w, r, f.Get("request"))
	if err != nil {
		return err
	}
	if f.Get("as") == "user" {
		return h.goOn(w, r, v, f.Get("csrf"))
	}
	if err := h.checkForm(v.asShown().anonymousForm("login"), f.Get("csrf")); err != nil {
		return err
	}
	typed := typedLogin{name: f.Get("email"), password: f.Get("password"), stay: f.Get("stay") == "yes"}
	if v.stale {
		return h.showLogin(w, r, v, http.StatusBadRequest, typed, refuseExpired(w, r))
	}
	if f.Get("passkey") != "" {
		return h.loginByPasskey(w, r, v, f, typed)
	}
	b, err := h.startSession(w, r, v, typed)
	if done, err := h.goOnWaiting(w, r, v, typed, err); done {
		return err
	}
	if unverified, ok := errors.AsType[*userstore.NotVerifiedError](err); ok {
		var handle string
		if handle, err = h.afterPassword(w, r, v.browser, unverified); err == nil {
			return h.toProof(w, r, mailedHandle{
				Handle: handle, Request: v.handle, Why: verifyLogin, UserID: unverified.UserID,
			})
		}
	}
	if err != nil {
		status, list, err := formAgain(w, r, err, nil)
		if err != nil {
			return err
		}
		return h.showLogin(w, r, v, status, typed, list)
	}
	return h.continueRequest(w, r, v, b)
}

// continueAs is the choice to go on as the user who is logged in, where nothing of the request demands a login.
func (h *Handlers) continueAs(v visit, d issuer.Decision) (*web.Continue, error) {
	if v.session == nil || d.Step != issuer.AskConsent && d.Step != issuer.IssueCode {
		return nil, nil
	}
	token, err := h.formToken(v.form("continue"))
	return &web.Continue{User: v.session.User.Email, CSRF: token}, err
}

// goOn takes the choice to go on as the user who is logged in. The token is bound to the session, so that the person goes on
// as the user who stood on the button. It proves nothing to the request, which is judged as at first.
func (h *Handlers) goOn(w http.ResponseWriter, r *http.Request, v visit, token string) error {
	if v.session == nil || v.handle == "" { // the session ended meanwhile
		return h.goTo(w, r, loginPage, v.handle)
	}
	if err := h.checkForm(v.asShown().form("continue"), token); err != nil {
		if list, ok := refuseOutdated(w, r, err); ok && !v.stale {
			return h.showLogin(w, r, v, http.StatusForbidden, typedLogin{}, list)
		}
		return err
	}
	return h.goTo(w, r, consentPage, v.handle)
}

// startSession logs the user in and sets the session cookie: until the browser is closed, or for as
// long as the session lasts if the person wants to stay signed in.
func (h *Handlers) startSession(w http.ResponseWriter, r *http.Request, v visit, typed typedLogin) (*issuer.Browser, error) {
	ctx := r.Context()
	if v.handle == "" || h.Issuer.TrustCounts(v.pending) {
		ctx = userstore.WithTrust(ctx, h.cookie(r, trustedCookie))
	}
	b, secret, err := h.Issuer.StartBrowserSession(ctx, issuer.PageLogin{
		Name: typed.name, Password: typed.password, Device: v.browser, Signup: typed.signup,
		Replaces: h.cookie(r, sessionCookie),
	})
	if err != nil {
		return nil, err
	}
	h.signedIn(w, r, b, v.browser, secret, h.sessionAge(typed.stay))
	return &b, nil
}

// sessionAge is how long a browser keeps the session cookie; zero: until it is closed.
func (h *Handlers) sessionAge(stay bool) time.Duration {
	if stay {
		return min(h.Issuer.SessionAbsolute, browserCookieAge)
	}
	return 0
}

// signedIn sets the cookies of a browser in which a session began.
func (h *Handlers) signedIn(
	w http.ResponseWriter, r *http.Request, b issuer.Browser, browser, secret string, age time.Duration,
) {
	h.setCookie(w, r, sessionCookie, secret, age)
	h.setCookie(w, r, browserCookie, browser, browserCookieAge) // so that its age begins anew
	switch kept := h.cookie(r, stayCookie) != ""; {
	case age > 0:
		h.setCookie(w, r, stayCookie, "yes", age)
	case kept:
		h.setCookie(w, r, stayCookie, "", -time.Second)
	}
	if state, err := h.Issuer.BrowserState(&b, browser); err == nil { // or else the next page sets it
		h.setState(w, r, state, age)
	}
}

// continueRequest continues the pending request after a login. It redirects, so that reloading the
// next page does not send the password a second time. Only a request that is too long for an
// address stays in place.
func (h *Handlers) continueRequest(w http.ResponseWriter, r *http.Request, v visit, b *issuer.Browser) error {
	if v.handle == "" {
		return h.toAccount(w, r)
	}
	v.pending.Proved = b.Session.ID
	handle, err := h.proveRequest(v, b)
	switch {
	case err != nil:
		return err
	case v.pending.ResponseMode == issuer.ModeFormPost:
		return h.goTo(w, r, consentPage, handle) // the consent page continues with a form of its own
	}
	d, err := h.Issuer.Decide(r.Context(), v.pending, b)
	if err != nil {
		return ofRequest(err, handle)
	}
	return h.takeStep(w, r, handle, d)
}

// proveRequest returns the handle of the pending request after its user logged in for it; empty: there
// is no request.
func (h *Handlers) proveRequest(v visit, b *issuer.Browser) (string, error) {
	if v.handle == "" {
		return "", nil
	}
	v.pending.Proved = b.Session.ID
	return h.seal(authorizationHandle, v.browser, v.pending)
}
