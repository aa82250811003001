// Package endpoints is what the example of an API answers, and which tokens each answer needs. The
// package verifier does the rest: a request without a valid token never reaches a handler.
package endpoints

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/signet-id/signet/verifier"
)

// New returns the API. GET /whoami takes any valid token; GET /email requires the scope email; GET
// /payslip requires that its user logged in with two factors or a passkey, at most an hour ago.
func New(v *verifier.Verifier) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /whoami", whoami)
	mux.Handle("GET /email", v.RequireScope("email")(http.HandlerFunc(email)))
	mux.Handle("GET /payslip", v.RequireACR("2")(v.RequireRecentLogin(time.Hour)(http.HandlerFunc(payslip))))
	return v.Middleware(mux)
}

func whoami(w http.ResponseWriter, r *http.Request) {
	token, _ := verifier.TokenFrom(r.Context())
	writeJSON(w, map[string]any{
		"sub": token.Subject, "client_id": token.ClientID, "scopes": token.Scopes, "expires": token.Expiry.UTC(),
	})
}

func email(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]any{"allowed": true}) }

func payslip(w http.ResponseWriter, r *http.Request) {
	token, _ := verifier.TokenFrom(r.Context())
	writeJSON(w, map[string]any{
		"of": token.Subject, "acr": token.AuthenticationContext, "logged_in": token.AuthenticatedAt.UTC(),
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the caller may be gone
}
