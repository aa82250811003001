package verifier_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

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
	s.issuer.Break(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }))
	if _, err := newVerifier(t, s.issuer.Config(audience)).
		Verify(t.Context(), s.genuine(verifier.EdDSA)); !isUnavailable(err) {
		t.Errorf("an endless redirect: %v", err)
	}

	// From https to http on the same host, anybody on the way could answer.
	config := s.issuer.Config(audience)
	config.JWKSURL = "https://id.example.com/jwks"
	config.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		if r.URL.Scheme == "https" {
			http.Redirect(w, r, "http://id.example.com/jwks", http.StatusFound)
		} else {
			visited.Add(1)
			_, _ = w.Write(s.issuer.JWKS())
		}
		return w.Result(), nil
	})}
	if _, err := newVerifier(t, config).Verify(t.Context(), s.genuine(verifier.EdDSA)); !isUnavailable(err) || visited.Load() != 0 {
		t.Errorf("a redirect to http: %v, visited %d times", err, visited.Load())
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
	jwks := httptest.NewServer(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(key.JWKS()) }))
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
		v := newVerifier(t, verifier.Config{Issuer: server.URL, Audience: []string{audience}, HTTPClient: server.Client(),
			Logger: logTo(&mu, &log)})
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
