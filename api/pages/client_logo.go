package pages

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/logos"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/userstore"
)

// clientLogoPath is where a client's logo is on our origin, below the issuer's path.
const clientLogoPath = "/client-logo"

// clientLogo returns the path of a client's logo; empty: none is shown. The path names the version
// of the logo's address, so that caches ask again when it was registered anew.
func (h *Handlers) clientLogo(c userstore.Client) string {
	if h.Logos == nil || c.LogoURI == "" {
		return ""
	}
	return h.Issuer.Path() + clientLogoPath + "?" + url.Values{"client_id": {c.ID}, "v": {logoVersion(c)}}.Encode()
}

func logoVersion(c userstore.Client) string {
	sum := sha256.Sum256([]byte(c.LogoURI))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// The headers of a logo: other sites may not use us as the home of their pictures.
var sameOrigin = []string{"same-origin"}

// ClientLogo serves the logo of an enabled client. The browser asks for it beside the page, so a slow
// fetch delays no page.
func (h *Handlers) ClientLogo(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if h.Logos == nil {
		return problem.New(problem.NotFound, "")
	}
	client, err := h.Issuer.Clients.ClientByID(r.Context(), q.Get("client_id"))
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return problem.New(problem.NotFound, "")
	case err != nil:
		return err
	case !client.DisabledAt.IsZero() || client.LogoURI == "" || logoVersion(client) != q.Get("v"):
		return problem.New(problem.NotFound, "")
	}
	image, err := h.Logos.Get(r.Context(), client.LogoURI)
	switch {
	case errors.Is(err, logos.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.Overloaded, "")
	case err != nil:
		refusal.Client(r.Context(), client.ID)
		p := problem.New(problem.NotFound, "")
		p.Cause = err
		return p
	}
	w.Header()["Cache-Control"] = aDay
	w.Header()["Content-Security-Policy"] = []string{web.AssetCSP}
	w.Header()["Cross-Origin-Resource-Policy"] = sameOrigin
	wire.WriteBody(w, http.StatusOK, []string{image.MediaType}, image.Body)
	return nil
}
