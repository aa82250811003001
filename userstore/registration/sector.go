package registration

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/signet-id/signet/userstore"
)

func checkSubjectType(c *userstore.Client, fs *userstore.Faults) {
	fs.Add("subject_type", oneOf(c.SubjectType, "", userstore.SubjectPublic, userstore.SubjectPairwise))
	if uri := c.SectorIdentifierURI; uri != "" {
		f := webURI(uri)
		if f == (userstore.Fault{}) && strings.Contains(uri, "#") {
			f = invalid("Leave the fragment out.")
		}
		fs.Add("sector_identifier_uri", f)
		if f != (userstore.Fault{}) {
			return
		}
	}
	switch {
	case !c.Pairwise():
	case c.FirstParty:
		// Its tokens open the account API, which shows the account with its id.
		fs.Add("subject_type", notAllowed("A first-party client sees accounts as they are, their ids included: pairwise is for other clients."))
	case c.SectorIdentifierURI == "" && c.Sector() == "":
		fs.Add("sector_identifier_uri", required("A pairwise client has https redirect URIs of one host, or a sector_identifier_uri: the address of a JSON array of its redirect URIs."))
	}
}

// checkSectorDocument fetches the document at the sector_identifier_uri, which has to list every
// redirect URI (OIDC Registration section 5). Otherwise a client could join the sector of a
// stranger and learn how that sector knows its users. An edit that adds neither the document nor a
// redirect URI fetches nothing.
//
// The refusal does not say why the document could not be fetched: the cause would show a client
// that registers itself what the server can reach. The cause goes into the log.
func (r *Registry) checkSectorDocument(ctx context.Context, old, c userstore.Client, fs *userstore.Faults) {
	uri := c.SectorIdentifierURI
	added := func(redirect string) bool { return !slices.Contains(old.RedirectURIs, redirect) }
	if uri == "" || uri == old.SectorIdentifierURI && !slices.ContainsFunc(c.RedirectURIs, added) {
		return
	}
	if r.SectorDocument == nil {
		fs.Add("sector_identifier_uri", notAllowed("Documents of sectors are not fetched here."))
		return
	}
	document, err := r.SectorDocument(ctx, uri)
	if err != nil {
		if r.Log != nil {
			r.Log.WarnContext(ctx, "the document of a sector_identifier_uri was not fetched", "client_id", c.ID, "error", err)
		}
		fs.Add("sector_identifier_uri", invalid("The document could not be fetched from here: it has to be at a public address (or a host of outbound.allow_hosts), be answered with 200 over https within 3 seconds, and have 64 KiB at most."))
		return
	}
	var listed []string
	if err := json.Unmarshal(document, &listed); err != nil || listed == nil {
		fs.Add("sector_identifier_uri", invalid("The document is not a JSON array of redirect URIs."))
		return
	}
	for _, redirect := range c.RedirectURIs {
		if !slices.Contains(listed, redirect) {
			fs.Add("sector_identifier_uri", invalid("The document does not list every redirect URI of the client, byte for byte."))
			return
		}
	}
}
