package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// setupLasts is how long a login waits until its user has set up a second factor: a message has to
// arrive, and an app to be installed.
const setupLasts = 15 * time.Minute

// SetupPage sets up the second factor that the policy wants, right after the password.
func (h *Handlers) SetupPage(w http.ResponseWriter, r *http.Request) error {
	return h.setup(w, r, r.URL.Query().Get("request"), r.URL.Query().Get("login"))
}

func (h *Handlers) setup(w http.ResponseWriter, r *http.Request, request, login string) error {
	v, u, done, err := h.openSetup(w, r, request, login)
	if done || err != nil {
		return err
	}
	return h.showSetup(w, r, v, u, http.StatusOK, setupState{})
}

// setupAgain leads to the page once more, after a choice of language.
func (h *Handlers) setupAgain(w http.ResponseWriter, r *http.Request, request, login, next string) error {
	q := url.Values{}
	for name, value := range map[string]string{"request": request, "login": login, "next": next} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if encoded := q.Encode(); web.FitsAddress(encoded) {
		return wire.SeeOther(w, h.pagePath(setupPage, "")+"?"+encoded)
	}
	return h.setup(w, r, request, login)
}

// openSetup reads the handles of the page and the user whose login waits. done: it led elsewhere.
func (h *Handlers) openSetup(
	w http.ResponseWriter, r *http.Request, request, login string,
) (v setupVisit, u userstore.User, done bool, err error) {
	if login == "" {
		return v, u, true, wire.SeeOther(w, h.stepPath(r, loginPage, request, ""))
	}
	v, err = h.readSetup(w, r, request, login)
	switch {
	case errors.Is(err, userstore.ErrStepOver):
		return v, u, true, h.stepOver(w, r, v.visit, v.waiting)
	case err != nil:
		return v, u, false, err
	case v.finished():
		// It is finished: the form was sent twice, or the person went back to the page.
		return v, u, true, h.showFinished(w, r, v, v.session, http.StatusOK, "", nil)
	case v.stale: // the request begins again
		typed := typedLogin{name: v.Name, stay: v.Stay}
		return v, u, true, h.showLogin(w, r, v.visit, http.StatusBadRequest, typed, refuseExpired(w, r))
	}
	u, err = h.Accounts.UserOfSetup(r.Context(), v.second())
	if errors.Is(err, userstore.ErrStepOver) || errors.Is(err, userstore.ErrAccountDisabled) {
		return v, u, true, h.stepOver(w, r, v.visit, v.waiting)
	}
	return v, u, false, err
}

// finished reports whether the browser is signed in since the login waited.
func (v setupVisit) finished() bool {
	if v.session == nil || v.session.User.ID != v.User {
		return false
	}
	return slices.ContainsFunc(v.session.Session.Proofs(), func(p userstore.ProvedFactor) bool {
		return slices.Contains(secondFactors, p.Factor) && p.At.UnixMicro() >= v.At
	})
}

// setupState is how far a setup has come.
type setupState struct {
	by       string // userstore.MethodApp, userstore.MethodPasskey
	stage    web.FactorStage
	mail     string // handle of the code that the mailbox got
	begun    userstore.BegunApp
	name     string // of the passkey, as typed
	problems []web.Problem
}

func (h *Handlers) showSetup(
	w http.ResponseWriter, r *http.Request, v setupVisit, u userstore.User, status int, s setupState,
) (err error) {
	p := web.SetupPage{
		Common: h.common(r, v.pending.UILocales), Login: v.login, By: s.by, Mail: s.mail, Name: s.name, Problems: s.problems,
		Factors: web.AccountFactors{
			NoPasskeys: h.Accounts.Passkeys == nil, Stage: s.stage, Secret: s.begun.Secret, URI: s.begun.URI,
		},
	}
	if !h.Accounts.NoMail && !u.EmailVerified {
		p.Factors.Refused = string(problem.EmailNotVerified)
	}
	if p.Client, err = h.clientOf(r.Context(), v.visit); err != nil {
		return err
	}
	p.Request, p.Onward = v.handle, v.handle != ""
	if next, ok := nextPage(r); ok && v.handle == "" {
		p.Next = next.Path()
	}
	if p.CSRF, err = h.formToken(v.form()); err != nil {
		return err
	}
	page, err := h.Pages.Setup(p)
	return h.show(w, status, page, err)
}

