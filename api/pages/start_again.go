package pages

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
)

// offerStart gives the page of a sign-in that has ended a link to where its app begins one. The app is
// the one of the request that this browser began: no address can name another.
func (h *Handlers) offerStart(r *http.Request, e *web.ErrorPage, p *problem.Problem) {
	if p.Handle == "" || p.Code != problem.RequestFinished && p.Code != problem.RequestExpired {
		return
	}
	_, _, client, err := h.abandoned(r.Context(), p.Handle, h.cookie(r, browserCookie))
	if err != nil {
		return
	}
	if uri := h.Issuer.InitiateLogin(client); uri != "" {
		e.Start = &web.Client{Name: client.Name, StartURI: uri}
	}
}

// ofRequest is err; if it says that a request is finished, with the handle of the request.
func ofRequest(err error, handle string) error {
	if err == nil {
		return nil
	}
	p := problem.From(err)
	if p.Code != problem.RequestFinished {
		return err
	}
	p.Handle = handle
	return p
}
