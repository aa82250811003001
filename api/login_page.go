package api

import (
	"net/http"
	"time"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/issuer"
)

// loginPage shows the login page; without a request, to somebody who is logged in, that they are.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visited(w, r, r.URL.Query().Get("request"))
	if err != nil {
		return err
	}
	if v.handle == "" && v.session != nil {
		page, err := s.Pages.SignedIn(web.SignedInPage{Common: s.common(r, nil), User: v.session.User.Email})
		return s.show(w, http.StatusOK, page, err)
	}
	return s.showLogin(w, r, v, http.StatusOK, v.pending.LoginHint, false, nil)
}

func (s *Server) showLogin(w http.ResponseWriter, r *http.Request, v visit, status int, name string, stay bool, problems []web.Problem) (err error) {
	p := web.LoginPage{Common: s.common(r, v.pending.UILocales), Name: name, Problems: problems, Signup: s.Accounts.SignupEnabled}
	p.Stay = &web.Stay{Chosen: stay, Idle: s.Issuer.SessionIdle, Longest: s.Issuer.SessionAbsolute}
	p.Request = v.handle
	if p.CSRF, err = s.formToken(v.browser, "login", v.pending.ID, ""); err != nil {
		return err
	}
	if v.handle != "" {
		d, err := s.Issuer.Consider(r.Context(), v.pending, v.session)
		if err != nil {
			return err
		}
		client := webClient(d.Client, v.pending.RedirectURI)
		p.Client, p.Onward = &client, true
		p.Reauthenticate = d.Step == issuer.LogIn && d.Reauthenticate
		if p.Reauthenticate && p.Name == "" {
			p.Name = v.session.User.Email
		}
	}
	page, err := s.Pages.Login(p)
	return s.show(w, status, page, err)
}

// loginForm takes a password. What it leads to is decided at once: nobody sees a page for nothing.
func (s *Server) loginForm(w http.ResponseWriter, r *http.Request) error {
	f, err := formFields(w, r, "request", "csrf", "email", "password", "stay")
	if err != nil {
		return err
	}
	v, err := s.visited(w, r, f.Get("request"))
	if err != nil {
		return err
	}
	if err := s.checkForm(v.browser, "login", v.pending.ID, "", f.Get("csrf")); err != nil {
		return err
	}
	stay := f.Get("stay") == "yes"
	b, err := s.startSession(w, r, v, f.Get("email"), f.Get("password"), stay)
	if err != nil {
		p := asProblem(err)
		list, ok := formProblems(p)
		if !ok {
			return p
		}
		retryAfter(w, p)
		return s.showLogin(w, r, v, pageStatus(problems[p.Code]), f.Get("email"), stay, list)
	}
	return s.goOn(w, r, v, b)
}

// startSession logs the browser in: until it is closed, or, when the person wants to stay, for as long as the session lasts.
func (s *Server) startSession(w http.ResponseWriter, r *http.Request, v visit, name, password string, stay bool) (*issuer.Browser, error) {
	b, secret, err := s.Issuer.StartBrowserSession(r.Context(), issuer.PageLogin{
		Name: name, Password: password, Device: v.browser, Replaces: s.cookie(r, sessionCookie),
	})
	if err != nil {
		return nil, err
	}
	var age time.Duration
	if stay {
		age = min(s.Issuer.SessionAbsolute, browserCookieAge)
	}
	s.setCookie(w, sessionCookie, secret, age)
	s.setCookie(w, browserCookie, v.browser, browserCookieAge) // for as long again
	return &b, nil
}

// goOn takes a browser that has just logged in to where it wanted to go: with a redirect, whatever it is, so that no
// password is sent again when the page is loaded again.
func (s *Server) goOn(w http.ResponseWriter, r *http.Request, v visit, b *issuer.Browser) error {
	if v.handle == "" {
		return see(w, s.pagePath("/login", ""))
	}
	v.pending.Proved = b.Session.ID
	handle, err := s.seal(authorizationHandle, v.browser, v.pending)
	switch {
	case err != nil:
		return err
	case v.pending.ResponseMode == issuer.ModeFormPost:
		return see(w, s.pagePath("/consent", handle)) // where there is a page to post from
	}
	d, err := s.Issuer.Decide(r.Context(), v.pending, b)
	if err != nil {
		return err
	}
	return s.proceed(w, r, handle, d)
}
