package userstore

import (
	"net/url"
	"strings"
)

// Values of ClientMetadata.SubjectType (OIDC Core section 8).
const (
	SubjectPublic   = "public"
	SubjectPairwise = "pairwise"
)

// Pairwise reports whether the client knows users by identifiers of its sector, not by their ids.
func (c Client) Pairwise() bool { return c.SubjectType == SubjectPairwise }

// Sector returns the client's sector: the host of the sector_identifier_uri or, without one, the
// host that all redirect URIs have (OIDC Core section 8.1). Empty: there is none.
//
// Without a sector_identifier_uri only https counts. The hosts of the user's own machine and the
// schemes of apps belong to every app, so all apps on devices would be one sector.
func (c Client) Sector() string {
	if c.SectorIdentifierURI != "" {
		return HTTPSHost(c.SectorIdentifierURI)
	}
	sector := ""
	for n, uri := range c.RedirectURIs {
		host := HTTPSHost(uri)
		if host == "" || LoopbackName(host) || n > 0 && host != sector {
			return ""
		}
		sector = host
	}
	return sector
}

// HTTPSHost returns the host of an https URI in lower case, without the port; empty: it is none.
func HTTPSHost(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
