package issuer

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/dpop"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
)

// DPoP (RFC 9449): a client proves with each request that it has a private key, and gets access tokens
// that are of no use without it.
//
// A proof is checked as soon as its sender is known, and used last: just before the grant is written or
// the answer is given. So a request that proves nothing else, such as a wrong code, uses up nothing,
// strangers store nothing, and of many requests with one proof, on whatever replicas, one succeeds. A
// client makes a proof for each request, so it loses nothing when a request fails after that.
//
// The refresh token of a public client is bound to the key as well (section 5): Grant.JKT. That of a
// confidential client is bound to the client's own credential, and may be used with a new key.
// docs/decisions/dpop.md has the reasons.

// Codes of RFC 9449 sections 5, 7.1 and 8.
const (
	InvalidDPoPProof Code = "invalid_dpop_proof"
	UseDPoPNonce     Code = "use_dpop_nonce"
)

var (
	errProof = refuse(InvalidDPoPProof,
		"The DPoP proof is not valid for this request: send one, made for this request alone, and compare the clocks.")
	errNoProof     = refuse(InvalidDPoPProof, "Send a DPoP proof: this client gets only tokens that are bound to its key.")
	errNonce       = refuse(UseDPoPNonce, "Make a new DPoP proof with the nonce in the header DPoP-Nonce of this answer.")
	errCodeKey     = refuse(InvalidGrant, "The code belongs to another key: send a DPoP proof of the key that the authorization request named.")
	errRefreshKey  = refuse(InvalidGrant, "The refresh token belongs to another key: send a DPoP proof of the key that it was issued for.")
	errTwoKeys     = refuse(InvalidRequest, "The dpop_jkt is not that of the key in the DPoP proof: send either, or both of one key.")
	errJKT         = refuse(InvalidRequest, "The dpop_jkt has to be the SHA-256 thumbprint of a key (RFC 7638), in base64url.")
	errBoundClient = refuse(UnauthorizedClient, "The access tokens of this client are bound to its key: it gets them at the token endpoint alone.")
)

// keyProof is a DPoP proof that was checked; nil: the request has none.
type keyProof struct {
	jkt   string
	id    userstore.DPoPProofID
	until time.Time // when the proof is refused by its age
	used  bool
}

// thumbprint returns the thumbprint of the key; empty: there is no proof.
func (p *keyProof) thumbprint() string {
	if p == nil {
		return ""
	}
	return p.jkt
}

// checkProof checks the proof of a request, which headers hold. It returns nil if there is none.
func (i *Issuer) checkProof(headers []string, e dpop.Expected) (*keyProof, error) {
	text, err := dpop.One(headers)
	if err != nil {
		return nil, errProof.because(err)
	}
	if text == "" {
		return nil, nil
	}
	e.Now = i.now()
	if i.DPoPNonces {
		known, err := i.nonces()
		if err != nil {
			return nil, err
		}
		e.Nonce = func(nonce string) bool { return slices.Contains(known, nonce) }
	}
	proof, err := dpop.Check(text, e)
	switch {
	case errors.Is(err, dpop.ErrNonce):
		return nil, errNonce.because(err)
	case err != nil:
		return nil, errProof.because(err)
	}
	return &keyProof{jkt: proof.Thumbprint, id: proof.Key(), until: proof.Until()}, nil
}

// proofFor is checkProof for a request at one of our endpoints for clients.
func (i *Issuer) proofFor(path string, headers []string) (*keyProof, error) {
	return i.checkProof(headers, dpop.Expected{Method: "POST", URI: i.endpoint(path)})
}

// useProof makes sure that a proof is used once, on all replicas together; within one request it may be
// called again. The use is remembered for longer than the proof is accepted: a replica whose clock is
// ahead must not forget a proof that another one still accepts.
func (i *Issuer) useProof(ctx context.Context, p *keyProof) error {
	if p == nil || p.used {
		return nil
	}
	err := i.Proofs.UseDPoPProof(ctx, p.id, i.now(), p.until.Add(2*i.ClockSkew+time.Second))
	switch {
	case errors.Is(err, userstore.ErrExists):
		return errProof.because(errors.New("the proof was used before"))
	case err != nil:
		return err
	}
	p.used = true
	return nil
}

// DPoPNonce returns the nonce for the next proof of a client (RFC 9449 section 8); empty: none is needed.
func (i *Issuer) DPoPNonce() (string, error) {
	if !i.DPoPNonces {
		return "", nil
	}
	known, err := i.nonces()
	if err != nil {
		return "", err
	}
	return known[0], nil
}

// nonces returns the nonces that count now, the one to give out first.
func (i *Issuer) nonces() ([]string, error) {
	return dpop.Nonces(i.now(), func(text string) ([]byte, error) { return i.FormMAC("DPoP nonce", text) })
}

// Presented is an access token as a request presents it.
type Presented struct {
	Token string

	DPoP         bool     // by the scheme DPoP (RFC 9449 section 7.1), not Bearer
	Proofs       []string // the values of the header DPoP
	Method, Path string   // of the request; Path as it was sent, without a query
}

// present accepts a token that is live for an audience and presented by whom it was issued to: a token
// that is bound to a key by the scheme DPoP with a proof of the key, any other by the scheme Bearer.
func (i *Issuer) present(ctx context.Context, p Presented, audience string) (liveToken, error) {
	l, err := i.live(ctx, p.Token, audience)
	if err == nil {
		err = i.checkHolder(ctx, l.claims, p)
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		at := *e
		at.Resource = true
		err = &at
	}
	return l, err
}

func (i *Issuer) checkHolder(ctx context.Context, c jose.AccessClaims, p Presented) error {
	bound := c.KeyThumbprint != ""
	switch {
	case !p.DPoP && bound:
		return errAccessToken.because(errors.New("the token is bound to a key, and came as a bearer token"))
	case !p.DPoP:
		return nil
	case !bound:
		return errAccessToken.because(errors.New("the token is bound to no key, and came by the scheme DPoP"))
	}
	proof, err := i.checkProof(p.Proofs, dpop.Expected{Method: p.Method, URI: i.origin() + p.Path, AccessToken: p.Token})
	switch {
	case err != nil:
		return err
	case proof == nil:
		return errProof.because(errors.New("the request has no proof"))
	case proof.jkt != c.KeyThumbprint:
		return errAccessToken.because(errors.New("the token is bound to another key than that of the proof"))
	}
	if err := i.useProof(ctx, proof); err != nil {
		return failed(err)
	}
	return nil
}

// origin returns scheme and host of our addresses.
func (i *Issuer) origin() string {
	u, err := url.Parse(i.URL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// readJKT reads dpop_jkt (RFC 9449 section 10).
func readJKT(p *Pending, sent string) error {
	if sent != "" && !jose.IsThumbprint(sent) {
		return errJKT
	}
	p.JKT = sent
	return nil
}