// clientOf is the app of the pending request; nil: there is none.
func (h *Handlers) clientOf(ctx context.Context, v visit) (*web.Client, error) {
	if v.handle == "" {
		return nil, nil
	}
	client, err := h.Issuer.Clients.ClientByID(ctx, v.pending.ClientID)
	if errors.Is(err, userstore.ErrNotFound) {
		return nil, nil
	}
	shown := webClient(client, v.pending.RedirectURI)
	return &shown, err
}

// SetupForm takes the steps of a setup.
func (h *Handlers) SetupForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, setupFields...)
	if err != nil {
		return err
	}
	v, u, done, err := h.openSetup(w, r, f.Get("request"), f.Get("login"))
	if done || err != nil {
		return err
	}
	if err := h.checkForm(v.form(), f.Get("csrf")); err != nil {
		return err
	}
	r = r.WithContext(setupContext(r.Context(), v))
	step, s := f.Get("step"), setupState{by: userstore.MethodApp}
	switch step {
	case "passkey", "create":
		s.by = userstore.MethodPasskey
	case "totp", "confirm":
	default:
		return h.showSetup(w, r, v, u, http.StatusOK, setupState{})
	}
	if h.Accounts.NeedsMailbox(u) && !v.Mailbox {
		if s, err = h.proveMailbox(w, r, &v, u, s, f); err != nil {
			return h.refuseSetup(w, r, v, u, s, err)
		}
		if s.stage == web.StageMail {
			return h.showSetup(w, r, v, u, http.StatusOK, s)
		}
	}
	var codes []string
	factor := userstore.FactorApp
	s.stage = web.StageReady
	switch step {
	case "create":
		s.name = f.Get("name")
		var made userstore.NewPasskey
		if made, err = h.created(u, v.ID, f); err == nil {
			var p userstore.Passkey
			p, codes, err = h.Accounts.AddPasskey(r.Context(), u, made)
			if factor = userstore.FactorPasskey; p.BackedUp {
				factor = userstore.FactorSyncedPasskey
			}
		}
	case "confirm":
		codes, err = h.Accounts.ConfirmApp(r.Context(), u, strings.TrimSpace(f.Get("code")), userstore.KeepAll)
	case "totp":
		if s.begun, err = h.Accounts.BeginApp(r.Context(), u); err == nil {
			return h.showSetup(w, r, v, u, http.StatusOK, s)
		}
	default:
		return h.showSetup(w, r, v, u, http.StatusOK, s)
	}
	if err != nil {
		return h.refuseSetup(w, r, v, u, s, err)
	}
	return h.setupDone(w, r, v, factor, codes)
}

var setupFields = []string{
	"request", "login", "csrf", "step", "mail", "mail_code", "code", "name", "passkey", "response",
}

// setupContext is the context of what the user of a login that waits does: the password was right.
func setupContext(ctx context.Context, v setupVisit) context.Context {
	ctx = audit.As(ctx, audit.Actor{Type: audit.ByUser, ID: v.User}, v.pending.ClientID, "")
	return userstore.WithDevice(ctx, v.browser)
}

// setupMemory stands in askedCookie for the code that is asked for during a setup.
const setupMemory page = "/login/setup"

// proveMailbox checks the code of the message that a setup asked for, and notes it in the handle of the
// login; or it asks for the message.
func (h *Handlers) proveMailbox(
	w http.ResponseWriter, r *http.Request, v *setupVisit, u userstore.User, s setupState, f url.Values,
) (setupState, error) {
	s.stage, s.mail = web.StageMail, f.Get("mail")
	if s.mail == "" {
		m := wanted{browser: v.browser, email: u.Email, page: setupMemory, session: v.ID}
		asked, err := h.askOnce(w, r, m, func() (string, error) {
			return h.Accounts.RequestFactorCode(r.Context(), u, v.ID)
		})
		if s.mail = asked.Handle; err != nil {
			s.stage = web.StageStart
		}
		return s, err
	}
	if err := h.Accounts.CheckFactorCode(r.Context(), u, v.ID, s.mail, f.Get("mail_code")); err != nil {
		return s, err
	}
	v.Mailbox = true
	login, err := h.sealWaiting(setupHandle, v.visit, v.waiting)
	if err != nil {
		return s, err
	}
	v.login, s.stage, s.mail = login, web.StageReady, ""
	return s, nil
}

