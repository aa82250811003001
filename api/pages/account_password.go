package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/userstore"
)

// AccountPasswordForm changes the password and ends the other sessions, unless the person wants to keep
// them. The page that follows offers once more to end those that were kept.
func (h *Handlers) AccountPasswordForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountPassword, "current_password", "new_password", "others")
	if err != nil {
		return err
	}
	keep, done := o.Session.ID, web.DonePassword
	if f.Get("others") != "yes" {
		keep, done = userstore.KeepAll, web.DoneNewKept
	}
	proof, err := h.proof(o, f)
	if err != nil {
		return err
	}
	proof.Password = f.Get("current_password") // beside a second factor, too
	if err := h.Accounts.ChangePassword(r.Context(), o.User.ID, proof, f.Get("new_password"), keep); err != nil {
		return h.refuseAccount(w, r, o, web.AccountPassword, err, nil)
	}
	return h.accountDone(w, web.AccountPassword, done)
}
