package verifier_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

func TestAnUnknownKidIsLookedForOncePerCooldown(t *testing.T) {
	s := newStand(t)
	s.accepted(t, s.genuine(verifier.EdDSA))
	addUnexpectedKey(t, s.issuer)
	s.issuer.Advance(time.Second)
	fresh := s.issuer.Token(map[string]any{"aud": audience})
	s.refused(t, fresh, verifier.ErrInvalid) // the cooldown lasts
	s.issuer.Advance(12 * time.Second)
	s.accepted(t, fresh)
	if got := s.issuer.Requests(); got != 2 {
		t.Errorf("%d fetches", got)
	}
	// A token that would be refused anyway starts no fetch.
	s.issuer.Advance(time.Minute)
	stranger := issuertest.New(t)
	now := s.issuer.Now().Unix()
	for _, claims := range []map[string]any{{}, {"iss": s.issuer.URL, "aud": "x"},
		{"iss": s.issuer.URL, "exp": now - 100, "iat": now - 200}} {
		s.refused(t, stranger.Token(claims), verifier.ErrInvalid)
	}
	if got := s.issuer.Requests(); got != 2 {
		t.Errorf("%d fetches", got)
	}
}

func unavailable(t *testing.T, s *stand, raw string) {
	t.Helper()
	if token, err := s.v.Verify(t.Context(), raw); token != nil || !isUnavailable(err) {
		t.Errorf("Verify: %v, %v", token, err)
	}
	w := serve(s.handler, request("GET", "/whoami", "Bearer "+raw))
	if after := w.Header().Get("Retry-After"); w.Code != 503 || after == "" || after == "0" {
		t.Errorf("middleware: %d, Retry-After %q", w.Code, after)
	}
}

func TestAnUnknownKidIsUndecidedWhileTheIssuerFails(t *testing.T) {
	s := newStand(t)
	stranger := issuertest.New(t)
	foreign := func(change map[string]any) string {
		now := s.issuer.Now().Unix()
		claims := map[string]any{"iss": s.issuer.URL, "aud": audience, "iat": now, "exp": now + 600}
		for name, value := range change {
			claims[name] = value
		}
		return stranger.Token(claims)
	}
	s.accepted(t, s.genuine(verifier.EdDSA))
	asked := s.issuer.Now().Unix()
	known := s.genuine(verifier.EdDSA)
	addUnexpectedKey(t, s.issuer)
	s.issuer.Break(status(503))
	s.issuer.Advance(13 * time.Second)
	fresh := s.issuer.Token(map[string]any{"aud": audience})
	unavailable(t, s, fresh) // the fetch failed
	unavailable(t, s, fresh) // the cooldown lasts
	for range 50 {
		unavailable(t, s, foreign(nil))
	}
	s.accepted(t, known) // whatever tokens strangers send
	s.refused(t, foreign(map[string]any{"iat": asked}), verifier.ErrInvalid)
	if got := s.issuer.Requests(); got != 2 {
		t.Errorf("%d fetches", got)
	}
	s.issuer.Advance(13 * time.Second)
	s.refused(t, foreign(map[string]any{"aud": "x"}), verifier.ErrInvalid)
	verifier.AwaitFetch(s.v)
	if got := s.issuer.Requests(); got != 2 {
		t.Errorf("%d fetches after a token that is not worth one", got)
	}
	s.issuer.Break(nil)
	s.accepted(t, fresh)
	for range 50 {
		s.refused(t, foreign(nil), verifier.ErrInvalid)
	}
	if got := s.issuer.Requests(); got != 3 {
		t.Errorf("%d fetches", got)
	}
}

func TestAnUnknownKidIsUndecidedByAKeySetOlderThanTheToken(t *testing.T) {
	s := newStand(t, func(c *verifier.Config) { c.Cooldown = 4 * time.Minute })
	s.accepted(t, s.genuine(verifier.EdDSA))
	addUnexpectedKey(t, s.issuer)
	s.issuer.Advance(time.Minute) // the clock skew
	s.refused(t, s.issuer.Token(map[string]any{"aud": audience}), verifier.ErrInvalid)
	s.issuer.Advance(time.Second)
	fresh := s.issuer.Token(map[string]any{"aud": audience})
	unavailable(t, s, fresh)
	if got := s.issuer.Requests(); got != 1 {
		t.Errorf("%d fetches", got)
	}
	s.issuer.Advance(4 * time.Minute)
	s.accepted(t, fresh)
}

func TestATokenNotWorthAFetchWaitsForNone(t *testing.T) {
	slow := func(c *verifier.Config) { c.FetchTimeout = time.Minute }
	s := newStand(t, slow)
	verifier.SetGrace(s.v, verifier.Grace)
	bad := func() string { return s.issuer.Token(map[string]any{"aud": "x"}) }
	release := make(chan struct{})
	defer close(release)
	hang := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
	s.issuer.Break(hang)
	start := time.Now()
	unavailable(t, s, bad()) // there are no keys yet
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	s = newStand(t, slow)
	s.refused(t, bad(), verifier.ErrInvalid) // the issuer answers, so its key set decides
	s.accepted(t, s.genuine(verifier.EdDSA))

	s.issuer.Break(hang)
	s.issuer.Advance(time.Hour) // the key set is stale, but still usable
	start = time.Now()
	s.refused(t, bad(), verifier.ErrInvalid)
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	if got := s.issuer.Requests(); got != 1 {
		t.Errorf("%d fetches", got)
	}
}

// addUnexpectedKey makes the issuer sign with a key that was not published before, as after an
// emergency. After a rotation, verifiers know the key that signs.
func addUnexpectedKey(t *testing.T, issuer *issuertest.Issuer) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer.AddKey(key, verifier.EdDSA)
}
