package pages

import (
	"errors"
	"net/http"
	"strings"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/userstore"
)

// AccountAuthenticatorForm sets up an authenticator app, in the place of the one before, or removes
// it. The app counts once a code of it confirmed the setup.
func (h *Handlers) AccountAuthenticatorForm(w http.ResponseWriter, r *http.Request, o owner) error {
	const k = web.AccountAuthenticator
	f, err := h.readAccount(w, r, o, k, "step", "proof", "current_password", "mail_code", "code")
	if err != nil {
		return err
	}
	step := f.Get("step")
	if step == "remove" {
		return h.removeFactor(w, r, o, k, f, userstore.RemovedFactors{App: true}, web.DoneAppRemoved)
	}
	got, err := h.proveFactors(w, r, o, f)
	switch {
	case err != nil:
		return h.refuseProof(w, r, o, k, got, err)
	case got.stage == web.StageMail:
		return h.showFactors(w, r, o, k, http.StatusOK, atStage(got))
	}
	if step != "confirm" {
		begun, err := h.Accounts.BeginApp(r.Context(), got.user)
		if err != nil {
			return h.refuseFactors(w, r, o, k, err, nil)
		}
		return h.showFactors(w, r, o, k, http.StatusOK, appStage(got, begun))
	}
	codes, err := h.Accounts.ConfirmApp(r.Context(), got.user, strings.TrimSpace(f.Get("code")), userstore.KeepAll)
	if errors.Is(err, userstore.ErrFactorRefused) {
		begun, waiting := h.Accounts.WaitingApp(r.Context(), got.user)
		if waiting == nil {
			return h.refuseFactors(w, r, o, k, err, appStage(got, begun))
		}
		err = waiting
	}
	if err != nil {
		return h.refuseFactors(w, r, o, k, err, nil)
	}
	return h.factorAdded(w, r, o, k, codes, web.DoneApp)
}

// appStage is the stage of a setup that shows the secret and asks for the first code.
func appStage(got provedForFactors, begun userstore.BegunApp) func(*web.AccountPage) {
	return func(p *web.AccountPage) {
		atStage(got)(p)
		p.Factors.Secret, p.Factors.URI = begun.Secret, begun.URI
	}
}
