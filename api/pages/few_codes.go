package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

// toFewCodes leads to the page that says how few recovery codes are left.
func (h *Handlers) toFewCodes(w http.ResponseWriter, r *http.Request, v secondVisit, b *issuer.Browser) (err error) {
	if v.handle == "" {
		return wire.SeeOther(w, h.stepPath(r, codesPage, "", ""))
	}
	handle := v.handle
	if v.waiting != nil {
		if handle, err = h.proveRequest(v.visit, b); err != nil {
			return err
		}
	}
	return h.goTo(w, r, codesPage, handle)
}

// CodesPage says how few recovery codes the user has left.
func (h *Handlers) CodesPage(w http.ResponseWriter, r *http.Request) error {
	return h.codes(w, r, r.URL.Query().Get("request"))
}

func (h *Handlers) codes(w http.ResponseWriter, r *http.Request, handle string) error {
	v, err := h.readVisit(w, r, handle)
	switch {
	case err != nil:
		return err
	case v.session == nil:
		return h.toLogin(w, r, v.handle)
	}
	have, err := h.Accounts.Store.SecondFactors(r.Context(), v.session.User.ID)
	switch {
	case err != nil:
		return err
	case have.RecoveryCodes > web.FewCodes:
		return h.leadOn(w, r, v)
	}
	p := web.CodesPage{Common: h.common(r, v.pending.UILocales), Left: have.RecoveryCodes}
	if next, ok := nextPage(r); ok {
		p.Next = next.Path()
	}
	p.Request, p.Onward = v.handle, v.handle != ""
	page, err := h.Pages.FewCodes(p)
	return h.show(w, http.StatusOK, page, err)
}
