package pages

import (
	"net/http"
	"time"

	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// provingCookie remembers that a password was typed in this browser for an address that has to be
// proved: of a sign-up, or of an account at its login. By it the link of the message keeps the
// password in this browser, and leads on to the app.
const provingCookie = "proving"

// provingAge is how long a browser is remembered: as long as a pending sign-up waits.
const provingAge = 7 * 24 * time.Hour

// Why a person sees the page that takes a code.
const (
	verifySignedUp = "signed_up"
	verifyLogin    = "login"
)

// afterPassword returns the handle of the message with which the user proves the address whose
// password was right.
func (h *Handlers) afterPassword(
	w http.ResponseWriter, r *http.Request, browser string, unverified *userstore.NotVerifiedError,
) (string, error) {
	m := wanted{browser: browser, email: unverified.Email, page: verifyPage, why: verifyLogin}
	a, err := h.askOnce(w, r, m, func() (string, error) {
		return h.Accounts.VerificationAfterPassword(r.Context(), unverified, browser)
	})
	return a.Handle, err
}

// toProof leads to the page that takes the code of a message, and remembers in the browser what m
// says of it.
func (h *Handlers) toProof(w http.ResponseWriter, r *http.Request, m mailedHandle) error {
	browser := h.cookie(r, browserCookie)
	m.Page = verifyPage
	remembered := m
	if m.UserID != "" {
		remembered.Handle, remembered.Typed = "", h.Now().Unix()
	}
	if err := h.keep(w, r, provingCookie, browser, remembered, provingAge); err != nil {
		return err
	}
	m.UserID = "" // the handle shows it
	return h.leadTo(w, browser, m)
}

// proving returns what the browser remembers; nothing if there is nothing. What the page itself
// carries counts first.
func (h *Handlers) proving(r *http.Request, v mailedVisit) mailedHandle {
	kept := h.kept(r, provingCookie, v.browser, verifyPage)
	if v.Request != "" {
		kept.Request = v.Request
	}
	return kept
}

// goOnProved signs a person in who proved the address in the browser in which the password was typed,
// and goes on with the pending request. done is false if the person is not signed in by this.
func (h *Handlers) goOnProved(
	w http.ResponseWriter, r *http.Request, browser string,
	kept mailedHandle, proved userstore.Proved, by userstore.Owner,
) (done bool, err error) {
	typed := proved.Typed
	if typed.IsZero() && kept.UserID == proved.User.ID && by.NewPassword == "" {
		typed = time.Unix(kept.Typed, 0)
	}
	if typed.IsZero() {
		return false, nil
	}
	h.setCookie(w, r, provingCookie, "", -time.Second)
	if done, err := h.goOnWaitingProved(w, r, kept, proved.User, typed); done {
		return true, err
	}
	b, secret, err := h.Issuer.StartProvedSession(r.Context(), proved.User, typed.UTC(), issuer.PageLogin{
		Device: browser, Replaces: h.cookie(r, sessionCookie),
	})
	if err != nil {
		// The address is proved, so this is no failure: the person logs in on the login page.
		return false, nil
	}
	h.signedIn(w, r, b, browser, secret, 0)
	v, err := h.readVisit(w, r, kept.Request)
	switch {
	case err != nil: // the app is started from again
		return true, h.toAccount(w, r)
	case v.stale: // the request begins again, and may demand another login
		return true, h.goTo(w, r, consentPage, v.handle)
	}
	return true, h.continueRequest(w, r, v, &b)
}

// goOnWaitingProved leads a person who proved the address to the step that is left of the login: the
// password alone suffices for nobody who has a second factor, or has to have one.
func (h *Handlers) goOnWaitingProved(
	w http.ResponseWriter, r *http.Request, kept mailedHandle, u userstore.User, typed time.Time,
) (done bool, _ error) {
	p, kind := secondPage, secondHandle
	switch {
	case h.Accounts.MustHaveSecondFactor(u):
		p, kind = setupPage, setupHandle
	case !u.SecondFactor:
		return false, nil
	}
	v, err := h.readVisit(w, r, kept.Request)
	if err != nil || v.stale { // the app is started from again
		if v, err = h.readVisit(w, r, ""); err != nil {
			return true, err
		}
	}
	return true, h.toStep(w, r, p, kind, v, waitingLogin(u, typed, typedLogin{name: u.Email, signup: true}))
}
