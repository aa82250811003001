package grpcauth_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/verifier"
)

// holder is a client of a stand with a token that is bound to its key.
type holder struct {
	*stand
	key   dpoptest.Key
	token string
}

// publicURL is where clients reach the server: a proxy takes /api away.
const publicURL = "https://notes.example.com/api"

func newHolder(t *testing.T, change ...func(*verifier.Config)) holder {
	t.Helper()
	withURL := func(c *verifier.Config) { c.DPoP.URL = publicURL }
	h := holder{stand: newStand(t, append([]func(*verifier.Config){withURL}, change...)...), key: dpoptest.NewKey(t)}
	h.token = h.issuer.Token(map[string]any{"aud": audience, "scope": "notes:read", "sub": "alice",
		"cnf": map[string]any{"jkt": h.key.Thumbprint}})
	return h
}

// proof returns the claims of a new proof for a method with the token.
func (h holder) proof(method string) dpoptest.Claims {
	return dpoptest.WithToken(dpoptest.For("POST", publicURL+"/notes.v1.Notes/"+method, h.issuer.Now()), h.token)
}

func (h holder) ask(method, authorization string, proofs ...string) outcome {
	h.t.Helper()
	return h.callWith(method, metadata.MD{"authorization": {authorization}, "dpop": proofs})
}

// refused checks a refusal: its code, the reason, and how the only or last challenge begins.
func (h holder) refused(what string, got outcome, code codes.Code, reason, challenge string) {
	h.t.Helper()
	st := status.Convert(got.err)
	if st.Code() != code || got.answer != "" {
		h.t.Errorf("%s: %v, answer %q", what, got.err, got.answer)
		return
	}
	if info := infoOf(h.t, st); info.Reason != reason {
		h.t.Errorf("%s: reason %s", what, info.Reason)
	}
	challenges := got.trailer.Get("www-authenticate")
	if (challenge == "") != (len(challenges) == 0) ||
		challenge != "" && !strings.Contains(challenges[len(challenges)-1], challenge) {
		h.t.Errorf("%s: challenges %q", what, challenges)
	}
}

func (h holder) passes(what string, got outcome) {
	h.t.Helper()
	if got.err != nil || got.answer != "alice" || len(got.trailer.Get("www-authenticate")) > 0 {
		h.t.Errorf("%s: %q, %v", what, got.answer, got.err)
	}
}

// D-01, D-04 and D-07 over gRPC: what is refused over HTTP is refused here.
func TestD07ATokenWithAProofOfItsKey(t *testing.T) {
	h := newHolder(t)
	plain := h.issuer.Token(map[string]any{"aud": audience, "scope": "notes:read", "sub": "alice"})
	for _, method := range []string{"List", "Watch"} {
		again := h.key.Proof(t, h.proof(method))
		h.passes(method, h.ask(method, "DPoP "+h.token, again))
		h.passes("the scheme in another case", h.ask(method, "dPOP  "+h.token, h.key.Proof(t, h.proof(method))))
		h.passes("a bearer token", h.ask(method, "Bearer "+plain))
		for what, proofs := range map[string][]string{
			"the same proof again": {again},
			"no proof":             nil,
			"an empty proof":       {""},
			"two proofs":           {h.key.Proof(t, h.proof(method)), h.key.Proof(t, h.proof(method))},
			"another method":       {h.key.Proof(t, h.proof("Delete"))},
			"GET":                  {h.key.Proof(t, dpoptest.With(h.proof(method), "htm", "GET"))},
			"without the prefix":   {h.key.Proof(t, dpoptest.With(h.proof(method), "htu", "https://notes.example.com/notes.v1.Notes/"+method))},
			"another host":         {h.key.Proof(t, dpoptest.With(h.proof(method), "htu", "https://evil.test/notes.v1.Notes/"+method))},
			"of another token":     {h.key.Proof(t, dpoptest.WithToken(h.proof(method), "another"))},
			"five minutes old":     {h.key.Proof(t, dpoptest.With(h.proof(method), "iat", h.issuer.Now().Unix()-300))},
		} {
			h.refused(method+", "+what, h.ask(method, "DPoP "+h.token, proofs...), codes.Unauthenticated, "invalid_dpop_proof",
				`DPoP algs="RS256 PS256 ES256 EdDSA Ed25519", error="invalid_dpop_proof"`)
		}
		h.refused(method+", another key", h.ask(method, "DPoP "+h.token, dpoptest.NewKey(t).Proof(t, h.proof(method))),
			codes.Unauthenticated, "token_invalid", `DPoP algs=`)
		h.refused(method+", as a bearer token", h.ask(method, "Bearer "+h.token, h.key.Proof(t, h.proof(method))),
			codes.Unauthenticated, "token_invalid", `DPoP algs=`)
		h.refused(method+", a bearer token by DPoP",
			h.ask(method, "DPoP "+plain, h.key.Proof(t, dpoptest.WithToken(h.proof(method), plain))),
			codes.Unauthenticated, "token_invalid", `DPoP algs=`)
		h.refused(method+", nothing", h.callWith(method, nil), codes.Unauthenticated, "missing_token", `DPoP algs=`)
	}
	h.refused("without the scope of the method", h.ask("Delete", "DPoP "+h.token, h.key.Proof(t, h.proof("Delete"))),
		codes.Unauthenticated, "insufficient_user_authentication", `DPoP algs="RS256 PS256 ES256 EdDSA Ed25519", error="insufficient_user_authentication"`)
}

