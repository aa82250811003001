package issuer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/userstore"
)

// A client may push an authorization request (RFC 9126): it hands the request over itself,
// authenticated, and gets a reference for the browser to carry. What is stored is the request as it
// was read, a Pending: from there on it is a request like any other.
//
// A reference is good until a code is issued for it, in whichever browser: until then the page can
// be loaded again. The one code is the same however often the last form is sent; see code.

// PushedResponse is the answer to a pushed request (RFC 9126 section 2.2).
type PushedResponse struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int64  `json:"expires_in"` // seconds
}

const pushedPrefix = "urn:ietf:params:oauth:request_uri:"

const (
	// pushedLifetime is how long a browser may take to bring a reference.
	pushedLifetime = 5 * time.Minute
	// pushedKnown is how long a used reference is known: for longer than a page that was begun with
	// it can be sent, unless the page was renewed.
	pushedKnown = 25 * time.Hour
)

// pushedLimits bound the stored requests that no code was issued for and that have not expired
// (D-13). A request has 20 KiB at most, and usually 1 KiB.
var pushedLimits = userstore.PushedLimits{OfClient: 5000, InAll: 50000}

var (
	errPushedReference = refuse(InvalidRequest, "A pushed request has no request_uri: send the parameters, or a request object.")
	errReference       = refuse(InvalidRequestURI, "The request_uri is unknown, has expired, or belongs to another client: push the request again.")
	errTooManyPushed   = refuse(RateLimited, "Too many pushed requests of this client wait for their browsers: try again later.")
	errNotPushed       = refuse(InvalidRequest, "Authorization requests have to be pushed first (RFC 9126): send the request_uri that /oauth2/par answers.")
)

// Push is the pushed authorization request endpoint: it authenticates the client, checks the
// request as the authorization endpoint does, and stores it. proofs are the values of the header DPoP: the
// key of the proof counts as dpop_jkt (RFC 9449 section 10.1). Every error is an *Error.
func (i *Issuer) Push(ctx context.Context, auth ClientAuth, r AuthorizationRequest, proofs []string) (PushedResponse, error) {
	client, err := i.AuthenticateClient(ctx, auth)
	if err != nil {
		return PushedResponse{}, err
	}
	proof, err := i.proofFor("/oauth2/par", proofs)
	if err != nil {
		return PushedResponse{}, failed(err)
	}
	if r.RequestURI != "" {
		return PushedResponse{}, errPushedReference
	}
	r.ClientID, r.pushed = client.ID, true
	p, refused, err := i.read(ctx, client, r)
	if err == nil && refused != nil {
		err = refused
	}
	if err != nil {
		e := *failed(err)
		if e.Code == InvalidRedirectURI { // a code for pages, and of registrations (RFC 7591)
			e.Code = InvalidRequest
		}
		return PushedResponse{}, &e
	}
	switch jkt := proof.thumbprint(); {
	case jkt != "" && p.JKT != "" && p.JKT != jkt:
		return PushedResponse{}, errTwoKeys
	case jkt != "":
		p.JKT = jkt
	}
	reference := i.NewID()
	id := sha256.Sum256([]byte(reference))
	p.Pushed = base64.RawURLEncoding.EncodeToString(id[:])
	text, err := json.Marshal(p)
	if err != nil {
		return PushedResponse{}, failed(err)
	}
	now := i.now()
	err = i.Pushed.SavePushedRequest(ctx, userstore.PushedRequest{
		ID: id, ClientID: client.ID, Request: text, ExpiresAt: now.Add(pushedLifetime), NoRow: !client.Stored(),
	}, pushedLimits, now)
	switch {
	case errors.Is(err, userstore.ErrConflict):
		return PushedResponse{}, errTooManyPushed.because(&userstore.RateLimitedError{RetryAfter: pushedLifetime / 10})
	case err != nil:
		return PushedResponse{}, failed(err)
	}
	// After the write, unlike at the token endpoint: the limits of pushed requests also bound what a
	// stranger can store here in the name of a public client. What a used proof leaves, nobody can use.
	if err := i.useProof(ctx, proof); err != nil {
		return PushedResponse{}, failed(err)
	}
	return PushedResponse{RequestURI: pushedPrefix + reference, ExpiresIn: int64(pushedLifetime / time.Second)}, nil
}

// isPushed reports whether the request is a reference to a pushed one. The parameters beside it do
// not count (RFC 9126 section 4, RFC 9101 section 6.3).
func (r AuthorizationRequest) isPushed() bool { return strings.HasPrefix(r.RequestURI, pushedPrefix) }

// pushedRequest returns the request that client pushed under the reference of r. The error is for a
// page: where the answer would go is in the request that is not there.
func (i *Issuer) pushedRequest(ctx context.Context, client userstore.Client, r AuthorizationRequest) (Pending, error) {
	if slices.Contains(r.Repeated, "request_uri") {
		return Pending{}, errReference.because(errRepeated)
	}
	id := sha256.Sum256([]byte(strings.TrimPrefix(r.RequestURI, pushedPrefix)))
	stored, err := i.Pushed.PushedRequest(ctx, id, client.ID, i.now())
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return Pending{}, errReference
	case errors.Is(err, userstore.ErrExists):
		return Pending{}, errFinished
	case err != nil:
		return Pending{}, failed(err)
	}
	var p Pending
	if err := json.Unmarshal(stored.Request, &p); err != nil {
		return Pending{}, failed(fmt.Errorf("a stored pushed request: %w", err))
	}
	refusal.RedirectURI(ctx, p.RedirectURI)
	p.At = i.now() // the browser is here now: max_age counts from here
	return p, nil
}

// usePushed records that the one code of a pushed request is about to be issued. A request that was
// not pushed may be finished in each browser session that it was begun in; a pushed one in the
// first.
func (i *Issuer) usePushed(
	ctx context.Context, p Pending, client userstore.Client, hash userstore.CodeHash, now time.Time,
) error {
	if p.Pushed == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(p.Pushed)
	use := userstore.PushedUse{
		ClientID: p.ClientID, Code: hash, Now: now, Known: now.Add(pushedKnown), NoRow: !client.Stored(),
	}
	if err != nil || copy(use.ID[:], raw) != len(use.ID) {
		return failed(fmt.Errorf("the id of a pushed request has %d bytes", len(raw)))
	}
	err = i.Pushed.UsePushedRequest(ctx, use)
	switch {
	case errors.Is(err, userstore.ErrConflict):
		return errFinished
	case err != nil:
		return failed(err)
	}
	return nil
}
