package crashes_test

import (
	"net/http"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// quiet is the same server without faults, for what comes before a journey or is no part of it.
func quiet(s *apitest.Server) *apitest.Server {
	c := *s
	c.Around = nil
	return &c
}

// bearer makes requests with an access token.
type bearer struct {
	s     *apitest.Server
	token string
}

func (b bearer) do(method, path string, body any) *apitest.Response {
	b.s.T.Helper()
	return b.s.Do(apitest.Request{Method: method, Path: path, Token: b.token, Body: body})
}

func post(s *apitest.Server, path string, body any) *apitest.Response {
	s.T.Helper()
	return apitest.Post(s, path, body)
}

// proved is an account whose address is proved, and requests with its access token.
func proved(s *apitest.Server, name string) (apitest.User, bearer) {
	s.T.Helper()
	q := quiet(s)
	u := q.Operated(name+"@example.test", true)
	return u, bearer{s, q.Login(u).Access}
}

// signedIn is an account whose address is proved, and a browser in which it is signed in.
func signedIn(s *apitest.Server, name string) (apitest.User, *apitest.Browser) {
	s.T.Helper()
	q := quiet(s)
	u := q.Operated(name+"@example.test", true)
	b := q.SignedIn(u)
	q.Mails()
	return u, b.With(s)
}

var accountJourneys = []journey{
	{"an account by JSON", nil, func(s *apitest.Server, name string) {
		u := s.SignUp(name)
		tokens := s.Login(u)
		s.Refresh(tokens.Refresh).Want(200, "").JSON(&tokens)
		me := bearer{s, tokens.Access}
		me.do("GET", "/v1/profile", nil).Want(200, "")
		me.do("PATCH", "/v1/profile", apitest.Fields{"name": "Ada"}).Want(200, "")
		me.do("PUT", "/v1/profile", apitest.Fields{"email": u.Email, "name": "Eve"}).Want(200, "")
		var proof struct{ Proof string }
		me.do("POST", "/v1/profile/prove", apitest.Fields{"current_password": u.Password}).Want(200, "").JSON(&proof)
		s.Do(apitest.Request{Path: "/v1/profile/export", Token: me.token, Header: http.Header{"Signet-Proof": {proof.Proof}}}).
			Want(200, "")
		other := quiet(s).Login(u)
		me.do("GET", "/v1/profile/sessions", nil).Want(200, "")
		me.do("DELETE", "/v1/profile/sessions/"+other.SessionID(), nil).Want(204, "")
		me.do("POST", "/v1/logout", nil).Want(204, "")
	}},
	{"a changed password by JSON", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		me.do("POST", "/v1/profile/password",
			apitest.Fields{"current_password": u.Password, "new_password": apitest.NextPassword}).Want(204, "")
		s.Login(apitest.User{Email: u.Email, Password: apitest.NextPassword})
	}},
	{"logout everywhere, and the end of an account", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		quiet(s).Login(u)
		me.do("POST", "/v1/logout", apitest.Fields{"everywhere": true}).Want(204, "")
		me.token = quiet(s).Login(u).Access
		me.do("DELETE", "/v1/profile", apitest.Fields{"current_password": u.Password}).Want(204, "")
	}},
	{"consents by JSON", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		q := quiet(s)
		c := q.Register(userstore.Client{ID: name})
		q.Allowed(u, c)
		me.do("GET", "/v1/profile/consents", nil).Want(200, "")
		me.do("DELETE", "/v1/profile/consents/"+c.ID, nil).Want(204, "")
	}},
	{"a forgotten password by JSON", nil, func(s *apitest.Server, name string) {
		u, _ := proved(s, name)
		post(s, "/v1/password/forgot", apitest.Fields{"email": u.Email}).Want(202, "")
		post(s, "/v1/password/reset", apitest.Fields{"token": only(s, outbox.ResetPassword).Token(),
			"new_password": apitest.NextPassword}).Want(204, "")
		s.Login(apitest.User{Email: u.Email, Password: apitest.NextPassword})
	}},
	{"the proof of an address by JSON", []func(*apitest.Options){apitest.Verifying}, func(s *apitest.Server, name string) {
		u := s.SignUp(name)
		quiet(s).Mails()
		quiet(s).Advance(2 * time.Minute) // until then one message is enough
		post(s, "/v1/email/verification", apitest.Fields{"email": u.Email}).Want(202, "")
		post(s, "/v1/email/verify", apitest.Fields{"token": only(s, outbox.VerifyEmail).Token(), "password": u.Password}).
			Want(204, "")
	}},
	{"a sign-up whose address is proved first", []func(*apitest.Options){apitest.Requiring},
		func(s *apitest.Server, name string) {
			u, handle := s.SignUpPending(name + "@example.test")
			post(s, "/v1/email/verify", apitest.Fields{"handle": handle, "code": only(s, outbox.VerifyEmail).Code}).Want(204, "")
			s.Login(u)
		}},
	{"another address by JSON", nil, func(s *apitest.Server, name string) {
		u, me := proved(s, name)
		me.do("POST", "/v1/profile/email",
			apitest.Fields{"email": "x" + u.Email, "current_password": u.Password}).Want(202, "")
		me.do("DELETE", "/v1/profile/email", nil).Want(204, "")
		quiet(s).Mails()
		me.do("POST", "/v1/profile/email",
			apitest.Fields{"email": "y" + u.Email, "current_password": u.Password}).Want(202, "")
		me.do("POST", "/v1/profile/email/confirm", apitest.Fields{"token": only(s, outbox.ChangeEmail).Token()}).Want(200, "")
		undo := only(s, outbox.UndoEmail)
		b := s.Browser()
		b.Open(undo.Link).WantPage(200, "undo-submit").
			Submit("undo-submit", map[string]string{"new_password": apitest.NextPassword}).WantPage(200, "")
		s.Login(apitest.User{Email: u.Email, Password: apitest.NextPassword})
	}},
}

