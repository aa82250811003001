package pages

import (
	"encoding/json"
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

// fewCodes is how many recovery codes are so few that the person is told after using one.
const fewCodes = 3

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

func (h *Handlers) readSecond(r *http.Request, request, login string) (v secondVisit, err error) {
	if v.visit, err = h.readVisit(r, request); err != nil {
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
	v, err := h.readSecond(r, f.request, f.login)
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
		return p.Method != userstore.ByPassword && p.At.After(at)
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
	v, err := h.readSecond(r, f.Get("request"), f.Get("login"))
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
		if session, sessionErr := h.browserOf(r); sessionErr != nil || session == nil {
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
	if v.waiting != nil {
		p.Handle = v.waiting.spent()
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
			h.signedIn(w, r, v.browser, secret, h.sessionAge(h.cookie(r, stayCookie) != ""))
		}
		return b, err
	}
	login.Signup = v.waiting.Signup
	b, secret, trusted, err := h.Issuer.StartSecondSession(r.Context(), v.waiting.second(), proof, typed.trust, login)
	if err != nil {
		return b, err
	}
	h.signedIn(w, r, v.browser, secret, h.sessionAge(v.waiting.Stay))
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
		if have.RecoveryCodes <= fewCodes {
			return h.toFewCodes(w, r, v, b)
		}
	}
	switch {
	case v.waiting != nil:
		return h.continueRequest(w, r, v.visit, b)
	case v.handle != "":
		d, err := h.Issuer.Decide(r.Context(), v.pending, b)
		if err != nil {
			return err
		}
		return h.takeStep(w, r, v.handle, d)
	}
	return h.toAccount(w, r)
}

func (h *Handlers) toFewCodes(w http.ResponseWriter, r *http.Request, v secondVisit, b *issuer.Browser) (err error) {
	if v.handle == "" {
		return wire.SeeOther(w, h.stepPath(r, codesPage, "", ""))
	}
	handle := v.handle
	if v.waiting != nil {
		if handle, err = h.proveRequest(v.visit, b); err != nil {
			return err
		}
	}
	return h.goTo(w, r, codesPage, handle)
}

// CodesPage says how few recovery codes the user has left.
func (h *Handlers) CodesPage(w http.ResponseWriter, r *http.Request) error {
	return h.codes(w, r, r.URL.Query().Get("request"))
}

func (h *Handlers) codes(w http.ResponseWriter, r *http.Request, handle string) error {
	v, err := h.readVisit(r, handle)
	switch {
	case err != nil:
		return err
	case v.session == nil:
		return h.toLogin(w, r, v.handle)
	}
	have, err := h.Accounts.Store.SecondFactors(r.Context(), v.session.User.ID)
	switch {
	case err != nil:
		return err
	case have.RecoveryCodes > fewCodes:
		return h.leadOn(w, r, v)
	}
	p := web.CodesPage{Common: h.common(r, v.pending.UILocales), Left: have.RecoveryCodes}
	if next, ok := nextPage(r); ok {
		p.Next = next.Path()
	}
	p.Request, p.Onward = v.handle, v.handle != ""
	page, err := h.Pages.FewCodes(p)
	return h.show(w, http.StatusOK, page, err)
}

// passkeyChallenge is what a passkey has to sign. Its handle comes back with the answer, so that
// nothing is stored.
type passkeyChallenge struct {
	ID   string `json:"id"`
	Ends int64  `json:"ends"`
	Form string `json:"form"` // the token of the form that the answer comes with
}

// beginPasskey makes a challenge for the form f, and its handle.
func (h *Handlers) beginPasskey(f form) (handle string, challenge []byte, err error) {
	token, err := h.formToken(f)
	if err != nil {
		return "", nil, err
	}
	c := passkeyChallenge{ID: h.Issuer.NewID(), Ends: h.Now().Add(stepLasts).Unix(), Form: token}
	if handle, err = h.seal(passkeyHandle, f.browser, c); err != nil {
		return "", nil, err
	}
	challenge, err = h.Issuer.FormMAC("passkey of a page", c.ID)
	return handle, challenge, err
}

// endPasskey returns the challenge of a handle that was made for the form f, and what is spent with its
// answer. userstore.ErrStepOver: its time is over, or it was made for another form.
func (h *Handlers) endPasskey(f form, handle string) (challenge []byte, spent userstore.Handle, err error) {
	var c passkeyChallenge
	if _, err := h.unseal(handle, passkeyHandle, f.browser, &c); err != nil {
		return nil, spent, err
	}
	token, err := h.formToken(f)
	switch {
	case err != nil:
		return nil, spent, err
	case c.Form != token, h.Now().Unix() >= c.Ends:
		return nil, spent, userstore.ErrStepOver
	}
	challenge, err = h.Issuer.FormMAC("passkey of a page", c.ID)
	return challenge, userstore.HandleUntil(c.ID, c.Ends), err
}

// readPasskey reads the answer of a passkey that came with the form f.
func (h *Handlers) readPasskey(f form, fields url.Values) (p userstore.FactorProof, err error) {
	p.Challenge, p.Handle, err = h.endPasskey(f, fields.Get("passkey"))
	p.Passkey = json.RawMessage(fields.Get("response"))
	return p, err
}

// passkeyOptions is what the script of a page gets.
type passkeyOptions struct {
	Handle    string          `json:"handle"`
	Options   json.RawMessage `json:"options"`
	ExpiresIn int64           `json:"expires_in"` // seconds
}

func (h *Handlers) writeOptions(w http.ResponseWriter, handle string, options json.RawMessage) error {
	return wire.WriteJSON(w, http.StatusOK, passkeyOptions{handle, options, int64(stepLasts / time.Second)})
}

// PasskeyOptions answers the options with which the script of the login page, or of the page of a
// second step, uses a passkey: it sends the hidden fields of its form.
func (h *Handlers) PasskeyOptions(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "request", "csrf", "login", "by")
	if err != nil {
		return err
	}
	var asked form
	user := ""
	if f.Has("by") {
		v, err := h.readSecond(r, f.Get("request"), f.Get("login"))
		switch {
		case err != nil:
			return err
		case v.over, v.user == "":
			return problem.New(problem.LoginOver, "")
		}
		asked, user = v.form(), v.user
	} else {
		v, err := h.readVisit(r, f.Get("request"))
		if err != nil {
			return err
		}
		asked = v.asShown().anonymousForm("login")
	}
	if err := h.checkForm(asked, f.Get("csrf")); err != nil {
		return err
	}
	handle, challenge, err := h.beginPasskey(asked)
	if err != nil {
		return err
	}
	options, err := h.Accounts.PasskeyRequest(r.Context(), user, challenge, stepLasts)
	if err != nil {
		return err
	}
	return h.writeOptions(w, handle, options)
}

// loginByPasskey takes the answer of a passkey at the login page, which names its user.
func (h *Handlers) loginByPasskey(
	w http.ResponseWriter, r *http.Request, v visit, f url.Values, typed typedLogin,
) error {
	var b issuer.Browser
	var secret string
	proof, err := h.readPasskey(v.asShown().anonymousForm("login"), f)
	if err == nil {
		b, secret, err = h.Issuer.StartPasskeySession(r.Context(), proof, issuer.PageLogin{
			Device: v.browser, Replaces: h.cookie(r, sessionCookie),
		})
	}
	if err != nil {
		status, list, err := formAgain(w, r, err, map[problem.Code]web.Problem{
			problem.InvalidCode:      wrongFactor(userstore.MethodPasskey),
			problem.NoPasskeys:       wrongFactor(userstore.MethodPasskey),
			problem.LoginOver:        {Code: string(problem.LoginOver)},
			problem.EmailNotVerified: {Code: string(problem.EmailNotVerified)},
		})
		if err != nil {
			return err
		}
		return h.showLogin(w, r, v, status, typed, list)
	}
	h.signedIn(w, r, v.browser, secret, h.sessionAge(typed.stay))
	return h.continueRequest(w, r, v, &b)
}
