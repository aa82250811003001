// Package issuertest is an issuer for the tests of resource servers. It serves discovery and a key
// set and signs tokens. A test can move its clock and make it fail.
//
//	issuer := issuertest.New(t)
//	v, err := verifier.New(issuer.Config("https://api.example.com"))
//	raw := issuer.Token(map[string]any{"aud": "https://api.example.com", "scope": "notes:read"})
//	issuer.Advance(time.Hour) // now it has expired
package issuertest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/verifier"
)

// Issuer publishes keys and signs tokens. Its methods may be called from any goroutine.
type Issuer struct {
	URL string // the issuer identifier, which is also the address of its server

	tb     testing.TB
	server *httptest.Server

	mu        sync.Mutex
	now       time.Time
	published []jose.PublicKey
	signers   []*jose.Signer // the last one signs
	maxAge    time.Duration
	broken    http.Handler
	requests  int
}

// New starts an issuer with one Ed25519 key, which stops when the test ends. Its clock stands still
// until Advance moves it.
func New(tb testing.TB) *Issuer {
	tb.Helper()
	i := &Issuer{tb: tb, now: time.Now().Truncate(time.Second), maxAge: 5 * time.Minute}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /.well-known/jwks.json", i.jwks)
	i.server = httptest.NewServer(mux)
	tb.Cleanup(i.server.Close)
	i.URL = i.server.URL
	i.Rotate()
	return i
}

// Config returns the configuration of a verifier for this issuer, including its clock.
func (i *Issuer) Config(audience ...string) verifier.Config {
	return verifier.Config{Issuer: i.URL, Audience: audience, HTTPClient: i.server.Client(), Now: i.Now}
}

// Close stops the issuer before the test ends.
func (i *Issuer) Close() { i.server.Close() }

// Now returns the time of the issuer's clock.
func (i *Issuer) Now() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now
}

// Advance moves the clock forward by d, or back if d is negative.
func (i *Issuer) Advance(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now = i.now.Add(d)
}

// Rotate publishes a new Ed25519 key beside the others and signs with it from now on. It returns
// the kid of the new key.
func (i *Issuer) Rotate() string {
	i.tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		i.tb.Fatal(err)
	}
	return i.AddKey(key, jose.EdDSA)
}

// AddKey publishes a key of your own, signs with it from now on and returns its kid.
func (i *Issuer) AddKey(key crypto.Signer, alg string) (kid string) {
	i.tb.Helper()
	kid, err := jose.Thumbprint(key.Public())
	if err != nil {
		i.tb.Fatal(err)
	}
	signer, err := jose.NewSigner(key, kid, alg, "at+jwt", "JWT", "rt+jwt")
	if err != nil {
		i.tb.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.published = append(i.published, jose.PublicKey{ID: kid, Algorithm: alg, Key: key.Public()})
	i.signers = append(i.signers, signer)
	return kid
}

// Revoke removes a key from the key set. The newest of the other keys signs from now on.
func (i *Issuer) Revoke(kid string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.published = slices.DeleteFunc(i.published, func(k jose.PublicKey) bool { return k.ID == kid })
	i.signers = slices.DeleteFunc(i.signers, func(s *jose.Signer) bool { return s.KeyID() == kid })
}

// Token signs an access token (RFC 9068) that is valid for ten minutes. claims are added to the
// usual claims or replace them; the value nil removes a claim.
func (i *Issuer) Token(claims map[string]any) string {
	i.tb.Helper()
	now := i.Now()
	all := map[string]any{
		"iss": i.URL, "sub": "alice", "aud": "https://api.example.com", "client_id": "test-client", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(), "scope": "profile email",
	}
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	payload, err := json.Marshal(all)
	if err != nil {
		i.tb.Fatal(err)
	}
	return i.Sign("at+jwt", payload)
}

// LoginToken is Token for a user who logged in some time ago, at acr "1" (a password) or "2" (a
// password and a code), with the claims of a login as Signet writes them: sid, auth_time, acr and
// amr. For any other acr the amr is left to claims.
func (i *Issuer) LoginToken(acr string, ago time.Duration, claims map[string]any) string {
	i.tb.Helper()
	all := map[string]any{"sid": "session-of-alice", "auth_time": i.Now().Add(-ago).Unix(), "acr": acr}
	switch acr {
	case "1":
		all["amr"] = []string{"pwd"}
	case "2":
		all["amr"] = []string{"pwd", "otp", "mfa"}
	}
	maps.Copy(all, claims)
	return i.Token(all)
}

// ClientToken is Token for a client that acts for itself (client_credentials): the client is the
// subject, and there is no login.
func (i *Issuer) ClientToken(claims map[string]any) string {
	i.tb.Helper()
	all := map[string]any{"sub": "test-client"}
	maps.Copy(all, claims)
	return i.Token(all)
}

// Sign signs any payload as a token of type at+jwt, JWT or rt+jwt.
func (i *Issuer) Sign(typ string, payload []byte) string {
	i.tb.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.signers) == 0 {
		i.tb.Fatal("issuertest: every key is revoked")
	}
	token, err := i.signers[len(i.signers)-1].Sign(typ, payload)
	if err != nil {
		i.tb.Fatal(err)
	}
	return token
}

// SetMaxAge sets the key set's Cache-Control max-age, which is 5 minutes at first.
func (i *Issuer) SetMaxAge(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.maxAge = d
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
	i.mu.Lock()
	defer i.mu.Unlock()
	keys := make([]json.RawMessage, len(i.published))
	for n, key := range i.published {
		var err error
		if keys[n], err = jose.MarshalPublic(key); err != nil {
			panic(err) // AddKey has checked the key
		}
	}
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return body
}

func (i *Issuer) fault() http.Handler {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.broken
}

func (i *Issuer) discovery(w http.ResponseWriter, r *http.Request) {
	if h := i.fault(); h != nil {
		h.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.URL, i.URL+"/.well-known/jwks.json")
}

func (i *Issuer) jwks(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.requests++
	maxAge := i.maxAge
	i.mu.Unlock()
	if h := i.fault(); h != nil {
		h.ServeHTTP(w, r)
		return
	}
	body := i.JWKS()
	sum := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Date", i.Now().UTC().Format(http.TimeFormat))
	h.Set("ETag", etag)
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(maxAge.Seconds())))
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(body)
}
