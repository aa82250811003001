package verifier

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/dpop"
)

// DPoP says how access tokens that are bound to a key are accepted (RFC 9449): by the scheme DPoP, with a
// proof that its sender has the key, made for this request alone. By the scheme Bearer they are refused,
// as are bearer tokens by the scheme DPoP.
//
// A proof names the URL of its request. What a request itself says of its host cannot be trusted for
// that, so the URL is configured: without URL and Config.Resource.URI the scheme DPoP is unknown, and
// tokens that are bound to a key are refused.
type DPoP struct {
	// URL is where clients reach the root of the server: scheme and host, and the path that a proxy takes
	// away if one does. The path of a request follows it. Default: scheme and host of Config.Resource.URI.
	URL string

	// Required says that bearer tokens are refused. The metadata say so (RFC 9728 section 2).
	Required bool

	// Used remembers the proofs that were used. Default: NewUsedProofs(DefaultUsedProofs), which is this
	// process's own: a proof counts once at each replica of the resource server.
	Used UsedProofs

	// NonceKey is a secret of 32 bytes or more, the same at all replicas: with it, proofs need a nonce of
	// this resource server (RFC 9449 section 9), so that none can be made ahead. Default: no nonces.
	NonceKey []byte
}

// UsedProofs remembers the proofs that were used, for a few minutes each. It is used by many goroutines at
// once.
type UsedProofs interface {
	// Use records until then that a proof was used at now. It reports whether this was the first use, of
	// which there is one, however many calls there are at once. After an error the request is refused
	// with 503.
	Use(ctx context.Context, proof [32]byte, now, until time.Time) (first bool, err error)
}

// DefaultUsedProofs is how many proofs are remembered by default: 16 MiB at most, and three minutes of 550
// requests a second.
const DefaultUsedProofs = 100_000

// NewUsedProofs returns a memory for at most so many proofs that are not too old yet. A full memory
// refuses each further proof: to forget one would let it be used again.
func NewUsedProofs(most int) UsedProofs {
	return &usedProofs{most: most, byEnd: map[int64]map[[32]byte]struct{}{}}
}

// proofsTogether are forgotten at once, when the last of them is too old.
const proofsTogether = 10 * time.Second

// usedProofs holds the proofs by when they end. The end of a proof follows from the proof, so that a
// second use looks where the first one stands.
type usedProofs struct {
	most int

	mu    sync.Mutex
	held  int
	byEnd map[int64]map[[32]byte]struct{}
}

var errFull = errors.New("no more DPoP proofs can be remembered: see DPoP.Used")

func (u *usedProofs) Use(_ context.Context, proof [32]byte, now, until time.Time) (bool, error) {
	end := until.UnixNano()/int64(proofsTogether) + 1
	present := now.UnixNano() / int64(proofsTogether)
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, used := u.byEnd[end][proof]; used {
		return false, nil
	}
	if u.held >= u.most {
		for at, proofs := range u.byEnd { // a few dozen at most: what ends later is refused as too new
			if at < present {
				u.held -= len(proofs)
				delete(u.byEnd, at)
			}
		}
	}
	if u.held >= u.most {
		return false, errFull
	}
	if u.byEnd[end] == nil {
		u.byEnd[end] = map[[32]byte]struct{}{}
	}
	u.byEnd[end][proof] = struct{}{}
	u.held++
	return true, nil
}

// holders checks who presents a token.
type holders struct {
	url      string // without a slash at its end
	required bool
	used     UsedProofs
	nonceKey []byte // nil: no nonces
}

func newHolders(c Config) *holders {
	h := &holders{url: c.DPoP.URL, required: c.DPoP.Required, used: c.DPoP.Used, nonceKey: c.DPoP.NonceKey}
	if h.url == "" {
		u, err := url.Parse(c.Resource.URI)
		if err != nil || u.Host == "" {
			return nil
		}
		h.url = u.Scheme + "://" + u.Host
	}
	h.url = strings.TrimSuffix(h.url, "/")
	if h.used == nil {
		h.used = NewUsedProofs(DefaultUsedProofs)
	}
	return h
}

const leastNonceKey = 32

func (d DPoP) faults(resource string) (faults []error) {
	if d.URL != "" && (checkURL(d.URL) != nil || strings.ContainsAny(d.URL, "?#")) {
		faults = append(faults, fmt.Errorf(
			"DPoP.URL must be an http or https URL without user name, query and fragment (got %q)", d.URL))
	}
	if d.Required && d.URL == "" && resource == "" {
		faults = append(faults, errors.New(
			"DPoP.Required needs DPoP.URL or Resource.URI: without either, every request would be refused"))
	}
	if len(d.NonceKey) > 0 && len(d.NonceKey) < leastNonceKey {
		faults = append(faults, fmt.Errorf("DPoP.NonceKey must have %d random bytes at least", leastNonceKey))
	}
	return faults
}

