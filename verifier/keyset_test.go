package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

func TestF24AThousandVerifiersStartAtOnce(t *testing.T) {
	issuer := issuertest.New(t)
	raw := issuer.Token(nil)
	verifiers := make([]*verifier.Verifier, 1000)
	var fetches atomic.Int32
	// Without sockets, so that a thousand of them measure the verifiers and not the machine.
	published := issuer.JWKS()
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer.URL, issuer.URL+"/jwks")
		} else {
			fetches.Add(1)
			_, _ = w.Write(published)
		}
		return w.Result(), nil
	})
	for i := range verifiers {
		config := issuer.Config(audience)
		config.HTTPClient = &http.Client{Transport: transport}
		config.FetchTimeout = time.Minute
		verifiers[i] = newVerifier(t, config)
	}
	verifyAll := func() {
		var wait sync.WaitGroup
		for _, v := range verifiers {
			for range 2 {
				wait.Go(func() {
					if _, err := v.Verify(t.Context(), raw); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wait.Wait()
	}
	verifyAll()
	if got := int(fetches.Load()); got != len(verifiers) {
		t.Errorf("%d fetches for %d verifiers", got, len(verifiers))
	}
	// After a key that nobody could expect each verifier fetches once more, when it sees the new key.
	issuer.Advance(time.Minute)
	addUnexpectedKey(t, issuer)
	published = issuer.JWKS()
	raw = issuer.Token(nil)
	verifyAll()
	if got := int(fetches.Load()); got != 2*len(verifiers) {
		t.Errorf("%d fetches for %d verifiers after a rotation", got, len(verifiers))
	}
}

func TestTheKeySetIsRefreshedBesideRequestsAndConfirmedByETag(t *testing.T) {
	issuer := issuertest.New(t)
	var full, unchanged atomic.Int32
	config := issuer.Config(audience)
	transport := config.HTTPClient.Transport
	config.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r)
		if err == nil && strings.HasSuffix(r.URL.Path, "jwks.json") {
			if resp.StatusCode == http.StatusNotModified {
				unchanged.Add(1)
			} else {
				full.Add(1)
			}
		}
		return resp, err
	})}
	v := newVerifier(t, config)
	verify := func() {
		t.Helper()
		if _, err := v.Verify(t.Context(), issuer.Token(nil)); err != nil {
			t.Error(err)
		}
	}
	verify()
	issuer.Advance(209 * time.Second) // less than 70 % of 300 s
	verify()
	verifier.AwaitFetch(v)
	if full.Load() != 1 || unchanged.Load() != 0 {
		t.Errorf("%d full answers, %d unchanged", full.Load(), unchanged.Load())
	}
	issuer.Advance(62 * time.Second) // more than 90 %
	verify()
	verifier.AwaitFetch(v) // beside the request
	if unchanged.Load() != 1 {
		t.Errorf("beside a request: %d full answers, %d unchanged", full.Load(), unchanged.Load())
	}
	issuer.Advance(300 * time.Second) // more than 100 %: the request waits
	verify()
	if unchanged.Load() != 2 || full.Load() != 1 {
		t.Errorf("%d full answers, %d unchanged", full.Load(), unchanged.Load())
	}
	// After years without a request, and many rotations, the verifier still works.
	issuer.Advance(3 * 365 * 24 * time.Hour)
	verify()
	// After the clock was set back, the known key set lies in the future.
	issuer.Advance(-365 * 24 * time.Hour)
	verify()
	if full.Load() != 3 || unchanged.Load() != 2 {
		t.Errorf("in other years: %d full answers, %d unchanged", full.Load(), unchanged.Load())
	}
}

func TestWaitingCallersHonourTheirContext(t *testing.T) {
	s := newStand(t, func(c *verifier.Config) { c.FetchTimeout = time.Minute })
	release := make(chan struct{})
	defer close(release)
	s.issuer.Break(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	token, err := s.v.Verify(ctx, s.genuine(verifier.EdDSA))
	if took := time.Since(start); token != nil || !isUnavailable(err) || !errors.Is(err, context.DeadlineExceeded) ||
		took > 30*time.Second {
		t.Errorf("%v, %v after %v", token, err, took)
	}
}

func TestNoGoroutineOutlivesItsFetch(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}))
	client := server.Client()
	issuer := issuertest.New(noCleanup{TB: t})
	defer issuer.Close()
	v := newVerifier(t, verifier.Config{Issuer: issuer.URL, JWKSURL: server.URL, Audience: []string{audience},
		HTTPClient: client, FetchTimeout: 30 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if _, err := v.Verify(ctx, issuer.Token(nil)); !isUnavailable(err) {
			t.Error(err)
		}
		cancel()
	}
	close(release)
	client.CloseIdleConnections()
	server.Close()
}

// noCleanup leaves closing to the test, which counts goroutines before cleanups run.
type noCleanup struct{ testing.TB }

func (noCleanup) Cleanup(func()) {}
