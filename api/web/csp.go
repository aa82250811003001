package web

import "strings"

// AssetCSP goes with each asset and each logo of a client. A logo in SVG that somebody opens by itself
// runs nothing and loads nothing.
const AssetCSP = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

// Where the forms of a page may lead (form-action).
const (
	nowhere = "'none'" // there are none
	home    = "'self'"
	onward  = "" // anywhere: docs/decisions/form-action.md
)

// policy is what a page may load and where its forms may lead.
type policy struct {
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
	if len(p.frames) > 0 {
		out += "; frame-src " + strings.Join(p.frames, " ")
	}
	if p.forms != onward {
		out += "; form-action " + p.forms
	}
	return out + "; frame-ancestors 'none'; base-uri 'none'"
}
