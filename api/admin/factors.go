package admin

import (
	"errors"
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// Proved lets a handler be called only with a recent proof of the admin's own, where the admin has a
// second factor: a stolen access token is not enough for what opens accounts to others, or makes
// other admins. An admin without a second factor has proved the password only, which whoever stole
// the token may have, too.
func (h *Handlers) Proved(handle func(http.ResponseWriter, Request) error) func(http.ResponseWriter, Request) error {
	return func(w http.ResponseWriter, r Request) error {
		if err := h.prove(r); err != nil {
			return err
		}
		return handle(w, r)
	}
}

func (h *Handlers) prove(r Request) error {
	admin := r.Session.View.User
	if !admin.SecondFactor {
		return nil
	}
	proof, err := h.Proof(r.Request, r.Session)
	if err != nil {
		return err
	}
	_, err = h.Accounts.Prove(r.Context(), admin.ID, proof)
	return err
}

// GetFactors lists what the user has beside the password.
func (h *Handlers) GetFactors(w http.ResponseWriter, r Request) error {
	id := r.PathValue("id")
	have, err := h.Accounts.Store.SecondFactors(r.Context(), id)
	if err != nil {
		return err
	}
	trusted, err := h.Accounts.Store.ListTrustedBrowsers(r.Context(), id, h.Accounts.Now())
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, profile.FactorsOf(have, trusted))
}

// DeleteFactors removes the user's authenticator app, passkeys and recovery codes. Where there are
// none, nothing happens.
func (h *Handlers) DeleteFactors(w http.ResponseWriter, r Request) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	err := h.Accounts.RemoveFactorsByOperator(r.Context(), r.PathValue("id"), "")
	if err != nil && !errors.Is(err, userstore.ErrNoSuchFactor) {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// DeleteFactor removes one authenticator app or passkey. The recovery codes go with the last.
func (h *Handlers) DeleteFactor(w http.ResponseWriter, r Request) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	err := h.Accounts.RemoveFactorsByOperator(r.Context(), r.PathValue("id"), r.PathValue("factor"))
	if errors.Is(err, userstore.ErrNoSuchFactor) {
		return problem.New(problem.NotFound, "")
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
