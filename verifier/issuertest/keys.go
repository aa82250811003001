package issuertest

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// addedKey is a key of the test's own, which is published beside the issuer's.
type addedKey struct {
	public jose.PublicKey
	jwk    json.RawMessage
}

// Rotate makes the published successor of each key sign, as `signet keys rotate` does, and returns
// the kid of the key that signs now. A key is published for an hour before it signs, so that a second
// Rotate in a row moves the clock by that hour.
func (i *Issuer) Rotate() (kid string) {
	i.tb.Helper()
	kid, err := i.signet.Rotate(context.Background())
	i.must(err)
	return kid
}

// KeyID returns the kid of the key that signs now.
func (i *Issuer) KeyID() string {
	i.tb.Helper()
	if key, ok := i.lastAdded(); ok {
		return key.public.ID
	}
	kid, err := i.signet.SigningKey()
	i.must(err)
	return kid
}

// Revoke takes a key out of the key set at once, as `signet keys revoke` does. If it signed, its
// successor signs from now on.
func (i *Issuer) Revoke(kid string) {
	i.tb.Helper()
	i.mu.Lock()
	before := len(i.added)
	i.added = slices.DeleteFunc(i.added, func(k addedKey) bool { return k.public.ID == kid })
	own := before == len(i.added)
	i.mu.Unlock()
	if own {
		i.must(i.signet.RevokeKeys(context.Background(), kid))
	}
}

// RevokeAll takes every key out of the key set and makes fresh ones, as `signet keys revoke --all`
// does: the key that signs now is one that no verifier can know before it fetches the key set again.
func (i *Issuer) RevokeAll() (kid string) {
	i.tb.Helper()
	i.mu.Lock()
	i.added = nil
	i.mu.Unlock()
	i.must(i.signet.RevokeKeys(context.Background()))
	return i.KeyID()
}

// AddKey publishes a key of your own beside the issuer's, signs with it from now on and returns its
// kid. Verifiers meet it unprepared. alg is one of RS256, PS256, ES256 and EdDSA.
func (i *Issuer) AddKey(key crypto.Signer, alg string) (kid string) {
	i.tb.Helper()
	kid, err := i.signet.Vault.Keep(key)
	i.must(err)
	public := jose.PublicKey{ID: kid, Algorithm: alg, Key: key.Public()}
	jwk, err := jose.MarshalPublic(public)
	i.must(err)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.added = append(i.added, addedKey{public, jwk})
	return kid
}

func (i *Issuer) lastAdded() (addedKey, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.added) == 0 {
		return addedKey{}, false
	}
	return i.added[len(i.added)-1], true
}

// SetMaxAge sets the key set's Cache-Control max-age, which is 5 minutes at first.
func (i *Issuer) SetMaxAge(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.maxAge = &d
}

// Break makes h answer requests for discovery and the key set; nil repairs them.
func (i *Issuer) Break(h http.Handler) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.broken = h
}

// Requests returns how often the key set was requested, failed requests included.
func (i *Issuer) Requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests
}

// JWKS returns the key set as it is published now.
func (i *Issuer) JWKS() []byte {
	i.tb.Helper()
	document, err := i.signet.Keys.JWKS()
	i.must(err)
	i.mu.Lock()
	added := slices.Clone(i.added)
	i.mu.Unlock()
	body, err := withKeys(document.Body, added)
	i.must(err)
	return body
}

// withKeys returns a key set with more keys at its end.
func withKeys(set []byte, added []addedKey) ([]byte, error) {
	var out struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(set, &out); err != nil {
		return nil, err
	}
	for _, key := range added {
		out.Keys = append(out.Keys, key.jwk)
	}
	return json.Marshal(out)
}

const (
	jwksPath      = "/.well-known/jwks.json"
	discoveryPath = "/.well-known/openid-configuration"
)

// around stands before the issuer's own handler: it counts, breaks, and publishes the added keys.
func (i *Issuer) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		broken, maxAge, added := i.broken, i.maxAge, slices.Clone(i.added)
		if r.URL.Path == jwksPath {
			i.requests++
		}
		i.mu.Unlock()
		switch {
		case broken != nil && (r.URL.Path == jwksPath || r.URL.Path == discoveryPath):
			broken.ServeHTTP(w, r)
		case r.URL.Path == jwksPath && (maxAge != nil || len(added) > 0):
			i.serveKeys(w, r, maxAge, added)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// serveKeys answers as the issuer does, with the test's keys and max-age.
func (i *Issuer) serveKeys(w http.ResponseWriter, r *http.Request, maxAge *time.Duration, added []addedKey) {
	document, err := i.signet.Keys.JWKS()
	var body []byte
	if err == nil {
		body, err = withKeys(document.Body, added)
	}
	if err != nil {
		http.Error(w, "the key set cannot be read now", http.StatusServiceUnavailable)
		return
	}
	age := 5 * time.Minute
	if maxAge != nil {
		age = *maxAge
	}
	sum := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Date", i.Now().UTC().Format(http.TimeFormat))
	h.Set("ETag", etag)
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(age.Seconds())))
	if strings.Contains(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(body)
}
