package verifier_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/verifier"
)

// holder is a client with a token that is bound to its key.
type holder struct {
	*stand
	key   dpoptest.Key
	token string
}

// publicURL is where clients reach the resource server: a proxy takes /v1 away.
const publicURL = "https://api.example.com/v1"

func newHolder(t *testing.T, change ...func(*verifier.Config)) holder {
	t.Helper()
	s := newStand(t, append([]func(*verifier.Config){func(c *verifier.Config) { c.DPoP.URL = publicURL + "/" }}, change...)...)
	h := holder{stand: s, key: dpoptest.NewKey(t)}
	h.token = h.boundTo(h.key.Thumbprint)
	return h
}

func (h holder) boundTo(thumbprint string) string {
	return mk(h.t, h.header("RS256", nil), h.claims(map[string]any{"cnf": map[string]any{"jkt": thumbprint}}), h.keys["RS256"])
}

// proof returns the claims of a new proof for GET /whoami with the token.
func (h holder) proof() dpoptest.Claims {
	return dpoptest.WithToken(dpoptest.For("GET", publicURL+"/whoami", h.issuer.Now()), h.token)
}

func (h holder) ask(scheme, token string, proofs ...string) *httptest.ResponseRecorder {
	r := request("GET", "/whoami?a=b", scheme+" "+token)
	r.Header["Dpop"] = proofs
	return serve(h.handler, r)
}

func (h holder) passes(w *httptest.ResponseRecorder) {
	h.t.Helper()
	if w.Code != http.StatusOK {
		h.t.Errorf("%d %s", w.Code, w.Body)
	}
}

// challenged checks a refusal by the scheme DPoP.
func (h holder) challenged(w *httptest.ResponseRecorder, oauth string) {
	h.t.Helper()
	if got := w.Header().Get("WWW-Authenticate"); w.Code != 401 || !strings.HasPrefix(got, `DPoP algs="RS256 PS256 ES256 EdDSA Ed25519"`) ||
		!strings.Contains(got, `error="`+oauth+`"`) {
		h.t.Errorf("%d, challenge %q, want %s", w.Code, got, oauth)
	}
}

func TestATokenWithAProofOfItsKey(t *testing.T) {
	h := newHolder(t)
	h.passes(h.ask("DPoP", h.token, h.key.Proof(t, h.proof())))
	h.passes(h.ask("dpop", h.token, h.key.Proof(t, h.proof())))
	token, err := h.v.VerifyDPoP(t.Context(), h.token, verifier.DPoPRequest{
		Proofs: []string{h.key.Proof(t, h.proof())}, Method: "GET", URL: publicURL + "/whoami",
	})
	if err != nil || token.KeyThumbprint != h.key.Thumbprint {
		t.Errorf("by hand: %+v, %v", token, err)
	}
	if token, err := h.v.Verify(t.Context(), h.token); token != nil || !errors.Is(err, verifier.ErrInvalid) {
		t.Errorf("without a proof: %v", err)
	}
	// What a mux takes off the path of a request, its client did write.
	stripped := http.StripPrefix("/mounted", h.handler)
	r := request("GET", "/mounted/whoami", "DPoP "+h.token)
	r.Header.Set("DPoP", h.key.Proof(t, dpoptest.With(h.proof(), "htu", publicURL+"/mounted/whoami")))
	h.passes(serve(stripped, r))
}

