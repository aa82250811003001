// Package issuertest is an issuer for the tests of resource servers and of apps: Signet itself, on a
// loopback address and a temporary database, with keys that are ready made. A test moves its clock,
// rotates and revokes its keys, makes tokens of any shape, and makes it fail.
//
//	issuer := issuertest.New(t)
//	v, err := verifier.New(issuer.Config("https://api.example.com"))
//	raw := issuer.Token(map[string]any{"scope": "notes:read"}) // of alice, for https://api.example.com
//	issuer.Advance(time.Hour)                                  // now it has expired
//
// Tokens of real logins come from Login, those of a service of its own from ServiceLogin, and an app is
// logged in to through the real pages by the HTTP client of Browser. With the option StatusLists a test
// sees that the token of a revoked session is refused. In other languages, `signet serve --test` is the
// same.
//
// The private keys are those of every test everywhere. Nothing but a test may trust them.
package issuertest

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/testissuer"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/verifier"
)

// DefaultAudience is the aud of the issuer's access tokens, unless a test asks for another.
const DefaultAudience = "https://api.example.com"

// Issuer is a running issuer. Its methods may be called from any goroutine; what fails in them ends
// the test.
type Issuer struct {
	URL string // the issuer identifier, which is also the address of its server

	tb     testing.TB
	signet *testissuer.Issuer
	client *http.Client

	mu       sync.Mutex
	added    []addedKey // the last one signs
	maxAge   *time.Duration
	broken   http.Handler
	requests int
	app      *Client // of Login
}

// Option is how an issuer differs from one with the default configuration.
type Option func(*testissuer.Options)

// StatusLists turns token status lists on (draft-ietf-oauth-status-list), as status_lists.enabled
// does: the access tokens of Login and ServiceLogin name a place in a list. Verifiers refuse those
// of a session that has ended with verifier.ErrRevoked, at the latest once Advance has moved the
// clock by 15 seconds, for which they may use a list that they have. Tokens that a test makes name
// a place only if its claims do.
func StatusLists() Option {
	return func(o *testissuer.Options) { o.StatusLists = true }
}

// New starts an issuer, which stops when the test ends. Its clock stands still until Advance moves
// it. It signs with RS256, and publishes keys for EdDSA and the successor of each key as well.
func New(tb testing.TB, options ...Option) *Issuer {
	tb.Helper()
	i := &Issuer{tb: tb, client: &http.Client{Transport: &http.Transport{}}}
	settings := testissuer.Options{
		Clock: testissuer.Standing(time.Now().Truncate(time.Second)), Make: keystest.Generator(), Audience: DefaultAudience,
	}
	for _, set := range options {
		set(&settings)
	}
	var err error
	i.signet, err = testissuer.Start(context.Background(), settings, i.around)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(i.Close)
	i.URL = i.signet.URL
	return i
}

// Config returns the configuration of a verifier for this issuer, including its clock.
func (i *Issuer) Config(audience ...string) verifier.Config {
	return verifier.Config{Issuer: i.URL, Audience: audience, HTTPClient: i.client, Now: i.Now}
}

// Close stops the issuer before the test ends.
func (i *Issuer) Close() {
	i.client.CloseIdleConnections()
	i.signet.Close()
}

// Now returns the time of the issuer's clock.
func (i *Issuer) Now() time.Time { return i.signet.Clock.Now() }

// Advance moves the clock forward by d, or back if d is negative. Sessions end and keys are rotated
// as they would have been in that time.
func (i *Issuer) Advance(d time.Duration) {
	i.tb.Helper()
	i.must(i.signet.Advance(context.Background(), d))
}

func (i *Issuer) must(err error) {
	i.tb.Helper()
	if err != nil {
		i.tb.Fatal(err)
	}
}
