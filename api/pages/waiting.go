package pages

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// stepLasts is how long a login waits for its second step, and a challenge for its passkey.
const stepLasts = 5 * time.Minute

// waiting is a login whose password was right, and that waits for its last step. Its handle is bound
// to the browser, like every handle, and to the pending request. Nothing of the login is stored.
type waiting struct {
	issuer.Once        // spent with the login
	Request     string `json:"request,omitempty"` // id of the pending request; empty: none

	User     string `json:"user"`
	Password []byte `json:"password"` // User.PasswordMark
	Factors  int64  `json:"factors"`  // User.FactorVersion
	At       int64  `json:"at"`       // when the password was proved, in microseconds

	Name    string `json:"name,omitempty"` // as typed
	Stay    bool   `json:"stay,omitempty"`
	Signup  bool   `json:"signup,omitempty"`  // the form was that of a sign-up
	Mailbox bool   `json:"mailbox,omitempty"` // of a setup: the code of a message was right
}

// waitingLogin makes the login of u that waits since the password was proved at.
func waitingLogin(u userstore.User, at time.Time, typed typedLogin) waiting {
	return waiting{
		User: u.ID, Password: u.PasswordMark(), Factors: u.FactorVersion, At: at.UnixMicro(),
		Name: typed.name, Stay: typed.stay, Signup: typed.signup,
	}
}

// second is the login as accounts know it.
func (l waiting) second() userstore.SecondLogin {
	return userstore.SecondLogin{
		UserID: l.User, PasswordMark: l.Password, FactorVersion: l.Factors, At: time.UnixMicro(l.At).UTC(),
	}
}

// sealWaiting makes the handle of a login that waits, for the request of v. A login that has waited
// keeps its id and its end.
func (h *Handlers) sealWaiting(kind handleKind, v visit, l waiting) (string, error) {
	if l.ID == "" {
		lasts := stepLasts
		if kind == setupHandle {
			lasts = setupLasts
		}
		l.Once = h.Issuer.Once(lasts)
	}
	l.Request = v.pending.ID
	return h.seal(kind, v.browser, l)
}

// readWaiting reads the handle of a login that waits. userstore.ErrStepOver: its time is over, or it
// began for another request.
func (h *Handlers) readWaiting(kind handleKind, v visit, handle string) (l waiting, err error) {
	if _, err := h.unseal(handle, kind, v.browser, &l); err != nil {
		return waiting{}, err
	}
	if l.Request != v.shown || l.Over(h.Now()) {
		return l, userstore.ErrStepOver
	}
	return l, nil
}

// goOnWaiting leads on from a login that failed with err because another step is needed: to the second
// step, or to the setup of a second factor. done is false for any other error.
func (h *Handlers) goOnWaiting(
	w http.ResponseWriter, r *http.Request, v visit, typed typedLogin, err error,
) (done bool, _ error) {
	if second, ok := errors.AsType[*userstore.SecondFactorError](err); ok {
		return true, h.toStep(w, r, secondPage, secondHandle, v, waitingLogin(second.User, second.At, typed))
	}
	if setup, ok := errors.AsType[*userstore.SetupRequiredError](err); ok {
		return true, h.toStep(w, r, setupPage, setupHandle, v, waitingLogin(setup.User, setup.At, typed))
	}
	return false, nil
}

// toStep leads to the page on which a login goes on. Handles that are too long for an address stay in
// the forms of the page, which is then answered in place.
func (h *Handlers) toStep(w http.ResponseWriter, r *http.Request, p page, kind handleKind, v visit, l waiting) error {
	login, err := h.sealWaiting(kind, v, l)
	switch {
	case err != nil:
		return err
	case web.FitsAddress(v.handle + login):
		return wire.SeeOther(w, h.stepPath(r, p, v.handle, login))
	case p == secondPage:
		return h.second(w, r, secondFields{request: v.handle, login: login})
	}
	return h.setup(w, r, v.handle, login)
}

// stepPath is the address of a page on which a login goes on.
func (h *Handlers) stepPath(r *http.Request, p page, request, login string) string {
	q := url.Values{}
	if request != "" {
		q.Set("request", request)
	}
	if login != "" {
		q.Set("login", login)
	}
	if next, ok := nextPage(r); ok {
		q.Set("next", next.Path())
	}
	path := h.pagePath(p, "")
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return path
}

// stepOver shows the login page after a login ended before its last step. The pending request goes
// on.
func (h *Handlers) stepOver(w http.ResponseWriter, r *http.Request, v visit, l waiting) error {
	p := problem.New(problem.LoginOver, "")
	refuseForm(w, r, p)
	typed := typedLogin{name: l.Name, stay: l.Stay}
	return h.showLogin(w, r, v, pageStatus(p.Kind()), typed, []web.Problem{{Code: string(p.Code)}})
}

// setupVisit is what the page that sets up a second factor during a login knows.
type setupVisit struct {
	visit
	login string // handle
	waiting
}

// readSetup reads the handles of the page that sets up a second factor during a login: that of the
// pending request, which may be empty, and that of the login. userstore.ErrStepOver: the caller shows
// stepOver.
func (h *Handlers) readSetup(w http.ResponseWriter, r *http.Request, request, login string) (v setupVisit, err error) {
	if v.visit, err = h.readVisit(w, r, request); err != nil {
		return v, err
	}
	v.login = login
	v.waiting, err = h.readWaiting(setupHandle, v.visit, login)
	return v, err
}

// form is the form of that page. Its token is bound to the login.
func (v setupVisit) form() form {
	return form{browser: v.browser, name: "setup", request: v.shown, subject: v.ID}
}

// finishSetup starts the session of a login whose user has just set up a second factor: the one change
// of the account's factors since the password was proved. factor is what was proved, such as
// userstore.FactorApp. It sets the cookies and writes no answer. request is the handle of the pending
// request to go on with, at the consent page; empty: the login leads to the account (toAccount).
func (h *Handlers) finishSetup(
	w http.ResponseWriter, r *http.Request, v setupVisit, factor string,
) (request string, err error) {
	by := userstore.ProvedFactor{Factor: factor, At: h.Now().UTC()}
	b, secret, err := h.Issuer.StartSetUpSession(r.Context(), v.waiting.second(), by, v.Spent(), issuer.PageLogin{
		Device: v.browser, Replaces: h.cookie(r, sessionCookie), Signup: v.Signup,
	})
	if err != nil {
		return "", err
	}
	h.signedIn(w, r, b, v.browser, secret, h.sessionAge(v.Stay))
	return h.proveRequest(v.visit, &b)
}