func TestWhereDPoPIsRequiredBearerTokensAreRefused(t *testing.T) {
	h := newHolder(t, func(c *verifier.Config) { c.DPoP.Required = true })
	plain := h.issuer.Token(map[string]any{"aud": audience, "scope": "notes:read", "sub": "alice"})
	for _, method := range []string{"List", "Watch"} {
		h.refused(method, h.ask(method, "Bearer "+plain), codes.Unauthenticated, "token_invalid", `DPoP algs=`)
		h.passes(method, h.ask(method, "DPoP "+h.token, h.key.Proof(t, h.proof(method))))
	}
}

// Without a URL that proofs can name, the scheme is unknown.
func TestWithoutAURLThereIsNoDPoP(t *testing.T) {
	h := newHolder(t, func(c *verifier.Config) { c.DPoP.URL = "" })
	h.refused("a proof", h.ask("List", "DPoP "+h.token, h.key.Proof(t, h.proof("List"))), codes.Unauthenticated,
		"missing_token", `Bearer realm=`)
	h.refused("a bearer token", h.ask("List", "Bearer "+h.token), codes.Unauthenticated, "token_invalid", `Bearer error=`)
}

func TestD06NoncesOverGRPC(t *testing.T) {
	h := newHolder(t, func(c *verifier.Config) { c.DPoP.NonceKey = bytes.Repeat([]byte{1}, 32) })
	for _, method := range []string{"List", "Watch"} {
		got := h.ask(method, "DPoP "+h.token, h.key.Proof(t, h.proof(method)))
		h.refused(method, got, codes.Unauthenticated, "use_dpop_nonce", `error="use_dpop_nonce"`)
		nonce := strings.Join(got.trailer.Get("dpop-nonce"), "|")
		if nonce == "" {
			t.Fatalf("%s: trailer %v", method, got.trailer)
		}
		got = h.ask(method, "DPoP "+h.token, h.key.Proof(t, dpoptest.With(h.proof(method), "nonce", nonce)))
		h.passes(method, got)
		if next := strings.Join(got.header.Get("dpop-nonce"), "|"); next != nonce {
			t.Errorf("%s: header %v", method, got.header)
		}
	}
}

type fullMemory struct{}

func (fullMemory) Use(context.Context, [32]byte, time.Time, time.Time) (bool, error) {
	return false, errors.New("full")
}

func TestWithoutRoomForProofsNothingIsDecided(t *testing.T) {
	h := newHolder(t, func(c *verifier.Config) { c.DPoP.Used = fullMemory{} })
	got := h.ask("List", "DPoP "+h.token, h.key.Proof(t, h.proof("List")))
	h.refused("a full memory", got, codes.Unavailable, "overloaded", "")
	retryAfter(t, status.Convert(got.err))
}
