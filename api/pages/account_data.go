package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// AccountDataForm answers everything that is kept in the user's name as a file. It takes a recent proof: a browser
// that was left open gives nothing away.
func (h *Handlers) AccountDataForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountData, "current_password")
	if err != nil {
		return err
	}
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	u, err := h.Accounts.Prove(r.Context(), o.User.ID, proof)
	if err != nil {
		return h.refuseAccount(w, r, o, web.AccountData, err, nil)
	}
	export, err := h.Export.Of(r.Context(), u, userstore.Grant{BrowserSession: o.Session.ID})
	if err != nil {
		return err
	}
	w.Header()["Content-Disposition"] = []string{profile.ExportDisposition}
	return wire.WriteJSON(w, http.StatusOK, export)
}

// AccountDeleteForm deletes the account, which takes a recent proof.
func (h *Handlers) AccountDeleteForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountDelete, "current_password")
	if err != nil {
		return err
	}
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	if err := h.Accounts.Delete(r.Context(), o.User.ID, proof); err != nil {
		return h.refuseAccount(w, r, o, web.AccountDelete, err, nil)
	}
	h.setCookie(w, r, sessionCookie, "", -1)
	if err := h.keepState(w, r, nil); err != nil {
		return err
	}
	page, err := h.Pages.Account(web.AccountPage{Common: h.common(r, nil), Kind: web.AccountDeleted})
	return h.show(w, http.StatusOK, page, err)
}
