package api

import (
	"net/http"
)

var frameType = []string{"text/html; charset=utf-8"}

// sessionFrame answers the page of check_session_iframe (OpenID Connect Session Management 1.0
// section 3.3). The page is the same for all: no cookie is read here, and caches may keep it.
func (s *Server) sessionFrame(w http.ResponseWriter, r *http.Request) error {
	frame, err := s.pages().SessionFrame()
	if err != nil {
		return err
	}
	w.Header()["Content-Security-Policy"] = []string{frame.CSP}
	writeDocument(w, r, s.cacheable, frameType, frame.Body, etagOf(frame.Body))
	return nil
}