// refuseSetup shows the page again with what is wrong.
func (h *Handlers) refuseSetup(
	w http.ResponseWriter, r *http.Request, v setupVisit, u userstore.User, s setupState, err error,
) error {
	wrong := errors.Is(err, userstore.ErrFactorRefused)
	if p := problem.From(err); p.Code == problem.Conflict {
		return h.stepOver(w, r, v.visit, v.waiting) // the account changed
	}
	status, list, err := formAgain(w, r, err, besideFactors)
	if err != nil {
		return err
	}
	switch {
	case s.by == userstore.MethodPasskey && wrong:
		list = []web.Problem{{Code: "passkey_refused"}}
	case s.by == userstore.MethodApp && s.stage == web.StageReady:
		if s.begun, err = h.Accounts.WaitingApp(r.Context(), u); errors.Is(err, userstore.ErrNotFound) {
			s = setupState{}
		} else if err != nil {
			return err
		}
	}
	s.problems = list
	return h.showSetup(w, r, v, u, status, s)
}

// setupDone starts the session of a login whose user has set up a second factor, and shows the recovery
// codes. From there the login goes on.
func (h *Handlers) setupDone(
	w http.ResponseWriter, r *http.Request, v setupVisit, factor string, codes []string,
) error {
	request, err := h.finishSetup(w, r, v, factor)
	if err != nil {
		return h.showUnfinished(w, r, v, codes, err)
	}
	b, err := h.browserOf(w, r)
	switch {
	case err != nil:
		return h.showUnfinished(w, r, v, codes, err)
	case b == nil: // it was ended at once
		return h.showUnfinished(w, r, v, codes, userstore.ErrStepOver)
	}
	return h.showFinished(w, r, v, b, http.StatusOK, request, codes)
}

// showUnfinished shows the recovery codes of a user who has set up a second factor, and whose login then
// failed: no other page shows them. From there the login begins again.
func (h *Handlers) showUnfinished(
	w http.ResponseWriter, r *http.Request, v setupVisit, codes []string, cause error,
) error {
	p := problem.From(cause)
	refuseForm(w, r, p)
	if p.Cause != nil && p.Kind().Status >= http.StatusInternalServerError {
		refusal.Because(r.Context(), string(p.Code), p.Cause.Error()) // the log line has no other error
	}
	shown := web.Problem{Code: string(problem.LoginOver)}
	if p.Kind().Status >= http.StatusInternalServerError {
		shown.Code = string(problem.Unavailable)
	}
	page := web.SetupPage{
		Common: h.common(r, v.pending.UILocales), Finished: true, Factors: web.AccountFactors{NewCodes: codes},
		Problems: []web.Problem{shown},
	}
	page.Request, page.Onward = v.handle, v.handle != ""
	if next, ok := nextPage(r); ok && v.handle == "" {
		page.Next = next.Path()
	}
	rendered, err := h.Pages.Setup(page)
	return h.show(w, pageStatus(p.Kind()), rendered, err)
}

// showFinished shows the recovery codes, if there are any, and the way on.
func (h *Handlers) showFinished(
	w http.ResponseWriter, r *http.Request, v setupVisit, b *issuer.Browser, status int, request string, codes []string,
) (err error) {
	o := owner{v.browser, b}
	p := web.SetupPage{Common: h.common(r, v.pending.UILocales), Finished: true}
	p.Factors.NewCodes = codes
	if len(codes) == 0 {
		request = v.handle
		p.Problems = []web.Problem{{Code: "set_up_meanwhile"}}
	} else if p.Factors.Download, err = h.sealCodes(o, codes); err != nil {
		return err
	}
	p.Request, p.Onward = request, request != ""
	if next, ok := nextPage(r); ok && request == "" {
		p.Next = next.Path()
	}
	if p.DownloadCSRF, err = h.formToken(o.form(web.AccountCodes)); err != nil {
		return err
	}
	page, err := h.Pages.Setup(p)
	return h.show(w, status, page, err)
}

// SetupOptions answers the script of the page, which makes a passkey.
func (h *Handlers) SetupOptions(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, setupFields...)
	if err != nil {
		return err
	}
	v, u, done, err := h.openSetup(w, r, f.Get("request"), f.Get("login"))
	if done || err != nil {
		return err
	}
	if err := h.checkForm(v.form(), f.Get("csrf")); err != nil {
		return err
	}
	if h.Accounts.NeedsMailbox(u) && !v.Mailbox {
		return problem.New(problem.MailCodeRequired, "")
	}
	return h.writeCreation(w, r, u, v.ID, v.Until)
}
