package verifier_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

func isUnavailable(err error) bool { return errors.Is(err, verifier.ErrKeysUnavailable) }

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// keySetHandler answers discovery as before, and answers requests for the key set with body.
func keySetHandler(s *stand, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", s.issuer.Now().UTC().Format(http.TimeFormat))
		if strings.HasSuffix(r.URL.Path, "openid-configuration") {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, s.issuer.URL, s.issuer.URL+"/.well-known/jwks.json")
			return
		}
		_, _ = io.WriteString(w, body)
	})
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func logTo(mu *sync.Mutex, w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(lockedWriter{mu, w}, nil))
}

// TestF23TheIssuerCannotBeReachedForAnHour walks an hour in steps of ten seconds.
func TestF23TheIssuerCannotBeReachedForAnHour(t *testing.T) {
	for name, fault := range map[string]http.Handler{
		"503":           status(http.StatusServiceUnavailable),
		"garbage":       http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[{]}`) }),
		"an error page": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `<html>`) }),
		"404":           http.NotFoundHandler(),
		"a broken connection": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				conn.Close()
			}
		}),
		"silence": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := issuertest.New(t)
			config := issuer.Config(audience)
			config.JWKSURL = issuer.URL + "/.well-known/jwks.json" // so that every attempt is counted
			config.Logger = slog.New(slog.DiscardHandler)
			var silent atomic.Bool
			transport := config.HTTPClient.Transport
			config.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if silent.Load() { // what a timeout looks like, without waiting for one
					return nil, context.DeadlineExceeded
				}
				return transport.RoundTrip(r)
			})}
			v := newVerifier(t, config)
			verify := func(raw string) error { _, err := v.Verify(t.Context(), raw); return err }
			asked := issuer.Now().Unix()
			if err := verify(issuer.Token(nil)); err != nil {
				t.Fatal(err)
			}
			// Not younger than the known keys, so that they decide.
			unknown := issuertest.New(t).Token(map[string]any{"iss": issuer.URL, "iat": asked})
			issuer.Break(fault)
			silent.Store(fault == nil)
			before := issuer.Requests()
			known := issuer.Token(nil)
			for second := 0; second < 3600; second += 10 {
				issuer.Advance(10 * time.Second)
				if second%300 == 0 {
					known = issuer.Token(nil)
				}
				if err := verify(known); err != nil {
					t.Fatalf("second %d: a known kid: %v", second, err)
				}
				if second%60 == 50 {
					if err := verify(unknown); !errors.Is(err, verifier.ErrInvalid) {
						t.Fatalf("second %d: an unknown kid: %v", second, err)
					}
				}
			}
			if got := issuer.Requests() - before; got > 3600/10+1 || got < 5 && fault != nil {
				t.Errorf("%d fetches in an hour at a cooldown of 10 s", got)
			}

			// The issuer comes back with a new key: known within one cooldown and its random
			// quarter.
			verifier.AwaitFetch(v) // beside the last request
			issuer.Rotate()
			issuer.Break(nil)
			silent.Store(false)
			issuer.Advance(12500 * time.Millisecond)
			if err := verify(issuer.Token(nil)); err != nil {
				t.Errorf("after the outage: %v", err)
			}
		})
	}
}

func TestF23KnownKeysAreGoodUntilTheStaleLimit(t *testing.T) {
	s := newStand(t, func(c *verifier.Config) { c.StaleLimit = 2 * time.Hour })
	s.accepted(t, s.genuine(verifier.EdDSA))
	s.issuer.Break(status(503))
	s.issuer.Advance(2*time.Hour - time.Second)
	s.accepted(t, s.genuine(verifier.EdDSA))
	verifier.AwaitFetch(s.v)
	s.issuer.Advance(time.Second)
	if token, err := s.v.Verify(t.Context(), s.genuine(verifier.EdDSA)); token != nil || !isUnavailable(err) {
		t.Errorf("%v, %v", token, err)
	}
	before := s.called
	w := serve(s.handler, request("GET", "/whoami", "Bearer "+s.genuine(verifier.EdDSA)))
	if w.Code != 503 || problemCode(t, w) != verifier.CodeKeysUnavailable || s.called != before || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if after := w.Header().Get("Retry-After"); after == "" || after == "0" || len(after) > 2 {
		t.Errorf("Retry-After %q", after)
	}
	s.issuer.Break(nil)
	s.issuer.Advance(12500 * time.Millisecond)
	s.accepted(t, s.genuine(verifier.EdDSA))
}

func TestF23WithoutAnyKeysNothingIsAccepted(t *testing.T) {
	tls := httptest.NewTLSServer(http.NotFoundHandler()) // with a certificate that no client trusts
	defer tls.Close()
	tls.Config.ErrorLog = nil
	for name, url := range map[string]string{"nobody listens": "http://127.0.0.1:1/jwks", "a TLS error": tls.URL, "no such name": "http://issuer.invalid/jwks"} {
		s := newStand(t, func(c *verifier.Config) { c.JWKSURL = url; c.HTTPClient = nil })
		for range 3 {
			if token, err := s.v.Verify(t.Context(), s.genuine(verifier.EdDSA)); token != nil || !isUnavailable(err) {
				t.Errorf("%s: %v, %v", name, token, err)
			}
		}
		if w := serve(s.handler, request("GET", "/whoami", "Bearer "+s.genuine(verifier.EdDSA))); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d", name, w.Code)
		}
		// Garbage is still refused as garbage.
		s.refused(t, "garbage", verifier.ErrInvalid)
	}
	// The verifier starts while the issuer is down, and recovers within a cooldown.
	s := newStand(t)
	s.issuer.Break(status(503))
	if _, err := s.v.Verify(t.Context(), s.genuine(verifier.EdDSA)); !isUnavailable(err) {
		t.Error(err)
	}
	s.issuer.Break(nil)
	s.issuer.Advance(12500 * time.Millisecond)
	s.accepted(t, s.genuine(verifier.EdDSA))
}

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
	// After a rotation in the same second each verifier fetches once more, when it sees the new
	// key.
	issuer.Advance(time.Minute)
	issuer.Rotate()
	published = issuer.JWKS()
	raw = issuer.Token(nil)
	verifyAll()
	if got := int(fetches.Load()); got != 2*len(verifiers) {
		t.Errorf("%d fetches for %d verifiers after a rotation", got, len(verifiers))
	}
}

func TestAnUnknownKidIsLookedForOncePerCooldown(t *testing.T) {
	s := newStand(t)
	s.accepted(t, s.genuine(verifier.EdDSA))
	s.issuer.Rotate()
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
	for _, claims := range []map[string]any{{}, {"iss": s.issuer.URL, "aud": "x"}, {"iss": s.issuer.URL, "exp": now - 100, "iat": now - 200}} {
		s.refused(t, stranger.Token(claims), verifier.ErrInvalid)
	}
	if got := s.issuer.Requests(); got != 2 {
		t.Errorf("%d fetches", got)
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
	// After years without a request the verifier still works.
	issuer.Advance(3 * 365 * 24 * time.Hour)
	verify()
	// After the clock was set back, the known key set lies in the future.
	issuer.Advance(-365 * 24 * time.Hour)
	verify()
	if full.Load() != 1 {
		t.Errorf("%d full answers", full.Load())
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWaitingCallersHonourTheirContext(t *testing.T) {
	s := newStand(t, func(c *verifier.Config) { c.FetchTimeout = time.Minute })
	release := make(chan struct{})
	defer close(release)
	s.issuer.Break(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	token, err := s.v.Verify(ctx, s.genuine(verifier.EdDSA))
	if took := time.Since(start); token != nil || !isUnavailable(err) || !errors.Is(err, context.DeadlineExceeded) || took > 30*time.Second {
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
	v := newVerifier(t, verifier.Config{Issuer: issuer.URL, JWKSURL: server.URL, Audience: []string{audience}, HTTPClient: client, FetchTimeout: 30 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
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

func TestRedirectsLeadNowhereElse(t *testing.T) {
	s := newStand(t)
	var visited atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		visited.Add(1)
		_, _ = w.Write(s.issuer.JWKS())
	}))
	defer elsewhere.Close()
	s.issuer.Break(http.RedirectHandler(elsewhere.URL+"/jwks", http.StatusFound))
	if _, err := s.v.Verify(t.Context(), s.genuine(verifier.EdDSA)); !isUnavailable(err) || visited.Load() != 0 {
		t.Errorf("%v, visited %d times", err, visited.Load())
	}
	s.issuer.Break(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/jwks.json") && r.URL.RawQuery == "" {
			http.Redirect(w, r, r.URL.Path+"?here", http.StatusFound)
			return
		}
		keySetHandler(s, string(s.issuer.JWKS())).ServeHTTP(w, r)
	}))
	s.issuer.Advance(time.Minute)
	s.accepted(t, s.genuine(verifier.EdDSA)) // on the same host a redirect is followed
	s.issuer.Break(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }))
	if _, err := newVerifier(t, s.issuer.Config(audience)).Verify(t.Context(), s.genuine(verifier.EdDSA)); !isUnavailable(err) {
		t.Errorf("an endless redirect: %v", err)
	}
}

func TestDiscoveryMustBeTheIssuersOwn(t *testing.T) {
	var document atomic.Value
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/openid-configuration" {
			_, _ = io.WriteString(w, document.Load().(string))
			return
		}
		_, _ = w.Write(document.Load().([]byte))
	}))
	defer server.Close()
	key := issuertest.New(t)
	jwks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(key.JWKS()) }))
	defer jwks.Close()
	raw := key.Token(map[string]any{"iss": server.URL})
	for name, doc := range map[string]string{
		"another issuer":        `{"issuer":"https://evil.test","jwks_uri":"` + jwks.URL + `"}`,
		"a slash more":          `{"issuer":"` + server.URL + `/","jwks_uri":"` + jwks.URL + `"}`,
		"no issuer":             `{"jwks_uri":"` + jwks.URL + `"}`,
		"no jwks_uri":           `{"issuer":"` + server.URL + `"}`,
		"a relative jwks_uri":   `{"issuer":"` + server.URL + `","jwks_uri":"/jwks"}`,
		"a file":                `{"issuer":"` + server.URL + `","jwks_uri":"file:///etc/passwd"}`,
		"http under https":      `{"issuer":"` + server.URL + `","jwks_uri":"` + jwks.URL + `"}`,
		"two issuers":           `{"issuer":"https://evil.test","issuer":"` + server.URL + `","jwks_uri":"` + jwks.URL + `"}`,
		"an issuer in capitals": `{"Issuer":"` + server.URL + `","jwks_uri":"` + jwks.URL + `"}`,
		"no JSON":               `<html>`,
	} {
		document.Store(doc)
		var mu sync.Mutex
		var log bytes.Buffer
		v := newVerifier(t, verifier.Config{Issuer: server.URL, Audience: []string{audience}, HTTPClient: server.Client(), Logger: logTo(&mu, &log)})
		if _, err := v.Verify(t.Context(), raw); !isUnavailable(err) {
			t.Errorf("%s: %v", name, err)
		}
		mu.Lock()
		if !strings.Contains(log.String(), "cannot be fetched") {
			t.Errorf("%s: log %q", name, log.String())
		}
		mu.Unlock()
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
	s.issuer.Rotate()
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
	s.issuer.Rotate()
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
