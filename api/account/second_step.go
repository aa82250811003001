package account

import (
	"encoding/json"
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// A login of an account with a second factor goes on here, with the handle that the refusal of
// /v1/login has as login. Whatever the second step is, its answer is that of a login.

// LoginByCode takes a code of the authenticator app.
func (h *Handlers) LoginByCode(w http.ResponseWriter, r *http.Request) error {
	return h.loginByCode(w, r, func(code string) userstore.FactorProof { return userstore.FactorProof{Code: code} })
}

// LoginByRecoveryCode takes a recovery code.
func (h *Handlers) LoginByRecoveryCode(w http.ResponseWriter, r *http.Request) error {
	return h.loginByCode(w, r, func(code string) userstore.FactorProof {
		return userstore.FactorProof{RecoveryCode: code}
	})
}

func (h *Handlers) loginByCode(
	w http.ResponseWriter, r *http.Request, proof func(code string) userstore.FactorProof,
) error {
	var q struct {
		Login string `json:"login"`
		Code  string `json:"code"`
	}
	if err := h.loginBody(w, r, &q); err != nil {
		return err
	}
	if err := required(member{"login", q.Login == ""}, member{"code", q.Code == ""}); err != nil {
		return err
	}
	tokens, err := h.Issuer.LoginSecond(r.Context(), q.Login, proof(q.Code))
	if err != nil {
		return err
	}
	return wire.WriteTokens(w, tokens)
}

// passkeyOptions is what a browser needs to use a passkey, or to make one.
type passkeyOptions struct {
	Login     string          `json:"login,omitempty"`  // of a login
	Handle    string          `json:"handle,omitempty"` // of anything else
	Options   json.RawMessage `json:"options"`
	ExpiresIn int64           `json:"expires_in,omitempty"` // seconds
}

// passkeyAnswer is the answer of a browser, with the handle of the login.
type passkeyAnswer struct {
	Login    string          `json:"login"`
	Response json.RawMessage `json:"response"`
}

func (q passkeyAnswer) check() error {
	return required(member{"login", q.Login == ""}, member{"response", missing(q.Response)})
}

// LoginPasskeyOptions answers what a browser needs to take the second step by a passkey.
func (h *Handlers) LoginPasskeyOptions(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Login string `json:"login"`
	}
	if err := h.loginBody(w, r, &q); err != nil {
		return err
	}
	if err := required(member{"login", q.Login == ""}); err != nil {
		return err
	}
	options, err := h.Issuer.LoginPasskeyOptions(r.Context(), q.Login)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, passkeyOptions{Options: options})
}

// LoginByPasskey takes the second step by a passkey.
func (h *Handlers) LoginByPasskey(w http.ResponseWriter, r *http.Request) error {
	return h.loginByPasskey(w, r, func(q passkeyAnswer) (issuer.TokenResponse, error) {
		return h.Issuer.LoginSecond(r.Context(), q.Login, userstore.FactorProof{Passkey: q.Response})
	})
}

// PasskeyLoginOptions begins a login by passkey alone.
func (h *Handlers) PasskeyLoginOptions(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		ClientID string    `json:"client_id"`
		Scope    string    `json:"scope"`
		Resource oneOrMany `json:"resource"`
	}
	if err := h.loginBody(w, r, &q); err != nil {
		return err
	}
	login, options, err := h.Issuer.BeginPasskeyLogin(r.Context(), issuer.PasskeyLoginRequest{
		ClientID: q.ClientID, Scope: q.Scope, Resource: q.Resource,
	})
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, passkeyOptions{
		Login: login.Login, Options: options, ExpiresIn: login.ExpiresIn,
	})
}

// PasskeyLogin signs in the owner of a passkey.
func (h *Handlers) PasskeyLogin(w http.ResponseWriter, r *http.Request) error {
	return h.loginByPasskey(w, r, func(q passkeyAnswer) (issuer.TokenResponse, error) {
		return h.Issuer.PasskeyLogin(r.Context(), q.Login, q.Response)
	})
}

func (h *Handlers) loginByPasskey(
	w http.ResponseWriter, r *http.Request, login func(passkeyAnswer) (issuer.TokenResponse, error),
) error {
	var q passkeyAnswer
	if err := h.loginBody(w, r, &q); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return err
	}
	tokens, err := login(q)
	if err != nil {
		return err
	}
	return wire.WriteTokens(w, tokens)
}

// loginBody reads a request of a login, where logins by JSON are on.
func (h *Handlers) loginBody(w http.ResponseWriter, r *http.Request, q any) error {
	if !h.JSONLogin {
		return problem.New(problem.LoginClosed, "")
	}
	_, err := profile.Decode(w, r, q)
	return err
}

// member is a member of a request that has to be there.
type member struct {
	name    string
	missing bool
}

// required refuses a request without a member that it needs.
func required(members ...member) error {
	var faults []problem.Fault
	for _, m := range members {
		if m.missing {
			faults = append(faults, problem.Fault{Field: m.name, Code: "required", Message: "Send " + m.name + "."})
		}
	}
	if faults != nil {
		return problem.Invalid(faults...)
	}
	return nil
}

// missing reports whether the answer of a passkey was not sent.
func missing(response json.RawMessage) bool { return len(response) == 0 || string(response) == "null" }
