package wire

import "net/http"

// SeeOther redirects the browser with 303, so that it uses GET and does not send a password along
// (RFC 9700 section 4.12).
func SeeOther(w http.ResponseWriter, location string) error {
	h := w.Header()
	h["Location"] = []string{location}
	h["Content-Length"] = []string{"0"} // so that HEAD and GET agree
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
