package account

import (
	"encoding/json"
	"net/http"

	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

// Where the policy wants a second factor of an account that has none, a login with the right password
// goes on here. Its handle, as login, opens the setup and nothing else.

// setupRequest goes on with a setup; the first step takes the mailbox, where there is mail.
type setupRequest struct {
	Login    string `json:"login"`
	Handle   string `json:"handle"` // of SetupCode
	MailCode string `json:"mail_code"`
}

func (h *Handlers) setupBody(w http.ResponseWriter, r *http.Request) (q setupRequest, err error) {
	if err := h.loginBody(w, r, &q); err != nil {
		return q, err
	}
	return q, required(member{"login", q.Login == ""})
}

func (q setupRequest) mail() issuer.MailProof {
	return issuer.MailProof{Handle: q.Handle, Code: q.MailCode}
}

// SetupCode sends a code to the mailbox of the login.
func (h *Handlers) SetupCode(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Login string `json:"login"`
	}
	if err := h.loginBody(w, r, &q); err != nil {
		return err
	}
	if err := required(member{"login", q.Login == ""}); err != nil {
		return err
	}
	handle, err := h.Issuer.SetupCode(r.Context(), q.Login)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusAccepted, askAnswer{handle})
}

// SetupApp makes the secret of an authenticator app.
func (h *Handlers) SetupApp(w http.ResponseWriter, r *http.Request) error {
	q, err := h.setupBody(w, r)
	if err != nil {
		return err
	}
	login, begun, err := h.Issuer.SetupApp(r.Context(), q.Login, q.mail())
	if err != nil {
		return err
	}
	answer, err := begunAppOf(begun)
	if err != nil {
		return err
	}
	answer.Login = login
	return wire.WriteJSON(w, http.StatusOK, answer)
}

// ConfirmSetupApp takes the first code of the app, and answers tokens and recovery codes.
func (h *Handlers) ConfirmSetupApp(w http.ResponseWriter, r *http.Request) error {
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
	tokens, codes, err := h.Issuer.ConfirmSetupApp(r.Context(), q.Login, q.Code)
	if err != nil {
		return err
	}
	return writeSetUp(w, tokens, codes)
}

// SetupPasskeyOptions answers what a browser needs to make a passkey.
func (h *Handlers) SetupPasskeyOptions(w http.ResponseWriter, r *http.Request) error {
	q, err := h.setupBody(w, r)
	if err != nil {
		return err
	}
	login, options, err := h.Issuer.SetupPasskeyOptions(r.Context(), q.Login, q.mail())
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, passkeyOptions{Login: login, Options: options})
}

// SetupPasskey stores the passkey that a browser made, and answers tokens and recovery codes.
func (h *Handlers) SetupPasskey(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		passkeyAnswer
		Name string `json:"name"`
	}
	if err := h.loginBody(w, r, &q); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return err
	}
	tokens, codes, err := h.Issuer.SetupPasskey(r.Context(), q.Login, json.RawMessage(q.Response), q.Name)
	if err != nil {
		return err
	}
	return writeSetUp(w, tokens, codes)
}

// writeSetUp answers the tokens of a login that set up a second factor.
func writeSetUp(w http.ResponseWriter, tokens issuer.TokenResponse, codes []string) error {
	w.Header().Set("Pragma", "no-cache") // as wire.WriteTokens
	return wire.WriteJSON(w, http.StatusOK, struct {
		issuer.TokenResponse
		newCodes
	}{tokens, newCodes{codes}})
}
