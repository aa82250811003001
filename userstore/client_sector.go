package userstore

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
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
		return httpsHost(c.SectorIdentifierURI)
	}
	sector := ""
	for n, uri := range c.RedirectURIs {
		host := httpsHost(uri)
		if host == "" || loopbackName(host) || n > 0 && host != sector {
			return ""
		}
		sector = host
	}
	return sector
}

// httpsHost returns the host of an https URI in lower case, without the port; empty: it is none.
func httpsHost(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

func (c *Client) checkSubjectType(fs *faults) {
	fs.add("subject_type", oneOf(c.SubjectType, "", SubjectPublic, SubjectPairwise))
	if uri := c.SectorIdentifierURI; uri != "" {
		f := webURI(uri)
		if f == (fault{}) && strings.Contains(uri, "#") {
			f = fault{CodeInvalid, "Leave the fragment out."}
		}
		fs.add("sector_identifier_uri", f)
		if f != (fault{}) {
			return
		}
	}
	switch {
	case !c.Pairwise():
	case c.FirstParty:
		// Its tokens open the account API, which shows the account with its id.
		fs.add("subject_type", fault{CodeNotAllowed, "A first-party client sees accounts as they are, their ids included: pairwise is for other clients."})
	case c.SectorIdentifierURI == "" && c.Sector() == "":
		fs.add("sector_identifier_uri", fault{CodeRequired, "A pairwise client has https redirect URIs of one host, or a sector_identifier_uri: the address of a JSON array of its redirect URIs."})
	}
}

// checkSectorDocument fetches the document at the sector_identifier_uri, which has to list every
// redirect URI (OIDC Registration section 5). Otherwise a client could join the sector of a
// stranger and learn how that sector knows its users. An edit that adds neither the document nor a
// redirect URI fetches nothing.
//
// The refusal does not say why the document could not be fetched: the cause would show a client
// that registers itself what the server can reach. The cause goes into the log.
func (r *Registry) checkSectorDocument(ctx context.Context, old, c Client, fs *faults) {
	uri := c.SectorIdentifierURI
	added := func(redirect string) bool { return !slices.Contains(old.RedirectURIs, redirect) }
	if uri == "" || uri == old.SectorIdentifierURI && !slices.ContainsFunc(c.RedirectURIs, added) {
		return
	}
	if r.SectorDocument == nil {
		fs.add("sector_identifier_uri", fault{CodeNotAllowed, "Documents of sectors are not fetched here."})
		return
	}
	document, err := r.SectorDocument(ctx, uri)
	if err != nil {
		if r.Log != nil {
			r.Log.WarnContext(ctx, "the document of a sector_identifier_uri was not fetched", "client_id", c.ID, "error", err)
		}
		fs.add("sector_identifier_uri", fault{CodeInvalid, "The document could not be fetched from here: it has to be at a public address (or a host of outbound.allow_hosts), be answered with 200 over https within 3 seconds, and have 64 KiB at most."})
		return
	}
	var listed []string
	if err := json.Unmarshal(document, &listed); err != nil || listed == nil {
		fs.add("sector_identifier_uri", fault{CodeInvalid, "The document is not a JSON array of redirect URIs."})
		return
	}
	for _, redirect := range c.RedirectURIs {
		if !slices.Contains(listed, redirect) {
			fs.add("sector_identifier_uri", fault{CodeInvalid, "The document does not list every redirect URI of the client, byte for byte."})
			return
		}
	}
}
