package account

import (
	"encoding/json"
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// askRequest asks for a message to an address.
type askRequest struct {
	Email string `json:"email"`
}

// askAnswer has the same form for every address. The handle belongs to the code of the message, if
// one is sent.
type askAnswer struct {
	Handle string `json:"handle"`
}

// mailedRequest presents the link or the code of a message.
type mailedRequest struct {
	Token  string `json:"token"`
	Handle string `json:"handle"`
	Code   string `json:"code"`
}

func (q mailedRequest) mailed() userstore.Mailed {
	return userstore.Mailed{Token: q.Token, Handle: q.Handle, Code: q.Code}
}

// ForgotPassword asks for a message with which the owner of an address sets a new password.
func (h *Handlers) ForgotPassword(w http.ResponseWriter, r *http.Request) error {
	var q askRequest
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	handle, err := h.Accounts.ForgotPassword(r.Context(), q.Email, "")
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusAccepted, askAnswer{handle})
}

// ResetPassword sets a new password by the link or the code of a message. It signs nobody in.
func (h *Handlers) ResetPassword(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		mailedRequest
		NewPassword string `json:"new_password"`
	}
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	if q.NewPassword == "" {
		return problem.Invalid(problem.Fault{
			Field: "new_password", Code: "required", Message: "Send the password that is to be the account's.",
		})
	}
	if err := h.Issuer.ResetPassword(r.Context(), q.mailed(), q.NewPassword); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ResetPasswordSecond sets the new password of a reset that needs a second factor, by a code of the
// authenticator app, a recovery code or the answer of a passkey.
func (h *Handlers) ResetPasswordSecond(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Login        string          `json:"login"`
		NewPassword  string          `json:"new_password"`
		Code         string          `json:"code"`
		RecoveryCode string          `json:"recovery_code"`
		Response     json.RawMessage `json:"response"`
	}
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	if string(q.Response) == "null" {
		q.Response = nil
	}
	ways := 0
	for _, sent := range []bool{q.Code != "", q.RecoveryCode != "", q.Response != nil} {
		if sent {
			ways++
		}
	}
	err := required(member{"login", q.Login == ""}, member{"new_password", q.NewPassword == ""}, member{"code", ways == 0})
	if err == nil && ways > 1 {
		err = problem.Invalid(problem.Fault{
			Field: "code", Code: "not_allowed", Message: "Send one of code, recovery_code and response.",
		})
	}
	if err != nil {
		return err
	}
	proof := userstore.FactorProof{Code: q.Code, RecoveryCode: q.RecoveryCode, Passkey: q.Response}
	if err := h.Issuer.ResetSecond(r.Context(), q.Login, proof, q.NewPassword); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ResetPasskeyOptions answers what a browser needs to prove a passkey for a reset.
func (h *Handlers) ResetPasskeyOptions(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Login string `json:"login"`
	}
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	if err := required(member{"login", q.Login == ""}); err != nil {
		return err
	}
	options, err := h.Issuer.ResetPasskeyOptions(r.Context(), q.Login)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, passkeyOptions{Options: options})
}
