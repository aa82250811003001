package pages

import (
	"net/http"
	"net/url"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// signupFields are the fields of the page besides the password.
var signupFields = []string{"email", "username", "given_name", "family_name"}

// SignupPage shows the sign-up page.
func (h *Handlers) SignupPage(w http.ResponseWriter, r *http.Request) error {
	return h.signup(w, r, r.URL.Query().Get("request"))
}

func (h *Handlers) signup(w http.ResponseWriter, r *http.Request, handle string) error {
	if !h.Accounts.SignupEnabled {
		return problem.New(problem.SignupClosed, "")
	}
	v, err := h.readVisit(w, r, handle)
	if err != nil {
		return err
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
	if err := h.checkForm(v.anonymousForm("signup"), f.Get("csrf")); err != nil {
		return err
	}
	user, err := h.Accounts.Register(r.Context(), userstore.NewUser{
		Email: f.Get("email"), Username: f.Get("username"), Password: f.Get("password"),
		Claims: userstore.Claims{GivenName: f.Get("given_name"), FamilyName: f.Get("family_name")},
	})
	if err != nil {
		p := problem.From(err)
		list, ok := formProblems(p)
		if !ok {
			return p
		}
		retryAfter(w, p)
		return h.showSignup(w, r, v, pageStatus(p.Kind()), f, list)
	}
	h.Accounts.FirstVerification(r.Context(), user) // the session of this browser is what keeps the password
	b, err := h.startSession(w, r, v, typedLogin{name: f.Get("email"), password: f.Get("password")})
	if err != nil {
		// The account exists, so this is no failure: the user logs in on the login page.
		return h.goTo(w, r, loginPage, v.handle)
	}
	return h.continueRequest(w, r, v, b)
}