// DPoPRequest is what a proof is about.
type DPoPRequest struct {
	Proofs []string // the values of the header DPoP
	Method string
	URL    string // as the client knows it; a query does not count
}

// VerifyDPoP is Verify for a token that came by the scheme DPoP (RFC 9449 section 7): the token has to be
// bound to a key, and the request to have a proof of the key that was not used before. The error may also
// be ErrInvalidDPoPProof, ErrUseDPoPNonce (Error.Nonce is for the header DPoP-Nonce) or ErrOverloaded.
// Without Config.DPoP.URL and Config.Resource.URI every token is refused.
func (v *Verifier) VerifyDPoP(ctx context.Context, raw string, r DPoPRequest) (*Token, error) {
	token, err := v.verifyDPoP(ctx, raw, r)
	return token, challengedByDPoP(err)
}

func (v *Verifier) verifyDPoP(ctx context.Context, raw string, r DPoPRequest) (*Token, error) {
	if v.dpop == nil {
		return nil, invalid("", "no DPoP.URL is configured, so that no proof can be checked")
	}
	token, err := v.verify(ctx, raw, true)
	switch {
	case err != nil:
		return nil, err
	case token.KeyThumbprint == "":
		return nil, invalid("", "the token is bound to no key, and came by the scheme DPoP")
	}
	now := v.now()
	proof, err := v.dpop.check(raw, r, now)
	switch {
	case err != nil:
		return nil, err
	case proof.Thumbprint != token.KeyThumbprint:
		return nil, invalid("", "the token is bound to another key than that of the proof")
	}
	switch first, err := v.dpop.used.Use(ctx, proof.Key(), now, proof.Until()); {
	case err != nil:
		return nil, &Error{Code: CodeOverloaded, Reason: err.Error(), RetryAfter: proofsTogether, cause: err}
	case !first:
		return nil, &Error{Code: CodeInvalidDPoPProof, Reason: "the proof was used before"}
	}
	return token, nil
}

// check checks the proof of a request with an access token.
func (h *holders) check(raw string, r DPoPRequest, now time.Time) (dpop.Proof, error) {
	text, err := dpop.One(r.Proofs)
	if err == nil && text == "" {
		err = errors.New("the request has no DPoP proof")
	}
	if err != nil {
		return dpop.Proof{}, &Error{Code: CodeInvalidDPoPProof, Reason: err.Error()}
	}
	e := dpop.Expected{Method: r.Method, URI: r.URL, Now: now, AccessToken: raw}
	nonces := h.nonces(now)
	if nonces != nil {
		e.Nonce = func(nonce string) bool { return slices.Contains(nonces, nonce) }
	}
	proof, err := dpop.Check(text, e)
	switch {
	case errors.Is(err, dpop.ErrNonce):
		return dpop.Proof{}, &Error{Code: CodeUseDPoPNonce, Reason: err.Error(), Nonce: nonces[0]}
	case err != nil:
		return dpop.Proof{}, &Error{Code: CodeInvalidDPoPProof, Reason: err.Error()}
	}
	return proof, nil
}

// nonces returns the nonces that count now, the one to give out first; none: no nonce is needed.
func (h *holders) nonces(now time.Time) []string {
	if len(h.nonceKey) == 0 {
		return nil
	}
	known, _ := dpop.Nonces(now, func(text string) ([]byte, error) { // which never fails
		m := hmac.New(sha256.New, h.nonceKey)
		m.Write([]byte("DPoP nonce of a resource server " + text))
		return m.Sum(nil), nil
	})
	return known
}

// NextNonce returns the nonce for the next proof of the sender of a token, for the header DPoP-Nonce of
// the answer (RFC 9449 section 8.2); empty: it needs none. Middleware gives it by itself.
func (v *Verifier) NextNonce(token *Token) string {
	if v.dpop == nil || token == nil || token.KeyThumbprint == "" {
		return ""
	}
	if nonces := v.dpop.nonces(v.now()); nonces != nil {
		return nonces[0]
	}
	return ""
}

// requestPath returns the path of a request as its client wrote it: a mux may have taken a part of it off
// r.URL.
func requestPath(r *http.Request) string {
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		return u.EscapedPath()
	}
	return r.URL.EscapedPath()
}

// dpopChallenge is the challenge of RFC 9449 section 7.1 without an error: a token can come by the scheme.
var dpopChallenge = `DPoP algs="` + strings.Join(dpop.Algorithms, " ") + `"`

// asPresented returns err with the challenge of the scheme by which token came.
func asPresented(token *Token, err error) error {
	if token == nil || token.KeyThumbprint == "" {
		return err
	}
	return challengedByDPoP(err)
}

// challengedByDPoP returns err with the challenge of the scheme DPoP. It marks a copy, because errors may be
// shared.
func challengedByDPoP(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	said := *e
	said.byDPoP = true
	return &said
}
