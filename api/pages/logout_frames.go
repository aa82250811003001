package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/issuer"
)

// showLogoutFrames answers a logout with the page that tells apps of it by hidden frames, and then
// leads to where the logout was to end. The page is the answer itself and has no address of its own:
// loaded once more, it would end the sessions that the apps have by then.
func (h *Handlers) showLogoutFrames(w http.ResponseWriter, r *http.Request, p issuer.PendingLogout) error {
	d := web.SignedOutPage{Common: h.common(r, p.UILocales), NotBack: string(p.NotBack), Frames: p.Frames, To: p.RedirectURI}
	var err error
	if p.RedirectURI != "" {
		name, err := h.appNames(r.Context())(p.ClientID)
		if err != nil {
			return err
		}
		d.Client = &web.Client{Name: name}
	} else if d.Request, err = h.seal(logoutHandle, h.browserID(w, r), p); err != nil {
		return err
	}
	page, err := h.Pages.SignedOut(d)
	return h.show(w, http.StatusOK, page, err)
}
