package web

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// leave ends the wait for a frame that does not load. Browsers begin to refresh a page only after all
// of its frames have loaded (HTML, shared declarative refresh steps), so that a page without scripts
// leads on by itself as well, and otherwise by its link.
const leave = `setTimeout(() => location.replace(document.getElementById("onward").href), 5000)`

// withFrames gives the page hidden frames that tell apps of a logout, and the policy that goes with
// them: only the apps' origins may be framed. A frame can run what it needs to end the session of its
// app, and can neither open windows nor lead the page elsewhere.
func (p *Pages) withFrames(v *view, d SignedOutPage) policy {
	csp := policy{forms: nowhere}
	for _, uri := range d.Frames {
		at := frameOrigin(uri)
		if at == "" {
			continue
		}
		v.Frames = append(v.Frames, uri)
		if !slices.Contains(csp.frames, at) {
			csp.frames = append(csp.frames, at)
		}
	}
	if d.To == "" || v.Client == nil {
		return csp
	}
	v.To, v.Leave = template.URL(d.To), leave //nolint:gosec // registered for the client, byte for byte
	sum := sha256.Sum256([]byte(leave))
	csp.script = "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	return csp
}

var hostSource = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)

// frameOrigin returns the origin of a frame as a source expression; empty when a policy cannot name it,
// such as that of an IPv6 address. Nothing of uri reaches the header without having matched.
func frameOrigin(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || !hostSource.MatchString(strings.ToLower(u.Host)) {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}
