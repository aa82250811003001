package issuer

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/userstore"
)

// Why a client's metadata document is refused, for the app and for the log. No sentence says what
// the server reached on its way: it would show strangers our network.
var (
	faultURL = documentFault("client_id", "The client_id is no address of a metadata document: it is https, with a path, and has "+
		"no user, no query, no fragment and no dot segment.")
	faultHost  = documentFault("host", "Apps of this host are not admitted here.")
	faultFetch = documentFault("fetch", "The metadata document at the client_id could not be fetched from here: it has to be at a public "+
		"address and be answered with 200 over https within 3 seconds; redirects are not followed.")
	faultSize  = documentFault("size", "The metadata document at the client_id is larger than 5 KiB.")
	faultType  = documentFault("content_type", "The metadata document at the client_id is not sent as application/json.")
	faultJSON  = documentFault("json", "The metadata document at the client_id is not one JSON object, each member once and of its type.")
	faultOther = documentFault("other_client_id", "The metadata document names another client_id than its own address, byte for byte.")
	faultKey   = documentFault("client_secret", "A metadata document holds no client_secret: anybody can read it.")
	faultLost  = documentFault("lost", "The metadata document of this app could not be fetched for 24 hours.")
	faultBusy  = refuse(RateLimited, "Too many metadata documents are fetched now: try again later.").
			because(&userstore.RateLimitedError{RetryAfter: time.Minute})
)

func documentFault(fault, sentence string) *Error {
	return &Error{Code: InvalidClient, Description: sentence, Fault: fault}
}

// ErrDocumentTooLarge is what Fetch returns for a document that is larger than MaxDocument.
var ErrDocumentTooLarge = errors.New("the document is too large")

// MaxDocument is the size of the largest metadata document in bytes: what the draft recommends
// (section Maximum Response Size).
const MaxDocument = 5 << 10

// read fetches a document and returns the client that it describes. A failure of our own is
// returned as it is.
func (d *ClientDocuments) read(ctx context.Context, id string, now time.Time) (*describedClient, error) {
	fetched, err := d.Fetch(ctx, id)
	switch {
	case errors.Is(err, ErrDocumentTooLarge) || err == nil && len(fetched.Body) > MaxDocument:
		return nil, faultSize
	case err != nil:
		return nil, faultFetch.because(err)
	case !isJSON(fetched.MediaType):
		return nil, faultType
	}
	asked, err := d.Issuer.readRegistration(ctx, fetched.Body)
	var strict *strictjson.Error
	switch {
	case errors.As(err, &strict):
		return nil, faultJSON.because(err)
	case err != nil:
		return nil, metadataFault(err)
	case asked.said.ClientID != id:
		return nil, faultOther
	case asked.has("client_secret"), asked.has("client_secret_expires_at"):
		return nil, faultKey
	}
	c, err := d.Issuer.Registry.Described(ctx, id, asked.client())
	if err != nil {
		return nil, metadataFault(err)
	}
	c.DocumentAt = now
	return &describedClient{c, now.Add(min(max(fetched.Lifetime, documentFresh), documentOld))}, nil
}

// isJSON reports whether a media type is application/json, or more specific.
func isJSON(mediaType string) bool {
	of, sub, _ := strings.Cut(strings.ToLower(mediaType), "/")
	return of == "application" && (sub == "json" || strings.HasSuffix(sub, "+json"))
}

// metadataFault returns the fault of metadata that a registration would be refused for. Its sentence
// names members and never repeats a value.
func metadataFault(err error) error {
	var invalid *userstore.ValidationError
	var said *Error
	if !errors.As(err, &invalid) && !errors.As(err, &said) {
		return err
	}
	e := refuseRegistration(err)
	if !errors.As(e, &said) || said.Code == Unavailable || said.Code == ServerError {
		return err
	}
	member := "metadata"
	if invalid != nil && len(invalid.Fields) > 0 {
		member, _, _ = strings.Cut(invalid.Fields[0].Field, ".")
	}
	f := documentFault(member, "The metadata document at the client_id is not one that this server takes: "+said.Description)
	return f.because(errors.New("the metadata document is refused: " + err.Error())) // it is no fault of a form
}
