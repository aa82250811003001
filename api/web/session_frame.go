package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
)

// SessionFrame makes the page of check_session_iframe, which apps put into a frame of their pages. It
// shows nothing: its script compares what an app knows with the cookie of that name. It is the only
// page of ours that another site may frame, and its script can send nothing anywhere but to the page
// that asks.
func SessionFrame(cookie string) (Page, error) {
	script, err := static.ReadFile("static/session.js")
	if err != nil {
		return Page{}, err
	}
	script = bytes.ReplaceAll(script, []byte("COOKIE"), []byte(cookie))
	sum := sha256.Sum256(script)
	body := append([]byte("<!doctype html>\n<meta charset=\"utf-8\">\n<title>Session</title>\n<script>"), script...)
	return Page{
		Body: append(body, "</script>\n"...),
		CSP: "default-src 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'none'; frame-ancestors *; base-uri 'none'",
	}, nil
}
