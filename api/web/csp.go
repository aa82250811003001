package web

import (
	"net/url"
	"regexp"
	"strings"
)

// AssetCSP goes with each asset: a logo in SVG that somebody opens by itself runs nothing and loads nothing.
const AssetCSP = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

// Where the forms of a page may lead (form-action).
const (
	nowhere = "'none'" // there are none
	home    = "'self'"
	onward  = "" // anywhere: docs/decisions/form-action.md
)

// policy is what a page may load and where its forms may lead.
type policy struct {
	logo   string // origin of the client's
	forms  string
	script string // source of the page's script; empty: it has none
	// connect is where the script may send requests; empty: nowhere.
	connect string
	frames  []string // origins of the frames; none: it has no frames
}

func (p policy) String() string {
	out := "default-src 'none'"
	if p.script != "" {
		out += "; script-src " + p.script
	}
	if p.connect != "" {
		out += "; connect-src " + p.connect
	}
	out += "; style-src 'self'; img-src 'self'"
	if p.logo != "" {
		out += " " + p.logo
	}
	if len(p.frames) > 0 {
		out += "; frame-src " + strings.Join(p.frames, " ")
	}
	if p.forms != onward {
		out += "; form-action " + p.forms
	}
	return out + "; frame-ancestors 'none'; base-uri 'none'"
}

var hostSource = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)

// origin is that of an https URL as a source expression; empty when a policy cannot name it, such as that of an IPv6
// address. Nothing of link reaches the header without having matched.
func origin(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	host := strings.ToLower(u.Host)
	if !hostSource.MatchString(host) {
		return ""
	}
	return "https://" + host
}
