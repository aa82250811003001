package protocol

import (
	"net/http"

	"github.com/signet-id/signet/api/bearer"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

var tokenParameters = append([]string{"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "device_code", "scope", "resource"}, wire.ClientParameters...)

// Token is the token endpoint (RFC 6749 section 3.2).
func (h *Handlers) Token(w http.ResponseWriter, r *http.Request) error {
	p, err := wire.ReadForm(w, r, tokenParameters...)
	if err != nil {
		return err
	}
	auth, err := wire.ClientAuth(r, p)
	if err != nil {
		return err
	}
	h.setNonce(w, r)
	tokens, err := h.Issuer.Token(r.Context(), issuer.TokenRequest{
		GrantType: p.Get("grant_type"), Auth: auth,
		Code: p.Get("code"), RedirectURI: p.Get("redirect_uri"), CodeVerifier: p.Get("code_verifier"),
		RefreshToken: p.Get("refresh_token"), DeviceCode: p.Get("device_code"),
		Scope: p.Get("scope"), Resource: p["resource"], Proofs: r.Header["Dpop"],
	})
	if err != nil {
		return err
	}
	return wire.WriteTokens(w, tokens)
}

// setNonce gives a client that sends DPoP proofs the nonce for the next one, if it needs one (RFC 9449
// section 8).
func (h *Handlers) setNonce(w http.ResponseWriter, r *http.Request) {
	if len(r.Header["Dpop"]) > 0 {
		bearer.SetNonce(w, h.Issuer)
	}
}
