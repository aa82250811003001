package verifier_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

// TestF23TheIssuerCannotBeReachedForAnHour walks an hour in steps of ten seconds.
func TestF23TheIssuerCannotBeReachedForAnHour(t *testing.T) {
	for name, fault := range map[string]http.Handler{
		"503": status(http.StatusServiceUnavailable),
		"garbage": http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[{]}`) }),
		"an error page": http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `<html>`) }),
		"404": http.NotFoundHandler(),
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
			addUnexpectedKey(t, issuer)
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
	if w.Code != 503 || problemCode(t, w) != verifier.CodeKeysUnavailable || s.called != before ||
		w.Header().Get("WWW-Authenticate") != "" {
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
	for name, url := range map[string]string{"nobody listens": "http://127.0.0.1:1/jwks", "a TLS error": tls.URL,
		"no such name": "http://issuer.invalid/jwks"} {
		s := newStand(t, func(c *verifier.Config) { c.JWKSURL = url; c.HTTPClient = nil })
		for range 3 {
			if token, err := s.v.Verify(t.Context(), s.genuine(verifier.EdDSA)); token != nil || !isUnavailable(err) {
				t.Errorf("%s: %v, %v", name, token, err)
			}
		}
		if w := serve(s.handler, request("GET", "/whoami", "Bearer "+s.genuine(verifier.EdDSA))); w.Code != 503 ||
			w.Header().Get("Retry-After") == "" {
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
