package pages

import (
	"context"
	"net/http"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// leadBack gives an error page the button that ends a request at its app. Where the client or its redirect URI is gone, the
// page has none.
func (h *Handlers) leadBack(r *http.Request, e *web.ErrorPage, handle string) {
	f, _, client, err := h.abandoned(r.Context(), handle, h.cookie(r, browserCookie))
	if err != nil {
		return
	}
	if e.CSRF, err = h.formToken(f); err != nil {
		return
	}
	back := h.webClient(client, "")
	e.Back, e.Request, e.Onward = &back, handle, true
}

// BackForm tells an app that its request has ended, by an error response (RFC 6749 section 4.1.2.1).
func (h *Handlers) BackForm(w http.ResponseWriter, r *http.Request) error {
	f, err := wire.ReadFields(w, r, "request", "csrf")
	if err != nil {
		return err
	}
	shown, answer, _, err := h.abandoned(r.Context(), f.Get("request"), h.cookie(r, browserCookie))
	if err != nil {
		return err
	}
	if err := h.checkForm(shown, f.Get("csrf")); err != nil {
		return err
	}
	return h.respond(w, r, answer)
}

// abandoned reads a handle of this browser, and makes the answer that ends its request.
func (h *Handlers) abandoned(ctx context.Context, handle, browser string) (form, issuer.AuthorizationResponse, userstore.Client, error) {
	var p issuer.Pending
	if _, err := h.unseal(handle, authorizationHandle, browser, &p); err != nil {
		return form{}, issuer.AuthorizationResponse{}, userstore.Client{}, err
	}
	answer, client, err := h.Issuer.Abandon(ctx, p)
	return form{browser: browser, name: "back", request: p.ID}, answer, client, err
}
