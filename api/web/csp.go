package web

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// AssetCSP goes with each asset: a logo in SVG that somebody opens by itself runs nothing and loads nothing.
const AssetCSP = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

// policy is what a page may load and where its forms may lead.
type policy struct {
	images  []string // origins, beside our own
	targets []string // of forms, beside our own
	script  string   // hash of the one script
}

func (p policy) String() string {
	out := "default-src 'none'"
	if p.script != "" {
		out += "; script-src '" + p.script + "'"
	}
	return out + "; style-src 'self'" +
		"; img-src " + strings.Join(append([]string{"'self'"}, p.images...), " ") +
		"; form-action " + strings.Join(append([]string{"'self'"}, p.targets...), " ") +
		"; frame-ancestors 'none'; base-uri 'none'"
}

var (
	hostSource   = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)
	schemeSource = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
)

// source is the narrowest source expression that lets a browser go to uri: its origin; the scheme, where it is an app's own or
// the host is an IPv6 address, for which CSP has no notation. Nothing of uri reaches the header without having matched.
func source(uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", errors.New("a form target is not a URI")
	}
	host := strings.ToLower(u.Host)
	switch scheme := strings.ToLower(u.Scheme); {
	case !schemeSource.MatchString(scheme) || scheme == "javascript" || scheme == "data":
		return "", fmt.Errorf("a form target has the scheme %q", u.Scheme)
	case scheme != "http" && scheme != "https":
		return scheme + ":", nil
	case strings.HasPrefix(host, "["):
		return scheme + ":", nil
	case hostSource.MatchString(host):
		return scheme + "://" + host, nil
	}
	return "", errors.New("a form target has a host that a Content-Security-Policy cannot name")
}

// sources are those of uris, each once.
func sources(uris []string) ([]string, error) {
	var out []string
	for _, u := range uris {
		s, err := source(u)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, nil
}
