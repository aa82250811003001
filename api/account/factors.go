package account

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/qr"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// GetFactors lists what the account has beside its password, and where the password alone does.
func (h *Handlers) GetFactors(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	userID := session.View.User.ID
	have, err := h.Accounts.Store.SecondFactors(r.Context(), userID)
	if err != nil {
		return err
	}
	trusted, err := h.Accounts.TrustedBrowsers(r.Context(), userID)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, profile.FactorsOf(have, trusted))
}

// DeleteTrustedBrowser ends the trust in one browser. It takes no proof: it lets nobody in.
func (h *Handlers) DeleteTrustedBrowser(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	if err := h.Accounts.EndTrust(r.Context(), session.View.User.ID, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// factorChange are the members of a request that changes second factors. The caller's own session
// always goes on.
type factorChange struct {
	recentProof
	EndOtherSessions bool `json:"end_other_sessions"`
}

// keep is the session, or all of them, that goes on.
func (q factorChange) keep(session issuer.Session) string {
	if q.EndOtherSessions {
		return session.View.Grant.SessionID
	}
	return userstore.KeepAll
}

// proved returns the user of the session, who gave the recent proof that a change of second factors
// takes.
func (h *Handlers) proved(r *http.Request, session issuer.Session, q recentProof) (userstore.User, error) {
	proof, err := h.proofOf(session, q)
	if err != nil {
		return userstore.User{}, err
	}
	return h.Accounts.Prove(r.Context(), session.View.User.ID, proof)
}

// provedForSetup is proved for a new second factor. The first one takes the mailbox as well, where there
// is mail: a stolen password must not bind the account to the device of a thief.
func (h *Handlers) provedForSetup(r *http.Request, session issuer.Session, q recentProof) (userstore.User, error) {
	u, err := h.proved(r, session, q)
	if err != nil {
		return userstore.User{}, err
	}
	if err := h.Accounts.MaySetUpFactor(u); err != nil {
		return userstore.User{}, err
	}
	if !h.Accounts.NeedsMailbox(u) {
		return u, nil
	}
	_, sealed, err := h.readProof(session, q)
	if err == nil && (sealed.Mailbox == "" || sealed.Mailbox != u.EmailKey) {
		err = problem.New(problem.MailCodeRequired, "")
	}
	return u, err
}

// RequestFactorCode sends a code to the mailbox of an account that has no second factor. It takes the
// password: a stolen access token sends no messages.
func (h *Handlers) RequestFactorCode(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q recentProof
	if !wire.Bodyless(r) {
		if _, err := profile.Decode(w, r, &q); err != nil {
			return err
		}
	}
	if !h.Accounts.NeedsMailbox(session.View.User) {
		return problem.New(problem.Conflict, "The account has a second factor: prove that at /v1/profile/prove instead.")
	}
	if err := h.Accounts.MaySetUpFactor(session.View.User); err != nil {
		return err
	}
	u, err := h.proved(r, session, q)
	if err != nil {
		return err
	}
	handle, err := h.Accounts.RequestFactorCode(r.Context(), u, session.View.Grant.SessionID)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusAccepted, askAnswer{handle})
}

// begunApp is what an authenticator app is set up with.
type begunApp struct {
	Login  string `json:"login,omitempty"` // of a login that sets it up
	Secret string `json:"secret"`
	URI    string `json:"uri"`
	QRSVG  string `json:"qr_svg"`
}

func begunAppOf(begun userstore.BegunApp) (begunApp, error) {
	svg, err := qr.SVG(begun.URI, "")
	return begunApp{Secret: begun.Secret, URI: begun.URI, QRSVG: string(svg)}, err
}

// BeginApp makes the secret of an authenticator app, which counts once ConfirmApp got a code of it.
func (h *Handlers) BeginApp(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q recentProof
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	u, err := h.provedForSetup(r, session, q)
	if err != nil {
		return err
	}
	begun, err := h.Accounts.BeginApp(r.Context(), u)
	if err != nil {
		return err
	}
	answer, err := begunAppOf(begun)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, answer)
}

// newCodes are recovery codes, which are shown this once.
type newCodes struct {
	RecoveryCodes []string `json:"recovery_codes,omitempty"` // with the first second factor
}

// ConfirmApp makes the app whose setup waits the account's, by its first code.
func (h *Handlers) ConfirmApp(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q struct {
		factorChange
		Code string `json:"code"`
	}
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	if err := required(member{"code", q.Code == ""}); err != nil {
		return err
	}
	u, err := h.provedForSetup(r, session, q.recentProof)
	if err != nil {
		return err
	}
	codes, err := h.Accounts.ConfirmApp(r.Context(), u, q.Code, q.keep(session))
	if errors.Is(err, userstore.ErrNotFound) {
		return problem.New(problem.NotFound, "No authenticator app waits for its first code: begin at /v1/profile/factors/totp.")
	}
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, newCodes{codes})
}

