package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"net/http"
	"time"

	"github.com/signet-id/signet/api/wire"
)

//go:embed openapi.json
var openAPIText []byte

// openAPIServer is the address in the embedded text; each server puts its own in its place.
const openAPIServer = "http://localhost:8080"

// openAPI answers the description of this API.
func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) error {
	text, err := s.description()
	if err != nil {
		return err
	}
	writeDocument(w, r, publicFor(5*time.Minute), wire.JSONHeader, text, etagOf(text))
	return nil
}

// describe returns the description of this API as it is configured, with this issuer as its server.
func (s *Server) describe() ([]byte, error) {
	self, err := json.Marshal(s.base())
	if err != nil {
		return nil, err
	}
	var missing []string
	if s.Accounts.NoMail {
		missing = append(missing, needsMail)
	}
	if s.Accounts.Passkeys == nil {
		missing = append(missing, needsPasskeys)
	}
	if len(s.PasskeyOrigins) == 0 {
		missing = append(missing, needsPasskeyOrigins)
	}
	text, err := without(openAPIText, missing...)
	if err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(text, []byte(openAPIServer), self[1:len(self)-1]), nil
}
