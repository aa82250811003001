package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/statuslist"
)

var jwksType = []string{"application/jwk-set+json"}

// jwks answers the published keys (RFC 7517 section 8.5) from memory.
func (s *Server) jwks(w http.ResponseWriter, r *http.Request) error {
	doc, err := s.JWKS()
	if err != nil {
		return err
	}
	writeDocument(w, r, s.cacheable, jwksType, doc.Body, doc.ETag)
	return nil
}

// discovery answers OpenID Provider metadata, which is authorization server metadata as
// well (RFC 8414). It does not ask the store, so it answers as long as the process lives.
func (s *Server) discovery(w http.ResponseWriter, r *http.Request) error {
	body, err := json.Marshal(s.Issuer.Metadata())
	if err != nil {
		return fmt.Errorf("write discovery: %w", err)
	}
	writeDocument(w, r, s.cacheable, wire.JSONHeader, body, etagOf(body))
	return nil
}

// publicFor is Cache-Control of a document that anybody may keep for d.
func publicFor(d time.Duration) []string {
	return []string{"public, max-age=" + strconv.FormatInt(int64(d/time.Second), 10)}
}

func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// writeDocument sends a cacheable document, or 304 to a client that has it.
func writeDocument(w http.ResponseWriter, r *http.Request, cacheControl, contentType []string, body []byte, etag string) {
	h := w.Header()
	h["Cache-Control"] = cacheControl
	h["Etag"] = []string{etag}
	if known := r.Header["If-None-Match"]; known != nil && noneMatchFails(strings.Join(known, ","), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	wire.WriteBody(w, http.StatusOK, contentType, body)
}

// noneMatchFails reads If-None-Match (RFC 9110 section 13.1.2): `*`, or a list of
// entity tags compared weakly. A comma may stand inside a tag, so quotes lead.
func noneMatchFails(list, etag string) bool {
	for {
		list = strings.TrimLeft(list, " \t,")
		if list == "" {
			return false
		}
		if list[0] == '*' {
			return true
		}
		list = strings.TrimPrefix(list, "W/")
		if list == "" || list[0] != '"' {
			return false // malformed: send the document
		}
		end := strings.IndexByte(list[1:], '"')
		if end < 0 {
			return false
		}
		if list[:end+2] == etag {
			return true
		}
		list = list[end+2:]
	}
}

var statusListType = []string{statuslist.MediaType}

// statusListTimeout bounds the wait for the store. It is far below the patience of verifiers, so that
// while the store hangs they still get the last list, as long as that has not expired.
const statusListTimeout = 2 * time.Second

// statusList answers a token status list (draft-ietf-oauth-status-list-21 section 8).
func (s *Server) statusList(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), statusListTimeout)
	defer cancel()
	list, err := s.Issuer.List(ctx, r.PathValue("list"))
	if err != nil {
		return err
	}
	writeDocument(w, r, publicFor(list.MaxAge), statusListType, list.Body, etagOf(list.Body))
	return nil
}
