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

// openAPI answers the description of this API, with this issuer as its server.
func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) error {
	self, err := json.Marshal(s.base())
	if err != nil {
		return err
	}
	text := openAPIText
	if s.Accounts.NoMail {
		if text, err = withoutMail(text); err != nil {
			return err
		}
	}
	body := bytes.ReplaceAll(text, []byte(openAPIServer), self[1:len(self)-1])
	writeDocument(w, r, publicFor(5*time.Minute), wire.JSONHeader, body, etagOf(body))
	return nil
}
