package registration

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// A client may have the https address of its own metadata as its client_id (draft-ietf-oauth-client-
// id-metadata-document). The issuer fetches the document and asks the Registry what client it makes.
// The rules are those of a client that registers itself, and these: there is no secret, and what the
// server would request on behalf of the client stays at the host of the client_id.
//
// Such a client has no row until a person allows it something: SaveCode makes the row then. The row
// holds the last good document, for the other replicas and after a restart, and the decisions of
// operators, which no document changes.

// maxMetadataURL is the longest client_id that is an address, in bytes.
const maxMetadataURL = 512

// NamesDocument reports whether a client_id can only be the address of a metadata document.
func NamesDocument(id string) bool { return strings.HasPrefix(id, "https://") }

// MetadataHost returns the host of a client_id that is the address of a metadata document, in lower
// case and without the port. A ValidationError says what such an address has to be.
func MetadataHost(id string) (string, error) {
	var fs userstore.Faults
	fs.Add("client_id", metadataURL(id))
	if err := fs.Err(); err != nil {
		return "", err
	}
	return userstore.HTTPSHost(id), nil
}

func metadataURL(id string) userstore.Fault {
	if len(id) > maxMetadataURL {
		return tooLong("A client_id that is an address has 512 bytes at most.")
	}
	if !NamesDocument(id) {
		return invalid("A client_id that is an address begins with https://.")
	}
	if f := webURI(id); f != (userstore.Fault{}) {
		return f
	}
	u, _ := readURI(id)
	switch {
	case strings.ContainsAny(id, "?#"):
		return invalid("A client_id that is an address has neither a query nor a fragment.")
	case u.Path == "" || u.Path == "/":
		return invalid("A client_id that is an address needs a path, as in https://app.example.com/client.json.")
	case dotSegments(u.EscapedPath()):
		return invalid("The path of a client_id holds no dot segment.")
	}
	return userstore.Fault{}
}

// Described returns the client whose metadata document at id says said. It has no row, and stores
// nothing. What this server does not have is left out as far as Usable leaves it out of a
// registration: the document is written for many servers. ValidationError.
func (r *Registry) Described(ctx context.Context, id string, said userstore.Client) (userstore.Client, error) {
	c := clone(said)
	c.ID, c.Kind, c.CreatedAt, c.UpdatedAt = id, userstore.KindMetadata, time.Time{}, time.Time{}
	c.SecretHash, c.RegistrationHash, c.DisabledAt, c.UnusedUntil, c.Version = "", "", time.Time{}, time.Time{}, 0
	keepDecisions(&c, userstore.Client{})
	if c.AuthMethod == "" {
		c.AuthMethod = userstore.AuthNone
	}
	var fs userstore.Faults
	host, err := MetadataHost(id)
	if err != nil {
		return userstore.Client{}, err
	}
	fs.Add("token_endpoint_auth_method", oneOf(c.AuthMethod, userstore.AuthNone, userstore.AuthPrivateKeyJWT))
	c.GrantTypes = usable(c.GrantTypes, func(g string) bool { return g != userstore.GrantClientCredentials }) // that of other servers
	keepToHost(&c, host, &fs)
	if err := fs.Err(); err != nil {
		return userstore.Client{}, err
	}
	if err := r.completeOwn(ctx, userstore.Client{}, &c, &fs); err != nil {
		return userstore.Client{}, err
	}
	return c, nil
}

// keepToHost refuses addresses of other hosts that this server would request: a stranger's document
// would aim them at anybody.
func keepToHost(c *userstore.Client, host string, fs *userstore.Faults) {
	elsewhere := func(uri string) bool { return uri != "" && userstore.HTTPSHost(uri) != host }
	other := notAllowed("In a metadata document this address has the host of the client_id.")
	if elsewhere(c.JWKSURI) {
		fs.Add("jwks_uri", other)
	}
	for n, uri := range c.RequestURIs[:min(len(c.RequestURIs), maxListed)] {
		if elsewhere(uri) {
			fs.Add(memberOf("request_uris", n), other)
		}
	}
	if elsewhere(c.BackchannelLogoutURI) {
		fs.Add("backchannel_logout_uri", other)
	}
	if c.SectorIdentifierURI != "" {
		fs.Add("sector_identifier_uri", notAllowed("A metadata document has none: redirect URIs of one host are the sector."))
	}
}

// WithDocument returns the client of a row as its metadata document now describes it. What operators
// decided stays.
func WithDocument(c userstore.Client, described userstore.Client) userstore.Client {
	next := clone(described)
	next.ID, next.Kind, next.DisabledAt, next.CreatedAt, next.UpdatedAt = c.ID, c.Kind, c.DisabledAt, c.CreatedAt, c.UpdatedAt
	next.Version = c.Version
	keepDecisions(&next, c)
	return next
}

// decisions are the members that an operator decides about a client of a metadata document. The
// rest is the document's, which would undo an edit.
var decisions = []string{"resources", "pkce", "id_token_claims"}

// addDecided refuses an edit of what the metadata document of a client says, and of what no client
// that came by itself becomes.
func addDecided(fs *userstore.Faults, old, c userstore.Client) {
	if old.Kind != userstore.KindMetadata {
		return
	}
	for _, change := range clientChanges(old, c) {
		switch {
		case change.Field == "first_party":
			fs.Add(change.Field, notAllowed("A client of a metadata document is never first-party: whoever runs its host could change it."))
		case !slices.Contains(decisions, change.Field):
			fs.Add(change.Field, notAllowed("The client's metadata document says this: it is changed there."))
		}
	}
}

// RowOf returns the row of a client for the person who is the actor of ctx and allows it something
// at now; nil: it has one.
func RowOf(ctx context.Context, c userstore.Client, now time.Time) *userstore.NewClient {
	if c.Stored() {
		return nil
	}
	c.CreatedAt, c.UpdatedAt, c.Version = now, now, 1
	e := audit.New(ctx, now, audit.ClientCreated, onClient(c.ID))
	e.Changes = clientChanges(userstore.Client{}, c)
	return &userstore.NewClient{Client: c, Event: e}
}

// KeepDocument stores what the metadata document of a client says, if the client has a row, and if
// the row does not hold a newer document.
func (r *Registry) KeepDocument(ctx context.Context, described userstore.Client) error {
	ctx = audit.As(ctx, audit.Actor{Type: audit.BySystem}, described.ID, "")
	err := userstore.Retry(ctx, userstore.ActTries, "keep a client's metadata document", func() error {
		old, err := r.Store.ClientByID(ctx, described.ID)
		if err != nil || old.Kind != userstore.KindMetadata || !old.DocumentAt.Before(described.DocumentAt) {
			return err
		}
		next := WithDocument(old, described)
		next.UpdatedAt = r.now()
		events := r.editEvents(ctx, old, next)
		return audit.Stored(ctx, r.Log, r.Store.UpdateClient(ctx, next, events...), events...)
	})
	if errors.Is(err, userstore.ErrNotFound) {
		return nil
	}
	return err
}
