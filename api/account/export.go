package account

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// proofHeader carries a proof where a request has no body: an address is no place for it, because
// addresses are logged.
const proofHeader = "Signet-Proof"

// ProofInHeader is the proof that a request has in its header, to be checked by userstore.Accounts.
func (h *Handlers) ProofInHeader(r *http.Request, session issuer.Session) (userstore.Proof, error) {
	sent := r.Header[proofHeader]
	if len(sent) > 1 {
		return userstore.Proof{}, problem.New(problem.InvalidRequest, "Send one header "+proofHeader+".")
	}
	var q recentProof
	if len(sent) == 1 {
		q.Proof = sent[0]
	}
	proof, err := h.proofOf(session, q)
	if err == nil && proof.Earlier == nil {
		err = problem.New(problem.RecentProofRequired, "Send a proof from /v1/profile/prove in the header "+proofHeader+".")
	}
	return proof, err
}

// GetExport answers everything that is kept in the user's name. It demands a recent proof: a stolen access token
// tells what its scopes tell, and not where its owner lives and signs in from.
func (h *Handlers) GetExport(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	proof, err := h.ProofInHeader(r, session)
	if err != nil {
		return err
	}
	u, err := h.Accounts.Prove(r.Context(), session.View.User.ID, proof)
	if err != nil {
		return err
	}
	export, err := h.Export.Of(r.Context(), u, session.View.Grant)
	if err != nil {
		return err
	}
	w.Header()["Content-Disposition"] = []string{profile.ExportDisposition}
	return wire.WriteJSON(w, http.StatusOK, export)
}
