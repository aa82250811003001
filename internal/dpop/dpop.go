// Package dpop reads and checks DPoP proofs (RFC 9449): small JWTs by which the sender of a request
// shows that it has a private key. The issuer and the verifier of resource servers share the package,
// so that neither accepts a proof that the other refuses.
//
//	header fields ── One ──▶ proof ── Check ──▶ Proof: jkt, jti, how long it counts
//
// Check says that the proof is sound and meant for this request. That it was not used before, only
// a memory can say, which each of the two has of its own; Proof.Key and Proof.Until are made for it.
package dpop

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
)

// HeaderName is the header field of a request that holds the proof (RFC 9449 section 4.1), and
// NonceName that of an answer with a nonce (section 8).
const (
	HeaderName = "DPoP"
	NonceName  = "DPoP-Nonce"
)

// Algorithms are the algorithms of proofs, as metadata list them; the last two are one, by its older
// and its newer name.
var Algorithms = []string{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA, jose.Ed25519}

// How far iat may be from the present: a proof is made for one request, but the clock of a phone or a
// browser is often off.
const (
	MaxAge   = 2 * time.Minute
	MaxAhead = time.Minute
)

// Bounds of what is sent.
const (
	maxProofBytes = 8 << 10
	maxIDBytes    = 256
	proofType     = "dpop+jwt"
)

// Expected says what the proof of a request has to fit.
type Expected struct {
	Method string // of the request
	URI    string // of the request, as its sender knows it; query and fragment do not count
	Now    time.Time

	// AccessToken is what the request presents, and what ath has to name; empty: no ath is needed, because
	// the request goes to the authorization server.
	AccessToken string

	// Nonce reports whether a nonce is one that the server gave out and that still counts; nil: the
	// server gives none, and whatever a proof says does not matter.
	Nonce func(nonce string) bool
}

// Proof is a proof that was checked.
type Proof struct {
	Thumbprint string    // jkt: that of the key (RFC 7638, SHA-256)
	ID         string    // jti
	IssuedAt   time.Time // iat
}

// Key names the proof among all proofs: two proofs of one key with one jti are one proof.
func (p Proof) Key() [sha256.Size]byte {
	return sha256.Sum256([]byte(p.Thumbprint + p.ID)) // a thumbprint always has 43 bytes
}

// Until returns when the proof is refused by its age, whether or not it was used.
func (p Proof) Until() time.Time { return p.IssuedAt.Add(MaxAge) }

// ErrNonce means that the proof is sound, but has no nonce that counts: the sender has to be given one
// (RFC 9449 section 8).
var ErrNonce = errors.New("the proof has no nonce of this server that still counts")

// One returns the proof among the values of the header field DPoP of a request; empty: the request has
// none. A request with more than one is refused (RFC 9449 section 4.3).
func One(values []string) (string, error) {
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", errors.New("the request has more than one DPoP header")
	case values[0] == "":
		return "", errors.New("the DPoP header is empty")
	}
	return values[0], nil
}

// claims are the claims of a proof (RFC 9449 section 4.2). exp and nbf are none of them, but would mean
// what they mean everywhere.
type claims struct {
	ID          string   `json:"jti"`
	Method      string   `json:"htm"`
	URI         string   `json:"htu"`
	IssuedAt    *float64 `json:"iat"`
	AccessToken string   `json:"ath"`
	Nonce       string   `json:"nonce"`
	Expires     *float64 `json:"exp"`
	NotBefore   *float64 `json:"nbf"`
}

// Check checks a proof as RFC 9449 section 4.3 says. The error is ErrNonce, or names the rule that the
// proof breaks, for a log: it never repeats the proof.
func Check(proof string, e Expected) (Proof, error) {
	if len(proof) > maxProofBytes {
		return Proof{}, fmt.Errorf("the proof is longer than %d bytes", maxProofBytes)
	}
	token, key, err := jose.VerifyProof(proof)
	if err != nil {
		return Proof{}, fmt.Errorf("the proof: %w", err)
	}
	if !token.Header.IsType(proofType) {
		return Proof{}, errors.New("the proof's typ is not dpop+jwt")
	}
	var c claims
	if err := strictjson.Unmarshal(token.Payload, &c, strictjson.IgnoreUnknown); err != nil {
		return Proof{}, fmt.Errorf("the proof's payload: %w", err)
	}
	if err := c.check(e); err != nil {
		return Proof{}, err
	}
	thumbprint, err := jose.Thumbprint(key.Key)
	if err != nil {
		return Proof{}, err
	}
	return Proof{Thumbprint: thumbprint, ID: c.ID, IssuedAt: instant(*c.IssuedAt)}, nil
}

func (c *claims) check(e Expected) error {
	if c.ID == "" || len(c.ID) > maxIDBytes {
		return fmt.Errorf("the proof's jti is missing or longer than %d bytes", maxIDBytes)
	}
	if c.Method != e.Method {
		return errors.New("the proof's htm is not the method of the request")
	}
	sent, err := normalized(c.URI)
	if err != nil {
		return fmt.Errorf("the proof's htu: %w", err)
	}
	ours, err := normalized(e.URI)
	if err != nil {
		return fmt.Errorf("the address of the request: %w", err)
	}
	if sent != ours {
		return errors.New("the proof's htu is not the address of the request")
	}
	if err := c.checkTimes(e.Now); err != nil {
		return err
	}
	if e.AccessToken != "" && c.AccessToken != hashOf(e.AccessToken) {
		return errors.New("the proof's ath is not the hash of the access token")
	}
	if e.Nonce != nil && !e.Nonce(c.Nonce) {
		return ErrNonce
	}
	return nil
}

// lastSecond bounds the instants of a proof, so that arithmetic with them cannot overflow.
const lastSecond = 1 << 38

func (c *claims) checkTimes(now time.Time) error {
	for _, at := range []*float64{c.IssuedAt, c.Expires, c.NotBefore} {
		if at != nil && !(*at >= 0 && *at < lastSecond) {
			return errors.New("the proof has an instant that is none")
		}
	}
	switch {
	case c.IssuedAt == nil:
		return errors.New("the proof has no iat")
	case !now.Before(instant(*c.IssuedAt).Add(MaxAge)):
		return errors.New("the proof is too old: make one for each request, and compare the clocks")
	case instant(*c.IssuedAt).After(now.Add(MaxAhead)):
		return errors.New("the proof's iat is in the future: compare the clocks")
	case c.Expires != nil && !now.Before(instant(*c.Expires).Add(MaxAhead)):
		return errors.New("the proof has expired")
	case c.NotBefore != nil && instant(*c.NotBefore).After(now.Add(MaxAhead)):
		return errors.New("the proof is not valid yet")
	}
	return nil
}

// instant returns the time of a number of seconds (RFC 7519 section 2), which may have a fraction.
func instant(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)).UTC() }

// hashOf returns the ath of an access token (RFC 9449 section 4.2).
func hashOf(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
