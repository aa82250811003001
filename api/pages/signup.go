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

// signupFields are the fields of the page besides the password.
var signupFields = []string{"email", "username", "given_name", "family_name"}

// SignupPage shows the sign-up page.
func (h *Handlers) SignupPage(w http.ResponseWriter, r *http.Request) error {
	handle := r.URL.Query().Get("request")
	if done, err := h.meet(w, r, signupPage, handle); done {
		return err
	}
	return h.signup(w, r, handle)
}

func (h *Handlers) signup(w http.ResponseWriter, r *http.Request, handle string) error {
	if !h.Accounts.SignupEnabled {
		return problem.New(problem.SignupClosed, "")
	}
	v, err := h.readVisit(w, r, handle)
	if err != nil {
		return err
	}
	if v.stale {
		return h.goTo(w, r, signupPage, v.handle)
	}
	if v.handle == "" && v.session != nil { // the page says who is signed in, and leads to signing out
		return h.goTo(w, r, loginPage, "")
	}
	return h.showSignup(w, r, v, http.StatusOK, nil, nil)
}

func (h *Handlers) showSignup(w http.ResponseWriter, r *http.Request, v visit, status int, typed url.Values, problems []web.Problem) (err error) {
	p := web.SignupPage{
		Common: h.common(r, v.pending.UILocales), Values: map[string]string{}, Problems: problems, MinLength: h.Accounts.MinPasswordLength(),
	}
	p.Request = v.handle
	for _, name := range signupFields {
		p.Values[name] = typed.Get(name)
	}
	if p.CSRF, err = h.formToken(v.anonymousForm("signup")); err != nil {
		return err
	}
	if v.handle != "" {
		d, err := h.Issuer.Consider(r.Context(), v.pending, v.session)
		if err != nil {
			return err
		}
		client := webClient(d.Client, v.pending.RedirectURI)
		p.Client, p.Onward = &client, true
		if p.Continue, err = h.continueAs(v, d); err != nil {
			return err
		}
	}
	page, err := h.Pages.Signup(p)
	return h.show(w, status, page, err)
}

// SignupForm creates an account and logs its user in.
func (h *Handlers) SignupForm(w http.ResponseWriter, r *http.Request) error {
	if !h.Accounts.SignupEnabled {
		return problem.New(problem.SignupClosed, "")
	}
	f, err := wire.ReadFields(w, r, append([]string{"request", "csrf", "password"}, signupFields...)...)
	if err != nil {
		return err
	}
	v, err := h.readVisit(w, r, f.Get("request"))
	if err != nil {
		return err
	}
	if err := h.checkForm(v.asShown().anonymousForm("signup"), f.Get("csrf")); err != nil {
		return err
	}
	if v.stale {
		return h.showSignup(w, r, v, http.StatusBadRequest, f, refuseExpired(w, r))
	}
	made, err := h.Accounts.SignUp(r.Context(), userstore.NewUser{
		Email: f.Get("email"), Username: f.Get("username"), Password: f.Get("password"),
		Claims:   userstore.Claims{GivenName: f.Get("given_name"), FamilyName: f.Get("family_name")},
		Language: string(h.common(r, v.pending.UILocales).Locale), Browser: v.browser,
	})
	if err != nil {
		p := problem.From(err)
		if b, err := h.sentTwice(w, r, v, p, f); b != nil {
			return h.continueRequest(w, r, v, b)
		} else if err != nil {
			typed := typedLogin{name: f.Get("email"), signup: true}
			if done, err := h.goOnWaiting(w, r, v, typed, err.Cause); done {
				return err
			}
			p = err
		}
		status, list, err := formAgain(w, r, p, nil)
		if err != nil {
			return err
		}
		return h.showSignup(w, r, v, status, f, list)
	}
	m := wanted{browser: v.browser, email: f.Get("email"), page: verifyPage, why: verifySignedUp}
	if err := h.remember(w, r, m, made.Handle); err != nil {
		return err
	}
	if made.Pending {
		return h.toProof(w, r, mailedHandle{Handle: made.Handle, Request: v.handle, Why: verifySignedUp})
	}
	// The session of this browser is what keeps the password, and not made.Handle.
	typed := typedLogin{name: f.Get("email"), password: f.Get("password"), signup: true}
	b, err := h.startSession(w, r, v, typed)
	if done, err := h.goOnWaiting(w, r, v, typed, err); done {
		return err
	}
	if err != nil {
		// The account exists, so this is no failure: the user logs in on the login page.
		return h.goTo(w, r, loginPage, v.handle)
	}
	return h.continueRequest(w, r, v, b)
}

// sentTwice logs a person in who signed up a moment before: the form was sent twice, by a double click or when the page was
// loaded again. It is a login like any other, and counted as one. To whoever has not the right password, the address is
// taken, whatever else a login would say: the throttle tells nothing here. problem is a failure of the
// server, or says that the login needs another step.
func (h *Handlers) sentTwice(w http.ResponseWriter, r *http.Request, v visit, refused *problem.Problem, f url.Values) (*issuer.Browser, *problem.Problem) {
	// Where a proof is required only the username can be taken, and whether the address is must not
	// show.
	if refused.Code != problem.UserAlreadyExists || h.Accounts.Verification == userstore.VerificationRequired {
		return nil, nil
	}
	if key, ok := userstore.EmailKey(f.Get("email")); refused.Errors[0].Field != "email" && ok {
		// Only the username is taken, or both are: of two forms sent at once either may be told.
		_, err := h.Accounts.Store.UserByLogin(r.Context(), userstore.Login{EmailKey: key})
		switch {
		case errors.Is(err, userstore.ErrNotFound):
			return nil, nil
		case err != nil:
			return nil, problem.From(err)
		}
	}
	b, err := h.startSession(w, r, v, typedLogin{name: f.Get("email"), password: f.Get("password"), signup: true})
	if err == nil {
		return b, nil
	}
	if p := problem.From(err); p.Kind().Status >= http.StatusInternalServerError ||
		p.Code == problem.SecondFactor || p.Code == problem.SecondFactorSetup {
		return nil, p
	}
	return nil, nil
}
