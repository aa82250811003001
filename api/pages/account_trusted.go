package pages

import (
	"errors"
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/userstore"
)

// AccountTrustedForm ends the trust in one browser, or in all.
func (h *Handlers) AccountTrustedForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountTrusted, "browser")
	if err != nil {
		return err
	}
	id := f.Get("browser")
	switch id {
	case "":
		return problem.New(problem.InvalidRequest, "The form names no browser.")
	case "all":
		id = ""
	}
	// A trust that ended meanwhile is what the person wants. Another user's is treated alike.
	if err := h.Accounts.EndTrust(r.Context(), o.User.ID, id); err != nil && !errors.Is(err, userstore.ErrNotFound) {
		return err
	}
	return h.accountDone(w, web.AccountTrusted, web.DoneUntrusted)
}