// DeleteApp removes the authenticator app.
func (h *Handlers) DeleteApp(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	return h.removeFactors(w, r, session, userstore.RemovedFactors{App: true})
}

// DeletePasskey removes a passkey.
func (h *Handlers) DeletePasskey(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	return h.removeFactors(w, r, session, userstore.RemovedFactors{Passkey: r.PathValue("id")})
}

func (h *Handlers) removeFactors(
	w http.ResponseWriter, r *http.Request, session issuer.Session, what userstore.RemovedFactors,
) error {
	var q factorChange
	if !wire.Bodyless(r) {
		if _, err := profile.Decode(w, r, &q); err != nil {
			return err
		}
	}
	u, err := h.proved(r, session, q.recentProof)
	if err != nil {
		return err
	}
	if err := h.Accounts.RemoveFactors(r.Context(), u, what, false, q.keep(session)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// PasskeyCreation answers what a browser needs to make a passkey. The handle brings the proof along, and
// ends with it.
func (h *Handlers) PasskeyCreation(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q recentProof
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	u, err := h.provedForSetup(r, session, q)
	if err != nil {
		return err
	}
	ends, err := h.proofEnds(q)
	if err != nil {
		return err
	}
	asked := h.newChallenge(forCreation, u, session)
	asked.Until = asked.Within(ends)
	challenge, err := h.challenge(asked)
	if err != nil {
		return err
	}
	options, userHandle, err := h.Accounts.PasskeyCreation(r.Context(), u, challenge, asked.Left(h.Now()))
	if err != nil {
		return err
	}
	asked.UserHandle = userHandle
	return h.writeChallenge(w, asked, options)
}

// AddPasskey stores the passkey that a browser made.
func (h *Handlers) AddPasskey(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q struct {
		Handle           string          `json:"handle"` // of PasskeyCreation
		Response         json.RawMessage `json:"response"`
		Name             string          `json:"name"`
		EndOtherSessions bool            `json:"end_other_sessions"`
	}
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	err := required(member{"handle", q.Handle == ""}, member{"response", missing(q.Response)})
	if err != nil {
		return err
	}
	u, err := h.Accounts.Store.UserByID(r.Context(), session.View.User.ID)
	if err != nil {
		return err
	}
	asked, err := h.openChallenge(q.Handle, forCreation, u, session)
	if err != nil {
		return err
	}
	challenge, err := h.challenge(asked)
	if err != nil {
		return err
	}
	key, codes, err := h.Accounts.AddPasskey(r.Context(), u, userstore.NewPasskey{
		Challenge: challenge, UserHandle: asked.UserHandle, Response: q.Response, Name: q.Name, Handle: asked.Spent(),
		Keep: factorChange{EndOtherSessions: q.EndOtherSessions}.keep(session),
	})
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusCreated, struct {
		profile.Passkey
		newCodes
	}{profile.PasskeyOf(key), newCodes{codes}})
}

// PatchPasskey gives a passkey another name. It takes a proof, too: under another name the owner would
// remove the wrong passkey.
func (h *Handlers) PatchPasskey(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q struct {
		recentProof
		Name *string `json:"name"`
	}
	if _, err := profile.Decode(w, r, &q, wire.MergePatchType, wire.JSONType); err != nil {
		return err
	}
	if err := required(member{"name", q.Name == nil}); err != nil {
		return err
	}
	u, err := h.proved(r, session, q.recentProof)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := h.Accounts.RenamePasskey(r.Context(), u.ID, id, *q.Name); err != nil {
		return err
	}
	have, err := h.Accounts.Store.SecondFactors(r.Context(), u.ID)
	if err != nil {
		return err
	}
	for _, p := range have.Passkeys {
		if p.ID == id {
			return wire.WriteJSON(w, http.StatusOK, profile.PasskeyOf(p))
		}
	}
	return userstore.ErrNotFound // removed meanwhile
}

// NewRecoveryCodes replaces the recovery codes.
func (h *Handlers) NewRecoveryCodes(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q factorChange
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	u, err := h.proved(r, session, q.recentProof)
	if err != nil {
		return err
	}
	if !u.SecondFactor {
		return problem.New(problem.Conflict, "Recovery codes stand in for a second factor: set one up first.")
	}
	codes, err := h.Accounts.NewRecoveryCodes(r.Context(), u, q.keep(session))
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, newCodes{codes})
}
