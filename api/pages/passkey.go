package pages

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// passkeyChallenge is what a passkey has to sign. Its handle comes back with the answer, so that
// nothing is stored.
type passkeyChallenge struct {
	issuer.Once
	Form string `json:"form"` // the token of the form that the answer comes with
}

// beginPasskey makes a challenge for the form f, and its handle.
func (h *Handlers) beginPasskey(f form) (handle string, challenge []byte, err error) {
	token, err := h.formToken(f)
	if err != nil {
		return "", nil, err
	}
	c := passkeyChallenge{Once: h.Issuer.Once(stepLasts), Form: token}
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
	case c.Form != token, c.Over(h.Now()):
		return nil, spent, userstore.ErrStepOver
	}
	challenge, err = h.Issuer.FormMAC("passkey of a page", c.ID)
	return challenge, c.Spent(), err
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

func (h *Handlers) writeOptions(
	w http.ResponseWriter, handle string, options json.RawMessage, lasts time.Duration,
) error {
	return wire.WriteJSON(w, http.StatusOK, passkeyOptions{handle, options, int64(lasts / time.Second)})
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
		v, err := h.readSecond(w, r, f.Get("request"), f.Get("login"))
		switch {
		case err != nil:
			return err
		case v.over, v.user == "":
			return problem.New(problem.LoginOver, "")
		}
		asked, user = v.form(), v.user
	} else {
		v, err := h.readVisit(w, r, f.Get("request"))
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
	return h.writeOptions(w, handle, options, stepLasts)
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
	h.signedIn(w, r, b, v.browser, secret, h.sessionAge(typed.stay))
	return h.continueRequest(w, r, v, &b)
}
