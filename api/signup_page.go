package api

import (
	"net/http"
	"net/url"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/userstore"
)

// signupFields are what a new account is made of at the page.
var signupFields = []string{"email", "username", "given_name", "family_name"}

func (s *Server) signupPage(w http.ResponseWriter, r *http.Request) error {
	if !s.Accounts.SignupEnabled {
		return newProblem(signupClosed, "")
	}
	v, err := s.visited(w, r, r.URL.Query().Get("request"))
	if err != nil {
		return err
	}
	return s.showSignup(w, r, v, http.StatusOK, nil, nil)
}

func (s *Server) showSignup(w http.ResponseWriter, r *http.Request, v visit, status int, typed url.Values, problems []web.Problem) (err error) {
	p := web.SignupPage{
		Common: s.common(r, v.pending.UILocales), Values: map[string]string{}, Problems: problems, MinLength: s.Accounts.MinPasswordLength(),
	}
	p.Request = v.handle
	for _, name := range signupFields {
		p.Values[name] = typed.Get(name)
	}
	if p.CSRF, err = s.formToken(v.browser, "signup", v.pending.ID, ""); err != nil {
		return err
	}
	if v.handle != "" {
		d, err := s.Issuer.Consider(r.Context(), v.pending, v.session)
		if err != nil {
			return err
		}
		client := webClient(d.Client, v.pending.RedirectURI)
		p.Client, p.Onward = &client, true
	}
	page, err := s.Pages.Signup(p)
	return s.show(w, status, page, err)
}

// signupForm makes an account and logs its owner in.
func (s *Server) signupForm(w http.ResponseWriter, r *http.Request) error {
	if !s.Accounts.SignupEnabled {
		return newProblem(signupClosed, "")
	}
	f, err := formFields(w, r, append([]string{"request", "csrf", "password"}, signupFields...)...)
	if err != nil {
		return err
	}
	v, err := s.visited(w, r, f.Get("request"))
	if err != nil {
		return err
	}
	if err := s.checkForm(v.browser, "signup", v.pending.ID, "", f.Get("csrf")); err != nil {
		return err
	}
	_, err = s.Accounts.Register(r.Context(), userstore.NewUser{
		Email: f.Get("email"), Username: f.Get("username"), Password: f.Get("password"),
		Claims: userstore.Claims{GivenName: f.Get("given_name"), FamilyName: f.Get("family_name")},
	})
	if err != nil {
		p := asProblem(err)
		list, ok := formProblems(p)
		if !ok {
			return p
		}
		retryAfter(w, p)
		return s.showSignup(w, r, v, pageStatus(problems[p.Code]), f, list)
	}
	b, err := s.startSession(w, r, v, f.Get("email"), f.Get("password"), false)
	if err != nil {
		// The account is there, which must not look like a failure: its owner logs in by hand.
		return see(w, s.pagePath("/login", v.handle))
	}
	return s.goOn(w, r, v, b)
}