// only sends the outbox, and returns the last message of a kind: a request that was sent twice may
// have been answered by two messages.
func only(s *apitest.Server, kind outbox.Kind) apitest.Mail {
	s.T.Helper()
	var found apitest.Mail
	for _, m := range quiet(s).Mails() {
		if m.Kind == kind {
			found = m
		}
	}
	if found.Kind == "" {
		s.T.Fatalf("no message of the kind %s", kind)
	}
	return found
}

// pageJourneys are those of a browser.
var pageJourneys = []journey{
	{"sign-up and login at the pages", nil, func(s *apitest.Server, name string) {
		b := s.Browser()
		u := apitest.User{Email: name + "@example.test", Password: s.Secret("planted password of a page")}
		b.Open("/signup").WantPage(200, "signup-submit").
			Submit("signup-submit", map[string]string{"email": u.Email, "password": u.Password}).WantPage(200, "")
		b.Open("/logout").WantPage(200, "logout-confirm").Submit("logout-confirm", nil).WantPage(200, "")
		p := b.Open("/login").WantPage(200, "login-submit")
		p = p.Submit("language-submit", map[string]string{"language": "de"}).WantPage(200, "login-submit")
		p.Submit("login-submit", u.Credentials()).WantPage(200, "")
		b.Open("/")
		b.Open("/oauth2/logout").WantPage(200, "logout-confirm").Submit("logout-confirm", nil).WantPage(200, "")
	}},
	{"a sign-up at the pages whose address is proved first", []func(*apitest.Options){apitest.Requiring},
		func(s *apitest.Server, name string) {
			b := s.Browser()
			u := apitest.User{Email: name + "@example.test", Password: s.Secret("planted password of a page")}
			p := b.Open("/signup").WantPage(200, "signup-submit").
				Submit("signup-submit", map[string]string{"email": u.Email, "password": u.Password})
			p.WantPage(200, "verify-submit").
				Submit("verify-submit", map[string]string{"code": only(s, outbox.VerifyEmail).Code}).WantPage(200, "")
		}},
	{"the link of a sign-up", []func(*apitest.Options){apitest.Requiring}, func(s *apitest.Server, name string) {
		quiet(s).SignUpPending(name + "@example.test")
		s.Browser().Open(only(s, outbox.VerifyEmail).Link).WantPage(200, "verify-submit").
			Submit("verify-submit", nil).WantPage(409, "verify-submit").
			Submit("verify-submit", map[string]string{"new_password": apitest.NextPassword}).WantPage(200, "")
	}},
	{"a forgotten password at the pages", nil, func(s *apitest.Server, name string) {
		u, _ := proved(s, name)
		b := s.Browser()
		b.Open("/forgot").WantPage(200, "ask-submit").Submit("ask-submit", map[string]string{"email": u.Email}).WantPage(200, "")
		b.Open(only(s, outbox.ResetPassword).Link).WantPage(200, "reset-submit").
			Submit("reset-submit", map[string]string{"new_password": apitest.NextPassword}).WantPage(200, "")
		s.Login(apitest.User{Email: u.Email, Password: apitest.NextPassword})
	}},
	{"an invitation", nil, func(s *apitest.Server, name string) {
		q := quiet(s)
		_, err := q.Replicas[1].Accounts.RegisterByOperator(s.T.Context(),
			userstore.OperatorUser{NewUser: userstore.NewUser{Email: name + "@example.test"}, Invite: true})
		if err != nil {
			s.T.Fatal(err)
		}
		s.Browser().Open(only(s, outbox.Invite).Link).WantPage(200, "reset-submit").
			Submit("reset-submit", map[string]string{"new_password": apitest.NextPassword}).WantPage(200, "")
	}},
	{"the pages of an account", nil, func(s *apitest.Server, name string) {
		u, b := signedIn(s, name)
		q := quiet(s)
		c := q.Register(userstore.Client{ID: name})
		q.Allowed(u, c)
		q.SignedIn(u)
		b.Open("/account").WantPage(200, "to-profile")
		b.Open("/account/activity").WantPage(200, "")
		b.Open("/account/profile").Submit("profile-submit", map[string]string{"nickname": "Al"}).WantPage(200, "done")
		b.Open("/account/sessions").Submit("sessions-end-others", nil).WantPage(200, "done")
		b.Open("/account/apps").Submit("app-end-"+c.ID, nil).WantPage(200, "done")
		password := map[string]string{"current_password": u.Password}
		b.Open("/account/data").Submit("data-submit", password)
		b.Open("/account/password").Submit("password-submit", map[string]string{
			"new_password": apitest.NextPassword, "current_password": u.Password}).WantPage(200, "done")
		password["current_password"] = apitest.NextPassword
		b.Open("/account/delete").Submit("delete-submit", password).WantPage(200, "")
	}},
	{"another address at the pages", nil, func(s *apitest.Server, name string) {
		u, b := signedIn(s, name)
		b.Open("/account/address").Submit("address-submit",
			map[string]string{"email": "x" + u.Email, "current_password": u.Password}).WantPage(200, "")
		b.Open(only(s, outbox.ChangeEmail).Link).WantPage(200, "change-submit").Submit("change-submit", nil).WantPage(200, "")
		s.Browser().Open(only(s, outbox.UndoEmail).Link).WantPage(200, "undo-submit").
			Submit("undo-submit", map[string]string{"new_password": apitest.NextPassword}).WantPage(200, "")
	}},
}