// D-01 and D-03 at a resource server; package dpop has all rows of RFC 9449 section 4.3.
func TestD01WrongProofs(t *testing.T) {
	h := newHolder(t)
	header, good := h.key.Header(t), h.proof()
	for name, proofs := range map[string][]string{
		"no proof": nil, "two proofs": {h.key.Proof(t, h.proof()), h.key.Proof(t, h.proof())}, "an empty one": {""},
		"typ":                   {h.key.Sign(t, dpoptest.With(header, "typ", "JWT"), good)},
		"alg none":              {h.key.Sign(t, dpoptest.With(header, "alg", "none"), good)},
		"a private key":         {h.key.Sign(t, dpoptest.With(header, "jwk", h.key.PrivateJWK(t)), good)},
		"another signature":     {h.key.Sign(t, dpoptest.With(header, "jwk", dpoptest.NewKey(t).JWK(t)), good)},
		"another method":        {h.key.Proof(t, dpoptest.With(good, "htm", "POST"))},
		"the Host header":       {h.key.Proof(t, dpoptest.With(good, "htu", "http://example.com/whoami"))},
		"without the prefix":    {h.key.Proof(t, dpoptest.With(good, "htu", "https://api.example.com/whoami"))},
		"another path":          {h.key.Proof(t, dpoptest.With(good, "htu", publicURL+"/other"))},
		"D-03 5 min old":        {h.key.Proof(t, dpoptest.With(good, "iat", h.issuer.Now().Unix()-300))},
		"D-03 2 min ahead":      {h.key.Proof(t, dpoptest.With(good, "iat", h.issuer.Now().Unix()+120))},
		"D-07 no ath":           {h.key.Proof(t, dpoptest.With(good, "ath", nil))},
		"D-07 of another token": {h.key.Proof(t, dpoptest.WithToken(good, "another"))},
	} {
		w := h.ask("DPoP", h.token, proofs...)
		h.challenged(w, "invalid_dpop_proof")
		if got := problemCode(t, w); got != "invalid_dpop_proof" {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, offset := range []int64{-10, 10} {
		h.passes(h.ask("DPoP", h.token, h.key.Proof(t, dpoptest.With(h.proof(), "iat", h.issuer.Now().Unix()+offset))))
	}
}

func TestD07WhoMayPresentAToken(t *testing.T) {
	h := newHolder(t)
	other := dpoptest.NewKey(t)
	plain := h.genuine("RS256")
	rs401(t, h.ask("Bearer", h.token, h.key.Proof(t, h.proof())))
	h.challenged(h.ask("DPoP", plain, h.key.Proof(t, dpoptest.WithToken(h.proof(), plain))), "invalid_token")
	h.challenged(h.ask("DPoP", h.token, other.Proof(t, h.proof())), "invalid_token")
	h.passes(h.ask("Bearer", plain))
	w := h.ask("Basic", "eDp5")
	if got := w.Header().Values("WWW-Authenticate"); w.Code != 401 || len(got) != 2 || !strings.HasPrefix(got[0], "Bearer realm=") ||
		got[1] != `DPoP algs="RS256 PS256 ES256 EdDSA Ed25519"` {
		t.Errorf("without a token: %q", got)
	}
	required := newHolder(t, func(c *verifier.Config) { c.DPoP.Required = true })
	required.challenged(required.ask("Bearer", required.genuine("RS256")), "invalid_token")
	required.passes(required.ask("DPoP", required.token, required.key.Proof(t, required.proof())))
}

// D-04: again, and at once.
func TestD04AProofIsUsedOnce(t *testing.T) {
	h := newHolder(t)
	proof := h.key.Proof(t, h.proof())
	h.passes(h.ask("DPoP", h.token, proof))
	h.challenged(h.ask("DPoP", h.token, proof), "invalid_dpop_proof")
	h.issuer.Advance(119 * time.Second)
	h.challenged(h.ask("DPoP", h.token, proof), "invalid_dpop_proof")
	same := h.key.Proof(t, h.proof())
	var passed atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			_, err := h.v.VerifyDPoP(t.Context(), h.token, verifier.DPoPRequest{
				Proofs: []string{same}, Method: "GET", URL: publicURL + "/whoami",
			})
			if err == nil {
				passed.Add(1)
			} else if !errors.Is(err, verifier.ErrInvalidDPoPProof) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := passed.Load(); n != 1 {
		t.Errorf("%d of 16 requests with one proof passed", n)
	}
}

// TestTheMemoryOfProofsIsBounded: full, it refuses; what is too old makes room.
func TestTheMemoryOfProofsIsBounded(t *testing.T) {
	used := verifier.NewUsedProofs(2)
	now := time.Date(2026, 11, 27, 5, 0, 0, 0, time.UTC)
	use := func(n byte, now, until time.Time) (bool, error) {
		return used.Use(t.Context(), [32]byte{n}, now, until)
	}
	for n := range byte(2) {
		if first, err := use(n, now, now.Add(time.Minute)); !first || err != nil {
			t.Fatalf("%d: %t, %v", n, first, err)
		}
	}
	if first, err := use(0, now, now.Add(time.Minute)); first || err != nil {
		t.Errorf("a second use of a full memory: %t, %v", first, err)
	}
	if first, err := use(2, now.Add(59*time.Second), now.Add(2*time.Minute)); first || err == nil {
		t.Errorf("one more than there is room for: %t, %v", first, err)
	}
	if first, err := use(2, now.Add(90*time.Second), now.Add(2*time.Minute)); !first || err != nil {
		t.Errorf("after the others are too old: %t, %v", first, err)
	}

	h := newHolder(t, func(c *verifier.Config) { c.DPoP.Used = verifier.NewUsedProofs(1) })
	h.passes(h.ask("DPoP", h.token, h.key.Proof(t, h.proof())))
	if w := h.ask("DPoP", h.token, h.key.Proof(t, h.proof())); w.Code != 503 || w.Header().Get("Retry-After") == "" || problemCode(t, w) != "overloaded" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type failingProofs struct{}

func (failingProofs) Use(context.Context, [32]byte, time.Time, time.Time) (bool, error) {
	return true, errors.New("the memory is not there")
}

func TestAnUnknownUseIsNoUse(t *testing.T) {
	h := newHolder(t, func(c *verifier.Config) { c.DPoP.Used = failingProofs{} })
	if w := h.ask("DPoP", h.token, h.key.Proof(t, h.proof())); w.Code != 503 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestD06Nonces(t *testing.T) {
	h := newHolder(t, func(c *verifier.Config) { c.DPoP.NonceKey = bytes.Repeat([]byte{1}, 32) })
	other := newHolder(t, func(c *verifier.Config) { c.DPoP.NonceKey = bytes.Repeat([]byte{2}, 32) })
	ask := func(nonce any) *httptest.ResponseRecorder {
		return h.ask("DPoP", h.token, h.key.Proof(t, dpoptest.With(h.proof(), "nonce", nonce)))
	}
	given := func(w *httptest.ResponseRecorder) string { return w.Header().Get("DPoP-Nonce") }
	w := ask(nil)
	h.challenged(w, "use_dpop_nonce")
	first := given(w)
	theirs := given(other.ask("DPoP", other.token, other.key.Proof(t, other.proof())))
	if first == "" || theirs == "" || first == theirs {
		t.Fatalf("nonces %q and %q", first, theirs)
	}
	for name, nonce := range map[string]string{"forged": strings.Repeat("A", len(first)), "another server's": theirs, "empty": ""} {
		if w := ask(nonce); given(w) != first || w.Code != 401 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	h.passes(ask(first))
	h.issuer.Advance(2 * time.Minute)
	w = ask(first)
	h.passes(w)
	if given(w) == first || given(w) == "" {
		t.Errorf("the next nonce is %q", given(w))
	}
	h.issuer.Advance(2 * time.Minute)
	h.challenged(ask(first), "use_dpop_nonce")
}

// TestNoURLNoDPoP: nothing says which URL a proof is for, so none is checked.
func TestNoURLNoDPoP(t *testing.T) {
	h := newHolder(t, func(c *verifier.Config) { c.DPoP.URL = "" })
	if w := h.ask("DPoP", h.token, h.key.Proof(t, h.proof())); w.Code != 401 || problemCode(t, w) != "missing_token" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if _, err := h.v.VerifyDPoP(t.Context(), h.token, verifier.DPoPRequest{
		Proofs: []string{h.key.Proof(t, h.proof())}, Method: "GET", URL: publicURL + "/whoami",
	}); !errors.Is(err, verifier.ErrInvalid) {
		t.Error(err)
	}
	for name, d := range map[string]verifier.DPoP{
		"no URL": {URL: "api.example.com"}, "a query": {URL: publicURL + "?a"}, "required without a URL": {Required: true}, "a short key": {NonceKey: []byte("x")},
	} {
		if _, err := verifier.New(verifier.Config{Issuer: "https://id.example.com", Audience: []string{audience}, DPoP: d}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// TestMetadataNameDPoP: RFC 9728 section 2; the URL follows from the resource.
func TestMetadataNameDPoP(t *testing.T) {
	h := newHolder(t, func(c *verifier.Config) {
		c.DPoP, c.Resource.URI = verifier.DPoP{Required: true}, audience
	})
	h.passes(h.ask("DPoP", h.token, h.key.Proof(t, dpoptest.With(h.proof(), "htu", audience+"/whoami"))))
	var document struct {
		Algorithms []string `json:"dpop_signing_alg_values_supported"`
		Required   bool     `json:"dpop_bound_access_tokens_required"`
	}
	w := serve(h.handler, request("GET", verifier.MetadataPath))
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil || len(document.Algorithms) != 5 || !document.Required {
		t.Errorf("%s: %v", w.Body, err)
	}
}

// BenchmarkVerifyDPoP is Verify and the check of a proof.
func BenchmarkVerifyDPoP(b *testing.B) {
	s := newStand(b, func(c *verifier.Config) { c.DPoP.URL, c.DPoP.Used = publicURL, anyUse{} })
	key := dpoptest.NewKey(b)
	token := mk(b, s.header("EdDSA", nil), s.claims(map[string]any{"cnf": map[string]any{"jkt": key.Thumbprint}}), s.keys["EdDSA"])
	r := verifier.DPoPRequest{Method: "GET", URL: publicURL + "/whoami", Proofs: []string{
		key.Proof(b, dpoptest.WithToken(dpoptest.For("GET", publicURL+"/whoami", s.issuer.Now()), token))}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.v.VerifyDPoP(b.Context(), token, r); err != nil {
			b.Fatal(err)
		}
	}
}

type anyUse struct{}

func (anyUse) Use(context.Context, [32]byte, time.Time, time.Time) (bool, error) { return true, nil }

// dpopChallenge says that a token can come by the scheme DPoP.
const dpopChallenge = `DPoP algs="RS256 PS256 ES256 EdDSA Ed25519"`
