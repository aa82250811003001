package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/signet-id/signet/api/wire"
)

// relatedOriginsPath is where browsers look on the issuer's host. Such an address has no form for
// issuers with a path (RFC 8615 section 3).
const relatedOriginsPath = "/.well-known/webauthn"

// relatedOrigins tells browsers which apps may use the passkeys of the issuer's host (WebAuthn Level
// 3 section 5.11). A browser asks when such an app does, without credentials, and takes only 200 and
// application/json. The issuer's own origin needs no entry, and would count as one of the five
// registrable domains that browsers take; their order is the operator's.
func (s *Server) relatedOrigins(w http.ResponseWriter, r *http.Request) error {
	body, err := json.Marshal(struct {
		Origins []string `json:"origins"`
	}{s.PasskeyOrigins})
	if err != nil {
		return fmt.Errorf("write the related origins: %w", err)
	}
	writeDocument(w, r, s.cacheable, wire.JSONHeader, body, etagOf(body))
	return nil
}
