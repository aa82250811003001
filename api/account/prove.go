package account

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// proofAge is how long a proof holds. The age of an access token never counts: a stolen token is as
// fresh as its owner's.
const proofAge = 10 * time.Minute

// maxProof is longer than any proof that was made here.
const maxProof = 1024

// recentProof are the members of a request in which the owner of the account proves to be there. A
// stolen access token has neither.
type recentProof struct {
	CurrentPassword string `json:"current_password,omitempty"`
	Proof           string `json:"proof,omitempty"` // of Prove
}

// proofOf is the proof that a request has, to be checked by userstore.Accounts, which refuses an act
// without one. A proof that is forged, too old, or of another user, grant or password does not hold.
func (h *Handlers) proofOf(session issuer.Session, q recentProof) (userstore.Proof, error) {
	switch {
	case q.CurrentPassword != "" && q.Proof != "":
		return userstore.Proof{}, problem.Invalid(problem.Fault{Field: "proof", Code: "not_allowed", Message: "Send either current_password or proof, not both."})
	case q.Proof == "":
		return userstore.Proof{Password: q.CurrentPassword}, nil
	}
	sealed, err := h.openProof(q.Proof)
	if err != nil {
		return userstore.Proof{}, err
	}
	return userstore.Proof{Earlier: func(u userstore.User) bool {
		return sealed.User == u.ID && sealed.Grant == session.View.Grant.SessionID &&
			h.Now().Unix() < sealed.Expires && hmac.Equal(sealed.Password, passwordMark(u))
	}}, nil
}

// sealedProof is what a proof holds. It tells nothing to its holder that the holder does not know.
type sealedProof struct {
	User     string `json:"user"`
	Grant    string `json:"grant"`    // its sid
	Password []byte `json:"password"` // passwordMark
	Expires  int64  `json:"expires"`
}

// passwordMark tells one stored password from another: a new password ends the proofs of the old
// one. It is a hash of a salted hash, from which neither can be found.
func passwordMark(u userstore.User) []byte {
	sum := sha256.Sum256([]byte("password of a proof\x00" + u.ID + "\x00" + u.PasswordHash))
	return sum[:16]
}

// Prove takes the password and answers a proof, which the requests that demand one accept for a while.
func (h *Handlers) Prove(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q struct {
		CurrentPassword string `json:"current_password"`
	}
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	if q.CurrentPassword == "" {
		return problem.New(problem.RecentProofRequired, "Send the account's password as current_password.")
	}
	u, err := h.Accounts.Prove(r.Context(), session.View.User.ID, userstore.Proof{Password: q.CurrentPassword})
	if err != nil {
		return err
	}
	ends := h.Now().Add(proofAge)
	proof, err := h.sealProof(sealedProof{u.ID, session.View.Grant.SessionID, passwordMark(u), ends.Unix()})
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, struct {
		Proof     string `json:"proof"`
		ExpiresIn int64  `json:"expires_in"`
	}{proof, int64(proofAge / time.Second)})
}

func (h *Handlers) sealProof(p sealedProof) (string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return h.Issuer.Seal("proof", text)
}

// openProof reads a proof that was made here.
func (h *Handlers) openProof(proof string) (sealed sealedProof, err error) {
	refused := problem.New(problem.RecentProofRequired, "The proof does not hold, or not any more: get another at /v1/profile/prove.")
	if len(proof) > maxProof {
		return sealed, refused
	}
	text, ok, err := h.Issuer.Unseal("proof", proof)
	if err != nil {
		return sealed, err
	}
	if !ok || json.Unmarshal(text, &sealed) != nil {
		return sealed, refused
	}
	return sealed, nil
}
