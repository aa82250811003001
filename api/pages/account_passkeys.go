package pages

import (
	"crypto/hmac"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// sealedCreation is what the handle of a passkey's challenge holds.
type sealedCreation struct {
	issuer.Once        // spent with the passkey
	User        string `json:"user"`
	Session     string `json:"session"`
	Password    []byte `json:"password"` // User.PasswordMark
	Factors     int64  `json:"factors"`
	Address     string `json:"address"` // User.EmailKey
	Handle      string `json:"handle"`  // the user handle that the options name
}

var creationHandle = issuer.Sealed[sealedCreation]{Purpose: "passkey creation", Longest: maxHandle}

func (h *Handlers) creationChallenge(id string) ([]byte, error) {
	return h.Issuer.FormMAC("passkey creation", id)
}

// AccountPasskeyOptions answers the script of the page, which makes a passkey.
func (h *Handlers) AccountPasskeyOptions(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountPasskeys, "step", "proof", "name")
	if err != nil {
		return err
	}
	got, err := h.proveFactors(w, r, o, f)
	switch {
	case err != nil:
		return err
	case got.stage != web.StageReady:
		return errProofOver
	}
	return h.writeCreation(w, r, got.user, o.Session.ID, got.ends)
}

// writeCreation answers the options of a new passkey of u, and the handle that goes with the answer;
// session is what the handle is bound to, and ends is the end of the proof that it was made with.
func (h *Handlers) writeCreation(
	w http.ResponseWriter, r *http.Request, u userstore.User, session string, ends issuer.Until,
) error {
	sealed := sealedCreation{
		Once: h.Issuer.Once(stepLasts), User: u.ID, Session: session,
		Password: u.PasswordMark(), Factors: u.FactorVersion, Address: u.EmailKey,
	}
	sealed.Until = sealed.Within(ends)
	lasts := sealed.Left(h.Now())
	challenge, err := h.creationChallenge(sealed.ID)
	if err != nil {
		return err
	}
	options, userHandle, err := h.Accounts.PasskeyCreation(r.Context(), u, challenge, lasts)
	if err != nil {
		return err
	}
	sealed.Handle = userHandle
	handle, err := creationHandle.Seal(h.Issuer, sealed)
	if err != nil {
		return err
	}
	return h.writeOptions(w, handle, options, lasts)
}

// created reads what the script made, as userstore takes it. ErrFactorRefused: the handle is of another
// session, or too old, or the account changed meanwhile.
func (h *Handlers) created(u userstore.User, session string, f url.Values) (n userstore.NewPasskey, err error) {
	sealed, ok, err := creationHandle.Open(h.Issuer, f.Get("passkey"))
	if err != nil {
		return n, err
	}
	if !ok || sealed.User != u.ID || sealed.Session != session || sealed.Factors != u.FactorVersion ||
		sealed.Address != u.EmailKey || !hmac.Equal(sealed.Password, u.PasswordMark()) {
		return n, userstore.ErrFactorRefused
	}
	n = userstore.NewPasskey{
		UserHandle: sealed.Handle, Response: json.RawMessage(f.Get("response")), Name: f.Get("name"),
		Handle: sealed.Spent(), Keep: userstore.KeepAll,
	}
	n.Challenge, err = h.creationChallenge(sealed.ID)
	return n, err
}

// AccountPasskeysForm adds a passkey, gives one another name, or removes one.
func (h *Handlers) AccountPasskeysForm(w http.ResponseWriter, r *http.Request, o owner) error {
	const k = web.AccountPasskeys
	f, err := h.readAccount(w, r, o, k,
		"step", "proof", "current_password", "mail_code", "name", "passkey", "response", "id")
	if err != nil {
		return err
	}
	switch f.Get("step") {
	case "remove":
		if f.Get("id") == "" {
			return problem.New(problem.InvalidRequest, "The form names no passkey.")
		}
		return h.removeFactor(w, r, o, k, f, userstore.RemovedFactors{Passkey: f.Get("id")}, web.DoneUnkeyed)
	case "rename":
		return h.renamePasskey(w, r, o, f)
	}
	got, err := h.proveFactors(w, r, o, f)
	switch {
	case err != nil:
		return h.refuseProof(w, r, o, k, got, err)
	case f.Get("step") != "create" || got.stage == web.StageMail:
		return h.showFactors(w, r, o, k, http.StatusOK, atStage(got))
	}
	made, err := h.created(got.user, o.Session.ID, f)
	var codes []string
	if err == nil {
		_, codes, err = h.Accounts.AddPasskey(r.Context(), got.user, made)
	}
	if err == nil {
		return h.factorAdded(w, r, o, k, codes, web.DonePasskey)
	}
	return h.refuseFactors(w, r, o, k, err, func(p *web.AccountPage) {
		atStage(got)(p)
		p.Values = typedOf(f, []string{"name"})
		for n := range p.Problems {
			if p.Problems[n].Field == "code" { // there is no code here
				p.Problems[n] = web.Problem{Code: "passkey_refused"}
			}
		}
	})
}

// renamePasskey takes a proof, too: under another name the owner would remove the wrong passkey.
func (h *Handlers) renamePasskey(w http.ResponseWriter, r *http.Request, o owner, f url.Values) error {
	const k = web.AccountPasskeys
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	if _, err = h.Accounts.Prove(r.Context(), o.User.ID, proof); err == nil {
		err = h.Accounts.RenamePasskey(r.Context(), o.User.ID, f.Get("id"), f.Get("name"))
	}
	if err == nil {
		return h.accountDone(w, k, web.DoneRenamed)
	}
	return h.refuseFactors(w, r, o, k, err, func(p *web.AccountPage) {
		for n, wrong := range p.Problems {
			if wrong.Field == "name" { // the page has several
				p.Problems[n] = web.Problem{Code: "passkey_name." + wrong.Code}
			}
		}
	})
}
